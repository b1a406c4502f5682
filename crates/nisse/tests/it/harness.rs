//! A home in a temporary folder, the node on it and the commands of its owner. Every process that is started here ends
//! with its handle.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::web;

/// How long anything may take before a story counts as broken. Generous: other builds share the machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at a condition.
const LOOK: Duration = Duration::from_millis(10);
/// Whatever the surroundings set, the binary under test sees none of it.
const UNSET: [&str; 4] = ["RUST_LOG", "NISSE_HOME", "NO_COLOR", "CREDENTIALS_DIRECTORY"];

/// Looks again and again until there is something, and says what was missing if that never comes.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(LOOK);
    }
}

/// Shown where a test fails, and with `--nocapture`.
#[expect(clippy::print_stdout, reason = "seeds and measured times are what a run is for")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}

/// Sends a signal to a process that is there.
pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).unwrap();
    kill_process(pid, signal).unwrap();
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    fn of(output: Output) -> Self {
        Self {
            // A signal, such as the harness's own kill, has no code.
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The exit code and what stderr said: the shape of a refusal.
    pub(crate) fn refusal(&self) -> String {
        assert_eq!(self.out, "", "a refusal prints no data");
        format!("exit {}\n{}", self.code, self.err.trim_end())
    }
}

/// A home folder, with or without a node on it.
pub(crate) struct Home {
    dir: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { dir: TempDir::new().unwrap() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// A folder beside the home, for packages and files of the test.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nisse"));
        command.current_dir(self.dir.path()).arg("--home").arg(self.path()).stdin(Stdio::null());
        for name in UNSET {
            command.env_remove(name);
        }
        command
    }

    /// Runs one command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        Ended::of(self.command().args(args).output().unwrap())
    }

    /// Runs one command to its end with this on its stdin.
    pub(crate) fn feed(&self, args: &[&str], stdin: &[u8]) -> Ended {
        let mut command = self.command();
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that has read enough ends without the rest.
        let _ = child.stdin.take().unwrap().write_all(stdin);
        Ended::of(child.wait_with_output().unwrap())
    }

    /// Runs one command that has to succeed, and gives its stdout.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let ended = self.run(args);
        assert_eq!(ended.code, 0, "nisse {args:?}: {}", ended.err);
        ended.out
    }

    /// Runs one command with `--json` that has to succeed.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let out = self.ok(&[args, &["--json"]].concat());
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("nisse {args:?}: {error}: {out}"))
    }

    /// Starts one command and leaves it to itself, so that the node can end under it.
    pub(crate) fn start(&self, args: &[&str]) -> Running {
        let mut command = self.command();
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running { child: Some(command.spawn().unwrap()), heard: String::new() }
    }

    /// Starts the node and waits until it serves.
    pub(crate) fn up(&self, flags: &[&str]) -> Node<'_> {
        self.up_by(self.command(), flags)
    }

    /// The same with these variables in its environment.
    pub(crate) fn up_with(&self, variables: &[(&str, &str)], flags: &[&str]) -> Node<'_> {
        let mut command = self.command();
        command.envs(variables.iter().copied());
        self.up_by(command, flags)
    }

    /// The same with a limit to every file that it writes, in blocks of 512 bytes: beyond it the write fails, as on a
    /// disk that is full.
    pub(crate) fn up_limited(&self, file_blocks_max: u64, flags: &[&str]) -> Node<'_> {
        let own = self.command();
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("trap '' XFSZ; ulimit -f {file_blocks_max}; exec \"$0\" \"$@\"")]);
        shell.arg(own.get_program()).args(own.get_args()).current_dir(self.dir.path()).stdin(Stdio::null());
        for name in UNSET {
            shell.env_remove(name);
        }
        self.up_by(shell, flags)
    }

    fn up_by(&self, mut command: Command, flags: &[&str]) -> Node<'_> {
        let addresses = ["up", "--api", "127.0.0.1:0", "--public", "127.0.0.1:0"];
        let link: &[&str] = if flags.contains(&"--link") { &[] } else { &["--link", "127.0.0.1:0"] };
        let log = std::fs::File::create(self.beside("node.log")).unwrap();
        let child = command.args(addresses).args(link).args(flags).stdout(log.try_clone().unwrap()).stderr(log).spawn();
        let mut node = Node { home: self, child: child.unwrap(), api: String::new(), public: String::new() };
        let run = eventually("run.json of the new node", || {
            if let Some(status) = node.child.try_wait().unwrap() {
                panic!("the node ended with {status}: {}", node.said());
            }
            let run: Value = serde_json::from_slice(&std::fs::read(self.path().join("run.json")).ok()?).ok()?;
            // The one of a killed node still lies there.
            (run["pid"] == node.child.id()).then_some(run)
        });
        node.api = run["api"].as_str().unwrap().to_owned();
        node.public = run["public"].as_str().unwrap().to_owned();
        node
    }

    /// Copies an example guest beside the home, so that its agent.yaml can be changed.
    pub(crate) fn copy_of(&self, guest: &str, name: &str) -> Package {
        let dir = self.beside(name);
        std::fs::create_dir_all(&dir).unwrap();
        for file in ["agent.yaml".to_owned(), format!("{guest}.wasm")] {
            std::fs::copy(Path::new(&example(guest)).join(&file), dir.join(&file)).unwrap();
        }
        Package { dir }
    }

    /// The example oracle under another name, with assets that this home's node adds to its content.
    pub(crate) fn oracle(&self, name: &str, interval_seconds: u64) -> Package {
        let (from, dir) = (format!("{}/../../examples/price-oracle", env!("CARGO_MANIFEST_DIR")), self.beside(name));
        std::fs::create_dir_all(&dir).unwrap();
        let assets = dir.join("assets.json");
        std::fs::write(&assets, "[{\"id\":\"ethereum\",\"symbol\":\"ETH\"}]").unwrap();
        let cid = self.ok(&["content", "add", assets.to_str().unwrap()]);
        std::fs::copy(format!("{from}/oracle.wasm"), dir.join("oracle.wasm")).unwrap();
        let manifest = std::fs::read_to_string(format!("{from}/agent.yaml")).unwrap();
        let manifest = manifest.replace("talos.oracle.price-eth", name);
        let config = format!("config:\n  interval_seconds: {interval_seconds}\n  assets: \"{}\"\n", cid.trim());
        std::fs::write(dir.join("agent.yaml"), format!("{manifest}\nnisse: 1\n{config}")).unwrap();
        Package { dir }
    }
}

