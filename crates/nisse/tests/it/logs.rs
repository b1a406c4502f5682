//! An agent's log outlives the node, within its bytes, and goes with its agent.

use std::io::Write as _;
use std::path::PathBuf;

use serde_json::Value;

use crate::harness::{Home, Node, eventually, example};

const READER: &str = "nisse.test.config-reader";
/// What an agent's files may hold together (docs/configuration.md).
const BYTES_MAX: u64 = 512 << 10;

fn folder(home: &Home) -> PathBuf {
    home.path().join("logs/agents")
}

/// Names and lengths of all files of agents' logs.
fn files(home: &Home) -> Vec<(String, u64)> {
    let entries = std::fs::read_dir(folder(home)).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().len())).collect()
}

/// Number and text of each line that `nisse logs` gives.
fn lines(home: &Home, agent: &str) -> Vec<(u64, String)> {
    let out = home.ok(&["logs", agent, "-n", "1000", "--json"]);
    let line = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        (line["number"].as_u64().unwrap(), line["text"].as_str().unwrap().to_owned())
    };
    out.lines().map(line).collect()
}

/// Asks the reader, which logs the path, and waits until that line has left the process.
fn log(node: &Node<'_>, path: &str) {
    node.ask_served(READER, "GET", path);
    let file = folder(node.home()).join(format!("{READER}.jsonl"));
    let logged = format!("\"asked for {path}\"");
    eventually("the line in its file", || std::fs::read_to_string(&file).ok()?.contains(&logged).then_some(()));
}

fn asked(numbered: impl IntoIterator<Item = (u64, &'static str)>) -> Vec<(u64, String)> {
    numbered.into_iter().map(|(number, path)| (number, format!("asked for {path}"))).collect()
}

#[test]
fn lines_are_there_after_a_kill_in_order_and_their_numbers_go_on() {
    let home = Home::new();
    let node = home.up(&[]);
    home.ok(&["deploy", &example("config-reader")]);
    for path in ["/one", "/two", "/three"] {
        log(&node, path);
    }
    let before = lines(&home, READER);
    assert!(before[0].1.starts_with("configured with {"), "{before:?}");
    assert_eq!(before[1..], asked([(2, "/one"), (3, "/two"), (4, "/three")]));
    node.kill();

    let node = home.up(&[]);
    assert_eq!(lines(&home, READER), before);
    log(&node, "/four");
    assert_eq!(lines(&home, READER), [before.clone(), asked([(5, "/four")])].concat());
    home.ok(&["stop", READER]);
    node.kill();
    let _node = home.up(&[]);
    let stopped = lines(&home, READER);
    assert_eq!(stopped[..5], [before, asked([(5, "/four")])].concat(), "of an agent that does not run as well");
}

#[test]
fn a_line_that_was_torn_is_left_out_and_the_log_goes_on_behind_it() {
    let home = Home::new();
    let node = home.up(&[]);
    home.ok(&["deploy", &example("config-reader")]);
    log(&node, "/whole");
    node.kill();
    let file = folder(&home).join(format!("{READER}.jsonl"));
    let mut file = std::fs::OpenOptions::new().append(true).open(file).unwrap();
    file.write_all(b"{\"v\":1,\"number\":3,\"time\":17").unwrap();

    let node = home.up(&[]);
    log(&node, "/after");
    assert_eq!(lines(&home, READER)[1..], asked([(2, "/whole"), (4, "/after")]), "its number is a gap");
    node.kill();
    let _node = home.up(&[]);
    assert_eq!(lines(&home, READER)[1..], asked([(2, "/whole"), (4, "/after")]));
}

#[test]
fn a_flood_stays_within_the_bytes_of_its_agent() {
    let home = Home::new();
    let node = home.up(&[]);
    home.ok(&["deploy", &example("config-reader")]);
    // More than both files hold.
    let long = "x".repeat(4_000);
    for number in 0..150 {
        node.ask_served(READER, "GET", &format!("/{long}/{number}"));
    }
    log(&node, "/last");
    let files = files(&home);
    let kept: u64 = files.iter().map(|(_, bytes)| bytes).sum();
    assert_eq!(files.len(), 2, "{files:?}");
    assert!(kept <= BYTES_MAX && kept > BYTES_MAX / 2, "{kept} bytes are kept");
    let before = lines(&home, READER);
    assert_eq!(before.len(), 152, "memory has more");
    node.kill();
    let _node = home.up(&[]);
    let after = lines(&home, READER);
    assert!(after.len() > 60 && before.ends_with(&after), "the newest ones are there, as they were");
}

#[test]
fn a_destroyed_agent_leaves_no_line_behind() {
    let home = Home::new();
    let node = home.up(&[]);
    home.ok(&["deploy", &example("config-reader")]);
    log(&node, "/before");
    home.ok(&["destroy", READER]);
    assert_eq!(files(&home), []);
    home.ok(&["deploy", &example("config-reader")]);
    log(&node, "/another");
    node.kill();
    // As a crash may leave it, in the middle of a destruction.
    std::fs::write(folder(&home).join("nisse.test.gone.jsonl"), "{}\n").unwrap();
    let _node = home.up(&[]);
    let lines = lines(&home, READER);
    assert_eq!(lines[1..], asked([(2, "/another")]), "a new agent of that name begins at one");
    let files: Vec<String> = files(&home).into_iter().map(|(name, _)| name).collect();
    assert_eq!(files, [format!("{READER}.jsonl")]);
    assert!(home.path().join("logs/events.jsonl").exists(), "the node's own is not an agent's");
}
