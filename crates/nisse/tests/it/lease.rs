//! A paid lease ends when its deposit is used up, by the chain's clock and to the last unit; a home lease never does.

use serde_json::{Value, json};

use crate::harness::{Home, eventually, example, host_of};
use crate::web;

const ORACLE: &str = "talos.oracle.price-eth";
const HOUR: u64 = 3_600;

/// Moves the chain's clock and makes a block there, as time alone makes none.
fn pass(rpc: &str, seconds: u64) {
    web::rpc(rpc, "nisse_increaseTime", json!([format!("{seconds:#x}")]));
    web::rpc(rpc, "nisse_mine", json!([]));
}

/// TALOS as units of 10^-18.
fn units(amount: &Value) -> u128 {
    let text = amount.as_str().unwrap();
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{part:0<18}").parse().unwrap()
}

fn details<'a>(entry: &'a Value, name: &str) -> Vec<&'a str> {
    let events = entry["events"].as_array().unwrap();
    events.iter().filter(|event| event["event"] == name).map(|event| event["detail"].as_str().unwrap()).collect()
}

/// The amount that a sentence about money names.
fn amount_in(detail: &str) -> u128 {
    units(&detail.split(' ').next().unwrap().into())
}

#[test]
fn a_paid_lease_ends_after_twenty_hours_and_a_home_lease_never_does() {
    let home = Home::new();
    let rpc = web::free_address();
    let mut node = home.up(&["--demo", "--chain-dev", "--rpc", &rpc]);
    node.demo_is_told();
    home.ok(&["deploy", &example("echo")]);

    let status = home.json(&["status", ORACLE]);
    assert!(status["lease"]["warning"].as_str().is_some_and(|text| text.contains("nisse fund")), "{status}");

    // A minute more, as the lease began a little after the clock was read.
    pass(&rpc, 20 * HOUR + 60);
    // Whoever calls the agent sees the end of its lease.
    let host = host_of(&status);
    eventually("the end of the lease", || (node.ask(&host, "GET", "/price").status == 503).then_some(()));
    let status = eventually("the state to say so", || {
        let status = home.json(&["status", ORACLE]);
        (status["state"] == "stopped").then_some(status)
    });
    assert_eq!(status["reason"], "its deposit was used up");
    let entry = eventually("the settlement", || {
        let entry = home.json(&["market", "show", "1"]);
        (entry["state"] == "expired").then_some(entry)
    });
    assert_eq!(details(&entry, "expired").len(), 1);
    let settled: u128 = details(&entry, "settled").into_iter().map(amount_in).sum();
    let stopped: u128 = details(&entry, "stopped").into_iter().map(amount_in).sum();
    assert_eq!((settled, stopped), (units(&entry["deposited"]), 0));
    assert_eq!(units(&entry["paid"]), settled);
    assert_eq!(units(&home.json(&["node", "status"])["earned"]), settled, "the node has what the lease paid");

    let echo = home.json(&["status", "nisse.test.echo"]);
    assert_eq!((&echo["state"], &echo["lease"]["ends_at"]), (&"running".into(), &Value::Null));
    node.echo_answers();
    // Not in a year.
    pass(&rpc, 365 * 24 * HOUR);
    node.echo_answers();
    assert_eq!(home.json(&["market", "show", "2"])["state"], "running");
}

#[test]
fn what_a_lease_has_paid_grows_while_it_runs() {
    let home = Home::new();
    let rpc = web::free_address();
    let mut node = home.up(&["--demo", "--chain-dev", "--rpc", &rpc]);
    node.demo_is_told();
    let paid = || {
        let entry = home.json(&["market", "show", "1"]);
        assert_eq!(entry["state"], "running");
        let lease = home.json(&["status", ORACLE])["lease"].take();
        let (shown, told) = (units(&entry["paid"]), units(&lease["paid"]));
        assert!(told >= shown, "its status is younger than the market's entry: {lease} and {entry}");
        assert_eq!(told + units(&lease["balance"]), units(&entry["deposited"]), "{lease}");
        shown
    };
    let hourly = 50 * 10u128.pow(18);
    let mut before = paid();
    for _ in 0..3 {
        pass(&rpc, HOUR);
        let now = paid();
        // What the test itself takes comes on top.
        assert!((hourly..2 * hourly).contains(&(now - before)), "{before}, and an hour later {now}");
        before = now;
    }
}

#[test]
fn a_lease_that_its_owner_ends_pays_for_its_time_and_gives_the_rest_back() {
    let home = Home::new();
    let rpc = web::free_address();
    let mut node = home.up(&["--demo", "--chain-dev", "--rpc", &rpc]);
    node.demo_is_told();
    let deposited = units(&home.json(&["market", "show", "1"])["deposited"]);
    pass(&rpc, 7 * HOUR + 13);
    home.ok(&["stop", ORACLE]);
    let entry = eventually("the end of the lease", || {
        let entry = home.json(&["market", "show", "1"]);
        (entry["state"] == "stopped").then_some(entry)
    });
    let paid: u128 = details(&entry, "settled").into_iter().map(amount_in).sum();
    let refund: u128 = details(&entry, "stopped").into_iter().map(amount_in).sum();
    assert_eq!(paid + refund, deposited, "{entry}");
    assert_eq!(paid, units(&entry["paid"]));
    assert_eq!(units(&home.json(&["node", "status"])["earned"]), paid);
    // 50 an hour, rounded down to a unit, for the whole seconds between the two events.
    let time = |name: &str| {
        let events = entry["events"].as_array().unwrap();
        events.iter().find(|event| event["event"] == name).unwrap()["time"].as_u64().unwrap() / 1_000
    };
    let seconds = time("stopped") - time("started");
    assert!(seconds >= 7 * HOUR + 13);
    assert_eq!(paid, 50 * 10u128.pow(18) * u128::from(seconds) / u128::from(HOUR));
}
