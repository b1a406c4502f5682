//! A node on one of the machines: the built binary, with a home of its own, that is killed and comes back.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::chain::Chain;
use super::network::{Network, address};
use super::{eventually, text};
use crate::command::target_folder;
use crate::interop::{Running, json};

/// Where a node runs, and what it shares with others.
pub(super) struct Machine<'a> {
    pub(super) name: &'static str,
    /// The machine in the network; more than one node may run there.
    pub(super) host: &'static str,
    /// Of its public listener.
    pub(super) port: u16,
    /// Its nisse.toml.
    pub(super) config: &'static str,
    pub(super) folder: &'a Path,
    pub(super) network: &'a Network,
    pub(super) chain: &'a Chain<'a>,
}

impl Machine<'_> {
    fn home(&self) -> PathBuf {
        self.folder.join(self.name)
    }

    fn log(&self) -> PathBuf {
        self.folder.join(format!("{}.log", self.name))
    }

    fn command(&self) -> Command {
        let mut command = self.network.inside(self.host, target_folder().join("debug/nisse"));
        command.env_remove("NISSE_HOME").env_remove("RUST_LOG");
        command.arg("--home").arg(self.home()).stdin(Stdio::null());
        command
    }

    fn start(&self, flags: &[String]) -> anyhow::Result<Running> {
        let public = format!("{}:{}", address(self.host), self.port);
        let endpoint = format!("http://{}.example:{}", self.host, self.port);
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log())?;
        let mut command = self.command();
        command.args(flags).args(["--chain", &self.chain.url, "--contract", self.chain.contract("book")]);
        command.args(["--api", "127.0.0.1:0", "--public", &public, "--endpoint", &endpoint]);
        command.stdout(log.try_clone()?).stderr(log);
        let mut running = Running::start(command)?;
        let (home, pid) = (self.home(), running.0.id());
        // The run.json of one that was killed still lies there.
        running.until(self.name, || json(&home.join("run.json")).ok().filter(|run| run["pid"] == pid))?;
        Ok(running)
    }
}

/// A node. It is killed with this.
pub(super) struct Node<'a> {
    pub(super) machine: Machine<'a>,
    /// Its address on the chain.
    pub(super) operator: String,
    flags: Vec<String>,
    running: Option<Running>,
}

impl<'a> Node<'a> {
    /// Makes a home with the chain's own money, and starts a node on it.
    pub(super) fn new(machine: Machine<'a>, flags: &[&str]) -> anyhow::Result<Self> {
        let flags = flags.iter().map(|&flag| flag.to_owned()).collect();
        // A first start draws its keys, so that it has money when it begins.
        let first = machine.start(&["up".to_owned()])?;
        let mut node = Self { machine, operator: String::new(), flags, running: Some(first) };
        node.operator = text(&node.json(&["node", "status"])?["operator"])?;
        node.machine.chain.fund(&node.operator)?;
        node.kill()?;
        std::fs::write(node.machine.home().join("nisse.toml"), node.machine.config)?;
        node.start()?;
        Ok(node)
    }

    pub(super) fn name(&self) -> &'static str {
        self.machine.name
    }

    /// kill -9.
    pub(super) fn kill(&mut self) -> anyhow::Result<()> {
        self.running.take().map(drop).context("kill a node that runs")
    }

    pub(super) fn start(&mut self) -> anyhow::Result<()> {
        self.running = Some(self.machine.start(&self.flags)?);
        Ok(())
    }

    /// Runs one command of its owner's that has to succeed, on its machine.
    pub(super) fn json(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let output = self.machine.command().args(arguments).arg("--json").output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: nisse {}: {}", self.name(), arguments.join(" "), said.trim());
        serde_json::from_slice(&output.stdout).with_context(|| format!("read what nisse {} said", arguments.join(" ")))
    }

    /// Why the market took none of its writes whose intent begins so, as its log tells.
    pub(super) fn warned(&self, intent: &str) -> anyhow::Result<String> {
        let said = std::fs::read_to_string(self.machine.log())?;
        let told = said.lines().find(|line| line.contains(&format!("intent=\"{intent}")));
        let reason = told.and_then(|line| line.split_once("reason=")).context("its log says nothing of it")?;
        Ok(reason.1.trim_matches('"').to_owned())
    }

    /// TALOS that it has at stake.
    pub(super) fn stake(&self) -> anyhow::Result<String> {
        text(&self.json(&["node", "status"])?["stake"])
    }

    /// Waits until it has this stake.
    pub(super) fn has_staked(&self, talos: &str) -> anyhow::Result<()> {
        eventually(&format!("the stake of {}", self.name()), || Ok((self.stake()? == talos).then_some(())))
    }
}
