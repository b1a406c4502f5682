//! A node that falls silent: its agent goes on at the next one, and every unit of money is accounted for.

use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use nisse_model::Amount;
use serde_json::{Value, json};

use crate::bidding::{WINDOW, ended_by};
use crate::harness::{Home, eventually, host_of};
use crate::rented::{at_price, operator, order, renter_with, serve, serving};
use crate::web;

/// How often a block is made.
const BLOCK_TIME: Duration = Duration::from_millis(200);
/// Seconds of a heartbeat period.
const PERIOD: u64 = 600;
/// Longer than nodes leave between two looks at the clock.
const LOOKS: Duration = Duration::from_secs(3);
/// Nodes show life within the first quarter of it.
pub(crate) const SHOWN: u64 = PERIOD / 4;
/// From here on silence can be told of; the last who tell wait for another eighth.
const TOLD: u64 = PERIOD * 3 / 4 + PERIOD / 8;

fn talos(amount: &Value) -> u128 {
    amount.as_str().unwrap().parse::<Amount>().unwrap().0
}

/// The amount that begins a sentence about money.
fn amount_in(detail: &Value) -> u128 {
    detail.as_str().unwrap().split(' ').next().unwrap().parse::<Amount>().unwrap().0
}

fn details<'a>(events: &'a [Value], name: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event"] == name).map(|event| &event["detail"]).collect()
}

