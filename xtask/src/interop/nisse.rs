//! The product in a story: the built binary, serving on a home of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use super::{Running, build, json};
use crate::command::target_folder;

/// A node that ends with the story.
pub(super) struct Nisse {
    home: PathBuf,
    _up: Running,
    pub(super) api: SocketAddr,
    pub(super) public: SocketAddr,
}

impl Nisse {
    /// Builds it, and starts it with its home in `folder`.
    pub(super) fn up(folder: &Path) -> anyhow::Result<Self> {
        Self::up_with(folder, &[])
    }

    /// The same with more flags.
    pub(super) fn up_with(folder: &Path, flags: &[&str]) -> anyhow::Result<Self> {
        build()?;
        let home = folder.join("home");
        let mut up = command(&home, &["up", "--api", "127.0.0.1:0", "--public", "127.0.0.1:0"]);
        up.args(flags);
        up.stdin(Stdio::null()).stdout(Stdio::null());
        let mut up = Running::start(up)?;
        let (api, public) = up.until("nisse to serve", || {
            let run = json(&home.join("run.json")).ok()?;
            let address = |key: &str| run[key].as_str()?.parse::<SocketAddr>().ok();
            Some((address("api")?, address("public")?))
        })?;
        Ok(Self { home, _up: up, api, public })
    }

    /// Runs one command that has to succeed, and gives what it said.
    pub(super) fn ok(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = command(&self.home, arguments).output()?;
        ensure!(output.status.success(), "nisse {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout).context("it says text")?.trim().to_owned())
    }

    /// The same, read as JSON.
    pub(super) fn json(&self, arguments: &[&str]) -> anyhow::Result<serde_json::Value> {
        let said = self.ok(&[arguments, &["--json"]].concat())?;
        serde_json::from_str(&said).with_context(|| format!("nisse {arguments:?}: {said}"))
    }

    /// Runs one command that must fail, and gives why it did.
    pub(super) fn refusal(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = command(&self.home, arguments).output()?;
        ensure!(!output.status.success(), "nisse {arguments:?} is not refused");
        Ok(String::from_utf8(output.stderr).context("it says text")?.trim().to_owned())
    }
}

fn command(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(target_folder().join("debug/nisse"));
    command.arg("--home").arg(home).args(arguments).env("HOME", home);
    command
}
