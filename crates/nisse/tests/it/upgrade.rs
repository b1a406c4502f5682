//! A new version of the market on a home's own chain: home leases reopen on it, paid ones finish where they are.

use std::net::TcpListener;
use std::sync::Arc;

use nisse_market::embedded::{ChainOptions, EmbeddedChain, draw_chain_id};
use nisse_market::{ChainClient, ContractSettings, MarketAddresses, TxQueue, TxQueueOptions, deploy_contracts};
use nisse_store::{SystemClock, SystemDisk, SystemEntropy};
use serde_json::json;

use crate::harness::{Home, Node, eventually, example, host_of};
use crate::wallets::key_of;
use crate::web;

const COUNTER: &str = "nisse.test.counter";
const ORACLE: &str = "talos.oracle.price-eth";
const HOUR: u64 = 3_600;

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn count(node: &Node<'_>, method: &str) -> u64 {
    let answer = node.ask_served(COUNTER, method, "/");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text().trim().parse().unwrap()
}

#[test]
fn home_leases_reopen_on_the_new_market_and_paid_ones_finish_on_the_old() {
    let home = Home::new();
    let rpc = free_address();
    let flags = ["--demo", "--chain-dev", "--rpc", &rpc];
    let mut node = home.up(&flags);
    node.demo_is_told();
    let deployed = home.json(&["deploy", &example("counter"), "--key", "operator"]);
    assert_eq!(count(&node, "POST"), 1);
    let running = home.run(&["market", "upgrade"]);
    assert_eq!(running.code, 3, "a node runs on the home: {running:?}");
    let (before, paid) = (home.json(&["node", "status"]), home.json(&["status", ORACLE]));
    let host = host_of(&paid);
    node.kill();

    let upgraded = home.json(&["market", "upgrade"]);
    assert_eq!((&upgraded["version"], &upgraded["reopening"]), (&2.into(), &json!(["nisse.test.counter@v1.0.0"])));
    assert_eq!(upgraded["finishing"], json!(["talos.oracle.price-eth@v1.2.0"]));
    let mut node = home.up(&flags);
    node.demo_is_told();
    let after = home.json(&["node", "status"]);
    assert_eq!(after["market"], upgraded["manager"]);
    assert_ne!(after["market"], before["market"]);
    assert_eq!(after["stake"], before["stake"], "stakes stay where they are");

    // The home lease: another deployment of the new market, the same agent.
    let status = home.json(&["status", COUNTER]);
    assert_eq!((&status["state"], &status["restarts"]), (&"running".into(), &1.into()));
    let deployment = status["deployment"].as_str().unwrap();
    assert!(deployment.to_lowercase().contains(&upgraded["manager"].as_str().unwrap().to_lowercase()), "{deployment}");
    assert_eq!(count(&node, "POST"), 2, "with its state");
    let shown = home.json(&["market", "show", deployment]);
    assert_eq!(shown["state"], "running");
    let events: Vec<&str> =
        shown["events"].as_array().unwrap().iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert!(events.contains(&"supersedes"), "{events:?}");
    let old = home.json(&["market", "show", deployed["deployment"].as_str().unwrap()]);
    assert_eq!(old["state"], "stopped");

    // The paid lease: where it was, until its deposit is used up.
    assert_eq!(home.json(&["status", ORACLE])["deployment"], paid["deployment"]);
    assert_eq!(node.ask_served(&host, "GET", "/price").status, 200);
    assert_eq!(home.json(&["ls"]).as_array().unwrap().iter().filter(|agent| agent["state"] == "running").count(), 2);
    web::rpc(&rpc, "nisse_increaseTime", json!([format!("{:#x}", 20 * HOUR + 60)]));
    web::rpc(&rpc, "nisse_mine", json!([]));
    let ended = eventually("the end of the paid lease", || {
        let shown = home.json(&["market", "show", paid["deployment"].as_str().unwrap()]);
        (shown["state"] == "expired").then_some(shown)
    });
    assert_eq!(ended["paid"], ended["deposited"]);
    assert_eq!(home.json(&["status", COUNTER])["state"], "running", "a home lease has no end");

    // What is done from now on is done on the new market.
    let echo = home.json(&["deploy", &example("echo"), "--key", "operator"]);
    assert!(echo["deployment"].as_str().unwrap().contains(deployment.split(':').nth(1).unwrap()), "{echo}");
    let newer = home.copy_of("counter", "newer");
    newer.edit("@v1.0.0", "@v1.1.0");
    assert_eq!(home.json(&["update", COUNTER, newer.path()])["version"], "1.1.0");
    assert_eq!(count(&node, "GET"), 2);
}