/// A chain that makes blocks by itself: on this one time alone makes none, and others than its home wait for some more
/// behind each transaction.
pub(crate) struct Mining {
    ends: mpsc::Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Mining {
    pub(crate) fn begin(rpc: &str) -> Self {
        let (ends, ended) = mpsc::channel();
        let rpc = rpc.to_owned();
        let thread = std::thread::spawn(move || {
            while ended.recv_timeout(BLOCK_TIME) == Err(mpsc::RecvTimeoutError::Timeout) {
                web::rpc(&rpc, "nisse_mine", json!([]));
            }
        });
        Self { ends, thread: Some(thread) }
    }
}

impl Drop for Mining {
    fn drop(&mut self) {
        let _ = self.ends.send(());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Moves the chain's clock into its next period, so many seconds behind its beginning. When that period begins.
pub(crate) fn into_next_period(home: &Home, rpc: &str, behind: u64) -> u64 {
    let now = home.json(&["node", "status"])["chain_time"].as_u64().unwrap() / 1000;
    let begins = (now / PERIOD + 1) * PERIOD;
    let ahead = begins + behind - now;
    web::rpc(rpc, "nisse_increaseTime", json!([format!("{ahead:#x}")]));
    begins
}

/// Moves the chain's clock on.
pub(crate) fn on(rpc: &str, seconds: u64) {
    web::rpc(rpc, "nisse_increaseTime", json!([format!("{seconds:#x}")]));
}

/// Waits until a node has shown life in the period that begins then.
fn shown(home: &Home, begins: u64) {
    eventually("a heartbeat", || {
        let status = home.json(&["node", "status"]);
        (status["heartbeat_last"].as_u64() >= Some(begins * 1000)).then_some(())
    });
}

#[test]
fn a_node_that_falls_silent_loses_its_lease_and_the_next_one_goes_on_under_the_same_name() {
    let (alice, bob, carol) = (Home::new(), Home::new(), Home::new());
    let renter = renter_with(&alice, &["--chain-dev"]);
    let rpc = alice.json(&["node", "status"])["rpc"].as_str().unwrap().to_owned();
    let mining = Mining::begin(&rpc);
    let (flags, gateway) = (serving(&alice), format!("http://{}", renter.public));
    let carols = serve(&carol, &at_price(&flags, "42"), &["--gateway", &gateway]);
    let bobs = serve(&bob, &flags, &["--gateway", &gateway]);
    // Whoever was there first, the lowest of all bids has it.
    let deployed = ended_by(&alice, &rpc, "counter", &bob, || order(&alice, &["--bid-window", WINDOW]));
    assert_eq!((&deployed["state"], &deployed["node"]), (&json!("running"), &operator(&bob)), "{deployed}");
    let deployment = deployed["deployment"].as_str().unwrap();
    let host = host_of(&bob.json(&["status", deployment]));
    assert_eq!(bobs.ask_served(&host, "POST", "/").text().trim(), "1");

    // As long as it lives it says so, and nobody else has to. Where it cannot, its operator is told.
    web::rpc(&rpc, "nisse_failNext", json!(["0xffffff", "eth_call"]));
    let begins = into_next_period(&alice, &rpc, SHOWN + 1);
    let silent = "its heartbeat does not go out, and it may lose its leases: ";
    eventually("bob's trouble", || bob.run(&["doctor"]).out.contains(silent).then_some(()));
    web::rpc(&rpc, "nisse_failNext", json!(["0x0"]));
    shown(&bob, begins);
    let proven = eventually("what it said of the lease", || {
        let told = bob.run(&["--json", "receipt", "heartbeat", deployment]);
        serde_json::from_str::<Value>(&told.out).ok()
    });
    let record = bob.json(&["receipt", "show", &format!("{deployment}/1")]);
    assert_eq!((&proven["records"], &proven["record_hash"]), (&json!(1), &record["record_hash"]), "{proven}");
    assert_eq!(proven["state_root"], bob.json(&["status", deployment])["state_root"], "{proven}");
    eventually("the end of it", || (!bob.run(&["doctor"]).out.contains(silent)).then_some(()));
    assert_eq!(carol.json(&["node", "status"])["heartbeat_last"], Value::Null, "it holds no lease");
    let told = bob.ok(&["node", "status"]);
    assert!(told.contains("heartbeat") && told.contains("of 600 s"), "{told}");
    into_next_period(&alice, &rpc, 1);
    assert_eq!(alice.json(&["status", deployment])["node"], operator(&bob));
    let bob_is = operator(&bob);
    bobs.kill();

    // It misses a period: whoever waits for the agent, or would run it, was there when it began, and says so.
    into_next_period(&alice, &rpc, 1);
    std::thread::sleep(LOOKS);
    on(&rpc, TOLD);
    let there = eventually("the lease to be another's", || {
        let status = alice.json(&["status", deployment]);
        (status["state"] == "running" && status["node"] == operator(&carol)).then_some(status)
    });
    assert_eq!(there["lease"]["rate"], "42", "{there}");
    assert_eq!(carols.ask_served(&host, "POST", "/").text().trim(), "1", "the same name, from its beginning");
    let begins = into_next_period(&alice, &rpc, SHOWN + 1);
    shown(&carol, begins);

    // Who was paid what: the silent one until it fell silent, the next one from its start on, the rest is the owner's.
    alice.ok(&["stop", deployment]);
    let entry = alice.json(&["market", "show", deployment]);
    let events = entry["events"].as_array().unwrap();
    let reopened = details(events, "reopened");
    assert_eq!(reopened.len(), 1, "{entry}");
    assert!(reopened[0].as_str().unwrap().contains(bob_is.as_str().unwrap()), "{reopened:?}");
    let paid: u128 = details(events, "settled").into_iter().map(amount_in).sum();
    let refunded: u128 = details(events, "stopped").into_iter().map(amount_in).sum();
    assert_eq!(paid + refunded, 100 * Amount::TALOS.0, "{entry}");
    let earned = carol.json(&["node", "earnings"]);
    assert!(talos(&earned["earned"]) > 0, "{earned}");

    // And the one that comes back finds that it has lost it.
    let bobs = bob.up(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    let back = eventually("the silent one to know", || {
        let status = bob.json(&["status", deployment]);
        (status["state"] == "stopped").then_some(status)
    });
    assert_eq!(back["reason"], "taken from this node, which showed no life in a heartbeat period", "{back}");
    // An hour of what it asked was taken, and it has laid that down again.
    let missed = details(events, "missed");
    assert_eq!(missed.into_iter().map(amount_in).collect::<Vec<_>>(), [40 * Amount::TALOS.0], "{entry}");
    eventually("its stake", || (bob.json(&["node", "status"])["stake"] == "10000").then_some(()));
    drop((bobs, mining));
}

#[test]
fn a_rehearsal_plays_the_whole_cycle_and_its_ledger_adds_up() {
    let home = Home::new();
    let ledger = home.json(&["market", "rehearse", "--nodes", "2"]);
    let entries = |side: &str| ledger[side].as_array().unwrap().clone();
    let sum = |side: &str| entries(side).iter().map(|entry| talos(&entry["talos"])).sum::<u128>();
    // The payment, and an hour of what the killed node asked.
    assert_eq!((sum("paid_in"), sum("paid_out")), (140 * Amount::TALOS.0, 140 * Amount::TALOS.0), "{ledger}");
    for who in ["back to the renter", "drawn by node 1", "drawn by node 2"] {
        let entry = entries("paid_out").into_iter().find(|entry| entry["what"] == who);
        assert!(entry.is_some_and(|entry| talos(&entry["talos"]) > 0), "{who}: {ledger}");
    }
    assert!(!home.path().exists(), "it has no part in the home");
    let refused = home.run(&["market", "rehearse", "--nodes", "1"]).refusal();
    assert!(refused.starts_with("exit 2\n"), "nobody would take over: {refused}");
}
