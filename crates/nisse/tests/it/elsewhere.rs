//! What only the node that runs an agent can tell its owner, who is elsewhere: over a wire that is listened to and cut.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::commands::Following;
use crate::harness::{Home, Node, eventually, example};
use crate::rented::{operator, provider, renter_with, serve, serving};
use crate::web;

const READER: &str = "nisse.test.config-reader";
const COUNTER: &str = "nisse.test.counter";
const SIGNED: &str = "/.well-known/nisse/v1/agents";

/// A way to a node that remembers what was sent over it, and can be cut.
#[derive(Clone, Default)]
pub(crate) struct Wire(Arc<Mutex<Laid>>);

#[derive(Default)]
struct Laid {
    address: String,
    to: String,
    open: Vec<TcpStream>,
    sent: Vec<u8>,
}

impl Wire {
    pub(crate) fn new() -> Self {
        let wire = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        wire.0.lock().unwrap().address = listener.local_addr().unwrap().to_string();
        let own = wire.clone();
        std::thread::spawn(move || listener.incoming().for_each(|stream| own.carry(stream.unwrap())));
        wire
    }

    pub(crate) fn address(&self) -> String {
        self.0.lock().unwrap().address.clone()
    }

    pub(crate) fn leads_to(&self, address: &str) {
        self.0.lock().unwrap().to = address.to_owned();
    }

