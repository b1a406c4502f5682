//! Receipts: what a node signed can be checked by anyone, and one changed digit is caught.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

use nisse_market::Receipt;
use nisse_model::{Hash256, InvocationRecord};
use nisse_store::{Disk as _, SystemDisk};
use serde_json::{Value, json};

use crate::harness::{Ended, Home, eventually, example};
use crate::wallets::key_of;

/// Changes one hex digit in the middle.
fn flip(value: &Value) -> Value {
    let mut digits: Vec<char> = value.as_str().unwrap().chars().collect();
    let middle = digits.len() / 2;
    digits[middle] = if digits[middle] == '0' { '1' } else { '0' };
    digits.into_iter().collect::<String>().into()
}

fn verify(home: &Home, bundle: &Value) -> Ended {
    let file = home.beside("receipt.json");
    std::fs::write(&file, bundle.to_string()).unwrap();
    home.run(&["receipt", "verify", file.to_str().unwrap()])
}

#[test]
fn a_receipt_verifies_and_one_changed_digit_is_caught() {
    let home = Home::new();
    let node = home.up(&[]);
    home.ok(&["deploy", &example("counter")]);
    let mut receipt = String::new();
    for _ in 0..5 {
        let answer = node.ask("nisse.test.counter", "POST", "/");
        receipt = answer.header("nisse-receipt").expect("each answer names its receipt").to_owned();
    }

    // The last record is closed after its answer's last byte.
    eventually("the last record", || (home.run(&["receipt", "show", &receipt]).code == 0).then_some(()));
    let unpaid = home.run(&["receipt", "heartbeat", "1"]).refusal();
    assert!(unpaid.starts_with("exit 1\n") && unpaid.contains(": it is a home lease\nhint: "), "{unpaid}");
    let walked = home.json(&["receipt", "verify", &receipt]);
    assert_eq!((&walked["verified"], &walked["seq"]), (&true.into(), &5.into()));
    assert_eq!(walked["records"], 5, "back to the first record");
    assert_eq!(home.json(&["receipt", "verify", &receipt, "--depth", "2"])["records"], 3);

    let bundle = home.json(&["receipt", "show", &receipt]);
    let whole = verify(&home, &bundle);
    assert_eq!(whole.code, 0, "{whole:?}");
    for key in ["record", "record_hash", "signature"] {
        let mut changed = bundle.clone();
        changed[key] = flip(&bundle[key]);
        let refused = verify(&home, &changed);
        assert_eq!(refused.code, 3, "a changed {key}: {refused:?}");
        assert!(refused.err.starts_with("error: failed to "), "{refused:?}");
    }
    let mut changed = bundle.clone();
    changed["seq"] = 4.into();
    assert_eq!(verify(&home, &changed).code, 3, "another seq");
    let mut changed = bundle.clone();
    changed["deployment"] = flip(&bundle["deployment"]);
    assert_eq!(verify(&home, &changed).code, 3, "another deployment");

    // Another node's signature is not this node's.
    let operator = home.json(&["node", "status"])["operator"].as_str().unwrap().to_owned();
    let stranger = format!("0x{}", "11".repeat(20));
    assert_ne!(operator, stranger);
    let file = home.beside("receipt.json");
    std::fs::write(&file, bundle.to_string()).unwrap();
    let file = file.to_str().unwrap();
    assert_eq!(home.run(&["receipt", "verify", file, "--node", &operator]).code, 0);
    assert_eq!(home.run(&["receipt", "verify", file, "--node", &stranger]).code, 3);

    // A receipt outlives the node that gave it.
    node.kill();
    assert_eq!(home.run(&["receipt", "verify", file]).code, 0, "a file is checked without a node");
    let _node = home.up(&[]);
    assert_eq!(home.json(&["receipt", "verify", &receipt])["records"], 5);
}

/// A node that rewrites its history: the record is changed, and signed again with the node's own key.
fn rewritten(home: &Home, bundle: &Value) -> Value {
    let mut record = InvocationRecord::decode(&hex::decode(bundle["record"].as_str().unwrap()).unwrap()).unwrap();
    record.output = Hash256::of(b"something that was never answered");
    let key = key_of(home, "operator");
    let receipt = Receipt { deployment: record.deployment, seq: record.seq, record: record.hash() };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let signed = runtime.block_on(receipt.sign(&key)).unwrap();
    let mut bundle = bundle.clone();
    bundle["record"] = hex::encode(record.encode()).into();
    bundle["record_hash"] = record.hash().to_string().into();
    bundle["signature"] = hex::encode(signed.signature).into();
    bundle
}

/// A control API that gives these receipts and nothing else, in the place of the home's node.
fn stand_in(home: &Home, bundles: Vec<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let run = json!({ "pid": std::process::id(), "api": listener.local_addr().unwrap().to_string() });
    std::fs::write(home.path().join("run.json"), run.to_string()).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let first = lines.next().unwrap().unwrap();
            while !lines.next().unwrap().unwrap().is_empty() {}
            let asked = |bundle: &&Value| first.contains(&format!("/{} HTTP", bundle["seq"]));
            let body = bundles.iter().find(asked).map(Value::to_string).unwrap_or_default();
            let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all((head + &body).as_bytes()).unwrap();
        }
    });
}

#[test]
fn a_record_that_was_rewritten_and_signed_again_breaks_the_chain() {
    let home = Home::new();
    let node = home.up(&[]);
    home.ok(&["deploy", &example("counter")]);
    let mut receipt = String::new();
    for _ in 0..3 {
        let answer = node.ask_served("nisse.test.counter", "POST", "/");
        receipt = answer.header("nisse-receipt").unwrap().to_owned();
    }
    let (deployment, last) = receipt.rsplit_once('/').unwrap();
    let last: u64 = last.parse().unwrap();
    let bundles: Vec<Value> =
        (1..=last).map(|seq| home.json(&["receipt", "show", &format!("{deployment}/{seq}")])).collect();
    let operator = bundles[0]["node"].as_str().unwrap().to_owned();
    let verify = || home.run(&["receipt", "verify", &receipt, "--node", &operator]);
    node.kill();

    // Whoever holds the lock is the home's node.
    let _lock = SystemDisk.try_lock(&home.path().join("lock")).unwrap().unwrap();
    stand_in(&home, bundles.clone());
    assert_eq!(verify().code, 0, "{:?}", verify());
    let mut changed = bundles;
    let middle = changed.len() - 2;
    changed[middle] = rewritten(&home, &changed[middle]);
    stand_in(&home, changed);
    let refused = verify();
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(refused.err.contains(&format!("record {last} does not follow record {}", last - 1)), "{refused:?}");
}
