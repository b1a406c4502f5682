//! Orders that no node takes: they are told as what they are, found again, and closed with their deposit.

use std::time::Instant;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::{Ended, Home, Node, PATIENCE, eventually, example};
use crate::web;

const ECHO: &str = "nisse.test.echo";
const ORACLE: &str = "talos.oracle.price-eth";

/// A home whose deployer has money to lose: the demo's, in which 1000 of 2000 TALOS are left.
fn paying(home: &Home) -> Node<'_> {
    let mut node = home.up(&["--demo"]);
    node.demo_is_told();
    node
}

/// An order that no node took is no success, and yet it stands: what it is goes to stdout.
fn left_open(ended: &Ended) -> Value {
    assert_eq!(ended.code, 3, "{ended:?}");
    let deployed: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((&deployed["state"], &deployed["node"]), (&json!("open"), &Value::Null));
    deployed
}

#[test]
fn an_order_that_pays_too_little_is_shown_as_open_until_its_owner_closes_it() {
    let home = Home::new();
    let _node = paying(&home);
    let ended = home.run(&["deploy", &example("echo"), "--payment", "400", "--max-rate", "1", "--json"]);
    let deployed = left_open(&ended);
    let said: Value = serde_json::from_str(&ended.err).unwrap();
    assert_eq!((&said["exit"], &said["hint"]), (&json!(3), &deployed["hint"]));
    assert_snapshot!(said["error"].as_str().unwrap(), @"failed to bring nisse.test.echo@v1.0.0 up: its order is open: no node has it, and this one refused it: the order pays at most 1 TALOS per hour and this node asks 50");
    assert_snapshot!(said["hint"].as_str().unwrap(), @"`nisse stop nisse.test.echo` closes the order and gives its deposit back; then offer `--max-rate 50` or more and deploy it again");
    let status = home.json(&["status", ECHO]);
    for key in ["deployment", "agent_id", "cid", "manifest_cid", "node", "state", "reason", "hint", "endpoint"] {
        assert_eq!(status[key], deployed[key], "{key}");
    }
    assert_eq!((&status["lease"]["rate"], &status["lease"]["balance"]), (&json!("1"), &json!("400")));
    let listed = home.json(&["ls"]);
    assert_eq!((&listed[1]["agent_id"], &listed[1]["state"]), (&deployed["agent_id"], &json!("open")));
    assert_eq!(listed.as_array().unwrap().len(), 2, "{listed}");

    // The same deposit is not laid down twice, and nothing can be asked of an agent that does not run.
    let again = home.run(&["deploy", &example("echo"), "--payment", "400"]);
    assert_snapshot!(again.refusal(), @r#"
    exit 3
    error: failed to deploy nisse.test.echo: the market still holds deployment 2 of it
    hint: `nisse status nisse.test.echo` says where it stands; `nisse stop nisse.test.echo` closes it
    "#);
    for command in ["pause", "resume", "rollback", "start", "logs"] {
        let ended = home.run(&[command, ECHO]);
        assert_eq!(ended.code, 3, "{command}: {ended:?}");
        assert!(ended.err.contains("its order is open and no node runs it"), "{command}: {ended:?}");
    }
    assert_eq!(home.json(&["fund", ECHO, "7"])["lease"]["balance"], "407");

    let closed = home.json(&["stop", ECHO]);
    assert_eq!((&closed["state"], &closed["lease"]["balance"]), (&json!("stopped"), &json!("0")));
    assert_eq!(home.json(&["ls"]).as_array().unwrap().len(), 1, "a closed order is no agent");
    let entry = home.json(&["market", "show", "2"]);
    let last = entry["events"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["event"], &last["detail"]), (&json!("stopped"), &json!("407 TALOS go back to its owner")));
    // All of it is there again: 1000 were left.
    let again = home.json(&["deploy", &example("echo"), "--payment", "1000"]);
    assert_eq!(again["state"], "running");
}

