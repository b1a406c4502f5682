//! Receipts: what a node signed can be checked by anyone, and one changed digit is caught.

use serde_json::Value;

use crate::harness::{Ended, Home, eventually, example};

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
