//! The product in a story: the built binary, serving on a home of its own.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use super::{Running, build, json};
use crate::command::target_folder;

/// A node that ends with the story.
pub(super) struct Nisse {
    home: PathBuf,
    /// What runs it: the binary, perhaps on another machine.
    program: Vec<OsString>,
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
        Self::up_by(vec![Self::binary().into()], &folder.join("home"), flags)
    }

    /// The binary that was built.
    pub(super) fn binary() -> PathBuf {
        target_folder().join("debug/nisse")
    }

    /// Starts what runs it on a home.
    pub(super) fn up_by(program: Vec<OsString>, home: &Path, flags: &[&str]) -> anyhow::Result<Self> {
        let home = home.to_owned();
        let mut up = command(&program, &home, &["up", "--api", "127.0.0.1:0", "--public", "127.0.0.1:0"]);
        up.args(flags);
        up.stdin(Stdio::null()).stdout(Stdio::null());
        let mut up = Running::start(up)?;
        let pid = up.0.id();
        let (api, public) = up.until("nisse to serve", || {
            // That of one that was killed still lies there.
            let run = json(&home.join("run.json")).ok().filter(|run| run["pid"] == pid)?;
            let address = |key: &str| run[key].as_str()?.parse::<SocketAddr>().ok();
            Some((address("api")?, address("public")?))
        })?;
        Ok(Self { home, program, _up: up, api, public })
    }

    /// Runs one command that has to succeed, and gives what it said.
    pub(super) fn ok(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = command(&self.program, &self.home, arguments).output()?;
        ensure!(output.status.success(), "nisse {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout).context("it says text")?.trim().to_owned())
    }

    /// The same, read as JSON.
    pub(super) fn json(&self, arguments: &[&str]) -> anyhow::Result<serde_json::Value> {
        let said = self.ok(&[arguments, &["--json"]].concat())?;
        serde_json::from_str(&said).with_context(|| format!("nisse {arguments:?}: {said}"))
    }

    /// Begins an identity with this home: the words are read, and typed again.
    pub(super) fn begin_identity(&self) -> anyhow::Result<()> {
        let mut new = command(&self.program, &self.home, &["identity", "new", "--name", "home", "--json"]);
        new.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut new = Running::start(new)?;
        let mut said = BufReader::new(new.0.stdout.take().context("its stdout is piped")?).lines();
        let mut kit = String::new();
        while !kit.ends_with('}') {
            kit += &said.next().context("it shows its words")??;
        }
        let kit: serde_json::Value = serde_json::from_str(&kit)?;
        let words = kit["words"].as_array().context("it shows its words")?.iter().filter_map(|word| word.as_str());
        let words = words.collect::<Vec<_>>().join(" ");
        writeln!(new.0.stdin.take().context("its stdin is piped")?, "{words}")?;
        said.try_for_each(|line| line.map(drop))?;
        let status = new.0.wait()?;
        ensure!(status.success(), "begin an identity: {status}");
        Ok(())
    }

    /// Runs one command that must fail, and gives why it did.
    pub(super) fn refusal(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = command(&self.program, &self.home, arguments).output()?;
        ensure!(!output.status.success(), "nisse {arguments:?} is not refused");
        Ok(String::from_utf8(output.stderr).context("it says text")?.trim().to_owned())
    }
}

fn command(program: &[OsString], home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(&program[0]);
    command.args(&program[1..]).arg("--home").arg(home).args(arguments).env("HOME", home);
    command
}