#[test]
fn what_a_node_refuses_says_why_and_outlives_a_restart() {
    let home = Home::new();
    let node = paying(&home);
    home.ok(&["node", "drain"]);
    let drained = left_open(&home.run(&["deploy", &example("echo"), "--payment", "100", "--json"]));
    assert!(drained["reason"].as_str().unwrap().ends_with("this node is draining and takes no new work"), "{drained}");
    assert!(
        drained["hint"].as_str().unwrap().contains("`nisse node drain --off`, and this node looks at it again"),
        "{drained}"
    );
    home.ok(&["node", "drain", "--off"]);
    eventually("the order to be taken", || (home.json(&["status", ECHO])["state"] == "running").then_some(()));
    home.ok(&["stop", ECHO]);
    let large = home.copy_of("counter", "large");
    large.set("  cpu", "\"64.0\"");
    let large = left_open(&home.run(&["deploy", large.path(), "--payment", "100", "--json"]));
    assert!(large["reason"].as_str().unwrap().contains("it asks for 64 cpu and "), "{large}");
    node.kill();

    // Nobody but the operator is accepted now: the deployer's own home still knows what it ordered.
    let _node = home.up(&[]);
    let foreign = left_open(&home.run(&["deploy", &example("log-flood"), "--payment", "100", "--json"]));
    assert!(foreign["reason"].as_str().unwrap().contains("this node does not accept agents of 0x"), "{foreign}");
    assert!(foreign["hint"].as_str().unwrap().contains("--accept 0x"), "{foreign}");
    for name in ["nisse.test.counter", "nisse.test.log-flood"] {
        assert_eq!(home.json(&["status", name])["state"], "open");
        // Its full name finds it as well.
        let deployment = home.json(&["status", name])["deployment"].as_str().unwrap().to_owned();
        assert_eq!(home.json(&["stop", &deployment])["lease"]["balance"], "0");
        assert_eq!(home.run(&["status", name]).code, 1);
        assert_eq!(home.run(&["stop", &deployment]).code, 3, "it is closed already");
    }
    eventually("the oracle", || (home.json(&["status", ORACLE])["state"] == "running").then_some(()));
}

