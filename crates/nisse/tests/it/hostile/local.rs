//! A package that wants a service of the node's own network: given to the operator's own agents, and to nobody else's.

use std::path::Path;

use insta::assert_snapshot;
use nisse_market::{DeployOrder, ListedPackage, PublicationTerms};
use nisse_model::{Amount, AmountPerHour, ContentId, Hash256, Manifest};
use serde_json::{Value, json};

use crate::chain_facts::as_owner;
use crate::harness::{Home, Package, eventually};
use crate::web;

use super::canary::{Canary, Upstream};
use super::reach::probe;

const PROBER: &str = "nisse.test.egress-prober";

/// The prober with the wish to reach a port of this machine.
fn prober(home: &Home, name: &str, port: u16) -> Package {
    let package = home.copy_of("egress-prober", name);
    package.edit("network_outbound:allowed.example.org", &format!("network_local:127.0.0.1:{port}"));
    package
}

/// A text without this run's port.
fn portless(text: &str, port: u16) -> String {
    text.replace(&port.to_string(), "PORT")
}

#[test]
fn a_strangers_wish_for_the_local_network_is_refused_and_nobody_is_reached() {
    let home = Home::new();
    let rpc = web::free_address();
    let mut node = home.up(&["--demo", "--rpc", &rpc]);
    node.demo_is_told();
    let canary = Canary::new();
    let port = canary.address().port();
    let package = prober(&home, "stranger", port);
    // This node takes the deployer's orders: it is the permission that is refused.
    let ended = home.run(&["deploy", package.path(), "--key", "deployer", "--payment", "10"]);
    assert_snapshot!(portless(&ended.refusal(), port), @r#"
    exit 3
    error: failed to grant `network_local:127.0.0.1:PORT`: services on a node's own network are only given to agents of the node's owner
    hint: remove "network_local:127.0.0.1:PORT" from `permissions` in agent.yaml, or deploy to a node of your own
    "#);
    assert_eq!(home.json(&["market", "ls"]).as_array().unwrap().len(), 1, "nothing was ordered beside the oracle");

    order_behind_the_nodes_back(&home, &rpc, Path::new(package.path()));
    let status = eventually("the refusal", || {
        let status = home.json(&["status", PROBER]);
        status["reason"].as_str()?.contains("refused it").then_some(status)
    });
    assert_eq!(status["state"], "open", "{status}");
    assert_snapshot!(portless(status["reason"].as_str().unwrap(), port), @"no node has it, and this one refused it: its package failed at link: grant `network_local:127.0.0.1:PORT`: services on a node's own network are only given to agents of the node's owner");
    assert_eq!((&status["permissions"], &status["lease"]["paid"]), (&json!([]), &json!("0")));
    canary.heard_nothing();
}

/// Orders a package as anybody may who talks to the chain alone.
fn order_behind_the_nodes_back(home: &Home, rpc: &str, folder: &Path) {
    let add = |file: &Path| -> ContentId {
        home.json(&["content", "add", file.to_str().unwrap()])["cid"].as_str().unwrap().parse().unwrap()
    };
    let config = home.beside("config");
    std::fs::write(&config, "{}").unwrap();
    add(&config);
    let (yaml, artifact) = (folder.join("agent.yaml"), folder.join("egress-prober.wasm"));
    let manifest = Manifest::parse(&std::fs::read_to_string(&yaml).unwrap()).unwrap();
    let terms = PublicationTerms {
        package: ListedPackage {
            agent_id: manifest.agent_id.to_string(),
            manifest_cid: add(&yaml),
            artifact_cid: add(&artifact),
            artifact_hash: Hash256::of(&std::fs::read(&artifact).unwrap()),
            config_hash: Hash256::of(b"{}"),
            resources: manifest.resources,
        },
        max_rate: AmountPerHour(50 * Amount::TALOS.0),
        bid_window_seconds: 0,
        gas_budget: 0,
    };
    as_owner(home, rpc, "deployer", async |market| {
        let publication = market.publish("publish", terms).await.unwrap();
        let order = DeployOrder { publication, payment: Amount(40 * Amount::TALOS.0), ..DeployOrder::default() };
        market.deploy("deploy", order).await.unwrap();
    });
}

#[test]
fn the_owners_agent_reaches_the_service_that_was_granted_and_no_other() {
    let home = Home::new();
    let canary = Canary::new();
    let upstream = Upstream::new(canary.address());
    let node = home.up(&[]);
    let package = prober(&home, "own", upstream.port);
    let checked = home.ok(&["pkg", "check", package.path()]);
    assert_snapshot!(portless(&checked, upstream.port), @r#"
    nisse.test.egress-prober@v1.0.0 is in order
    warning: the permission "network_local:127.0.0.1:PORT" is only given on a node of your own
    "#);

    assert_eq!(home.json(&["deploy", package.path()])["state"], "running");
    let permission = format!("network_local:127.0.0.1:{}", upstream.port);
    assert_eq!(home.json(&["status", PROBER])["permissions"], json!([permission]));
    assert!(home.ok(&["status", PROBER]).lines().any(|line| line.ends_with(&permission)), "people see it as well");

    let reach = |authority: String| probe(&node, &json!({ "scheme": "http", "authority": authority, "path": "/" }));
    let seen = reach(format!("127.0.0.1:{}", upstream.port));
    assert_eq!((&seen["status"], upstream.heads().len()), (&json!(200), 1), "{seen}");
    for other in [canary.address().to_string(), format!("localhost:{}", upstream.port), node.api.clone()] {
        assert!(reach(other.clone())["refused"].is_string(), "{other}");
    }
    let events = std::fs::read_to_string(home.path().join("logs/events.jsonl")).unwrap();
    let audit: Vec<Value> = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let tries: Vec<_> = audit.iter().filter(|line| line["agent"] == PROBER).collect();
    assert_eq!(tries.len(), 4);
    assert_eq!((&tries[0]["rule"], &tries[0]["via_network_local"]), (&json!(permission), &json!(true)));
    assert!(tries[1..].iter().all(|line| line["via_network_local"] == false), "{tries:?}");
    canary.heard_nothing();
}
