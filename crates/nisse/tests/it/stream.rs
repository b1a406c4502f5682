//! Answers that leave while their agent makes them, through the public listener: readers that read, stall and go, and a
//! node that goes down in the middle.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Home, Node, eventually, example};
use crate::web;

/// Longer than the node's own patience with a client.
const READ_MAX: Duration = Duration::from_secs(60);

/// A request whose answer is read as it comes.
struct Reader {
    stream: TcpStream,
    seen: String,
}

impl Reader {
    fn ask(node: &Node<'_>, method: &str, path: &str) -> Self {
        let mut stream = TcpStream::connect(&node.public).unwrap();
        stream.set_read_timeout(Some(READ_MAX)).unwrap();
        let host = "nisse.test.stream.localhost";
        write!(stream, "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").unwrap();
        Self { stream, seen: String::new() }
    }

    /// Reads on; `false` at the end of the connection.
    fn more(&mut self) -> bool {
        let mut bytes = [0; 4096];
        let count = self.stream.read(&mut bytes).unwrap_or(0);
        self.seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
        count > 0
    }

    fn until(&mut self, text: &str) -> &mut Self {
        while !self.seen.contains(text) {
            assert!(self.more(), "the answer ended before {text:?}: {}", self.seen);
        }
        self
    }

    /// The rest of the answer; whether it came to the end that chunked encoding promises.
    fn rest(&mut self) -> bool {
        while self.more() {}
        self.seen.ends_with("\r\n0\r\n\r\n")
    }

    fn receipt(&mut self) -> String {
        self.until("\r\n\r\n");
        let line = self.seen.lines().find_map(|line| line.strip_prefix("nisse-receipt: "));
        line.expect("the head names its receipt").to_owned()
    }
}

/// How the record behind a receipt says that its invocation ended.
fn outcome(home: &Home, receipt: &str) -> String {
    eventually(&format!("the record of {receipt}"), || {
        let shown = home.run(&["receipt", "show", receipt]);
        let line = shown.out.lines().find(|line| line.starts_with("outcome"))?;
        Some(line.trim_start_matches("outcome").trim().to_owned())
    })
}

fn verified(home: &Home, receipt: &str) -> Value {
    home.json(&["receipt", "verify", receipt])["records"].clone()
}

fn count(node: &Node<'_>) -> String {
    node.ask_served("nisse.test.stream", "GET", "/count").text()
}

#[test]
fn an_answer_arrives_while_it_is_made_and_its_receipt_holds_after_its_end() {
    let home = Home::new();
    let node = home.up(&[]);
    home.ok(&["deploy", &example("stream")]);

    let mut events = Reader::ask(&node, "GET", "/events");
    let receipt = events.receipt();
    let first = events.until("data: 0").seen.clone();
    assert!(!first.contains("data: 1"), "the second is made after the first has arrived: {first}");
    let open = home.run(&["receipt", "show", &receipt]);
    assert_eq!(open.code, 1, "its record is not made yet: {open:?}");
    assert!(open.err.contains("its answer has not come to its end yet"), "{}", open.err);
    let begun = Instant::now();
    assert!(events.rest(), "{}", events.seen);
    assert!(begun.elapsed() >= Duration::from_millis(400), "the rest took its time");
    assert_eq!(outcome(&home, &receipt), "Ok");

    let large = node.ask("nisse.test.stream", "GET", "/large");
    assert_eq!((large.status, large.body.len(), large.whole), (200, 1 << 20, true));
    let late = node.ask("nisse.test.stream", "GET", "/late-write").text();
    assert!(late.contains("put: use the state: the answer has left"), "{late}");

    let mut broken = Reader::ask(&node, "POST", "/trap");
    let receipt = broken.receipt();
    assert!(!broken.rest(), "its client sees that the end is missing");
    assert!(broken.seen.contains("first"));
    assert_eq!(outcome(&home, &receipt), "Trap(Unreachable)");
    assert_eq!(count(&node), "1", "what it changed was committed with its head");
    assert_eq!(verified(&home, &receipt), 4);
}

#[test]
fn an_answer_of_any_size_arrives_whole_and_what_it_changed_counts_once() {
    let home = Home::new();
    let node = home.up(&[]);
    home.ok(&["deploy", &example("echo")]);
    // Around the sizes at which an answer begins to leave and at which its guest has to wait for room.
    for (number, bytes) in (1..).zip([60_000, 64 << 10, 68 << 10, 100 << 10, 128 << 10, 300 << 10, 576 << 10, 600_000])
    {
        let sent = vec![b'x'; bytes];
        let host = [("host", "nisse.test.echo.localhost")];
        let answer = web::request(&node.public, "POST", "/", &host, &sent).unwrap();
        assert_eq!((answer.status, answer.whole), (200, true), "{bytes} bytes");
        assert!(answer.body == [b"Method::Post /\n".as_slice(), &sent].concat(), "{bytes} bytes");
        assert_eq!(answer.header("x-requests"), Some(number.to_string().as_str()));
        let receipt = answer.header("nisse-receipt").unwrap();
        assert_eq!(outcome(&home, receipt), "Ok");
        let (_, seq) = receipt.rsplit_once('/').unwrap();
        assert_eq!(verified(&home, receipt).to_string(), seq, "back to the first");
    }
}

#[test]
fn a_reader_that_goes_or_stalls_is_cut_off_and_the_agent_answers_others() {
    let home = Home::new();
    let node = home.up(&[]);
    home.ok(&["deploy", &example("stream")]);

    let mut gone = Reader::ask(&node, "GET", "/endless");
    let receipt = gone.receipt();
    drop(gone);
    assert_eq!(outcome(&home, &receipt), "Cut(Gone)");
    assert_eq!(count(&node), "0");

    let mut stalled = Reader::ask(&node, "GET", "/endless");
    let receipt = stalled.receipt();
    assert_eq!(outcome(&home, &receipt), "Cut(Stalled)");
    assert_eq!(count(&node), "0");
    assert!(!stalled.rest(), "what it had not read is broken off");
}

#[test]
fn a_node_that_goes_down_in_the_middle_keeps_what_was_changed_and_its_chain_of_records() {
    let home = Home::new();
    let node = home.up(&[]);
    home.ok(&["deploy", &example("stream")]);
    assert_eq!(node.ask("nisse.test.stream", "POST", "/").text(), "at once\n");
    let mut reader = Reader::ask(&node, "POST", "/endless");
    let receipt = reader.receipt();
    reader.until("....");
    node.kill();
    assert!(!reader.rest());

    let node = home.up(&[]);
    assert_eq!(count(&node), "2", "both were committed before their answers");
    assert_eq!(outcome(&home, &receipt), "Cut(Interrupted)");
    let last = node.ask("nisse.test.stream", "POST", "/").header("nisse-receipt").unwrap().to_owned();
    let (_, seq) = last.rsplit_once('/').unwrap();
    eventually("the last record", || (home.run(&["receipt", "show", &last]).code == 0).then_some(()));
    assert_eq!(verified(&home, &last).to_string(), seq, "back to the first, through the cut one");

    // Nothing is read otherwise by the life after that.
    node.kill();
    let _node = home.up(&[]);
    assert_eq!(outcome(&home, &receipt), "Cut(Interrupted)");
    assert_eq!(verified(&home, &last).to_string(), seq);
}
