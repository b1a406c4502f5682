//! An agent that had been running and does not come up with its node: tried again, not given up at once.

use std::fs;

use crate::harness::{Home, eventually, example};

const COUNTER: &str = "nisse.test.counter";

#[test]
fn a_running_agent_whose_package_is_away_keeps_its_lease_and_comes_up_when_it_is_back() {
    let home = Home::new();
    let node = home.up(&[]);
    home.ok(&["deploy", &example("counter")]);
    assert_eq!(node.ask_served(COUNTER, "POST", "/").text().trim(), "1");
    node.kill();
    let (content, code) = (home.path().join("content"), home.path().join("cwasm"));
    fs::rename(&content, home.beside("content")).unwrap();
    fs::remove_dir_all(&code).unwrap();

    let node = home.up(&[]);
    let status = eventually("the reason", || {
        let status = home.json(&["status", COUNTER]);
        status["reason"].as_str().is_some_and(|reason| reason.contains("has not come up")).then_some(status)
    });
    assert_eq!(status["state"], "running", "nothing is given back: {status}");
    assert!(status["reason"].as_str().unwrap().contains("at fetch"), "{status}");
    assert_eq!(home.json(&["market", "show", "1"])["state"], "running");
    assert_eq!(node.ask(COUNTER, "GET", "/").status, 503);

    // The block of a configuration without settings.
    let config = home.beside("config");
    fs::write(&config, "{}").unwrap();
    home.ok(&["content", "add", config.to_str().unwrap()]);
    for file in ["agent.yaml", "counter.wasm"] {
        home.ok(&["content", "add", &format!("{}/{file}", example("counter"))]);
    }
    let answer = node.ask_served(COUNTER, "POST", "/");
    assert_eq!((answer.status, answer.text().trim()), (200, "2"), "with its state");
    assert_eq!(home.json(&["status", COUNTER])["reason"], serde_json::Value::Null);
}
