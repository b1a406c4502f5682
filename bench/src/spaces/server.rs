//! One of the two servers, with what it keeps in a folder of its own, and what it takes of the machine.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::packages::Packages;
use crate::server::{Node, memory_kib};

/// The peer's program, among its packages.
const PEER: &str = "node_modules/@automerge/automerge-repo-sync-server/src/index.js";
/// Clock ticks per second of `/proc/PID/stat` on Linux.
const TICKS_PER_SECOND: f64 = 100.0;
/// Between two looks at what is waited for.
const LOOK: Duration = Duration::from_millis(20);
/// Between two tries to reach a server that starts.
const KNOCK: Duration = Duration::from_millis(1);
/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(120);
/// The space in which documents are brought.
pub(super) const SPACE: &str = "bench";

/// Which one it is.
pub(super) enum Kind {
    /// By its program.
    Nisse(PathBuf),
    Peer,
}

impl Kind {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Nisse(_) => "nisse",
            Self::Peer => "sync-server",
        }
    }
}

/// A server that runs, and is killed at the end.
pub(super) struct Server {
    process: Process,
    /// Where a client connects.
    pub(super) url: String,
    /// From its start until it answered.
    pub(super) start_seconds: f64,
}

enum Process {
    Nisse(Node),
    Peer { child: Child, documents: PathBuf },
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Self::Peer { child, .. } = self {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Server {
    /// Starts it with nothing kept; ours begins an identity and a space.
    pub(super) fn first(packages: &Packages, kind: &Kind, folder: &Path) -> anyhow::Result<Self> {
        if let Kind::Nisse(program) = kind {
            let node = Node::up(program, folder)?;
            begin_identity(program, folder)?;
            node.command(&["space", "create", SPACE])?;
        }
        // Neither is measured at its very first start, in which ours makes its keys and its chain.
        Self::again(packages, kind, folder)
    }

    /// Starts it on what it kept.
    pub(super) fn again(packages: &Packages, kind: &Kind, folder: &Path) -> anyhow::Result<Self> {
        let begun = Instant::now();
        match kind {
            Kind::Nisse(program) => {
                let node = Node::up(program, folder)?;
                until_answers(node.server.address)?;
                let start_seconds = begun.elapsed().as_secs_f64();
                let ticket = node.command(&["space", "ticket", SPACE])?;
                let url = ticket["url"].as_str().context("a ticket's URL")?.to_owned();
                Ok(Self { process: Process::Nisse(node), url, start_seconds })
            }
            Kind::Peer => {
                let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
                let mut server = packages.node(PEER);
                server.env("PORT", address.port().to_string()).env("DATA_DIR", folder).stdout(Stdio::null());
                let child = server.spawn().context("start the peer")?;
                let process = Process::Peer { child, documents: folder.to_owned() };
                until_answers(address)?;
                Ok(Self { process, url: format!("ws://{address}"), start_seconds: begun.elapsed().as_secs_f64() })
            }
        }
    }

    /// Waits until so many documents are on its disk; how long that took, in seconds.
    pub(super) fn until_durable(&self, documents: usize) -> anyhow::Result<f64> {
        let (begun, mut bytes_before) = (Instant::now(), 0);
        loop {
            let there = match &self.process {
                Process::Nisse(node) => node.command(&["space", "show", SPACE])?["documents"] == documents,
                Process::Peer { documents: folder, .. } => {
                    // It tells nobody when it wrote: a folder for each document, and no more to come.
                    let (count, bytes) = kept(folder)?;
                    let quiet = bytes == std::mem::replace(&mut bytes_before, bytes);
                    count == documents && quiet
                }
            };
            if there {
                return Ok(begun.elapsed().as_secs_f64());
            }
            ensure!(begun.elapsed() < PATIENCE, "waited in vain for {documents} documents");
            std::thread::sleep(LOOK);
        }
    }

    /// What it and its children took so far.
    pub(super) fn used(&self) -> anyhow::Result<Use> {
        let root = match &self.process {
            Process::Nisse(node) => node.server.pid(),
            Process::Peer { child, .. } => child.id(),
        };
        let mut used = Use::default();
        for (pid, cpu) in tree(root)? {
            used.cpu += cpu;
            used.memory += memory_kib(pid, "VmRSS")? * 1024.0;
            used.peak += memory_kib(pid, "VmHWM")? * 1024.0;
        }
        Ok(used)
    }
}

/// Processor time, and memory, of a process and its children: pages that they share count for each of them.
#[derive(Debug, Default)]
pub(super) struct Use {
    /// User and system, in seconds.
    pub(super) cpu: f64,
    /// Resident now, in bytes.
    pub(super) memory: f64,
    /// Resident at most since its start, in bytes.
    pub(super) peak: f64,
}

impl Use {
    pub(super) fn since(self, before: &Self) -> Self {
        Self { cpu: self.cpu - before.cpu, ..self }
    }
}

/// A process and its descendants, with what each took of the processor.
fn tree(root: u32) -> anyhow::Result<Vec<(u32, f64)>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // It may have ended meanwhile.
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let field = |index: usize| fields.get(index).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
        // Those of children that ended count with it.
        let ticks: f64 = (11..=14).map(field).sum();
        all.push((pid, field(1) as u32, ticks / TICKS_PER_SECOND));
    }
    let (mut found, mut at) = (vec![root], 0);
    while let Some(&parent) = found.get(at) {
        found.extend(all.iter().filter(|(_, above, _)| *above == parent).map(|(pid, ..)| *pid));
        at += 1;
    }
    Ok(all.iter().filter(|(pid, ..)| found.contains(pid)).map(|(pid, _, cpu)| (*pid, *cpu)).collect())
}