    /// Ends every connection. The next one is carried again.
    pub(crate) fn cut(&self) {
        for stream in self.0.lock().unwrap().open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Whatever is asked from here on is answered with this.
    pub(crate) fn says(&self, status: &str, body: &str) {
        let answer = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let address = provider(answer.into_bytes().leak());
        self.cut();
        self.leads_to(address.strip_prefix("http://").unwrap());
    }

    /// The last request to the node that begins like this, head and body.
    fn sent_last(&self, begin: &str) -> String {
        let sent = String::from_utf8(self.0.lock().unwrap().sent.clone()).unwrap();
        let request = &sent[sent.rfind(begin).unwrap()..];
        let head = request.find("\r\n\r\n").unwrap() + 4;
        let length =
            request[..head].lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        request[..head + length.unwrap_or(0)].to_owned()
    }

    fn carry(&self, mut asks: TcpStream) {
        let to = self.0.lock().unwrap().to.clone();
        // Where it leads nowhere yet, it hangs up.
        let Ok(mut answers) = TcpStream::connect(to) else { return };
        let mut ends = [asks.try_clone().unwrap(), answers.try_clone().unwrap()];
        self.0.lock().unwrap().open.extend(ends.each_ref().map(|end| end.try_clone().unwrap()));
        std::thread::spawn(move || {
            let [asks, answers] = &mut ends;
            let _ = std::io::copy(answers, asks);
            let _ = asks.shutdown(Shutdown::Both);
        });
        let own = self.clone();
        std::thread::spawn(move || {
            let mut piece = [0; 4_096];
            while let Ok(length @ 1..) = asks.read(&mut piece) {
                own.0.lock().unwrap().sent.extend_from_slice(&piece[..length]);
                if answers.write_all(&piece[..length]).is_err() {
                    break;
                }
            }
            let _ = answers.shutdown(Shutdown::Both);
        });
    }
}

/// What an agent's request names as its host.
fn host(deployed: &Value) -> String {
    let host = deployed["endpoint"].as_str().unwrap().strip_prefix("http://").unwrap();
    host.trim_end_matches('/').to_owned()
}

/// The same bytes again, as whoever listens could send them.
fn again(address: &str, bytes: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
    stream.write_all(bytes.replace("HTTP/1.1\r\n", "HTTP/1.1\r\nconnection: close\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    (status, serde_json::from_str::<Value>(body).unwrap()["code"].as_str().unwrap().to_owned())
}

/// A renter's home, and a stranger's node that runs what it orders.
struct Rented<'a> {
    wire: Wire,
    node: Node<'a>,
    deployed: Value,
    _renter: Node<'a>,
}

/// Has a guest run on bob's node, which alice reaches over a wire.
fn rented<'a>(alice: &'a Home, bob: &'a Home, guest: &str) -> Rented<'a> {
    let wire = Wire::new();
    let renter = renter_with(alice, &["--connect-to", &format!("bob.example:80:{}", wire.address())]);
    let gateway = format!("http://{}", renter.public);
    let node = serve(bob, &serving(alice), &["--endpoint", "http://bob.example", "--gateway", &gateway]);
    wire.leads_to(&node.public);
    let order = ["deploy", &example(guest), "--payment", "100", "--max-rate", "45", "--wait", "60"];
    let deployed = alice.json(&order);
    assert_eq!((&deployed["state"], &deployed["node"]), (&json!("running"), &operator(bob)), "{deployed}");
    // A node that came up a moment ago may have had any request before: it says when to ask again.
    eventually("its node to tell of it", || {
        let status = alice.json(&["status", deployed["agent_id"].as_str().unwrap()]);
        (!status["reason"].as_str().unwrap().contains("a moment ago")).then_some(())
    });
    Rented { wire, node, deployed, _renter: renter }
}

#[test]
fn an_owner_asks_the_strangers_node_without_naming_it() {
    let (alice, bob) = (Home::new(), Home::new());
    let Rented { wire, node, deployed, _renter } = rented(&alice, &bob, "config-reader");
    let deployment = deployed["deployment"].as_str().unwrap();

    let status = alice.json(&["status", READER]);
    let there = bob.json(&["status", deployment]);
    for same in ["state", "node", "owner", "state_root", "state_bytes", "permissions", "endpoint", "restarts"] {
        assert_eq!(status[same], there[same], "{same}");
    }
    assert!(status["memory_bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{status}");

    // Logs, events and receipts come from there, under the agent's name alone.
    let log = alice.ok(&["logs", READER]);
    assert!(log.contains("configured with") && log == bob.ok(&["logs", deployment]), "{log}");
    let invoked = alice.json(&["invoke", READER, "--event", "{\"word\": \"secret\"}"]);
    assert!(invoked["text"].as_str().is_some(), "{invoked}");
    let receipt = format!("{deployment}/{}", invoked["seq"]);
    let verified = alice.json(&["receipt", "verify", &receipt]);
    assert_eq!((&verified["verified"], &verified["node"]), (&json!(true), &operator(&bob)), "{verified}");
    let refused = alice.run(&["receipt", "verify", &receipt, "--node", operator(&alice).as_str().unwrap()]);
    assert_eq!(refused.code, 3, "{refused:?}");
    let refused = alice.run(&["invoke", READER, "--event", "1", "--type", "started"]).refusal();
    assert!(refused.starts_with("exit 3\n") && refused.contains("only the node raises those"), "{refused}");

    // Whoever listened can neither ask the same again nor make anything else of it.
    let invoke = wire.sent_last(&format!("POST {SIGNED}"));
    let before = bob.json(&["status", deployment])["invocations"].clone();
    let path = |from: &str, to: &str| again(&node.public, &invoke.replacen(from, to, 1));
    assert_eq!(path("", ""), (401, "request_replayed".to_owned()));
    assert_eq!(path("POST ", "PUT "), (403, "not_the_owner".to_owned()));
    assert_eq!(path("/invoke ", "/invoke?a=b "), (403, "not_the_owner".to_owned()));
    assert_eq!(path("expires=", "expires=1"), (401, "request_expired".to_owned()));
    assert_eq!(path("nonce=", "nonce=0"), (401, "signature_needed".to_owned()));
    assert_eq!(path("sha-256=:", "sha-256="), (400, "digest_invalid".to_owned()));
    assert_eq!(path("authorization: ", "x-authorization: "), (401, "signature_needed".to_owned()));
    assert_eq!(bob.json(&["status", deployment])["invocations"], before, "nothing ran");

    // Its log is followed over a connection that breaks, and no line is missed or told twice.
    let following = Following::start(&alice, &["logs", READER, "-f"]);
    let host = host(&deployed);
    let ask = |path: &str| web::request(&node.public, "GET", path, &[("host", &host)], b"").unwrap();
    eventually("the log so far", || following.said().contains("configured with").then_some(()));
    for path in ["/one", "/two", "/three"] {
        ask(path);
        eventually(path, || following.said().contains(&format!("asked for {path}")).then_some(()));
        wire.cut();
    }
    let said = following.said();
    for path in ["/one", "/two", "/three"] {
        assert_eq!(said.matches(&format!("asked for {path}")).count(), 1, "{said}");
    }

    // Without it there is what the market knows, and its silence is said.
    node.kill();
    let status = alice.json(&["status", READER]);
    assert_eq!(status["state"], "running", "{status}");
    assert!(status["reason"].as_str().unwrap().contains("did not answer"), "{status}");
    let refused = alice.run(&["logs", READER]).refusal();
    assert!(refused.starts_with("exit 4\n") && refused.contains("http://bob.example"), "{refused}");
}

#[test]
fn an_update_reaches_the_node_that_runs_it_and_so_does_its_refusal() {
    let (alice, bob) = (Home::new(), Home::new());
    let Rented { wire, node, deployed, .. } = &rented(&alice, &bob, "counter");
    let host = host(deployed);
    let count = |method: &str| {
        let answered = eventually("an answer", || {
            let answer = web::request(&node.public, method, "/", &[("host", &host)], b"").unwrap();
            (answer.status == 200).then_some(answer)
        });
        answered.text().trim().parse::<u64>().unwrap()
    };
    assert_eq!(count("POST"), 1);
    let refused = alice.run(&["rollback", COUNTER]).refusal();
    assert!(refused.starts_with("exit 3\n") && refused.contains("it was never updated"), "{refused}");
    let newer = alice.copy_of("counter", "newer");
    newer.edit("@v1.0.0", "@v1.1.0");
    let status = alice.json(&["update", COUNTER, newer.path()]);
    assert_eq!((&status["version"], &status["node"]), (&json!("1.1.0"), &operator(&bob)), "{status}");
    assert_eq!(bob.json(&["status", deployed["deployment"].as_str().unwrap()])["version"], "1.1.0");
    assert_eq!(count("POST"), 2, "the state came along");

    let lower = alice.run(&["update", COUNTER, &example("counter")]).refusal();
    assert!(lower.contains("a lower version"), "{lower}");
    let broken = alice.copy_of("trap-at-start", "broken");
    broken.edit("nisse.test.trap-at-start@v1.0.0", "nisse.test.counter@v1.2.0");
    let refused = alice.run(&["update", COUNTER, broken.path()]).refusal();
    let said = "it panicked (an `unreachable` instruction); the old package goes on";
    assert!(refused.starts_with("exit 3\n") && refused.contains(said), "{refused}");
    assert_eq!(alice.json(&["status", COUNTER])["version"], "1.1.0");
    assert_eq!(count("POST"), 3);

    // The owner's word on the market is heeded there.
    let paused = alice.json(&["pause", COUNTER]);
    assert_eq!((&paused["state"], &paused["node"]), (&json!("paused"), &operator(&bob)), "{paused}");
    assert_eq!(web::request(&node.public, "POST", "/", &[("host", &host)], b"").unwrap().status, 503);
    let refused = alice.run(&["pause", COUNTER]).refusal();
    assert!(refused.starts_with("exit 3\n"), "{refused}");
    assert_eq!(alice.json(&["resume", COUNTER])["state"], "running");
    assert_eq!(count("POST"), 4);

    // Back to the package before, and to the state that the update found. The later one is kept.
    let status = alice.json(&["rollback", COUNTER]);
    assert_eq!((&status["version"], &status["node"]), (&json!("1.0.0"), &operator(&bob)), "{status}");
    assert_eq!(count("POST"), 2, "the first package had counted one");
    let status = alice.json(&["rollback", COUNTER]);
    assert_eq!(status["version"], "1.1.0", "{status}");
    assert_eq!(count("POST"), 5, "the state that the rollback found");
    // Which package that is the market says: a node that knows another past says so, and nothing more is asked.
    assert!(wire.sent_last(&format!("POST {SIGNED}")).contains("nisse.test.counter@v1.1.0"));
    wire.says("409 Conflict", &json!({ "title": "before the last update another one ran here" }).to_string());
    let refused = alice.run(&["rollback", COUNTER]).refusal();
    assert!(refused.starts_with("exit 3\n") && refused.contains("another one ran here"), "{refused}");
    wire.leads_to(&node.public);
    wire.cut();
    assert_eq!(alice.json(&["status", COUNTER])["version"], "1.1.0");

    let refused = alice.run(&["destroy", COUNTER]).refusal();
    assert!(refused.starts_with("exit 3\n") && refused.contains("its state is with the node"), "{refused}");

    // What it did can be looked up when the lease is over.
    let answer = web::request(&node.public, "POST", "/", &[("host", &host)], b"").unwrap();
    let receipt = answer.header("nisse-receipt").unwrap();
    assert_eq!(alice.json(&["stop", COUNTER])["state"], "stopped");
    let verified = alice.json(&["receipt", "verify", receipt]);
    assert_eq!((&verified["verified"], &verified["node"]), (&json!(true), &operator(&bob)), "{verified}");
}

#[test]
fn a_node_that_lies_deceives_nobody() {
    let (alice, bob) = (Home::new(), Home::new());
    let Rented { wire, node, deployed, .. } = &rented(&alice, &bob, "counter");
    let deployment = deployed["deployment"].as_str().unwrap();
    let post = || web::request(&node.public, "POST", "/", &[("host", &host(deployed))], b"").unwrap();
    let receipts: Vec<String> = (0..2).map(|_| post().header("nisse-receipt").unwrap().to_owned()).collect();
    let says = |status: &str, body: String| wire.says(status, &body);

    let mut lies = bob.json(&["status", deployment]);
    lies["state"] = json!("failed");
    lies["reason"] = json!("\u{1b}[2Jall is lost");
    lies["hint"] = json!("run `nisse fund nisse.test.counter 1000`");
    lies["lease"]["balance"] = json!("0");
    says("200 OK", lies.to_string());
    let told = alice.ok(&["status", COUNTER]);
    assert!(told.contains("which says that it is failed: \u{fffd}[2Jall is lost"), "{told}");
    assert!(!told.contains('\u{1b}') && !told.contains("nisse fund") && !told.contains(" 0 left"), "{told}");

    let other = bob.json(&["receipt", "show", &receipts[0]]).to_string();
    says("200 OK", other);
    for command in ["show", "verify"] {
        let refused = alice.run(&["receipt", command, &receipts[1]]).refusal();
        assert!(refused.starts_with("exit 3\n") && refused.contains("what it gave is no receipt"), "{refused}");
    }
    says("200 OK", format!("[{}]", " ".repeat(1 << 20)));
    let told = alice.json(&["status", COUNTER]);
    assert!(told["reason"].as_str().unwrap().contains("sent more than 262144 bytes"), "{told}");
    says("302 Found\r\nlocation: http://127.0.0.1/", String::new());
    let refused = alice.run(&["logs", COUNTER]).refusal();
    assert!(refused.contains("it answered 302"), "{refused}");
    says("403 Forbidden", json!({ "title": "\u{1b}[31mno", "hint": "pay 7 to 0xab" }).to_string());
    let refused = alice.run(&["invoke", COUNTER, "--event", "1"]).refusal();
    assert!(refused.ends_with("it says: \u{fffd}[31mno (pay 7 to 0xab)"), "{refused}");
}
