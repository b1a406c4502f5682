//! What the content store shows to whom, and what agents leave behind in it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::Value;

use crate::harness::{Home, Node, eventually, example};
use crate::web;

const COUNTER: &str = "nisse.test.counter";

impl Node<'_> {
    /// What anybody gets for a path under `/ipfs/`.
    fn served(&self, path: &str) -> u16 {
        let asked =
            |method| web::request(&self.public, method, &format!("/ipfs/{path}"), &[("host", "localhost")], b"");
        let (got, head) = (asked("GET").unwrap(), asked("HEAD").unwrap());
        assert_eq!(got.status, head.status, "{path}");
        got.status
    }
}

/// The names of all pins of a kind, and what each names first.
fn pins(home: &Home, kind: &str) -> Vec<(String, String)> {
    let entries = home.json(&["content", "ls"]);
    let named = |entry: &Value| -> Vec<(String, String)> {
        let pins = entry["pins"].as_array().unwrap().iter().map(|pin| pin.as_str().unwrap().to_owned());
        pins.map(|pin| (pin, entry["cid"].as_str().unwrap().to_owned())).collect()
    };
    let all = entries.as_array().unwrap().iter().flat_map(named);
    let mut pins: Vec<_> = all.filter(|(pin, _)| pin.starts_with(&format!("{kind}/"))).collect();
    pins.sort();
    pins.dedup_by(|left, right| left.0 == right.0);
    pins
}

/// Swaps the counter to a package of this version.
fn update(home: &Home, version: u32) {
    let newer = home.copy_of("counter", &format!("counter-{version}"));
    newer.edit("@v1.0.0", &format!("@v1.{version}.0"));
    home.ok(&["update", COUNTER, newer.path(), "--set", &format!("round={version}")]);
}

#[test]
fn configurations_and_states_are_served_to_nobody() {
    let home = Home::new();
    let node = home.up(&[]);
    let deployed = home.json(&["deploy", &example("counter"), "--set", "account=hers"]);
    for part in ["cid", "manifest_cid"] {
        assert_eq!(node.served(deployed[part].as_str().unwrap()), 200, "packages are public");
    }
    assert_eq!(node.ask_served(COUNTER, "POST", "/").status, 200);
    update(&home, 1);
    let (config, state) = (pins(&home, "config"), pins(&home, "state"));
    assert!(!config.is_empty() && !state.is_empty());
    for (pin, cid) in config.iter().chain(&state) {
        for form in ["", "?format=raw", "?format=car"] {
            assert_eq!(node.served(&format!("{cid}{form}")), 404, "{pin}{form}");
        }
        assert!(!home.ok(&["content", "get", cid]).is_empty(), "its owner reads it");
    }
    let destroyed = home.json(&["destroy", COUNTER]);
    let export = destroyed["state_cid"].as_str().unwrap();
    assert_eq!(node.served(export), 404);
    // What its owner adds is for everybody, whatever else holds the same bytes.
    let file = home.beside("export");
    home.ok(&["content", "get", export, "-o", file.to_str().unwrap()]);
    assert_eq!(home.ok(&["content", "add", file.to_str().unwrap()]).trim(), export);
    assert_eq!(node.served(export), 200);
    home.ok(&["content", "rm", &format!("added/{export}")]);
    assert_eq!(node.served(export), 404);
}

#[test]
fn updates_leave_behind_what_a_rollback_needs_and_no_more() {
    let home = Home::new();
    let node = home.up(&[]);
    home.ok(&["deploy", &example("counter")]);
    let left = |home: &Home| ["state", "package", "config"].map(|kind| pins(home, kind).len());
    for version in 1..=4 {
        assert_eq!(node.ask_served(COUNTER, "POST", "/").status, 200);
        update(&home, version);
    }
    eventually("what earlier updates kept to go", || (left(&home) == [1, 2, 2]).then_some(()));
    home.ok(&["content", "gc"]);
    // A crash at any moment leaves nothing behind that the next start, or the next update, does not end.
    update(&home, 5);
    node.kill();
    let node = home.up(&[]);
    assert_eq!(node.ask_served(COUNTER, "GET", "/").text().trim(), "4");
    eventually("the states that the crash left to go", || (pins(&home, "state").len() == 1).then_some(()));
    assert_eq!(home.json(&["rollback", COUNTER])["version"], "1.4.0");
    eventually("the rest to go", || (left(&home) == [1, 2, 2]).then_some(()));
    let kept = pins(&home, "state").remove(0).0;
    let needed = home.run(&["content", "rm", &kept]);
    assert_eq!(needed.code, 3, "{needed:?}");
    assert!(needed.err.contains(&format!("failed to remove {kept}: {COUNTER} needs it")), "{needed:?}");

    home.ok(&["destroy", COUNTER]);
    assert_eq!(left(&home), [0, 0, 0]);
    let [(last, cid)] = &pins(&home, "destroyed")[..] else { panic!("one export is left") };
    assert!(!home.ok(&["content", "get", cid]).is_empty());
    home.ok(&["content", "rm", last]);
    let gone = home.run(&["content", "rm", last]);
    assert_eq!(gone.code, 1, "{gone:?}");
    assert!(gone.err.contains(&format!("failed to remove {last}: there is no such pin")), "{gone:?}");
    home.ok(&["content", "gc"]);
    assert_eq!(home.json(&["content", "ls"]), serde_json::json!([]));
}

#[test]
fn readers_that_take_nothing_hold_no_blocks() {
    let home = Home::new();
    let node = home.up(&[]);
    let file = home.beside("large");
    // No two blocks of it are the same.
    let words = (0..2_u32 << 20).flat_map(|word| word.wrapping_mul(2_654_435_761).to_le_bytes());
    std::fs::write(&file, words.collect::<Vec<u8>>()).unwrap();
    let cid = home.ok(&["content", "add", file.to_str().unwrap()]);
    let before = node.memory_peak_bytes();
    let begin = |at: usize| {
        let mut reader = TcpStream::connect(&node.public).unwrap();
        // Each of them stands in another block.
        let range = (at % 8) << 20;
        let asked = format!("GET /ipfs/{} HTTP/1.1\r\nhost: localhost\r\nrange: bytes={range}-\r\n\r\n", cid.trim());
        reader.write_all(asked.as_bytes()).unwrap();
        reader
    };
    let mut readers: Vec<TcpStream> = (0..100).map(begin).collect();
    for reader in &mut readers {
        let mut begun = [0; 12];
        reader.read_exact(&mut begun).unwrap();
        assert_eq!(&begun, b"HTTP/1.1 206");
    }
    // The node goes on with whoever reads.
    let answer = web::request(&node.public, "GET", &format!("/ipfs/{}", cid.trim()), &[("host", "localhost")], b"");
    assert!(answer.unwrap().body == std::fs::read(&file).unwrap());
    let held = node.memory_peak_bytes() - before;
    assert!(held < 64 << 20, "a hundred readers made the node hold {held} bytes more");
}