/// The folder of an example guest.
pub(crate) fn example(guest: &str) -> String {
    format!("{}/../../examples/guests/{guest}", env!("CARGO_MANIFEST_DIR"))
}

/// The name that an agent answers under, from its status: owners other than the node's are a part of it.
pub(crate) fn host_of(status: &Value) -> String {
    let endpoint = status["endpoint"].as_str().unwrap();
    endpoint.strip_prefix("http://").and_then(|rest| rest.split_once(".localhost")).unwrap().0.to_owned()
}

/// A package that a test may change.
pub(crate) struct Package {
    dir: PathBuf,
}

impl Package {
    pub(crate) fn path(&self) -> &str {
        self.dir.to_str().unwrap()
    }

    /// Replaces a text of agent.yaml, which has to stand there.
    pub(crate) fn edit(&self, from: &str, to: &str) -> &Self {
        let path = self.dir.join("agent.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "agent.yaml has no {from:?}");
        std::fs::write(&path, text.replace(from, to)).unwrap();
        self
    }

    /// Replaces the whole line that begins with this key.
    pub(crate) fn set(&self, key: &str, value: &str) -> &Self {
        let path = self.dir.join("agent.yaml");
        let mut text = String::new();
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            match line.starts_with(key) {
                true => writeln!(text, "{key}: {value}").unwrap(),
                false => writeln!(text, "{line}").unwrap(),
            }
        }
        std::fs::write(&path, text).unwrap();
        self
    }
}

/// A command under way; it is killed when this is dropped.
pub(crate) struct Running {
    child: Option<Child>,
    heard: String,
}

impl Running {
    /// Waits until it ends by itself, with nothing more on its stdin.
    pub(crate) fn end(mut self) -> Ended {
        let mut ended = Ended::of(self.child.take().unwrap().wait_with_output().unwrap());
        ended.out.insert_str(0, &self.heard);
        ended
    }

