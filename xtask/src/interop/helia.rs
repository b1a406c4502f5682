//! Helia, the IPFS node in JavaScript: reads what nisse holds, nisse reads what Helia made, and both refuse a flipped bit.

use std::path::Path;
use std::time::Instant;

use anyhow::ensure;
use sha2::{Digest as _, Sha256};

use super::nisse::Nisse;
use super::{Running, empty_folder, json, node};
use crate::check::say;
use crate::command::run;

/// Three leaves of 1 MiB and a bit: a tree, and not full.
const FILE_BYTES: usize = 3_000_000;

pub(super) fn tell(packages: &Path) -> anyhow::Result<()> {
    let folder = empty_folder("helia")?;
    let file = folder.join("file");
    std::fs::write(&file, noise())?;
    let nisse = Nisse::up(&folder)?;
    let cid = nisse.ok(&["content", "add", &file.to_string_lossy()])?;
    say(&format!("nisse added {FILE_BYTES} bytes as {cid} and serves on {}", nisse.public));

    let mut node = node(packages, "helia.js")?;
    node.arg(nisse.public.port().to_string()).arg(&file).arg(&cid);
    run(node)?;
    read_from_helia(packages, &folder)
}

/// The other way round: blocks that Helia cut, through a gateway that knows no CAR.
fn read_from_helia(packages: &Path, folder: &Path) -> anyhow::Result<()> {
    let mut helia = node(packages, "helia-serves.js")?;
    helia.arg(folder);
    let mut helia = Running::start(helia)?;
    let served = helia.until("Helia to serve", || json(&folder.join("served.json")).ok())?;
    let gateway = format!("http://127.0.0.1:{}", served["port"]);
    let reader = folder.join("reader");
    std::fs::create_dir_all(&reader)?;
    let nisse = Nisse::up_with(&reader, &["--gateway", &gateway])?;
    let text = |name: &str, key: &str| served["files"][name][key].as_str().unwrap_or_default().to_owned();
    for name in ["small", "large"] {
        let (cid, start, to) = (text(name, "cid"), Instant::now(), reader.join(name));
        nisse.ok(&["content", "get", &cid, "-o", &to.to_string_lossy()])?;
        let (read, made) = (std::fs::read(&to)?, std::fs::read(text(name, "path"))?);
        ensure!(read == made, "nisse reads other bytes of {cid}");
        say(&format!("ok: nisse reads {} bytes that Helia made ({} ms)", read.len(), start.elapsed().as_millis()));
    }
    let (spoilt, victim) = (text("spoilt", "cid"), served["victim"].as_str().unwrap_or_default());
    let refusal = nisse.refusal(&["content", "get", &spoilt])?;
    ensure!(refusal.contains(victim), "not refused for the flipped block {victim}: {refusal}");
    say(&format!("ok: nisse refuses one flipped bit in a leaf: {refusal}"));
    Ok(())
}

/// Bytes without any pattern, the same in each run.
fn noise() -> Vec<u8> {
    (0u32..).flat_map(|n| Sha256::digest(n.to_be_bytes())).take(FILE_BYTES).collect()
}
