//! What happens on the chain without the node's doing: its owner pauses an agent there, a reorganisation takes blocks
//! away, the address book lists a new version.

use std::net::TcpListener;
use std::sync::Arc;

use async_trait::async_trait;
use nisse_market::{
    ChainClient, LocalKey, Market, RpcPost, RpcPostError, Signer as _, TxQueue, TxQueueOptions, made_by,
};
use nisse_store::{SystemClock, SystemDisk, SystemEntropy};
use serde_json::{Value, json};

use crate::harness::{Home, Node, eventually, example, host_of};
use crate::wallets::key_of;
use crate::web;

const COUNTER: &str = "nisse.test.counter";
const ORACLE: &str = "talos.oracle.price-eth";
/// The operator makes the address book with its third transaction.
const BOOK_NONCE: u64 = 2;

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// The chain's JSON-RPC as a tool outside the node reaches it.
struct Post;

#[async_trait]
impl RpcPost for Post {
    async fn post(&self, url: &str, body: Vec<u8>) -> Result<Vec<u8>, RpcPostError> {
        let address = url.strip_prefix("http://").unwrap().to_owned();
        let asked = tokio::task::spawn_blocking(move || {
            let headers = [("host", address.as_str()), ("content-type", "application/json")];
            web::request(&address, "POST", "/", &headers, &body).map(|answer| answer.text().into_bytes())
        });
        asked.await.unwrap().map_err(|error| RpcPostError(error.to_string()))
    }
}

/// Does something on the chain with one of the home's keys, behind the node's back.
pub(crate) fn as_owner<F: Future<Output = ()>>(home: &Home, rpc: &str, key: &str, act: impl FnOnce(Market) -> F) {
    with_key(home, rpc, key_of(home, key), act);
}

/// The same with any key.
pub(crate) fn with_key<F: Future<Output = ()>>(home: &Home, rpc: &str, key: LocalKey, act: impl FnOnce(Market) -> F) {
    let status = home.json(&["node", "status"]);
    let book = made_by(status["operator"].as_str().unwrap().parse().unwrap(), BOOK_NONCE);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = ChainClient::remote(format!("http://{rpc}"), Arc::new(Post));
        let options = TxQueueOptions::embedded(status["chain"].as_u64().unwrap());
        let folder = home.beside(&format!("outside-{}", key.address()));
        let (disk, clock) = (Arc::new(SystemDisk), Arc::new(SystemClock::default()));
        let (queue, driver) =
            TxQueue::open(disk, clock, &SystemEntropy, &folder, client.clone(), Arc::new(key), options).unwrap();
        let driver = tokio::spawn(driver.run());
        act(Market::open(client, queue, book).await.unwrap()).await;
        driver.abort();
    });
}

fn count(node: &Node<'_>, method: &str) -> u64 {
    let answer = node.ask_served(COUNTER, method, "/");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text().trim().parse().unwrap()
}

fn in_state(home: &Home, agent: &str, state: &str) -> Value {
    eventually(&format!("{agent} to be {state}"), || {
        let status = home.json(&["status", agent]);
        (status["state"] == state).then_some(status)
    })
}

#[test]
fn an_agent_that_its_owner_pauses_on_chain_rests_until_it_is_resumed_there() {
    let home = Home::new();
    let rpc = free_address();
    let mut node = home.up(&["--demo", "--rpc", &rpc]);
    node.demo_is_told();
    let host = host_of(&home.json(&["status", ORACLE]));
    // The second run has no feed to ask: it answers what the first one fetched.
    assert_eq!(node.ask_served(&host, "GET", "/price").status, 200);
    as_owner(&home, &rpc, "deployer", async |market| {
        market.pause("pause", 1).await.unwrap();
    });
    in_state(&home, ORACLE, "paused");
    assert_eq!(node.ask(&host, "GET", "/price").status, 503);
    node.kill();
    let node = home.up(&["--rpc", &rpc]);
    assert_eq!(home.json(&["status", ORACLE])["state"], "paused", "it is remembered");
    as_owner(&home, &rpc, "deployer", async |market| {
        market.resume("resume", 1).await.unwrap();
    });
    in_state(&home, ORACLE, "running");
    assert_eq!(node.ask_served(&host, "GET", "/price").status, 200);
}

#[test]
fn an_agent_whose_assignment_was_undone_stops_and_says_why_and_comes_back_with_it() {
    let home = Home::new();
    let rpc = free_address();
    let node = home.up(&["--chain-dev", "--rpc", &rpc]);
    home.ok(&["deploy", &example("counter")]);
    assert_eq!(count(&node, "POST"), 1);
    // The acknowledgement and the deployment; the publication before them stays.
    web::rpc(&rpc, "nisse_reorg", json!(["0x2", false]));
    let status = in_state(&home, COUNTER, "stopped");
    assert_eq!(status["reason"], "its assignment was undone by a reorganisation of the chain");
    assert_eq!(node.ask(COUNTER, "GET", "/").status, 503);

    // The next transaction of the same key brings the lost ones back, and the lease with them.
    home.ok(&["deploy", &example("echo")]);
    in_state(&home, COUNTER, "running");
    assert_eq!(count(&node, "POST"), 2, "with its state");
    eventually("the chain to know", || (home.json(&["market", "show", "1"])["state"] == "running").then_some(()));
    node.echo_answers();
}

