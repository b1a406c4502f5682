//! A home whose chain is lost or damaged: refused by `up`, made anew by `doctor --rebuild-chain`, and the same agents
//! answer with the same state.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::harness::{Ended, Home, Node, eventually, example, host_of};

const COUNTER: &str = "nisse.test.counter";
const ORACLE: &str = "talos.oracle.price-eth";

fn count(node: &Node<'_>, method: &str) -> u64 {
    let answer = node.ask_served(COUNTER, method, "/");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text().trim().parse().unwrap()
}

/// `up` that has to refuse.
fn refused(home: &Home) -> Ended {
    let ended = home.run(&["up", "--api", "127.0.0.1:0", "--public", "127.0.0.1:0"]);
    assert_ne!(ended.code, 0, "{ended:?}");
    assert!(ended.err.contains("nisse doctor --rebuild-chain"), "{ended:?}");
    ended
}

fn number(deployment: &Value) -> String {
    deployment.as_str().unwrap().rsplit(':').next().unwrap().to_owned()
}

fn chain_of(home: &Home) -> PathBuf {
    home.path().join("chain")
}

#[test]
fn a_lost_chain_is_rebuilt_and_the_agents_answer_with_their_state() {
    let home = Home::new();
    let node = home.up(&[]);
    // Number 1 ends, 2 is destroyed and forgotten, 3 goes on and is updated once.
    home.ok(&["deploy", &example("echo")]);
    home.ok(&["stop", "nisse.test.echo"]);
    home.ok(&["deploy", &example("log-flood")]);
    home.ok(&["destroy", "nisse.test.log-flood"]);
    let deployed = home.json(&["deploy", &example("counter")]);
    assert_eq!(number(&deployed["deployment"]), "3");
    assert_eq!(count(&node, "POST"), 1);
    let newer = home.copy_of("counter", "newer");
    newer.edit("@v1.0.0", "@v1.1.0");
    home.ok(&["update", COUNTER, newer.path()]);
    assert_eq!(count(&node, "POST"), 2);
    let receipt = node.ask(COUNTER, "GET", "/").header("nisse-receipt").unwrap().to_owned();
    let before = home.json(&["node", "status"]);
    let root = home.json(&["status", COUNTER])["state_root"].clone();
    home.ok(&["receipt", "verify", &receipt]);
    node.kill();

    fs::remove_dir_all(chain_of(&home)).unwrap();
    let said = refused(&home);
    assert_eq!(said.code, 3, "{said:?}");
    let rebuilt = home.json(&["doctor", "--rebuild-chain"]);
    let live: Vec<bool> =
        rebuilt["deployments"].as_array().unwrap().iter().map(|one| one["live"].as_bool().unwrap()).collect();
    assert_eq!(live, [false, false, true], "{rebuilt}");
    assert_eq!(rebuilt["deployments"][2]["deployment"], deployed["deployment"]);

    let node = home.up(&[]);
    assert_eq!(count(&node, "GET"), 2, "its state is the one it had");
    let after = home.json(&["node", "status"]);
    for same in ["operator", "chain", "market", "stake"] {
        assert_eq!(after[same], before[same], "{same}");
    }
    let status = home.json(&["status", COUNTER]);
    assert_eq!((&status["deployment"], &status["version"]), (&deployed["deployment"], &"1.1.0".into()));
    assert_eq!(status["state_root"], root);
    assert_eq!(home.json(&["market", "show", "3"])["state"], "running");
    home.ok(&["receipt", "verify", &receipt]);
    let verified = home.json(&["receipt", "verify", node.ask(COUNTER, "GET", "/").header("nisse-receipt").unwrap()]);
    assert!(verified["records"].as_u64().unwrap() > 2, "the chain of records goes on: {verified}");

    // What an owner does goes on as if nothing had been.
    assert_eq!(home.json(&["update", COUNTER, &example("counter"), "--allow-downgrade"])["version"], "1.0.0");
    assert_eq!(count(&node, "POST"), 3);
    assert_eq!(home.json(&["rollback", COUNTER])["version"], "1.1.0");
    home.ok(&["stop", COUNTER]);
    let again = home.json(&["start", COUNTER]);
    assert_eq!(number(&again["deployment"]), "4", "numbers go on where they were");
    assert_eq!(count(&node, "GET"), 2);
}