#[test]
fn a_crash_between_the_upgrade_and_the_reopening_loses_nothing_and_a_second_upgrade_follows_the_first() {
    let home = Home::new();
    let node = home.up(&[]);
    home.ok(&["deploy", &example("counter")]);
    assert_eq!(count(&node, "POST"), 1);
    node.kill();
    assert_eq!(home.json(&["market", "upgrade"])["version"], 2);
    assert_eq!(home.json(&["market", "upgrade"])["version"], 3);
    let node = home.up(&[]);
    assert_eq!(count(&node, "POST"), 2);
    let first = home.json(&["status", COUNTER])["deployment"].clone();
    node.kill();
    let node = home.up(&[]);
    assert_eq!(home.json(&["status", COUNTER])["deployment"], first, "it is reopened once");
    assert_eq!(count(&node, "POST"), 3);
    node.kill();

    // A chain of several versions is rebuilt as well.
    std::fs::remove_dir_all(home.path().join("chain")).unwrap();
    home.ok(&["doctor", "--rebuild-chain"]);
    let node = home.up(&[]);
    assert_eq!(home.json(&["status", COUNTER])["deployment"], first);
    assert_eq!(count(&node, "GET"), 3);
    home.ok(&["stop", COUNTER]);
}

/// Makes the home's chain anew as a release with other contracts would have made it.
fn by_another_release(home: &Home) -> MarketAddresses {
    let folder = home.path().join("chain");
    std::fs::remove_dir_all(&folder).unwrap();
    let key = key_of(home, "operator");
    let settings = ContractSettings { ack_timeout_seconds: 61, unbonding_seconds: 1, ..ContractSettings::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (disk, clock) = (Arc::new(SystemDisk), Arc::new(SystemClock::default()));
        let id = draw_chain_id(&SystemEntropy);
        let begun = ChainOptions { new_chain_id: Some(id), expect_chain_id: None, allocations: Vec::new(), dev: false };
        let chain = EmbeddedChain::open(disk.clone(), clock.clone(), &SystemEntropy, &folder, begun).unwrap();
        let (client, options) = (ChainClient::embedded(chain), TxQueueOptions::embedded(id));
        let folder = folder.join("queue-operator");
        let opened = TxQueue::open(disk, clock, &SystemEntropy, &folder, client.clone(), Arc::new(key), options);
        let (queue, driver) = opened.unwrap();
        let driver = tokio::spawn(driver.run());
        let made = deploy_contracts(&client, &queue, &settings).await.unwrap();
        driver.abort();
        let _ = driver.await;
        made
    })
}

#[test]
fn a_home_of_a_release_with_other_contracts_goes_on_with_them_and_upgrades_to_those_of_this_one() {
    let home = Home::new();
    home.up(&[]).kill();
    let made = by_another_release(&home);
    let node = home.up(&[]);
    assert_eq!(home.json(&["node", "status"])["market"], made.manager.to_string());
    home.ok(&["deploy", &example("counter")]);
    assert_eq!(count(&node, "POST"), 1);
    node.kill();
    let upgraded = home.json(&["market", "upgrade"]);
    assert_eq!((&upgraded["version"], &upgraded["reopening"]), (&2.into(), &json!(["nisse.test.counter@v1.0.0"])));
    let node = home.up(&[]);
    assert_eq!(home.json(&["node", "status"])["market"], upgraded["manager"]);
    assert_eq!(count(&node, "POST"), 2, "with its state");
}
