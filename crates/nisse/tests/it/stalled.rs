//! Packages that are on their way: an agent's life goes on while one stalls, and one that comes finds room.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::elsewhere::Wire;
use crate::harness::{Home, Node, eventually, host_of};
use crate::rented::{operator, order, renter, serve, serving};

const COUNTER: &str = "nisse.test.counter";

/// A provider that begins every answer and sends a byte of it now and then.
struct Dripping {
    address: String,
    asked: Arc<AtomicUsize>,
}

impl Dripping {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, count) = (stream.unwrap(), Arc::clone(&count));
                std::thread::spawn(move || {
                    let Ok(1..) = stream.read(&mut [0; 4096]) else { return };
                    count.fetch_add(1, Ordering::Relaxed);
                    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/vnd.ipld.raw\r\n\r\n";
                    let mut sent = stream.write_all(head.as_bytes());
                    while sent.is_ok() {
                        std::thread::sleep(Duration::from_millis(200));
                        sent = stream.write_all(b"x");
                    }
                });
            }
        });
        Self { address, asked }
    }

    fn is_asked(&self) {
        eventually("the package to be asked for", || (self.asked.load(Ordering::Relaxed) > 0).then_some(()));
    }
}

fn count(node: &Node<'_>, host: &str) -> String {
    node.ask_served(host, "POST", "/").text().trim().to_owned()
}

#[test]
fn an_agent_rests_goes_on_and_ends_while_an_update_of_it_stalls() {
    let (alice, bob) = (Home::new(), Home::new());
    let (wire, renter) = (Wire::new(), renter(&alice));
    wire.leads_to(&renter.public);
    let node = serve(&bob, &serving(&alice), &["--gateway", &format!("http://{}", wire.address())]);
    let deployed = order(&alice, &[]);
    assert_eq!((&deployed["state"], &deployed["node"]), (&json!("running"), &operator(&bob)), "{deployed}");
    let (deployment, host) = (deployed["deployment"].as_str().unwrap(), host_of(&deployed));
    assert_eq!(count(&node, &host), "1");

    let drips = Dripping::new();
    wire.leads_to(&drips.address);
    wire.cut();
    let newer = alice.copy_of("counter", "newer");
    newer.edit("@v1.0.0", "@v1.1.0");
    let updating = alice.start(&["update", COUNTER, newer.path()]);
    drips.is_asked();
    assert_eq!(count(&node, &host), "2", "the old package goes on");
    assert_eq!(alice.json(&["pause", COUNTER])["state"], "paused");
    eventually("its node to heed it", || (bob.json(&["status", deployment])["state"] == "paused").then_some(()));
    assert_eq!(node.ask(&host, "POST", "/").status, 503);
    alice.json(&["resume", COUNTER]);
    assert_eq!(count(&node, &host), "3", "the old package goes on");
    node.kill();
    let flags = [&serving(&alice)[..], &["--gateway".to_owned(), format!("http://{}", wire.address())]].concat();
    let node = serve(&bob, &flags, &[]);
    assert_eq!(count(&node, &host), "4", "the old package goes on, in another life of its node as well");
    assert_eq!(alice.json(&["stop", COUNTER])["state"], "stopped");
    let ended = updating.end();
    // Whichever came first, the stop or that nobody gave the package.
    let said = ["its lease ended before", "the old package goes on"].iter().any(|end| ended.err.contains(end));
    assert!(ended.code == 3 && said, "{ended:?}");
    eventually("its pins to end", || {
        let held = bob.json(&["content", "ls"]);
        held.as_array().unwrap().iter().all(|entry| entry["pinned"] == false).then_some(())
    });
}

#[test]
fn a_node_for_a_list_of_owners_takes_their_orders_and_makes_room_for_them() {
    let (alice, bob) = (Home::new(), Home::new());
    let renter = renter(&alice);
    let owner = alice.json(&["status", "talos.oracle.price-eth"])["owner"].as_str().unwrap().to_owned();
    let owners = bob.beside("owners");
    std::fs::write(&owners, format!("# who may\n{owner}\n")).unwrap();
    let gateway = format!("http://{}", renter.public);
    let own = ["--accept", owners.to_str().unwrap(), "--gateway", gateway.as_str()];
    let mut flags = serving(&alice);
    let any = flags.iter().position(|flag| flag == "--accept").unwrap();
    flags.drain(any..any + 2);
    serve(&bob, &flags, &own).kill();
    std::fs::write(bob.path().join("nisse.toml"), "[limits]\ncontent = \"1MiB\"\n").unwrap();
    let _node = serve(&bob, &flags, &own);

    // What nobody holds any more lies there until its room is needed.
    let junk = bob.beside("junk");
    std::fs::write(&junk, vec![7; 1_030_000]).unwrap();
    let cid = bob.ok(&["content", "add", junk.to_str().unwrap()]);
    bob.ok(&["content", "rm", cid.split_whitespace().next().unwrap()]);
    let deployed = order(&alice, &[]);
    assert_eq!((&deployed["state"], &deployed["node"]), (&json!("running"), &operator(&bob)), "{deployed}");
}
