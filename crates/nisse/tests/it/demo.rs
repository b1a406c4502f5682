//! `up --demo`: the deployment story on one machine, and its second life after a power cut.

use serde_json::{Value, json};

use crate::harness::{Home, eventually, example, host_of};

const ORACLE: &str = "talos.oracle.price-eth";
const PRICE_HOST: &str = "api.coingecko.com";

/// What the demo tells on an empty home, in this order.
const STEPS: [&str; 20] = [
    "home",
    "prices",
    "keys",
    "keys",
    "store",
    "chain",
    "contracts",
    "stake",
    "endowed",
    "assets",
    "packed",
    "published",
    "deployed",
    "bid",
    "assigned",
    "fetched",
    "verified",
    "compiled",
    "started",
    "acknowledged",
];

/// The steps that were told, each on a line of its own: a time, a word, a sentence.
fn steps(said: &str) -> Vec<(&str, &str)> {
    let mut last = 0;
    let told = said.lines().take_while(|line| !line.is_empty()).map(|line| {
        let (time, step) = line.split_once(" ms  ").unwrap_or_else(|| panic!("no time in {line:?}"));
        let time = time.trim_start().parse::<u64>().unwrap_or_else(|error| panic!("{error}: {line:?}"));
        assert!(time >= last, "{line:?} is told after what came later");
        last = time;
        let (name, detail) = step.split_once(' ').unwrap_or_else(|| panic!("no sentence in {line:?}"));
        (name, detail.trim_start())
    });
    told.collect()
}

fn detail<'a>(steps: &[(&'a str, &'a str)], name: &str) -> &'a str {
    steps.iter().find(|(found, _)| *found == name).unwrap_or_else(|| panic!("no `{name}` in {steps:?}")).1
}

fn names(entry: &Value) -> Vec<&str> {
    entry["events"].as_array().unwrap().iter().map(|event| event["event"].as_str().unwrap()).collect()
}

fn count(entry: &Value, name: &str) -> usize {
    names(entry).iter().filter(|event| **event == name).count()
}

/// Every try of an agent to get out so far.
fn tries(home: &Home) -> Vec<Value> {
    let audit = std::fs::read_to_string(home.path().join("logs/events.jsonl")).unwrap();
    let lines = audit.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["target"] == "nisse::event::egress").collect()
}