    /// Waits until it ends by itself, and says so if it does not.
    pub(crate) fn ends(mut self, what: &str) -> Ended {
        let child = self.child.as_mut().unwrap();
        eventually(what, || child.try_wait().unwrap());
        self.end()
    }

    /// Reads what it prints up to a line that satisfies this, and gives all of it.
    pub(crate) fn hear(&mut self, mut is_it: impl FnMut(&str) -> bool) -> String {
        let out = self.child.as_mut().unwrap().stdout.as_mut().unwrap();
        loop {
            let (mut line, mut byte) = (Vec::new(), [0]);
            while !line.ends_with(b"\n") && out.read(&mut byte).unwrap() > 0 {
                line.push(byte[0]);
            }
            let line = String::from_utf8(line).unwrap();
            assert!(!line.is_empty(), "it ended without saying so: {}", self.heard);
            self.heard.push_str(&line);
            if is_it(&line) {
                return self.heard.clone();
            }
        }
    }

    /// kill -9, and the proof that it is gone.
    pub(crate) fn kill(mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Types something, and nothing after it.
    pub(crate) fn tell(&mut self, text: &str) {
        let mut stdin = self.child.as_mut().unwrap().stdin.take().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A running node; it is killed as by a power cut when this is dropped.
pub(crate) struct Node<'a> {
    home: &'a Home,
    child: Child,
    pub(crate) api: String,
    pub(crate) public: String,
}

impl Node<'_> {
    /// The home that it runs on.
    pub(crate) fn home(&self) -> &Home {
        self.home
    }

    /// The most memory that it ever held, in bytes.
    pub(crate) fn memory_peak_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    /// kill -9, and the proof that it is gone.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Makes it break off as a bug would, and says how it ended.
    pub(crate) fn abort(&mut self) -> ExitStatus {
        signal(self.child.id(), Signal::ABORT);
        self.child.wait().unwrap()
    }

    /// What it wrote to stdout and stderr.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(self.home.beside("node.log")).unwrap_or_default()
    }

    /// Waits until the demo has said its last line.
    pub(crate) fn demo_is_told(&mut self) -> String {
        eventually("the end of the demo's story", || {
            let said = self.said();
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the node ended with {status}: {said}");
            }
            let last = said.split_once("  nisse market show ").is_some_and(|(_, rest)| rest.contains('\n'));
            last.then_some(said)
        })
    }

    /// Asks an agent over the public listener.
    pub(crate) fn ask(&self, agent: &str, method: &str, path: &str) -> web::Answer {
        self.try_ask(agent, method, path).unwrap()
    }

    pub(crate) fn try_ask(&self, agent: &str, method: &str, path: &str) -> std::io::Result<web::Answer> {
        web::request(&self.public, method, path, &[("host", &format!("{agent}.localhost"))], b"")
    }

    /// Asks an agent, again while the node says that it does not run yet.
    pub(crate) fn ask_served(&self, agent: &str, method: &str, path: &str) -> web::Answer {
        eventually(&format!("{agent} to serve"), || {
            self.try_ask(agent, method, path).ok().filter(|answer| answer.status != 503)
        })
    }

    /// Posts to the API as this home's owner.
    pub(crate) fn post(&self, path: &str, body: &Value) -> web::Answer {
        let token = std::fs::read_to_string(self.home.path().join("token")).unwrap();
        let token = format!("Bearer {}", token.trim());
        let headers = [("host", &*self.api), ("authorization", &*token), ("content-type", "application/json")];
        web::request(&self.api, "POST", path, &headers, body.to_string().as_bytes()).unwrap()
    }

    /// Asserts that `echo` answers now, whatever its neighbours do.
    pub(crate) fn echo_answers(&self) {
        let answer = self.ask("nisse.test.echo", "GET", "/still-here");
        assert_eq!((answer.status, answer.text().as_str()), (200, "Method::Get /still-here\n"));
    }
}

impl Drop for Node<'_> {
    /// A node that panicked has failed its story, however well it went on.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !std::thread::panicking() {
            let said = self.said();
            assert!(!said.contains("panicked at"), "the node panicked: {said}");
        }
    }
}