#[test]
fn a_reorganisation_that_takes_only_the_acknowledgement_has_it_sent_again() {
    let home = Home::new();
    let rpc = free_address();
    let node = home.up(&["--chain-dev", "--rpc", &rpc]);
    home.ok(&["deploy", &example("counter")]);
    assert_eq!(count(&node, "POST"), 1);
    web::rpc(&rpc, "nisse_reorg", json!(["0x1", false]));
    eventually("the start to stand again", || {
        (home.json(&["market", "show", "1"])["state"] == "running").then_some(())
    });
    assert_eq!(home.json(&["status", COUNTER])["state"], "running");
    assert_eq!(count(&node, "POST"), 2, "it never rested");
}

#[test]
fn a_reorganisation_that_keeps_everything_moves_nothing() {
    let home = Home::new();
    let rpc = free_address();
    let node = home.up(&["--chain-dev", "--rpc", &rpc]);
    let before = home.json(&["deploy", &example("counter")]);
    assert_eq!(count(&node, "POST"), 1);
    web::rpc(&rpc, "nisse_reorg", json!(["0x3", true]));
    eventually("the new blocks to be read", || node.said().contains("was reorganised").then_some(()));
    let status = home.json(&["status", COUNTER]);
    assert_eq!((&status["state"], &status["deployment"]), (&"running".into(), &before["deployment"]));
    assert_eq!(count(&node, "POST"), 2);
    let shown = home.json(&["market", "show", "1"]);
    let started = shown["events"].as_array().unwrap().iter().filter(|event| event["event"] == "started").count();
    assert_eq!(started, 1, "{shown}");
}

#[test]
fn a_reorganisation_deeper_than_the_node_remembers_stops_neither_the_node_nor_its_agents() {
    let home = Home::new();
    let rpc = free_address();
    let node = home.up(&["--chain-dev", "--rpc", &rpc]);
    home.ok(&["deploy", &example("counter")]);
    assert_eq!(count(&node, "POST"), 1);
    web::rpc(&rpc, "nisse_mine", json!(["0x100"]));
    eventually("the new blocks to be told", || {
        web::rpc(&rpc, "nisse_reorg", json!(["0x90", true]));
        node.said().contains("is read from its beginning").then_some(())
    });
    assert_eq!(count(&node, "POST"), 2);
    home.ok(&["deploy", &example("echo")]);
    node.echo_answers();
    assert_eq!(home.json(&["status", COUNTER])["state"], "running");
    node.kill();
    let node = home.up(&["--chain-dev", "--rpc", &rpc]);
    assert_eq!(count(&node, "POST"), 3);
}

/// Answers of the oracle's feed, by the market's log.
fn answers(home: &Home) -> Vec<String> {
    let shown = home.json(&["market", "show", "1"]);
    let events = shown["events"].as_array().unwrap().iter().filter(|event| event["event"] == "answer");
    events.map(|event| event["detail"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn gas_is_counted_from_receipts_and_an_answer_goes_out_once() {
    let home = Home::new();
    let rpc = free_address();
    let flags = ["--demo", "--rpc", &rpc];
    let mut node = home.up(&flags);
    node.demo_is_told();
    eventually("the first answer", || (!answers(&home).is_empty()).then_some(()));
    let gas = eventually("its receipt", || {
        let status = home.json(&["status", ORACLE]);
        status["gas"]["spent"].as_u64().map(|_| status["gas"].clone())
    });
    assert_eq!(gas["refused"], Value::Null);
    let told = answers(&home);
    // What the chain says of the same transactions.
    let operator = home.json(&["node", "status"])["operator"].as_str().unwrap().to_lowercase();
    let shown = home.json(&["market", "show", "1"]);
    let blocks: Vec<u64> = shown["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["event"] == "answer")
        .map(|event| event["block"].as_u64().unwrap())
        .collect();
    let burnt: u64 = blocks
        .iter()
        .map(|block| {
            let receipts = web::rpc(&rpc, "eth_getBlockReceipts", json!([format!("{block:#x}")]));
            let receipt = &receipts[0];
            assert_eq!(receipt["from"].as_str().unwrap().to_lowercase(), operator);
            u64::from_str_radix(receipt["gasUsed"].as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
        })
        .sum();
    assert_eq!(gas["spent"], burnt);
    assert!(gas["allowed"].as_u64().unwrap() >= burnt);
    node.kill();

    let mut node = home.up(&flags);
    node.demo_is_told();
    assert_eq!(answers(&home), told, "none is sent again");
    let spent = eventually("what was spent", || home.json(&["status", ORACLE])["gas"]["spent"].as_u64());
    assert_eq!(spent, burnt, "none is counted again");
}