#[test]
fn the_demo_deploys_by_contract_and_outlives_a_power_cut() {
    let home = Home::new();
    let mut node = home.up(&["--demo"]);
    let said = node.demo_is_told();
    let told = steps(&said);
    assert_eq!(told.iter().map(|(name, _)| *name).collect::<Vec<_>>(), STEPS, "{said}");
    let status = home.json(&["node", "status"]);
    let text = |key: &str| status[key].as_str().unwrap();
    assert_eq!(detail(&told, "home"), format!("made in {}", home.path().display()));
    assert_eq!(told[2].1, format!("operator {}, drawn", text("operator")));
    assert!(told[3].1.starts_with("deployer 0x") && told[3].1.ends_with(", drawn"), "{said}");
    assert_eq!(detail(&told, "chain"), format!("{}, begun", status["chain"]));
    assert!(detail(&told, "contracts").starts_with(&format!("address book {}, made in ", text("contract"))), "{said}");
    assert_eq!((detail(&told, "stake"), text("stake")), ("10000 TALOS laid down by the operator", "10000"));
    assert_eq!(detail(&told, "deployed"), "deployment 1, paying 1000 TALOS at 50 per hour or less");
    assert_eq!(detail(&told, "bid"), "50 TALOS per hour");

    let host = host_of(&home.json(&["status", ORACLE]));
    assert!(said.contains(&format!("The agent is live: http://{host}.localhost:")), "{said}");
    let answer = eventually("the first price", || {
        let answer = node.ask(&host, "GET", "/price");
        (answer.status == 200).then_some(answer)
    });
    let price = answer.json();
    assert_eq!(price["pair"], "ETH/USD", "{price}");
    assert!(price["price"].as_f64().is_some_and(|price| price > 0.0), "{price}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let history = node.ask(&host, "GET", "/history").json();
    assert_eq!(history.as_array().map(Vec::len), Some(1), "{history}");

    // The price came over TLS, through the one rule that the agent has and the operator's one exception.
    let tries = tries(&home);
    assert!(!tries.is_empty(), "a price without a way out");
    for line in &tries {
        let kind = ["method", "scheme", "host", "port", "chosen"].map(|key| line[key].clone());
        assert_eq!(kind, [json!("GET"), json!("https"), json!(PRICE_HOST), json!(443), json!("127.0.0.1")], "{line}");
        assert_eq!((&line["verdict"], &line["status"]), (&json!("allowed"), &json!(200)), "{line}");
        assert_eq!(line["rule"], format!("network_outbound:{PRICE_HOST}"), "{line}");
        assert_eq!((&line["via_connect_to"], &line["via_network_local"]), (&json!(true), &json!(false)), "{line}");
        assert!(line["agent"].as_str().unwrap().starts_with(&format!("{ORACLE}--")), "{line}");
    }

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
    let again = steps(&said);
    let words: Vec<_> = again.iter().map(|(name, _)| *name).collect();
    assert_eq!(words, [&STEPS[..8], &["resumed", "live"]].concat(), "{said}");
    assert_eq!(detail(&again, "home"), format!("resumed from {}", home.path().display()));
    assert!(detail(&again, "chain").starts_with(&format!("{}, resumed at block ", status["chain"])), "{said}");
    for (first, then) in [(2, 2), (3, 3)] {
        assert_eq!(again[then].1, told[first].1.replace(", drawn", ", as before"), "another key");
    }
    assert_eq!(detail(&again, "contracts"), format!("address book {}, as before", text("contract")));
    assert_eq!(detail(&again, "stake"), "10000 TALOS of the operator's, as before");
    // What is said to be live answers.
    assert_eq!(node.ask(&host, "GET", "/price").status, 200);
    let after = home.json(&["status", ORACLE]);
    assert_eq!(after["deployment"], before["deployment"]);
    assert_eq!(after["restarts"], 1);
    assert_eq!(home.json(&["market", "ls"]).as_array().map(Vec::len), Some(1), "a second deployment");
    let entry = home.json(&["market", "show", "1"]);
    for name in ["deployed", "bid", "assigned"] {
        assert_eq!(count(&entry, name), 1, "{name} in {:?}", names(&entry));
    }

    // What it knew is still known, and the newest price is one of what it knows.
    let kept = node.ask(&host, "GET", "/history").json();
    let (kept, history) = (kept.as_array().unwrap(), history.as_array().unwrap());
    assert!(history.iter().all(|one| kept.contains(one)), "{history:?} is not in {kept:?}");
}

#[test]
fn a_demo_that_is_cut_off_goes_on_where_it_was() {
    let home = Home::new();
    let node = home.up(&["--demo"]);
    // Told as it happens: the package has yet to be compiled.
    eventually("the deployment", || node.said().contains(" ms  deployed ").then_some(()));
    node.kill();
    let mut node = home.up(&["--demo"]);
    let said = node.demo_is_told();
    let words: Vec<_> = steps(&said).into_iter().map(|(name, _)| name).collect();
    assert_eq!(words, [&STEPS[..8], &["resumed", "live"]].concat(), "{said}");
    assert_eq!(home.json(&["status", ORACLE])["state"], "running");
    assert_eq!(home.json(&["market", "ls"]).as_array().map(Vec::len), Some(1), "a second deployment");

    // What its owner chose since then stands.
    home.ok(&["pause", ORACLE]);
    node.kill();
    let mut node = home.up(&["--demo"]);
    let said = node.demo_is_told();
    assert!(said.contains("The agent is paused: `nisse resume talos.oracle.price-eth` runs it again."), "{said}");
    home.ok(&["stop", ORACLE]);
    node.kill();
    let mut node = home.up(&["--demo"]);
    let said = node.demo_is_told();
    assert_eq!(detail(&steps(&said), "deployed"), "deployment 2, paying 1000 TALOS at 50 per hour or less");
    assert!(said.ends_with("nisse market show 2\n"), "{said}");
}

#[test]
fn a_demo_tells_what_it_did_before_it_failed() {
    let home = Home::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let ended = home.run(&["up", "--demo", "--api", &taken.local_addr().unwrap().to_string()]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert_eq!(steps(&ended.out).into_iter().map(|(name, _)| name).collect::<Vec<_>>(), STEPS[..2], "{ended:?}");
    assert!(ended.err.starts_with("error: failed to listen on "), "{ended:?}");
}

#[test]
fn a_deployment_tells_its_steps_in_its_answer() {
    let home = Home::new();
    let _node = home.up(&[]);
    let deployed = home.json(&["deploy", &example("echo")]);
    let steps = deployed["steps"].as_array().unwrap();
    let words: Vec<_> = steps.iter().map(|step| step["name"].as_str().unwrap()).collect();
    // It costs nothing and nobody bids for it; the rest is as in the demo.
    let rest: Vec<_> = STEPS[10..].iter().copied().filter(|name| *name != "bid").collect();
    assert_eq!(words, rest, "{deployed}");
    let times: Vec<_> = steps.iter().map(|step| step["at_ms"].as_u64().unwrap()).collect();
    assert!(times.is_sorted() && times.last().copied() <= deployed["elapsed_ms"].as_u64(), "{deployed}");
    assert!(steps.iter().all(|step| step["detail"].as_str().is_some_and(|detail| !detail.is_empty())), "{deployed}");
}

#[test]
fn two_nodes_never_share_a_home() {
    let home = Home::new();
    let _node = home.up(&[]);
    let second = home.run(&["up", "--api", "127.0.0.1:0", "--public", "127.0.0.1:0"]);
    assert_eq!(second.code, 3, "{second:?}");
    assert!(second.err.contains("another nisse is running on it"), "{second:?}");
}
