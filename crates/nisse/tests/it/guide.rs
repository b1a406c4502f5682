//! The guides, line by line as they stand in docs/guide: every command of theirs succeeds.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::eventually;
use crate::web;

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Somebody who follows a guide.
struct Reader {
    dir: TempDir,
    /// The addresses of the guide, and the free ones in their place.
    addresses: HashMap<String, String>,
    contract: String,
    nodes: Vec<Child>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            let _ = node.kill();
            let _ = node.wait();
        }
    }
}

/// The commands between the fences of a guide.
fn commands(guide: &str) -> Vec<String> {
    let text = std::fs::read_to_string(Path::new(REPOSITORY).join("docs/guide").join(guide)).unwrap();
    let blocks = text.split("```").skip(1).step_by(2).map(|block| block.strip_prefix("sh\n").unwrap().to_owned());
    blocks.flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

impl Reader {
    fn new() -> Self {
        Self { dir: TempDir::new().unwrap(), addresses: HashMap::new(), contract: String::new(), nodes: Vec::new() }
    }

    fn follow(&mut self, guide: &str) {
        let commands = commands(guide);
        assert!(commands.len() > 5, "{guide} has its commands");
        for line in commands {
            let words: Vec<String> = line.split_whitespace().map(|word| self.meant(word)).collect();
            let [program, flag, home, rest @ ..] = words.as_slice() else { panic!("{line}") };
            assert_eq!((program.as_str(), flag.as_str()), ("nisse", "--home"), "{line}");
            match rest {
                [up, ..] if up == "up" => self.start(home, rest, "  nisse market show "),
                [node, serve, ..] if node == "node" && serve == "serve" => {
                    self.start(home, rest, "nisse serves agents")
                }
                _ => self.run(home, rest),
            }
        }
    }

    /// A word of the guide on this machine.
    fn meant(&mut self, word: &str) -> String {
        if word == "CONTRACT" {
            return self.contract.clone();
        }
        if let Some(path) = word.strip_prefix("examples/") {
            return format!("{REPOSITORY}/examples/{path}");
        }
        for host in ["127.0.0.1:", "localhost:"] {
            if let Some((before, port)) = word.split_once(host) {
                let free = self.addresses.entry(port.to_owned()).or_insert_with(web::free_address);
                return format!("{before}{}", free.replace("127.0.0.1:", host));
            }
        }
        word.to_owned()
    }

    fn command(&self, home: &str, words: &[String]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nisse"));
        command.current_dir(self.dir.path()).args(["--home", home]).args(words).stdin(Stdio::null());
        command.env_remove("NISSE_HOME").env_remove("RUST_LOG");
        command
    }

    fn log(&self, home: &str) -> PathBuf {
        self.dir.path().join(format!("{home}.log"))
    }

    /// A command that goes on: until it has said this, and what a reader would look for is there.
    fn start(&mut self, home: &str, words: &[String], says: &str) {
        let log = std::fs::File::create(self.log(home)).unwrap();
        let mut command = self.command(home, words);
        let mut node = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        eventually("the node's words", || {
            let said = std::fs::read_to_string(self.log(home)).unwrap();
            assert!(node.try_wait().unwrap().is_none(), "nisse {words:?} ended: {said}");
            said.contains(says).then_some(())
        });
        self.nodes.push(node);
        let status = eventually("the node's stake", || {
            let asked = self.command(home, &["node".to_owned(), "status".to_owned(), "--json".to_owned()]).output();
            let status: Value = serde_json::from_slice(&asked.unwrap().stdout).ok()?;
            (status["stake"] == "10000").then_some(status)
        });
        self.contract = status["contract"].as_str().unwrap().to_owned();
    }

    /// A command that ends: what it waits for may be a moment away, but nothing is ordered twice.
    fn run(&self, home: &str, words: &[String]) {
        eventually(&words.join(" "), || {
            let ended = self.command(home, words).output().unwrap();
            let said = String::from_utf8_lossy(&ended.stderr);
            assert!(ended.status.success() || words[0] != "deploy", "nisse {words:?}: {said}");
            ended.status.success().then_some(())
        });
    }
}

#[test]
fn whoever_rents_comes_to_the_end_of_the_guide() {
    Reader::new().follow("rent.md");
}

#[test]
fn whoever_serves_comes_to_the_end_of_the_guide() {
    Reader::new().follow("serve.md");
}
