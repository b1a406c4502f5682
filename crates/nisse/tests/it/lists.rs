//! Lists that do not hold everything, and what the node says of itself: whoever reads them is told.

use base64::Engine as _;
use nisse_market::{DeployOrder, ListedPackage, LocalKey, Market, MarketCall, PublicationTerms};
use nisse_model::{Amount, AmountPerHour, ContentId, Hash256, Resources};
use serde_json::{Value, json};

use crate::chain_facts::{as_owner, with_key};
use crate::harness::{Home, eventually, example};
use crate::web;

/// Orders of a home that are looked through, and deployments that are listed.
const LOOKED_THROUGH: u64 = 200;

/// Orders, with whatever key, so many of what nobody can run.
async fn order_many(market: Market, many: u64) {
    let nothing = Hash256::of(b"nobody holds this");
    let terms = PublicationTerms {
        package: ListedPackage {
            agent_id: "nisse.test.missing@v1.0.0".to_owned(),
            manifest_cid: ContentId::raw(nothing),
            artifact_cid: ContentId::raw(nothing),
            artifact_hash: nothing,
            config_hash: Hash256::of(b"{}"),
            resources: Resources { cpu: "0.01".parse().unwrap(), memory: "1MiB".parse().unwrap(), gpu: false },
        },
        max_rate: AmountPerHour(1),
        bid_window_seconds: 0,
        gas_budget: 0,
    };
    let publication = market.publish("publish", terms).await.unwrap();
    for number in 0..many {
        let order = DeployOrder { publication, payment: Amount(1), ..DeployOrder::default() };
        let intent = format!("deploy {number}");
        if number == 0 {
            market.deploy(&intent, order).await.unwrap();
        } else {
            market.submit(&intent, &MarketCall::Deploy(order)).await.unwrap();
        }
    }
    if many > 1 {
        market.outcome(&format!("deploy {}", many - 1)).await.unwrap();
    }
}

#[test]
fn a_list_that_is_cut_says_how_much_it_leaves_out() {
    let home = Home::new();
    let rpc = web::free_address();
    let mut node = home.up(&["--demo", "--rpc", &rpc]);
    node.demo_is_told();
    as_owner(&home, &rpc, "deployer", async |market| {
        order_many(market, LOOKED_THROUGH + 2).await;
    });
    // The oracle runs here, so that its number is no matter; the first two orders are too old.
    let listed = eventually("all orders", || {
        let listed = home.run(&["ls", "--json"]);
        let agents: Value = serde_json::from_str(&listed.out).unwrap();
        (agents.as_array().unwrap().len() as u64 == LOOKED_THROUGH + 1).then_some(listed)
    });
    let note: Value = serde_json::from_str(&listed.err).unwrap();
    let said = note["note"].as_str().unwrap();
    assert!(said.ends_with("one of the 3 older ones is found by its full name"), "{said}");
    assert!(home.run(&["ls"]).err.starts_with("note: only the newest 200 orders of this home"));
    assert_eq!(home.json(&["status", "talos.oracle.price-eth"])["state"], "running");

    let listed = home.run(&["market", "ls"]);
    assert_eq!(listed.out.lines().count() as u64, LOOKED_THROUGH + 1, "with a heading");
    assert!(listed.err.contains("each of the 3 older ones is shown by `nisse market show NUMBER`"), "{listed:?}");
    let token = format!("Bearer {}", std::fs::read_to_string(home.path().join("token")).unwrap().trim());
    let headers = [("host", node.api.as_str()), ("authorization", token.as_str())];
    for path in ["/api/v1/agents", "/api/v1/market"] {
        assert_eq!(web::request(&node.api, "GET", path, &headers, b"").unwrap().json()["older"], 3, "{path}");
    }
}

#[test]
fn an_order_is_found_by_its_name_however_many_strangers_order_after_it() {
    let home = Home::new();
    let rpc = web::free_address();
    let mut node = home.up(&["--demo", "--rpc", &rpc]);
    node.demo_is_told();
    // It pays too little for this node.
    home.ok(&["deploy", &example("counter"), "--payment", "100", "--max-rate", "1", "--wait", "0"]);
    with_key(&home, &rpc, LocalKey::from_bytes(&[7; 32]).unwrap(), async |market| {
        market.faucet("faucet", Amount(1_000)).await.unwrap();
        order_many(market, LOOKED_THROUGH + 20).await;
    });
    assert_eq!(home.json(&["status", "nisse.test.counter"])["state"], "open");
    let listed = eventually("the log to be read", || {
        let listed = home.run(&["ls", "--json"]);
        listed.err.is_empty().then_some(listed)
    });
    let agents: Value = serde_json::from_str(&listed.out).unwrap();
    assert_eq!(agents.as_array().unwrap().len(), 2, "the oracle and the order: {agents}");
    node.kill();
    let _node = home.up(&["--rpc", &rpc]);
    // What was not on the disk yet is read again.
    eventually("the log to be read again", || (home.run(&["status", "nisse.test.counter"]).code == 0).then_some(()));
    assert_eq!(home.json(&["stop", "nisse.test.counter"])["state"], "stopped", "its deposit comes back");
}

#[test]
fn a_node_says_where_its_chain_is_and_that_it_takes_no_new_work() {
    let home = Home::new();
    let node = home.up(&[]);
    let told = home.ok(&["node", "status"]);
    assert!(told.contains("rpc         not served; `nisse up --rpc 127.0.0.1:8545` serves it"), "{told}");
    assert_eq!(home.json(&["node", "drain"]), json!({ "draining": true }));
    assert_eq!(home.json(&["node", "drain", "--off"]), json!({ "draining": false }));
    assert!(home.ok(&["node", "drain"]).starts_with("this node takes no new work; what runs here goes on"));
    assert!(home.ok(&["node", "status"]).contains("draining    yes"));
    assert_eq!(home.ok(&["node", "drain", "--off"]), "this node takes work again\n");
    node.kill();

    let node = home.up(&["--rpc", "127.0.0.1:0"]);
    let status = home.json(&["node", "status"]);
    let (url, contract) = (status["chain_url"].as_str().unwrap(), status["contract"].as_str().unwrap());
    assert_eq!(url, format!("http://{}", status["rpc"].as_str().unwrap()));
    let told = home.ok(&["node", "status"]);
    for row in [
        format!("chain       {}, block ", status["chain"]),
        format!("rpc         {url}\n"),
        format!("contract    {contract}\n"),
        format!(
            "joined by   nisse node serve --chain {url} --chain-id {} --contract {contract} --gateway http://{}\n",
            status["chain"], node.public
        ),
    ] {
        assert!(told.contains(&row), "{row:?} is not in {told}");
    }
}

#[test]
fn a_deployment_that_is_still_on_its_way_is_told_as_that() {
    let home = Home::new();
    let node = home.up(&[]);
    let package = json!({
        "manifest": std::fs::read_to_string(format!("{}/agent.yaml", example("counter"))).unwrap(),
        "artifact": base64::engine::general_purpose::STANDARD.encode(std::fs::read(format!("{}/counter.wasm", example("counter"))).unwrap()),
    });
    let answer = node.post("/api/v1/agents", &json!({ "package": package, "wait_ms": 1 }));
    let deployed = answer.json();
    let state = deployed["state"].as_str().unwrap();
    assert!(["open", "assigned", "preparing", "starting"].contains(&state), "{deployed}");
    if state == "preparing" {
        assert_eq!(deployed["reason"], "its package is being fetched, checked and compiled");
    }
    eventually("it to run", || (home.json(&["status", "nisse.test.counter"])["state"] == "running").then_some(()));
}