#[test]
fn a_paid_agent_that_fails_here_leaves_an_order_that_can_be_closed() {
    let home = Home::new();
    let _node = paying(&home);
    let ended = home.run(&["deploy", &example("trap-at-start"), "--payment", "300"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    let status = eventually("the order to be open again", || {
        let status = home.json(&["status", "nisse.test.trap-at-start"]);
        status["reason"].as_str().is_some_and(|reason| reason.contains("open on the market")).then_some(status)
    });
    assert_eq!(status["state"], "failed");
    assert!(status["reason"].as_str().unwrap().contains("it cost nothing"), "{status}");
    assert!(status["hint"].as_str().unwrap().starts_with("`nisse stop` closes the order and gives 300 TALOS back"));
    for again in
        [&["deploy", &example("trap-at-start"), "--payment", "300"][..], &["start", "nisse.test.trap-at-start"]]
    {
        let ended = home.run(again);
        assert_eq!(ended.code, 3, "{ended:?}");
        assert!(ended.err.contains("the market still holds deployment 2 of it"), "{ended:?}");
    }
    let closed = home.json(&["stop", "nisse.test.trap-at-start"]);
    assert_eq!((&closed["state"], &closed["lease"]["balance"]), (&json!("failed"), &json!("0")));
    assert_eq!(home.run(&["stop", "nisse.test.trap-at-start"]).code, 3, "there is nothing left to close");
    home.ok(&["destroy", "nisse.test.trap-at-start"]);
    assert_eq!(home.json(&["ls"]).as_array().unwrap().len(), 1);
}

/// What tells an agent of this owner from another key's of the same name.
fn full_name(name: &str, status: &Value) -> String {
    format!("{name}--{}", &status["owner"].as_str().unwrap()[2..10])
}

#[test]
fn a_name_that_two_keys_of_this_home_use_is_refused_until_its_owner_is_named() {
    let home = Home::new();
    let _node = paying(&home);
    let own = home.json(&["deploy", &example("echo")]);
    let own = full_name(ECHO, &home.json(&["status", own["deployment"].as_str().unwrap()]));
    left_open(&home.run(&["deploy", &example("echo"), "--payment", "300", "--max-rate", "1", "--json"]));
    let oracle = home.json(&["status", ORACLE]);
    let deployers = full_name(ECHO, &oracle);
    for command in ["stop", "status", "destroy"] {
        let ended = home.run(&[command, ECHO]);
        assert_eq!((ended.code, ended.out.as_str()), (3, ""), "{command}: {ended:?}");
        assert!(ended.err.contains("failed to tell which `nisse.test.echo` is meant: several owners"), "{ended:?}");
        assert!(ended.err.contains(&format!("`{own}`")) && ended.err.contains(&format!("`{deployers}`")), "{ended:?}");
    }
    assert_eq!(home.json(&["status", &own])["state"], "running");
    assert_eq!(home.json(&["status", &deployers])["state"], "open");
    assert_eq!(home.json(&["stop", &deployers])["lease"]["balance"], "0");
    assert_eq!(home.json(&["stop", ECHO])["state"], "stopped", "one of them is left");
}

#[test]
fn an_older_deployment_is_not_started_while_a_newer_one_of_its_name_holds_a_deposit() {
    let home = Home::new();
    let _node = paying(&home);
    let first = home.json(&["deploy", &example("echo"), "--payment", "300"]);
    assert_eq!(first["state"], "running", "{first}");
    let first = first["deployment"].as_str().unwrap();
    home.ok(&["stop", first]);
    left_open(&home.run(&["deploy", &example("echo"), "--payment", "100", "--max-rate", "1", "--json"]));
    let refused = home.run(&["start", first]);
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(refused.err.contains("the market still holds deployment 3 of it"), "{refused:?}");
    home.ok(&["stop", ECHO]);

    let second = home.json(&["start", first]);
    assert_eq!(second["state"], "running", "{second}");
    let refused = home.run(&["start", first]);
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(refused.err.contains("an agent of this owner and name is live on this node"), "{refused:?}");
    assert_eq!(home.json(&["market", "ls"]).as_array().unwrap().len(), 4, "nothing was ordered twice");
}

#[test]
fn a_home_lease_that_does_not_fit_is_refused_before_it_is_published() {
    let home = Home::new();
    let _node = home.up(&[]);
    let large = home.copy_of("counter", "large");
    large.set("  cpu", "\"64.0\"");
    let ended = home.run(&["deploy", large.path()]);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.err.contains("failed to deploy nisse.test.counter: it asks for 64 cpu, and "), "{ended:?}");
    assert_eq!(home.json(&["market", "ls"]), json!([]));
}

#[test]
fn a15_of_two_deployments_of_one_name_at_once_one_is_made() {
    let home = Home::new();
    let _node = home.up(&[]);
    let counter = example("counter");
    let both: Vec<_> = (0..2).map(|_| home.start(&["deploy", &counter])).collect();
    let mut ended: Vec<_> = both.into_iter().map(crate::harness::Running::end).collect();
    ended.sort_by_key(|ended| ended.code);
    assert_eq!((ended[0].code, ended[1].code), (0, 3), "{ended:?}");
    let said = &ended[1].err;
    assert!(said.contains("is being deployed at this moment") || said.contains("is live on this node"), "{said}");
    assert_eq!(home.json(&["market", "ls"]).as_array().map(Vec::len), Some(1));
}

#[test]
fn an_order_is_found_at_every_moment_in_which_this_node_takes_it() {
    let home = Home::new();
    let node = paying(&home);
    let token = format!("Bearer {}", std::fs::read_to_string(home.path().join("token")).unwrap().trim());
    let headers = [("host", node.api.as_str()), ("authorization", token.as_str())];
    let status =
        |agent: &str| web::request(&node.api, "GET", &format!("/api/v1/agents/{agent}"), &headers, b"").unwrap();
    for _ in 0..5 {
        let deploying = home.start(&["deploy", &example("echo"), "--payment", "100", "--json"]);
        // From the first moment at which it is found, by its name or in full, until it runs.
        let ordered = eventually("the order", || {
            let answer = status(ECHO);
            (answer.status == 200).then(|| answer.json()).filter(|found| found["state"] != "stopped")
        });
        let names = [ECHO.to_owned(), ordered["deployment"].as_str().unwrap().to_owned()];
        // Without a pause between two looks: what is looked for lasts less than a millisecond.
        let is_running = || {
            names.iter().all(|name| {
                let answer = status(name);
                assert_eq!(answer.status, 200, "{name}: {}", answer.text());
                assert_eq!(answer.json()["deployment"], ordered["deployment"], "{name}");
                answer.json()["state"] == "running"
            })
        };
        let begun = Instant::now();
        while !is_running() {
            assert!(begun.elapsed() < PATIENCE, "waited in vain for the agent");
        }
        assert_eq!(deploying.end().code, 0);
        home.ok(&["stop", ECHO]);
    }
}
