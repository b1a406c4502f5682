//! A second home on the first one's chain: what its owner does there reaches the market of the first.

use crate::harness::{Home, example};

const COUNTER: &str = "nisse.test.counter";

#[test]
fn a_second_home_deploys_on_the_chain_of_the_first_though_nothing_else_happens_there() {
    let (first, second) = (Home::new(), Home::new());
    let _market = first.up(&["--rpc", "127.0.0.1:0"]);
    let status = first.json(&["node", "status"]);
    let chain = format!("http://{}", status["rpc"].as_str().unwrap());
    let joined = second.up(&["--chain", &chain, "--contract", status["contract"].as_str().unwrap()]);
    assert_eq!(second.json(&["node", "status"])["chain"], status["chain"]);

    // No block comes on top of its transactions: the first home's chain calls them final by itself.
    let deployed = second.json(&["deploy", &example("counter")]);
    assert_eq!(joined.ask_served(COUNTER, "POST", "/").text(), "1\n");
    let listed = first.ok(&["market", "ls"]);
    assert!(listed.contains(deployed["deployment"].as_str().unwrap()), "{listed}");

    second.ok(&["stop", COUNTER]);
    assert_eq!(second.json(&["status", COUNTER])["state"], "closed");
}
