//! The node under test: the built binary as a user of its own, with agents that do what they are asked.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::certificates::Certificates;
use super::network::{Network, USER};
use crate::command::{repository, run, target_folder};
use crate::interop::{Running, json as read_json};

/// Between two questions: an agent may have 20 names resolved per second, and a refusal for that would hide the case.
const PACE: Duration = Duration::from_millis(55);

/// Names dialled at an address of the operator's choice, where TLS is looked at: (name, ADDR:PORT).
const CONNECT_TO: &[(&str, &str)] = &[
    ("tls.example.org", "93.184.216.44:443"),
    ("expired.example.org", "93.184.216.44:443"),
    ("future.example.org", "93.184.216.44:443"),
    ("wrong.example.org", "93.184.216.44:443"),
    ("ending.example.org", "93.184.216.44:443"),
    ("client.example.org", "93.184.216.44:443"),
    ("stranger.example.org", "93.184.216.44:443"),
    ("old.example.org", "93.184.216.44:8444"),
];

/// Agents made of `egress-prober`, with their permissions.
const PROBERS: &[(&str, &[&str])] = &[
    (
        "probe",
        &[
            "network_outbound:allowed.example.org",
            "network_outbound:http://allowed.example.org",
            "network_outbound:http://hosts.example.org",
            "network_outbound:http://nothing.example.org",
            "network_outbound:http://rebind.example.org",
            "network_outbound:http://rebind6.example.org",
            "network_outbound:http://moves.example.org",
            "network_outbound:tls.example.org",
            "network_outbound:expired.example.org",
            "network_outbound:future.example.org",
            "network_outbound:wrong.example.org",
            "network_outbound:ending.example.org",
            "network_outbound:client.example.org",
            "network_outbound:stranger.example.org",
            "network_outbound:old.example.org",
        ],
    ),
    ("answers", &["network_outbound:*.answers.example.org", "network_outbound:http://*.answers.example.org"]),
    ("wild", &["network_outbound:http://*.wild.example.org"]),
    ("tunnel", &["network_outbound:http://*.tunnel.example.org"]),
    ("second", &["network_outbound:http://allowed.example.org"]),
    ("flood", &["network_outbound:http://allowed.example.org"]),
    ("fading", &["network_outbound:http://allowed.example.org"]),
    (
        "local",
        &[
            "network_local:192.168.7.20:8080",
            "network_local:127.0.0.1:7474",
            "network_local:localhost:7474",
            "network_local:localhost:7480",
            "network_local:127.0.0.1:7480",
            "network_local:[::1]:7480",
            "network_local:127.0.0.1:8545",
            "network_local:192.168.7.2:7480",
            "network_local:93.184.216.2:80",
            "network_local:93.184.216.66:80",
            "network_local:169.254.169.254:80",
            "network_local:[fd00:ec2::254]:80",
            "network_local:100.100.100.200:80",
            "network_local:[fe80::1]:80",
        ],
    ),
];

/// The running node.
pub(super) struct Node<'a> {
    network: &'a Network,
    program: PathBuf,
    folder: PathBuf,
    _running: Running,
}

