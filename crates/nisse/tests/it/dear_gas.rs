//! A chain whose gas leaps: its answers go over a wire that tells another price.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::harness::{Home, eventually, example};
use crate::rented::{operator, renter, serve, serving};
use crate::web;

/// What a block's gas costs while it is dear: twice what a node pays.
const DEAR: u64 = 200_000_000_000;

/// A way to a chain's JSON-RPC on which gas can be made dear.
struct Priced {
    address: String,
    dear: Arc<AtomicBool>,
}

impl Priced {
    fn before(chain: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let dear = Arc::new(AtomicBool::new(false));
        let (chain, told) = (chain.to_owned(), Arc::clone(&dear));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (chain, told) = (chain.clone(), Arc::clone(&told));
                // Whoever asks may hang up at any time.
                std::thread::spawn(move || carry(&stream.unwrap(), &chain, &told));
            }
        });
        Self { address, dear }
    }
}

fn carry(stream: &TcpStream, chain: &str, dear: &AtomicBool) -> Option<()> {
    let mut asks = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if asks.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some(said) = line.to_lowercase().strip_prefix("content-length: ") {
                length = said.trim().parse().ok()?;
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        asks.read_exact(&mut body).ok()?;
        let headers = [("host", chain), ("content-type", "application/json")];
        let mut answer = web::request(chain, "POST", "/", &headers, &body).ok()?.json();
        if dear.load(Ordering::Relaxed)
            && let Some(price) = answer.pointer_mut("/result/baseFeePerGas")
        {
            *price = json!(format!("{DEAR:#x}"));
        }
        let answer = answer.to_string();
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", answer.len());
        (&mut &*stream).write_all((head + &answer).as_bytes()).ok()?;
    }
}

#[test]
fn a_node_bids_on_nothing_while_gas_costs_more_than_it_pays_and_bids_when_it_is_cheaper() {
    let (alice, bob) = (Home::new(), Home::new());
    let renter = renter(&alice);
    let (mut flags, gateway) = (serving(&alice), format!("http://{}", renter.public));
    let place = flags.iter().position(|flag| flag == "--chain").unwrap() + 1;
    let priced = Priced::before(flags[place].strip_prefix("http://").unwrap().trim_end_matches('/'));
    flags[place] = format!("http://{}", priced.address);
    let _bobs = serve(&bob, &flags, &["--gateway", &gateway]);
    let trouble = || bob.json(&["node", "status"])["trouble"].clone();
    assert_eq!(trouble(), Value::Null);
    priced.dear.store(true, Ordering::Relaxed);
    let asked = ["deploy", &example("counter"), "--payment", "100", "--max-rate", "45", "--wait", "1"];
    assert_eq!(alice.run(&asked).code, 3);
    let said = eventually("bob's trouble", || trouble().as_str().map(str::to_owned));
    let sentence = "gas costs 200.000 gwei and this node pays 100.000 at most: it bids on nothing until it is cheaper";
    assert_eq!(said, sentence);
    assert_eq!(alice.json(&["status", "nisse.test.counter"])["state"], "open");
    priced.dear.store(false, Ordering::Relaxed);
    let taken = eventually("bob to take it", || {
        let status = alice.json(&["status", "nisse.test.counter"]);
        (status["state"] == "running").then_some(status)
    });
    assert_eq!(taken["node"], operator(&bob), "{taken}");
    assert_eq!(trouble(), Value::Null);
}
