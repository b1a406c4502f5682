//! Two network namespaces joined by a cable: the node's machine, and the world, where every address there is answers.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::evidence::Log;
use crate::command::repository;
use crate::interop::Running;

/// The node's machine, as the internet and as its own networks see it.
pub(super) const HOME_V4: &str = "93.184.216.2";
pub(super) const HOME_V6: &str = "2606:2800:220:1::2";
pub(super) const HOME_PRIVATE: &str = "192.168.7.2";
/// The only name server that the machine is told of.
pub(super) const NAME_SERVER: &str = "93.184.216.53";
/// The user that the node runs as: the counters know its packets by it.
pub(super) const USER: &str = "64123";

/// The wires. The world takes every address for its own (a local route), so that whatever is dialled is heard.
const WIRES: &str = "\
link add name home0 netns HOME type veth peer name world0 netns WORLD
-n HOME link set lo up
-n HOME link set home0 up
-n HOME addr add 93.184.216.2/30 dev home0
-n HOME addr add 192.168.7.2/30 dev home0
-n HOME addr add 2606:2800:220:1::2/126 dev home0 nodad
-n HOME addr add fd00:7::2/126 dev home0 nodad
-n WORLD link set lo up
-n WORLD link set world0 up
-n WORLD addr add 93.184.216.1/30 dev world0
-n WORLD addr add 192.168.7.1/30 dev world0
-n WORLD addr add 93.184.216.53/32 dev lo
-n WORLD addr add 2606:2800:220:1::1/126 dev world0 nodad
-n WORLD addr add fd00:7::1/126 dev world0 nodad
-n WORLD addr add fe80::1/64 dev world0 nodad
-n WORLD route add local 0.0.0.0/0 dev lo table main
-n WORLD -6 route add local ::/0 dev lo table main
-n HOME route add default via 93.184.216.1
-n HOME -6 route add default via 2606:2800:220:1::1";

/// Both namespaces. They end with it.
pub(super) struct Network {
    folder: PathBuf,
    home: String,
    world: String,
}

impl Network {
    /// Makes them, with a resolv.conf and a hosts file that would mislead whoever believes them.
    pub(super) fn lay(folder: &Path) -> anyhow::Result<Self> {
        let pid = std::process::id();
        let network =
            Self { folder: folder.to_owned(), home: format!("nisse-home-{pid}"), world: format!("nisse-world-{pid}") };
        let files = network.files();
        std::fs::create_dir_all(&files)?;
        std::fs::write(
            files.join("resolv.conf"),
            format!("search corp.example.net\noptions ndots:5\nnameserver {NAME_SERVER}\n"),
        )?;
        std::fs::write(files.join("hosts"), "127.0.0.1 localhost\n10.0.0.80 hosts.example.org\n")?;
        for name in [&network.home, &network.world] {
            ip(&format!("netns add {name}"))?;
        }
        for line in WIRES.lines() {
            ip(&line.replace("HOME", &network.home).replace("WORLD", &network.world))?;
        }
        // Packets for addresses that this kernel would call foreign on the cable are part of the world.
        for name in ["all", "world0"] {
            network.set("world", &format!("net/ipv4/conf/{name}/rp_filter"), "0")?;
        }
        Ok(network)
    }

    fn files(&self) -> PathBuf {
        Path::new("/etc/netns").join(&self.home)
    }

    fn name(&self, side: &str) -> &str {
        if side == "home" { &self.home } else { &self.world }
    }

    fn set(&self, side: &str, key: &str, value: &str) -> anyhow::Result<()> {
        let mut shell = self.inside(side, "sh");
        shell.args(["-c", &format!("echo {value} > /proc/sys/{key}")]);
        crate::command::run(shell)
    }

    /// A program inside one of the two, as root.
    pub(super) fn inside(&self, side: &str, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", self.name(side), program]);
        command
    }

    /// A program on the node's machine, as the node's user: what it sends is the node's.
    pub(super) fn as_node(&self, program: &str) -> Command {
        self.as_user(USER, program)
    }

    /// A program of the node's owner, who is its user in another group: what it sends is not the node's.
    pub(super) fn as_owner(&self, program: &str) -> Command {
        self.as_user("0", program)
    }

    fn as_user(&self, group: &str, program: &str) -> Command {
        let mut command = self.inside("home", "setpriv");
        command.args(["--reuid", USER, "--regid", group, "--clear-groups", program]);
        command
    }

    /// Starts the servers and canaries of one side, and waits until all of them listen.
    pub(super) fn start_world(&self, side: &str, config: &Value) -> anyhow::Result<World> {
        let (log, path) = (self.folder.join(format!("{side}.log")), self.folder.join(format!("{side}.json")));
        let mut config = config.clone();
        config["log"] = log.to_string_lossy().into();
        std::fs::write(&path, config.to_string())?;
        std::fs::write(&log, "")?;
        let mut command = self.inside(side, "/usr/bin/python3");
        // Nothing is written beside the sources.
        command.arg("-B").arg(repository().join("interop/egress/world.py")).arg(&path).stdin(Stdio::null());
        let mut running = Running::start(command)?;
        let log = Log::new(log);
        running.until("the world's listeners", || {
            log.since(0).ok()?.1.iter().any(|event| event.kind() == "ready").then_some(())
        })?;
        Ok(World { _running: running, log })
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for name in [&self.home, &self.world] {
            let _ = ip(&format!("netns del {name}"));
        }
        let _ = std::fs::remove_dir_all(self.files());
    }
}

/// One side's servers.
pub(super) struct World {
    _running: Running,
    pub(super) log: Log,
}

fn ip(arguments: &str) -> anyhow::Result<()> {
    let output = Command::new("ip").args(arguments.split(' ')).output().context("start ip")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ip {arguments}: {}", said.trim());
    Ok(())
}
