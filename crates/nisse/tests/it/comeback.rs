//! An agent that had been running and does not come up with its node: tried again, not given up at once.

use std::fs;
use std::path::PathBuf;

use crate::harness::{Home, eventually, example};
use crate::web;

const COUNTER: &str = "nisse.test.counter";
const TICKER: &str = "nisse.test.ticker";

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

#[test]
fn agents_come_up_and_answer_while_no_chain_answers() {
    let home = Home::new();
    let node = home.up(&[]);
    home.ok(&["deploy", &example("counter")]);
    home.ok(&["deploy", &example("ticker")]);
    assert_eq!(node.ask_served(COUNTER, "POST", "/").text().trim(), "1");
    let status = home.json(&["node", "status"]);
    node.kill();

    // The same chain by its id, at an endpoint where nobody listens.
    let nobody = format!("http://{}", web::free_address());
    let (chain, book) = (status["chain"].to_string(), status["contract"].as_str().unwrap());
    let node = home.up(&["--chain", &nobody, "--chain-id", &chain, "--contract", book]);
    assert_eq!(node.ask_served(COUNTER, "POST", "/").text().trim(), "2", "with its state");
    let ticks = || -> u64 {
        let text = node.ask_served(TICKER, "GET", "/").text();
        text.trim().split_once(' ').unwrap().0.parse().unwrap()
    };
    let before = ticks();
    eventually("the ticker's next alarm", || (ticks() > before).then_some(()));
    let refused = home.run(&["stop", COUNTER]).refusal();
    assert!(refused.starts_with("exit 4\n") && refused.contains("reach the chain"), "{refused}");
    node.kill();

    let node = home.up(&[]);
    assert_eq!(node.ask_served(COUNTER, "POST", "/").text().trim(), "3");
    assert_eq!(home.json(&["market", "show", "1"])["state"], "running");
}

#[test]
fn compiled_code_that_is_not_this_nodes_own_is_made_anew_and_never_run() {
    let home = Home::new();
    let node = home.up(&[]);
    home.ok(&["deploy", &example("counter")]);
    home.ok(&["deploy", &example("echo")]);
    assert_eq!(node.ask_served(COUNTER, "POST", "/").text().trim(), "1");
    node.kill();
    let folder = home.path().join("cwasm");
    let cached = || -> Vec<PathBuf> {
        let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "cwasm"));
        files.sort();
        files
    };
    let [one, other] = &cached()[..] else { panic!("{:?}", cached()) };
    let whole = [fs::read(one).unwrap(), fs::read(other).unwrap()];

    // Flipped in its code, torn, empty, and the code of one agent under the name of the other.
    let mut flipped = whole[0].clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let damages = [flipped, whole[0][..middle].to_vec(), Vec::new(), whole[1].clone()];
    for (number, damage) in damages.iter().enumerate() {
        fs::write(one, damage).unwrap();
        let node = home.up(&[]);
        let counted = node.ask_served(COUNTER, "POST", "/").text();
        assert_eq!(counted.trim(), (number + 2).to_string(), "with its state");
        assert_eq!(node.ask_served("nisse.test.echo", "GET", "/").status, 200);
        node.kill();
        assert!(fs::read(one).unwrap() == whole[0], "it is made anew, and the same");
    }
}
