//! A server in a process of its own: started, asked for its processor time and its memory, killed at the end.

use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use crate::program::repository;

/// Clock ticks per second of `/proc/PID/stat` on Linux.
const TICKS_PER_SECOND: f64 = 100.0;
/// How long a server may take until it serves.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server.
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    pub(crate) host: String,
    child: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// On which of its outputs a server says where it listens.
pub(crate) enum Says {
    Stdout,
    Stderr,
}

impl Server {
    /// Starts a server that names its address, as `HOST:PORT` or a URL, in the first line that it says.
    pub(crate) fn start(name: &str, mut command: Command, says: Says) -> anyhow::Result<Self> {
        let mut child = match says {
            Says::Stdout => command.stdout(Stdio::piped()).spawn(),
            Says::Stderr => command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn(),
        }
        .with_context(|| format!("start {command:?}"))?;
        let output: Box<dyn Read + Send> = match says {
            Says::Stdout => Box::new(child.stdout.take().context("its stdout")?),
            Says::Stderr => Box::new(child.stderr.take().context("its stderr")?),
        };
        let (mut output, mut line) = (BufReader::new(output), String::new());
        output.read_line(&mut line)?;
        // Whatever it says later is shown; nobody reading would end it.
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::stderr()));
        let word = line.split_whitespace().last().unwrap_or_default();
        let address = word.trim_start_matches("http://").trim_end_matches('/');
        let address = address.parse().with_context(|| format!("{name} said {line:?}"))?;
        Ok(Self { name: name.to_owned(), address, host: "localhost".to_owned(), child })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// User and system time of the process so far.
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid()))?;
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let field =
            |index: usize| fields.get(index).and_then(|text| text.parse::<f64>().ok()).context("a process's times");
        Ok((field(11)? + field(12)?) / TICKS_PER_SECOND)
    }
}

/// A node on a home in a temporary folder.
pub(crate) struct Node {
    pub(crate) server: Server,
    pub(crate) home: PathBuf,
    program: PathBuf,
}

impl Node {
    /// Starts the node and waits until it serves.
    pub(crate) fn up(program: &Path, home: &Path) -> anyhow::Result<Self> {
        Self::up_with(program, home, &[])
    }

    /// The same with more flags.
    pub(crate) fn up_with(program: &Path, home: &Path, flags: &[&str]) -> anyhow::Result<Self> {
        let log = std::fs::File::create(home.with_extension("log"))?;
        let mut up = Command::new(program);
        up.arg("--home").arg(home).args(["up", "--api", "127.0.0.1:0", "--public", "127.0.0.1:0"]).args(flags);
        // Only what an operator sees by default is written while it is measured.
        up.env_remove("RUST_LOG").stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let mut child = up.spawn().with_context(|| format!("start {}", program.display()))?;
        let begun = Instant::now();
        let run = loop {
            let run = std::fs::read(home.join("run.json")).ok();
            let run = run.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
            // The one of a killed node still lies there.
            if let Some(run) = run.filter(|run| run["pid"] == child.id()) {
                break run;
            }
            if let Some(status) = child.try_wait()? {
                bail!("the node ended with {status}: {}", std::fs::read_to_string(home.with_extension("log"))?);
            }
            ensure!(begun.elapsed() < PATIENCE, "the node does not serve");
            std::thread::sleep(Duration::from_micros(200));
        };
        let address = run["public"].as_str().context("the public address")?.parse()?;
        let server = Server { name: "nisse".to_owned(), address, host: "localhost".to_owned(), child };
        Ok(Self { server, home: home.to_owned(), program: program.to_owned() })
    }

    /// Runs one command against it and gives its JSON.
    pub(crate) fn command(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let mut command = Command::new(&self.program);
        let output = command.arg("--home").arg(&self.home).arg("--json").args(arguments).output()?;
        ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Deploys an example guest at home under a name and with a processor share of its own, waits until it is live and
    /// lets load go to it.
    pub(crate) fn deploy(&mut self, guest: &str, name: &str, cpu: &str) -> anyhow::Result<Value> {
        let package = self.package(guest, name, cpu)?;
        let deployed = self.command(&["deploy", &package])?;
        let endpoint = deployed["endpoint"].as_str().context("an endpoint")?;
        self.server.host = host_of(endpoint).to_owned();
        Ok(deployed)
    }

    /// An example guest beside the home as `bench.NAME`; its folder.
    pub(crate) fn package(&self, guest: &str, name: &str, cpu: &str) -> anyhow::Result<String> {
        let (from, to) = (repository().join("examples/guests").join(guest), self.home.with_extension(name));
        std::fs::create_dir_all(&to)?;
        let artifact = format!("{guest}.wasm");
        std::fs::copy(from.join(&artifact), to.join(&artifact))?;
        let manifest = std::fs::read_to_string(from.join("agent.yaml"))?;
        let whole = |line: &str| match line.trim_start().split_once(':') {
            Some(("agent_id", _)) => format!("agent_id: \"bench.{name}@v1.0.0\"\n"),
            // An example's share would be what is measured.
            Some(("cpu", _)) => format!("  cpu: \"{cpu}\"\n"),
            _ => format!("{line}\n"),
        };
        std::fs::write(to.join("agent.yaml"), manifest.lines().map(whole).collect::<String>())?;
        Ok(to.to_string_lossy().into_owned())
    }
}

/// What a request to an agent names as its host.
pub(crate) fn host_of(endpoint: &str) -> &str {
    endpoint.trim_start_matches("http://").trim_end_matches('/')
}

/// What the kernel counts for a process, in KiB, by the name of its line in `/proc/PID/status`.
pub(crate) fn memory_kib(pid: u32, line: &str) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let found = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
    let found = found.and_then(|text| text.split_whitespace().next()).context("a line of the process's status")?;
    Ok(found.parse()?)
}
