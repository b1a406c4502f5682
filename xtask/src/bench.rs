//! `cargo xtask bench [GROUP...]` prints the table of `bench/`; CI only compiles what measures, since figures of a shared
//! machine prove nothing.

use crate::command::{cargo, run, target_folder};

const MANIFEST: &str = "bench/Cargo.toml";

/// Measures all groups, or those named, and prints aim, ours and peer.
pub(crate) fn table(groups: &[String]) -> anyhow::Result<()> {
    let mut command = cargo(["run", "--release", "--manifest-path", MANIFEST, "--"]);
    command.args(groups);
    run(command)
}

/// Type-checks the crates' benches and the table. Its heavy peer, wasmtime's own command line, is built only by the rows
/// that need it: eight minutes on two cores.
pub(crate) fn compile() -> anyhow::Result<()> {
    run(cargo(["check", "--workspace", "--benches"]))?;
    let mut command = cargo(["check", "--locked", "--manifest-path", MANIFEST]);
    command.env("CARGO_TARGET_DIR", target_folder());
    run(command)
}
