//! Four machines on one switch: network namespaces with a cable each, and a name server that knows them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::{Map, Value, json};

use crate::command::repository;
use crate::interop::Running;

/// The machines. The names of a machine end with `<machine>.example`.
pub(in crate::interop) const DEPLOYER: &str = "deployer";
pub(in crate::interop) const NODES: [&str; 3] = ["node-1", "node-2", "node-3"];
/// Addresses as on the open internet: nisse dials no private ones on a stranger's word.
const NETWORK: &str = "93.184.216";
const NAME_SERVER: &str = "93.184.216.53";
/// Seconds that a question over HTTP may take.
const ASK_MAX: &str = "2";

/// The machines and the switch. They end with it.
pub(in crate::interop) struct Network {
    /// Apart from those of other runs.
    prefix: String,
    names: Option<Running>,
}

fn machines() -> impl Iterator<Item = (&'static str, String)> {
    std::iter::once(DEPLOYER).chain(NODES).zip(11..).map(|(name, host)| (name, format!("{NETWORK}.{host}")))
}

/// The address of a machine.
pub(in crate::interop) fn address(machine: &str) -> String {
    machines().find(|(name, _)| *name == machine).expect("a machine of the story").1
}

impl Network {
    pub(in crate::interop) fn lay(folder: &Path) -> anyhow::Result<Self> {
        let mut network = Self { prefix: format!("nisse-{}", std::process::id()), names: None };
        let switch = network.namespace("switch");
        ip(&format!("netns add {switch}"))?;
        ip(&format!("-n {switch} link add bridge type bridge"))?;
        ip(&format!("-n {switch} addr add {NAME_SERVER}/24 dev bridge"))?;
        ip(&format!("-n {switch} link set bridge up"))?;
        for (name, address) in machines() {
            let machine = network.namespace(name);
            std::fs::create_dir_all(network.files(name))?;
            std::fs::write(network.files(name).join("resolv.conf"), format!("nameserver {NAME_SERVER}\n"))?;
            ip(&format!("netns add {machine}"))?;
            ip(&format!("link add name cable netns {machine} type veth peer name {name} netns {switch}"))?;
            ip(&format!("-n {switch} link set {name} master bridge"))?;
            ip(&format!("-n {switch} link set {name} up"))?;
            ip(&format!("-n {machine} link set lo up"))?;
            ip(&format!("-n {machine} addr add {address}/24 dev cable"))?;
            ip(&format!("-n {machine} link set cable up"))?;
        }
        network.names = Some(network.name_server(folder)?);
        Ok(network)
    }

    fn namespace(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    fn files(&self, name: &str) -> PathBuf {
        Path::new("/etc/netns").join(self.namespace(name))
    }

    /// Every name below a machine's own leads to it.
    fn name_server(&self, folder: &Path) -> anyhow::Result<Running> {
        let names = machines().flat_map(|(name, address)| {
            let script = json!({ "a": [[address]] });
            [(format!("{name}.example"), script.clone()), (format!("*.{name}.example"), script)]
        });
        let (config, log) = (folder.join("names.json"), folder.join("names.log"));
        let config_of = json!({
            "log": log, "name_servers": [NAME_SERVER], "names": names.collect::<Map<String, Value>>(),
            "certificates": {}, "ports": [], "datagram_ports": [],
        });
        std::fs::write(&config, config_of.to_string())?;
        let mut command = self.inside("switch", "/usr/bin/python3");
        // Nothing is written beside the sources.
        command.arg("-B").arg(repository().join("interop/egress/world.py")).arg(&config).stdin(Stdio::null());
        let mut running = Running::start(command)?;
        running.until("the name server", || std::fs::read_to_string(&log).ok()?.contains("ready").then_some(()))?;
        Ok(running)
    }

    /// A program on a machine.
    pub(in crate::interop) fn inside(&self, machine: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace(machine)]).arg(program);
        command
    }

    /// Pulls a machine's cable out of the switch.
    pub(in crate::interop) fn cut(&self, machine: &str) -> anyhow::Result<()> {
        ip(&format!("-n {} link set {machine} down", self.namespace("switch")))
    }

    /// Puts it back.
    pub(in crate::interop) fn heal(&self, machine: &str) -> anyhow::Result<()> {
        ip(&format!("-n {} link set {machine} up", self.namespace("switch")))
    }

    /// POSTs to a URL from a machine; what was said with status 200.
    pub(in crate::interop) fn ask(&self, machine: &str, url: &str) -> anyhow::Result<Option<String>> {
        let mut curl = self.inside(machine, "curl");
        curl.args(["--silent", "--fail", "--max-time", ASK_MAX, "--request", "POST", url]);
        let output = curl.stdin(Stdio::null()).output().context("start curl")?;
        Ok(output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned()))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.names = None;
        for name in machines().map(|(name, _)| name).chain(["switch"]) {
            let _ = ip(&format!("netns del {}", self.namespace(name)));
            let _ = std::fs::remove_dir_all(self.files(name));
        }
    }
}

fn ip(arguments: &str) -> anyhow::Result<()> {
    let output = Command::new("ip").args(arguments.split(' ')).output().context("start ip")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "make network namespaces here: ip {arguments}: {}", said.trim());
    Ok(())
}
