//! Whatever an agent does, the money of its lease is where it should be, to the last unit.

use serde_json::Value;

use crate::harness::{Home, eventually, example, host_of};

use super::neighbour::beside_the_neighbour;

/// TALOS as units of 10^-18.
fn units(amount: &Value) -> u128 {
    let text = amount.as_str().unwrap();
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{part:0<18}").parse().unwrap()
}

fn sum_of(entry: &Value, name: &str) -> u128 {
    let events = entry["events"].as_array().unwrap();
    let details = events.iter().filter(|event| event["event"] == name).map(|event| event["detail"].as_str().unwrap());
    details.map(|detail| units(&detail.split(' ').next().unwrap().into())).sum()
}

/// Stops an agent and gives its deployment once the market has it stopped.
fn ended(home: &Home, agent: &str, deployment: &str) -> Value {
    home.ok(&["stop", agent]);
    eventually("the end of the lease", || {
        let entry = home.json(&["market", "show", deployment]);
        (entry["state"] == "stopped").then_some(entry)
    })
}

#[test]
fn a_lease_of_a_hostile_agent_pays_for_its_time_and_gives_the_rest_back() {
    let home = Home::new();
    let mut node = home.up(&["--demo"]);
    node.demo_is_told();
    beside_the_neighbour(&node, || {
        let pay = |guest: &str| {
            let dir = example(guest);
            home.run(&["deploy", &dir, "--key", "deployer", "--payment", "10", "--max-rate", "50", "--json"])
        };
        let mut paid = 0;
        for (guest, path) in [("memory-bomb", "/"), ("recursion", "/"), ("body-flood", "/trap")] {
            let deployed = pay(guest);
            assert_eq!(deployed.code, 0, "{guest}: {}", deployed.err);
            let deployed: Value = serde_json::from_str(&deployed.out).unwrap();
            let order = deployed["deployment"].as_str().unwrap().rsplit_once(':').unwrap().1.to_owned();
            let agent = host_of(&deployed);
            for _ in 0..3 {
                assert!(node.ask_served(&agent, "GET", path).status >= 500);
            }
            let entry = ended(&home, &agent, &order);
            let (settled, refund) = (sum_of(&entry, "settled"), sum_of(&entry, "stopped"));
            assert_eq!(settled + refund, units(&"10".into()), "{entry}");
            assert_eq!(settled, units(&entry["paid"]), "{entry}");
            paid += settled;
        }
        // One that does not start costs its owner nothing.
        let refused = pay("trap-at-start");
        assert_ne!(refused.code, 0);
        let orders = home.json(&["market", "ls"]);
        let failed =
            orders.as_array().unwrap().iter().find(|order| order["agent_id"] == "nisse.test.trap-at-start@v1.0.0");
        assert_eq!(failed.unwrap()["paid"], "0", "{orders}");
        let oracle = ended(&home, "talos.oracle.price-eth", "1");
        paid += sum_of(&oracle, "settled");
        assert_eq!(units(&home.json(&["node", "status"])["earned"]), paid, "the node has what was paid");
    });
}