/// Documents in the peer's folder, `ab/cdef…/KIND/HASH` each, and their bytes. Its own storage id lies beside them.
fn kept(folder: &Path) -> anyhow::Result<(usize, u64)> {
    let folders = |path: &Path| {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
        entries.filter(|path| path.is_dir()).collect::<Vec<_>>()
    };
    let (mut count, mut bytes) = (0, 0);
    for document in folders(folder).iter().flat_map(|first| folders(first)) {
        let before = bytes;
        for kind in folders(&document) {
            for entry in std::fs::read_dir(kind)?.flatten() {
                // A file that was replaced meanwhile is gone.
                bytes += entry.metadata().map_or(0, |metadata| metadata.len());
            }
        }
        count += usize::from(bytes > before);
    }
    Ok((count, bytes))
}

/// Waits until a server answers HTTP, whatever it says.
fn until_answers(address: SocketAddr) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        let answered = TcpStream::connect(address).and_then(|mut stream| {
            stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
            stream.read_exact(&mut [0])
        });
        if answered.is_ok() {
            return Ok(());
        }
        ensure!(begun.elapsed() < PATIENCE, "the server at {address} does not answer");
        std::thread::sleep(KNOCK);
    }
}

/// Begins an identity with a home: the words are read, and typed again.
pub(super) fn begin_identity(program: &Path, home: &Path) -> anyhow::Result<()> {
    let mut new = Command::new(program);
    new.arg("--home").arg(home).args(["identity", "new", "--name", "home", "--json"]);
    let mut new = new.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut said = BufReader::new(new.stdout.take().context("its stdout is piped")?).lines();
    let mut kit = String::new();
    while !kit.ends_with('}') {
        kit += &said.next().context("it shows its words")??;
    }
    let kit: Value = serde_json::from_str(&kit)?;
    let words = kit["words"].as_array().context("it shows its words")?.iter().filter_map(Value::as_str);
    let words = words.collect::<Vec<_>>().join(" ");
    writeln!(new.stdin.take().context("its stdin is piped")?, "{words}")?;
    said.try_for_each(|line| line.map(drop))?;
    let status = new.wait()?;
    ensure!(status.success(), "begin an identity: {status}");
    Ok(())
}
