//! Helia, the IPFS node in JavaScript: reads what nisse holds, nisse reads what Helia made, and both refuse a flipped bit.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::nisse::Nisse;
use super::{Running, empty_folder, json, node};
use crate::check::say;
use crate::command::{repository, run};

/// Three leaves of 1 MiB and a bit: a tree, and not full.
const FILE_BYTES: usize = 3_000_000;
/// What makes an artifact large.
const ARTIFACT_MORE_BYTES: usize = 20_000_000;

pub(super) fn tell(packages: &Path) -> anyhow::Result<()> {
    let folder = empty_folder("helia")?;
    let file = folder.join("file");
    std::fs::write(&file, noise(FILE_BYTES))?;
    let nisse = Nisse::up(&folder)?;
    let cid = nisse.ok(&["content", "add", &file.to_string_lossy()])?;
    say(&format!("nisse added {FILE_BYTES} bytes as {cid} and serves on {}", nisse.public));

    let mut node = node(packages, "helia.js")?;
    node.arg(nisse.public.port().to_string()).arg(&file).arg(&cid);
    run(node)?;
    read_from_helia(packages, &folder)?;
    rent_for_what_helia_made(packages, &folder)
}

/// The other way round: blocks that Helia cut, through a gateway that knows no CAR.
fn read_from_helia(packages: &Path, folder: &Path) -> anyhow::Result<()> {
    let (_helia, served, gateway) = helia_serves(packages, folder, &[])?;
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

/// A package whose artifact only Helia has, under the CID that Helia gave it: ordered by a home that has agent.yaml alone,
/// attested by two strangers, and run by one of them.
fn rent_for_what_helia_made(packages: &Path, folder: &Path) -> anyhow::Result<()> {
    let (package, artifact) = (folder.join("package"), folder.join("artifact.wasm"));
    std::fs::create_dir_all(&package)?;
    std::fs::write(&artifact, large_counter()?)?;
    let manifest = std::fs::read_to_string(repository().join("examples/guests/counter/agent.yaml"))?;
    std::fs::write(package.join("agent.yaml"), manifest)?;
    std::fs::copy(&artifact, package.join("counter.wasm"))?;
    let serves = folder.join("helia");
    std::fs::create_dir_all(&serves)?;
    let (_helia, served, gateway) = helia_serves(packages, &serves, &[&artifact])?;
    let cid = served["files"]["given"]["cid"].as_str().context("Helia names what it was given")?;

    let home = |name: &str, flags: &[&str]| -> anyhow::Result<Nisse> {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder)?;
        Nisse::up_with(&folder, &[&["--gateway", &gateway], flags].concat())
    };
    let renter = home("renter", &["--demo", "--rpc", "127.0.0.1:0", "--endpoint", "http://renter.example"])?;
    renter.ok(&["pkg", "seal", &package.to_string_lossy()])?;
    std::fs::remove_file(package.join("counter.wasm"))?;
    let chain = renter.json(&["node", "status"])?;
    let text = |key: &str| chain[key].as_str().unwrap_or_default().to_owned();
    let (url, contract, id) = (text("chain_url"), text("contract"), chain["chain"].to_string());
    let serving = ["--chain", &url, "--contract", &contract, "--chain-id", &id];
    // Manifest and configuration are the renter's to give.
    let renters = format!("http://{}", renter.public);
    let own = ["--gateway", &renters, "--accept", "any", "--price", "40", "--stake", "10000"];
    let serving = [&serving[..], &own].concat();
    let nodes = [home("first", &serving)?, home("second", &serving)?];

    let start = Instant::now();
    let order = ["deploy", &package.to_string_lossy(), "--artifact-cid", cid];
    let terms = ["--payment", "100", "--max-rate", "45", "--wait", "180"];
    let deployed = renter.json(&[&order[..], &terms].concat())?;
    ensure!(deployed["state"] == "running" && deployed["cid"] == cid, "it does not run: {deployed}");
    let runs = |node: &Nisse| Ok::<_, anyhow::Error>(node.json(&["node", "status"])?["operator"] == deployed["node"]);
    let [first, second] = &nodes;
    ensure!(runs(first)? || runs(second)?, "no stranger runs it: {deployed}");
    say(&format!(
        "ok: {} bytes under the CID that Helia gave them run at a stranger's ({} ms): {cid}",
        std::fs::metadata(&artifact)?.len(),
        start.elapsed().as_millis()
    ));
    Ok(())
}

/// The counter with a section that means nothing: a component of 20 MB.
fn large_counter() -> anyhow::Result<Vec<u8>> {
    let mut artifact = std::fs::read(repository().join("examples/guests/counter/counter.wasm"))?;
    // A custom section: its id, its length as LEB128 in five bytes, a name of one letter.
    let length = u32::try_from(ARTIFACT_MORE_BYTES + 2)?;
    artifact.push(0);
    let digit = |at: u32| u8::try_from((length >> (7 * at)) & 0x7f).map(|digit| digit | if at < 4 { 0x80 } else { 0 });
    artifact.extend((0..5).map(digit).collect::<Result<Vec<_>, _>>()?);
    artifact.extend([1, b'n']);
    artifact.extend(noise(ARTIFACT_MORE_BYTES));
    Ok(artifact)
}

/// Helia with its files and those given, what it says of them, and the gateway that gives them.
fn helia_serves(packages: &Path, folder: &Path, given: &[&Path]) -> anyhow::Result<(Running, Value, String)> {
    let mut helia = node(packages, "helia-serves.js")?;
    helia.arg(folder).args(given);
    let mut helia = Running::start(helia)?;
    let served = helia.until("Helia to serve", || json(&folder.join("served.json")).ok())?;
    let gateway = format!("http://127.0.0.1:{}", served["port"]);
    Ok((helia, served, gateway))
}

/// Bytes without any pattern, the same in each run.
fn noise(count: usize) -> Vec<u8> {
    (0u32..).flat_map(|n| Sha256::digest(n.to_be_bytes())).take(count).collect()
}
