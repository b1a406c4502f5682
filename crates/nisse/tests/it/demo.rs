//! `up --demo`: the deployment story on one machine, and its second life after a power cut.

use serde_json::Value;

use crate::harness::{Home, eventually, host_of};

const ORACLE: &str = "talos.oracle.price-eth";

fn names(entry: &Value) -> Vec<&str> {
    entry["events"].as_array().unwrap().iter().map(|event| event["event"].as_str().unwrap()).collect()
}

fn count(entry: &Value, name: &str) -> usize {
    names(entry).iter().filter(|event| **event == name).count()
}

#[test]
fn the_demo_deploys_by_contract_and_outlives_a_power_cut() {
    let home = Home::new();
    let mut node = home.up(&["--demo"]);
    let said = node.demo_is_told();
    for step in ["packed", "published", "deployed", "bid", "assigned", "verified", "compiled", "started"] {
        assert!(said.contains(step), "the demo says nothing of `{step}`: {said}");
    }

    // The price came over TLS, through the one rule that the agent has.
    let host = host_of(&home.json(&["status", ORACLE]));
    let answer = eventually("the first price", || {
        let answer = node.ask(&host, "GET", "/price");
        (answer.status == 200).then_some(answer)
    });
    let price = answer.json();
    assert!(price.to_string().contains("ETH"), "{price}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let history = node.ask(&host, "GET", "/history").json();
    assert_eq!(history.as_array().map(Vec::len), Some(1), "{history}");

    let audit = std::fs::read_to_string(home.path().join("logs/events.jsonl")).unwrap();
    let lines = audit.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let tries: Vec<_> = lines.filter(|line| line["target"] == "nisse::event::egress").collect();
    assert_eq!((&tries[0]["host"], &tries[0]["verdict"]), (&"api.coingecko.com".into(), &"allowed".into()), "{audit}");

    let entry = home.json(&["market", "show", "1"]);
    let (state, rate, deposited) = (&entry["state"], &entry["rate"], &entry["deposited"]);
    assert_eq!((state.as_str(), rate.as_str(), deposited.as_str()), (Some("running"), Some("50"), Some("1000")));
    for name in ["deployed", "bid", "assigned", "started"] {
        assert_eq!(count(&entry, name), 1, "{name} in {:?}", names(&entry));
    }
    let order: Vec<_> = names(&entry).into_iter().filter(|name| !["feed", "answer"].contains(name)).collect();
    assert_eq!(order, ["deployed", "bid", "assigned", "started"]);

    let before = home.json(&["status", ORACLE]);
    assert_eq!(before["restarts"], 0);
    node.kill();

    let mut node = home.up(&["--demo"]);
    let said = node.demo_is_told();
    assert!(said.contains("is live again, as it was"), "{said}");
    let after = home.json(&["status", ORACLE]);
    assert_eq!(after["deployment"], before["deployment"]);
    assert_eq!(after["restarts"], 1);
    assert_eq!(home.json(&["market", "ls"]).as_array().map(Vec::len), Some(1), "a second deployment");
    let entry = home.json(&["market", "show", "1"]);
    for name in ["deployed", "bid", "assigned"] {
        assert_eq!(count(&entry, name), 1, "{name} in {:?}", names(&entry));
    }

    // What it knew is still known, and the newest price is one of what it knows.
    let kept = node.ask_served(&host, "GET", "/history").json();
    let (kept, history) = (kept.as_array().unwrap(), history.as_array().unwrap());
    assert!(history.iter().all(|one| kept.contains(one)), "{history:?} is not in {kept:?}");
}

#[test]
fn two_nodes_never_share_a_home() {
    let home = Home::new();
    let _node = home.up(&[]);
    let second = home.run(&["up", "--api", "127.0.0.1:0", "--public", "127.0.0.1:0"]);
    assert_eq!(second.code, 3, "{second:?}");
    assert!(second.err.contains("another nisse is running on it"), "{second:?}");
}