#[test]
fn a_damaged_chain_is_kept_as_a_copy_and_a_sound_one_is_not_touched() {
    let home = Home::new();
    let node = home.up(&[]);
    home.ok(&["deploy", &example("counter")]);
    assert_eq!(count(&node, "POST"), 1);
    let running = home.run(&["doctor", "--rebuild-chain"]);
    assert_eq!(running.code, 3, "a node runs on it: {running:?}");
    node.kill();
    let sound = home.run(&["doctor", "--rebuild-chain"]);
    assert_eq!(sound.code, 3, "{sound:?}");
    assert!(sound.err.contains("it is in order"), "{sound:?}");

    // One byte in the middle of the log.
    let blocks = chain_of(&home).join("blocks");
    let segment = fs::read_dir(&blocks).unwrap().map(|entry| entry.unwrap().path()).max().unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle] ^= 1;
    fs::write(&segment, &bytes).unwrap();
    refused(&home);
    let rebuilt = home.json(&["doctor", "--rebuild-chain"]);
    let copy = PathBuf::from(rebuilt["copy"].as_str().unwrap()).join("blocks").join(segment.file_name().unwrap());
    assert_eq!(fs::read(copy).unwrap(), bytes, "what was there is kept");

    let node = home.up(&[]);
    assert_eq!(count(&node, "POST"), 2);
}

#[test]
fn a_chain_that_cannot_be_read_now_is_not_replaced() {
    let home = Home::new();
    let node = home.up(&[]);
    home.ok(&["deploy", &example("counter")]);
    assert_eq!(count(&node, "POST"), 1);
    node.kill();
    // A disk that fails, or the folder of a newer nisse, says nothing about the chain.
    for folder in ["blocks", "queue-operator"] {
        let (there, aside) = (chain_of(&home).join(folder), home.path().join("aside"));
        fs::rename(&there, &aside).unwrap();
        fs::write(&there, b"no folder").unwrap();
        let refused = home.run(&["doctor", "--rebuild-chain"]);
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(!refused.err.contains("--rebuild-chain`"), "{refused:?}");
        fs::remove_file(&there).unwrap();
        fs::rename(&aside, &there).unwrap();
    }
    let node = home.up(&[]);
    assert_eq!(count(&node, "GET"), 1);
    assert_eq!(home.json(&["market", "show", "1"])["state"], "running", "it is the chain that was there");
}

#[test]
fn a_queue_that_is_gone_is_no_reason_to_begin_anew() {
    let home = Home::new();
    let node = home.up(&[]);
    home.ok(&["deploy", &example("counter")]);
    assert_eq!(count(&node, "POST"), 1);
    node.kill();
    fs::remove_dir_all(chain_of(&home).join("queue-operator")).unwrap();
    refused(&home);
    home.ok(&["doctor", "--rebuild-chain"]);
    let node = home.up(&[]);
    assert_eq!(count(&node, "GET"), 1);
}

#[test]
fn a_paid_lease_goes_on_from_when_it_began() {
    let home = Home::new();
    let mut node = home.up(&["--demo"]);
    node.demo_is_told();
    let before = home.json(&["status", ORACLE]);
    let host = host_of(&before);
    node.kill();
    fs::remove_dir_all(chain_of(&home)).unwrap();
    refused(&home);
    let told = home.ok(&["doctor", "--rebuild-chain"]);
    assert!(told.contains("its lease goes on"), "{told}");

    let mut node = home.up(&["--demo"]);
    node.demo_is_told();
    let after = eventually("the lease", || {
        let status = home.json(&["status", ORACLE]);
        status["lease"]["ends_at"].is_u64().then_some(status)
    });
    assert_eq!(after["deployment"], before["deployment"]);
    assert_eq!(after["lease"]["ends_at"], before["lease"]["ends_at"]);
    assert_eq!(after["lease"]["rate"], before["lease"]["rate"]);
    assert_eq!(node.ask_served(&host, "GET", "/price").status, 200);
}

#[test]
fn without_a_home_there_is_nothing_to_rebuild() {
    let home = Home::new();
    let ended = home.run(&["doctor", "--rebuild-chain"]);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.err.contains("no home stands"), "{ended:?}");
    assert!(!home.path().exists(), "and none is made");
}
