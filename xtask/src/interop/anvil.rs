//! anvil, Foundry's chain: the whole life of a lease must burn the same gas there as on the embedded chain, and end the
//! same over a wire that fails.

use std::path::Path;
use std::process::{Command, Stdio};

use super::{Running, empty_folder, run_ignored};

/// The chain id and the first second of nisse-market's test world.
const CHAIN_ID: &str = "5000000000000001";
const FIRST_SECOND: &str = "1767225600";
/// The tests that need anvil, each a fresh one.
const TESTS: [&str; 2] = ["anvil::", "faults::on_anvil"];

pub(super) fn tell(packages: &Path) -> anyhow::Result<()> {
    TESTS.iter().try_for_each(|test| tell_one(packages, test))
}

fn tell_one(packages: &Path, test: &str) -> anyhow::Result<()> {
    let folder = empty_folder("anvil")?;
    let log = folder.join("log");
    let mut anvil = Command::new(packages.join("@foundry-rs/anvil-linux-amd64/bin/anvil"));
    anvil.args(["--hardfork", "prague", "--host", "127.0.0.1", "--port", "0", "--accounts", "0"]);
    anvil.args(["--chain-id", CHAIN_ID, "--timestamp", FIRST_SECOND]);
    anvil.current_dir(&folder).stdin(Stdio::null()).stdout(std::fs::File::create(&log)?);
    let mut anvil = Running::start(anvil)?;
    let address = anvil.until("anvil's address", || {
        let text = std::fs::read_to_string(&log).ok()?;
        // Without the end of the line the address may be half written.
        let (address, _) = text.split_once("Listening on ")?.1.split_once('\n')?;
        Some(address.trim().to_owned())
    })?;
    run_ignored("nisse-market", test, ("NISSE_ANVIL_URL", format!("http://{address}")))
}
