//! A second home on the first one's chain: it reads the market there, and what it may not do yet is refused in words.

use serde_json::Value;

use crate::harness::{Home, eventually, example};

#[test]
fn a_second_home_reads_the_first_ones_market_and_hosts_nothing_there_without_a_stake() {
    let (first, second) = (Home::new(), Home::new());
    let _market = first.up(&["--rpc", "127.0.0.1:0"]);
    let status = first.json(&["node", "status"]);
    let chain = format!("http://{}", status["rpc"].as_str().unwrap());
    let joined = second.up(&["--chain", &chain, "--contract", status["contract"].as_str().unwrap()]);
    // It serves before it has heard from the chain.
    let heard = eventually("word from the chain", || {
        let asked = second.run(&["node", "status", "--json"]);
        (asked.code == 0).then(|| serde_json::from_str::<Value>(&asked.out).unwrap())
    });
    assert_eq!(heard["chain"], status["chain"]);

    // Its package is published on the first home's chain, which calls the block final with nothing on top of it.
    let refused = second.run(&["deploy", &example("counter")]).refusal();
    assert!(refused.starts_with("exit 3\n") && refused.contains("is no registered node: stake first"), "{refused}");
    assert_eq!(first.ok(&["market", "ls"]), second.ok(&["market", "ls"]));

    // Without those flags no chain of its own is begun beside it, and nothing is left of the try.
    joined.kill();
    let refused = second.run(&["up", "--api", "127.0.0.1:0", "--public", "127.0.0.1:0"]).refusal();
    let said = format!("failed to begin a chain of its own: this home is on chain {}, elsewhere", status["chain"]);
    assert!(refused.starts_with("exit 3\n") && refused.contains(&said), "{refused}");
    assert!(!second.path().join("chain/blocks").exists());
}