impl<'a> Node<'a> {
    /// Starts it on an empty home and deploys every agent.
    pub(super) fn start(network: &'a Network, folder: &Path, certificates: &Certificates) -> anyhow::Result<Self> {
        let program = folder.join("nisse");
        std::fs::copy(target_folder().join("debug/nisse"), &program).context("copy the binary")?;
        let home = folder.join("home");
        std::fs::create_dir_all(&home)?;
        let authority = folder.join("authority.pem");
        std::fs::copy(certificates.authority(), &authority)?;
        let mut chown = Command::new("chown");
        run({
            chown.args(["-R", USER]).arg(&home).arg(&authority);
            chown
        })?;
        let mut up = network.as_node(&program.to_string_lossy());
        up.arg("--home").arg(home.join("nisse")).args(["up", "--public", "0.0.0.0:7480", "--rpc", "127.0.0.1:8545"]);
        for (name, to) in CONNECT_TO {
            up.arg("--connect-to").arg(format!("{name}:443:{to}")).arg("--ca").arg(&authority);
        }
        up.env("HOME", &home).current_dir("/").stdin(Stdio::null());
        // A program that believes its surroundings would go through these.
        for name in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
            up.env(name, "http://10.0.0.80:3128");
        }
        let log = std::fs::File::create(folder.join("nisse.log"))?;
        up.stdout(log.try_clone()?).stderr(log);
        let mut running = Running::start(up)?;
        running.until("nisse to serve", || read_json(&home.join("nisse/run.json")).ok())?;
        let node = Self { network, program, folder: folder.to_owned(), _running: running };
        for (name, permissions) in PROBERS {
            let package = node.package("egress-prober", name, "1.0.0", permissions)?;
            node.command(&["deploy", &package.to_string_lossy()])?;
        }
        // Beside the others: the node's user may not be able to read the repository.
        let package = folder.join("packages/wasi-prober");
        std::fs::create_dir_all(&package)?;
        for file in ["agent.yaml", "wasi-prober.wasm"] {
            std::fs::copy(example("wasi-prober").join(file), package.join(file))?;
        }
        node.command(&["deploy", &package.to_string_lossy()])?;
        Ok(node)
    }

    /// A package of this guest under another name and version, with these permissions.
    pub(super) fn package(
        &self,
        guest: &str,
        name: &str,
        version: &str,
        permissions: &[&str],
    ) -> anyhow::Result<PathBuf> {
        let folder = self.folder.join(format!("packages/{name}-{version}"));
        std::fs::create_dir_all(&folder)?;
        let wasm = format!("{guest}.wasm");
        std::fs::copy(example(guest).join(&wasm), folder.join(&wasm))?;
        let mut manifest = String::new();
        for line in std::fs::read_to_string(example(guest).join("agent.yaml"))?.lines() {
            if line.starts_with("permissions:") {
                break;
            }
            let line = match line.trim_start() {
                text if text.starts_with("agent_id:") => format!("agent_id: \"nisse.egress.{name}@v{version}\""),
                text if text.starts_with("cpu:") => "  cpu: \"0.1\"".to_owned(),
                _ => line.to_owned(),
            };
            writeln!(manifest, "{line}")?;
        }
        if permissions.is_empty() {
            manifest.push_str("permissions: []\n");
        } else {
            manifest.push_str("permissions:\n");
        }
        for permission in permissions {
            writeln!(manifest, "  - \"{permission}\"")?;
        }
        std::fs::write(folder.join("agent.yaml"), manifest)?;
        Ok(folder)
    }

    /// One command of the owner that has to succeed.
    pub(super) fn command(&self, arguments: &[&str]) -> anyhow::Result<String> {
        // A home is used by its owner alone.
        let mut command = self.network.as_owner(&self.program.to_string_lossy());
        command.arg("--home").arg(self.folder.join("home/nisse")).args(arguments);
        command.current_dir("/").stdin(Stdio::null());
        let output = command.output().context("start nisse")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "nisse {}: {}", arguments.join(" "), said.trim());
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Asks an agent over HTTP, as a stranger would, and gives its answer's body.
    pub(super) fn ask(&self, agent: &str, path: &str, body: &str) -> anyhow::Result<String> {
        self.ask_often(agent, path, body, 1)
    }

    /// The same question so many times over one connection.
    pub(super) fn ask_often(&self, agent: &str, path: &str, body: &str, times: u32) -> anyhow::Result<String> {
        let mut curl = self.network.inside("home", "curl");
        let separator = if path.contains('?') { '&' } else { '?' };
        let url = format!("http://127.0.0.1:7480{path}{separator}n=[1-{times}]");
        let url = if times == 1 { format!("http://127.0.0.1:7480{path}") } else { url };
        curl.args(["-s", "--noproxy", "*", "--max-time", "100", "--data-binary", "@-"]);
        curl.args(["-H", &format!("host: {agent}.localhost"), &url]);
        let mut curl = curl.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("start curl")?;
        curl.stdin.take().context("its input")?.write_all(body.as_bytes())?;
        let output = curl.wait_with_output()?;
        std::thread::sleep(PACE);
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Has a prober make this request.
    pub(super) fn probe(&self, agent: &str, request: &Value) -> anyhow::Result<Value> {
        let answer = self.ask(&format!("nisse.egress.{agent}"), "/", &request.to_string())?;
        serde_json::from_str(&answer).with_context(|| format!("the agent `{agent}` answered {answer:?}"))
    }

    /// Has a prober make a plain GET.
    pub(super) fn get(&self, agent: &str, scheme: &str, authority: &str, path: &str) -> anyhow::Result<Value> {
        self.probe(agent, &json!({ "scheme": scheme, "authority": authority, "path": path }))
    }
}

fn example(guest: &str) -> PathBuf {
    repository().join("examples/guests").join(guest)
}
