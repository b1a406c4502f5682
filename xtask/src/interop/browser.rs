//! Chromium: agents by their names, each an origin of its own; content that is saved and never shown; a control API that
//! no page reaches.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::nisse::Nisse;
use super::{empty_folder, node};
use crate::command::{repository, run};

/// Where Debian's package puts it.
const CHROMIUM: &str = "/usr/bin/chromium";
/// A page that would say so if it ever ran.
const PAGE: &str = "<!doctype html><title>stored</title><script>document.title = 'ran'</script>";

pub(super) fn tell(packages: &Path) -> anyhow::Result<()> {
    install()?;
    let folder = empty_folder("browser")?;
    let page = folder.join("page.html");
    std::fs::write(&page, PAGE)?;
    let nisse = Nisse::up(&folder)?;
    let cid = nisse.ok(&["content", "add", &page.to_string_lossy()])?;
    for guest in ["echo", "stream"] {
        let package = repository().join("examples/guests").join(guest);
        nisse.ok(&["deploy", &package.to_string_lossy()])?;
    }
    let mut node = node(packages, "browser.js")?;
    node.arg(nisse.public.port().to_string()).arg(nisse.api.to_string()).arg(&cid);
    run(node)?;
    let status: serde_json::Value = serde_json::from_str(&nisse.ok(&["node", "status", "--json"])?)?;
    ensure!(status["draining"] == false, "keep pages from draining the node: {status}");
    Ok(())
}

/// From the machine's packages, where it is not there yet.
pub(super) fn install() -> anyhow::Result<()> {
    if Path::new(CHROMIUM).exists() {
        return Ok(());
    }
    let mut update = Command::new("apt-get");
    update.args(["update", "--quiet=2"]);
    run(update).context("apt is needed to install Chromium")?;
    let mut install = Command::new("apt-get");
    install.args(["install", "--quiet=2", "--yes", "--no-install-recommends", "chromium"]);
    run(install).context("Chromium is installed as root")
}
