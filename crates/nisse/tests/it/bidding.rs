//! What nodes bid on, for how much, and who wins: with processes that share only a chain and a network.

use serde_json::{Value, json};

use crate::harness::{Home, eventually, example};
use crate::rented::{at_price, operator, order, renter, serve, serving};

#[test]
fn a_node_asks_by_what_an_agent_takes_and_how_full_it_is() {
    let (alice, bob) = (Home::new(), Home::new());
    let renter = renter(&alice);
    let (flags, gateway) = (serving(&alice), format!("http://{}", renter.public));
    serve(&bob, &flags, &["--gateway", &gateway]).kill();
    let list = "[market]\nprice_cpu = \"168\"\nprice_memory = \"1\"\nprice_load = 40\n";
    std::fs::write(bob.path().join("nisse.toml"), list).unwrap();
    let _node = serve(&bob, &flags, &["--gateway", &gateway]);
    let told = bob.ok(&["node", "status"]);
    let line =
        "40 TALOS per hour at least; 168 for each processor and 1 for each GiB of memory; 40 % more for the last";
    assert!(told.contains(line), "{told}");

    // A quarter of a processor and 32 MiB; an eighth of all processors is lent then.
    let deployed = order(&alice, &[]);
    let lease = &alice.json(&["status", deployed["deployment"].as_str().unwrap()])["lease"];
    let parts = 168.0 / 4.0 + 32.0 / 1024.0;
    let rate: f64 = lease["rate"].as_str().unwrap().parse().unwrap();
    assert!((rate - parts * 1.05).abs() < 1e-9, "{lease}");

    // Whoever orders next sees what others pay: that one, and the demo's.
    let rates = bob.json(&["market", "rates"]);
    let told = ["leases", "lowest", "median", "highest", "orders"].map(|key| rates[key].clone());
    let (this, demo) = (lease["rate"].clone(), json!("50"));
    assert_eq!(told, [json!(2), this.clone(), this, demo, json!(0)], "{rates}");
}

#[test]
fn an_order_that_found_no_room_is_taken_when_there_is_some() {
    let (alice, bob) = (Home::new(), Home::new());
    let renter = renter(&alice);
    let (flags, gateway) = (serving(&alice), format!("http://{}", renter.public));
    serve(&bob, &flags, &["--gateway", &gateway]).kill();
    std::fs::write(bob.path().join("nisse.toml"), "[limits]\ncpu = \"0.25\"\n").unwrap();
    let _node = serve(&bob, &flags, &["--gateway", &gateway]);
    order(&alice, &[]);
    let second = ["deploy", &example("echo"), "--payment", "100", "--max-rate", "45", "--wait", "1"];
    let refused = alice.run(&second);
    assert_eq!(refused.code, 3, "{refused:?}");
    let number = eventually("its deployment", || {
        let listed = alice.json(&["market", "ls"]);
        let mut all = listed.as_array().unwrap().iter();
        let echo = all.find(|entry| entry["agent_id"].as_str().is_some_and(|id| id.contains("echo")))?;
        echo["deployment"].as_str().and_then(|deployment| deployment.rsplit(':').next()).map(str::to_owned)
    });
    let shown = || bob.json(&["market", "show", &number]);
    let said = eventually("bob's refusal", || shown()["refused"].as_str().map(str::to_owned));
    assert!(said.contains("and 0 is free"), "{said}");
    alice.ok(&["stop", "nisse.test.counter"]);
    let taken = eventually("bob to take it", || Some(shown()).filter(|shown| shown["state"] == "running"));
    assert_eq!((&taken["node"], &taken["refused"]), (&operator(&bob), &Value::Null), "{taken}");
}

#[test]
fn an_order_that_a_node_had_no_stake_for_is_taken_when_it_has() {
    let (alice, bob) = (Home::new(), Home::new());
    let renter = renter(&alice);
    let (mut flags, gateway) = (serving(&alice), format!("http://{}", renter.public));
    flags.extend(["--gateway".to_owned(), gateway]);
    let place = flags.iter().position(|flag| flag == "--stake").unwrap() + 1;
    let mut poor = flags.clone();
    "5".clone_into(&mut poor[place]);
    let up = |flags: &[String]| bob.up(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    let node = up(&poor);
    let order = ["deploy", &example("counter"), "--payment", "100", "--max-rate", "45", "--wait", "1"];
    assert_eq!(alice.run(&order).code, 3);
    let listed = alice.json(&["market", "ls"]);
    let entry = listed.as_array().unwrap().iter().find(|entry| entry["state"] == "open").unwrap();
    let deployment = entry["deployment"].as_str().unwrap().to_owned();
    let shown = || bob.json(&["market", "show", &deployment]);
    let said = eventually("bob's refusal", || shown()["refused"].as_str().map(str::to_owned));
    assert!(said.starts_with("the market takes no bid of this node now: "), "{said}");
    node.kill();
    let _node = up(&flags);
    let taken = eventually("bob to take it", || Some(shown()).filter(|shown| shown["state"] == "running"));
    assert_eq!((&taken["node"], &taken["refused"]), (&operator(&bob), &Value::Null), "{taken}");
}

#[test]
fn of_the_bids_in_a_window_the_lowest_wins_though_the_chain_makes_no_block_by_itself() {
    let (alice, bob, carol) = (Home::new(), Home::new(), Home::new());
    let renter = renter(&alice);
    let (flags, gateway) = (serving(&alice), format!("http://{}", renter.public));
    let carols = serve(&carol, &at_price(&flags, "42"), &["--gateway", &gateway]);
    let bobs = serve(&bob, &flags, &["--gateway", &gateway]);
    let deployed = order(&alice, &["--bid-window", "4"]);
    assert_eq!((&deployed["state"], &deployed["node"]), (&json!("running"), &operator(&bob)), "{deployed}");
    let entry = alice.json(&["market", "show", deployed["deployment"].as_str().unwrap()]);
    let events: Vec<&Value> = entry["events"].as_array().unwrap().iter().map(|event| &event["event"]).collect();
    assert!(events.iter().filter(|event| **event == "bid").count() >= 1, "{entry}");
    assert_eq!(entry["rate"], "40");
    drop((bobs, carols));

    let refused = alice.run(&["deploy", &example("echo"), "--bid-window", "4"]);
    assert_eq!(refused.code, 2, "at home nobody bids: {refused:?}");
}
