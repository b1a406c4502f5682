//! The programs that are measured: each is built as it is released, by cargo, unless it is up to date.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context as _, ensure};
use serde_json::Value;

/// The repository's root.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the bench stands in the repository")
}

/// Names a release binary that is measured instead of the one that cargo builds: to compare two of them.
pub(crate) const NISSE: &str = "NISSE_BENCH_BINARY";

/// The release binary.
pub(crate) fn nisse() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os(NISSE) {
        return Ok(std::path::absolute(path)?);
    }
    built(&["build", "--release", "-p", "nisse"], "nisse")
}

/// A bench of one of the crates.
pub(crate) fn bench(package: &str, name: &'static str) -> anyhow::Result<PathBuf> {
    built(&["bench", "-p", package, "--bench", name, "--no-run"], name)
}

/// The peer `wasmtime serve`.
pub(crate) fn wasmtime_serve() -> anyhow::Result<PathBuf> {
    built(&["build", "--release", "--manifest-path", "bench/Cargo.toml", "-p", "wasmtime-serve"], "wasmtime-serve")
}

/// Runs cargo, once for each program, and asks it where the program is.
fn built(arguments: &[&str], name: &'static str) -> anyhow::Result<PathBuf> {
    static BUILT: Mutex<BTreeMap<&str, PathBuf>> = Mutex::new(BTreeMap::new());
    if let Some(path) = BUILT.lock().expect("no panic").get(name) {
        return Ok(path.clone());
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(arguments).arg("--message-format=json-render-diagnostics").current_dir(repository());
    let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("start {command:?}"))?;
    ensure!(output.status.success(), "{command:?} ended with {}", output.status);
    let messages = output.stdout.split(|byte| *byte == b'\n');
    let path = messages.filter_map(|line| serde_json::from_slice::<Value>(line).ok()).find_map(|message| {
        let is_it = message["reason"] == "compiler-artifact" && message["target"]["name"] == name;
        is_it.then(|| message["executable"].as_str().map(PathBuf::from))?
    });
    let path = path.with_context(|| format!("cargo built no program `{name}`"))?;
    BUILT.lock().expect("no panic").insert(name, path.clone());
    Ok(path)
}
