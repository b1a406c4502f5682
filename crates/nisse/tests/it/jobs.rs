//! Functions and triggers, as a person declares and watches them.

mod killed;
mod of_space;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::{Home, Node, eventually};

const AGENT: &str = "nisse.test.worker";

/// The worker without its timer, so that nothing comes by itself.
fn quiet(home: &Home) {
    let worker = home.copy_of("worker", "quiet");
    worker.edit("every: 1s, missed: all", "every: 366d");
    home.ok(&["deploy", worker.path()]);
}

fn fire(home: &Home, trigger: &str, data: &Value) -> String {
    let fired = home.json(&["trigger", "fire", AGENT, trigger, "--event", &data.to_string()]);
    assert_eq!(fired["new"], true);
    fired["invocation"].as_str().unwrap().to_owned()
}

/// An invocation once it is in this state.
fn until(home: &Home, invocation: &str, state: &str) -> Value {
    eventually(&format!("{invocation} to be {state}"), || {
        let shown = home.json(&["invocation", "show", AGENT, invocation]);
        (shown["state"] == state).then_some(shown)
    })
}

fn invocations(home: &Home, flags: &[&str]) -> Vec<Value> {
    let listed = home.json(&[&["invocation", "ls", AGENT], flags].concat());
    listed.as_array().unwrap().clone()
}

/// How often the worker noted each event of its functions, by function and event.
fn noted(node: &Node<'_>) -> BTreeMap<(String, String), u64> {
    let answer = node.ask_served(AGENT, "GET", "/");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let line = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        ((words[0].to_owned(), words[1].to_owned()), words[2].parse().unwrap())
    };
    // Its start is an event, too.
    answer.text().lines().map(line).filter(|((function, _), _)| function != "main").collect()
}

#[test]
fn an_event_is_handled_by_its_function_and_what_waits_for_that_follows() {
    let home = Home::new();
    let node = home.up(&[]);
    quiet(&home);
    let id = fire(&home, "tick", &json!({ "amount": 7 }));
    let shown = until(&home, &id, "completed");
    assert_eq!(
        (&shown["function"], &shown["trigger"], &shown["attempts"]),
        (&json!("work"), &json!("tick"), &json!(1))
    );
    assert_eq!(shown["text"], "{\"amount\":7}");
    assert!(shown["attempt"]["fuel"].as_u64().unwrap() > 0 && shown["attempt"]["seq"].is_u64());

    let followed = eventually("what follows", || {
        let listed = invocations(&home, &["--trigger", "done"]);
        listed.first().filter(|entry| entry["state"] == "completed").cloned()
    });
    let followed = home.json(&["invocation", "show", AGENT, followed["invocation"].as_str().unwrap()]);
    assert_eq!((&followed["function"], &followed["event"]), (&json!("follow"), &json!("function.completed")));
    let input: Value = serde_json::from_str(followed["text"].as_str().unwrap()).unwrap();
    assert_eq!(input, json!({ "of": id, "said": { "amount": 7 } }));
    let counts = noted(&node);
    assert!(counts.len() == 2 && counts.values().all(|count| *count == 1), "{counts:?}");

    let done = home.json(&["trigger", "show", AGENT, "done"]);
    assert_eq!((&done["state"], &done["count"], &done["kind"]), (&json!("on"), &json!(1), &json!("function")));
    assert_eq!(
        home.ok(&["why", AGENT, "done"]),
        "its last invocation is completed; it waits for the function `work` to end\n"
    );
}

#[test]
fn what_is_fired_under_one_name_is_handled_once() {
    let home = Home::new();
    let _node = home.up(&[]);
    quiet(&home);
    let fire = || home.json(&["trigger", "fire", AGENT, "tick", "--key", "order 7"]);
    let first = fire();
    assert_eq!(first["new"], true);
    until(&home, first["invocation"].as_str().unwrap(), "completed");
    let again = fire();
    assert_eq!((&again["new"], &again["invocation"]), (&json!(false), &first["invocation"]));
    assert_eq!(invocations(&home, &["--trigger", "tick"]).len(), 1);
}

#[test]
fn what_fails_is_tried_again_and_then_kept_until_somebody_looks() {
    let home = Home::new();
    let node = home.up(&[]);
    quiet(&home);
    let retried = fire(&home, "tick", &json!({ "do": "retry" }));
    let shown = until(&home, &retried, "completed");
    assert_eq!(shown["attempts"], 2);

    let trapped = fire(&home, "tick", &json!({ "do": "trap" }));
    let shown = until(&home, &trapped, "failed");
    assert_eq!(shown["attempts"], 3);
    assert!(shown["reason"].as_str().unwrap().starts_with("failed to run the agent: "), "{shown}");
    let failed = fire(&home, "tick", &json!({ "do": "fail" }));
    let shown = until(&home, &failed, "failed");
    assert_eq!((&shown["attempts"], &shown["reason"]), (&json!(1), &json!("as asked")));

    let dead = home.ok(&["invocation", "dead", AGENT]);
    assert!(dead.contains(&trapped) && dead.contains(&failed) && !dead.contains(&retried), "{dead}");
    eventually("the function that mourns, twice", || {
        (invocations(&home, &["--trigger", "failed"]).len() == 2).then_some(())
    });
    let why = home.ok(&["why", AGENT, "tick"]);
    assert!(why.starts_with("its last invocation is failed (as asked); it waits for its time"), "{why}");
    // No attempt that failed left anything.
    let of_work = noted(&node).into_iter().filter(|((function, _), _)| function == "work");
    assert_eq!(of_work.map(|(_, count)| count).collect::<Vec<_>>(), [1]);

    home.ok(&["invocation", "retry", AGENT, &failed]);
    let again = eventually("it to fail again", || {
        let shown = home.json(&["invocation", "show", AGENT, &failed]);
        (shown["state"] == "failed" && shown["ended"] != json!(null)).then_some(shown)
    });
    assert_eq!(again["attempts"], 1);
    let refused = home.run(&["invocation", "retry", AGENT, &retried]);
    assert_eq!(refused.code, 3);
    assert!(refused.refusal().contains("it is completed"), "{}", refused.refusal());
}

#[test]
fn a_timer_fires_by_itself_until_it_is_paused() {
    let home = Home::new();
    let node = home.up(&[]);
    home.ok(&["deploy", &crate::harness::example("worker")]);
    let count = |name: &str| home.json(&["trigger", "show", AGENT, name])["count"].as_u64().unwrap();
    eventually("three seconds", || (count("tick") >= 3).then_some(()));
    assert_eq!(home.ok(&["trigger", "pause", AGENT, "tick"]), "tick is paused\n");
    let paused = count("tick");
    let why = home.ok(&["why", AGENT, "tick"]);
    assert!(why.contains("it is paused: what happens meanwhile is passed over"), "{why}");
    assert_eq!(home.ok(&["trigger", "resume", AGENT, "tick"]), "tick is on\n");
    eventually("it to go on", || (count("tick") > paused).then_some(()));
    assert_eq!(count("never"), 0);
    assert!(home.ok(&["why", AGENT, "never"]).contains("agent.yaml says `enabled: false`"));

    let next = home.ok(&["trigger", "next", AGENT, "yearly"]);
    assert_eq!(next.lines().count(), 10);
    assert!(next.lines().all(|line| line.contains("-01-01")), "{next}");
    let listed = home.ok(&["trigger", "ls", AGENT]);
    assert!(listed.contains("timer cron 0 3 1 1 * Europe/Berlin"), "{listed}");
    home.ok(&["pause", AGENT]);
    assert!(home.ok(&["why", AGENT, "tick"]).contains("is paused: it takes no events"));
    home.ok(&["resume", AGENT]);
    let before = count("tick");
    eventually("it to catch up", || (count("tick") > before).then_some(()));
    let counts = noted(&node);
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
}

#[test]
fn what_nobody_declared_is_refused_in_one_sentence() {
    let home = Home::new();
    let _node = home.up(&[]);
    quiet(&home);
    let refusal = |args: &[&str], code: i32| {
        let ended = home.run(args);
        assert_eq!(ended.code, code, "{args:?}");
        ended.refusal()
    };
    let unknown = refusal(&["trigger", "fire", AGENT, "nightly"], 1);
    assert!(unknown.contains("failed to find the trigger `nightly`"), "{unknown}");
    assert!(unknown.contains("its triggers are tick, yearly, done, failed, never"), "{unknown}");
    assert!(refusal(&["invocation", "show", AGENT, "abc"], 1).contains("failed to find the invocation `abc`"));
    assert!(refusal(&["invocation", "ls", AGENT, "--state", "dead"], 2).contains("expected waiting, running"));
    assert!(refusal(&["trigger", "fire", AGENT, "tick", "--event", "{"], 2).contains("failed to read --event as JSON"));
    assert!(refusal(&["trigger", "ls", "nisse.no.such"], 1).contains("nisse.no.such"));
    home.ok(&["stop", AGENT]);
    assert!(refusal(&["trigger", "fire", AGENT, "tick"], 3).contains("stopped"));
    let large = json!("x".repeat(2 << 20)).to_string();
    std::fs::write(home.beside("large"), large).unwrap();
    let file = format!("@{}", home.beside("large").display());
    assert!(refusal(&["trigger", "fire", AGENT, "tick", "--event", &file], 2).contains("at most 1048576"));
}

#[test]
fn a_component_that_takes_no_events_declares_no_triggers() {
    let home = Home::new();
    let _node = home.up(&[]);
    let hello = home.copy_of("proxy-hello", "hello");
    let trigger = "{name: tick, function: main, spec: {kind: timer, every: 1h}}";
    hello.set("permissions", &format!("[]\nnisse: 1\ntriggers: [{trigger}]"));
    let refused = home.run(&["deploy", hello.path()]);
    assert_eq!(refused.code, 1);
    let why = "the component exports no `nisse:agent/handler`, so it takes no events";
    assert!(refused.err.contains(why), "{}", refused.err);
}

#[test]
fn what_waits_outlives_a_stop_and_a_destroyed_agent_takes_it_along() {
    let home = Home::new();
    let node = home.up(&[]);
    quiet(&home);
    home.ok(&["pause", AGENT]);
    let id = fire(&home, "tick", &json!({ "kept": true }));
    let other = fire(&home, "tick", &json!(null));
    assert_eq!(until(&home, &id, "waiting")["attempts"], 0);
    home.ok(&["invocation", "cancel", AGENT, &other]);
    until(&home, &other, "cancelled");
    home.ok(&["stop", AGENT]);
    home.ok(&["start", AGENT]);
    until(&home, &id, "completed");
    assert!(noted(&node).values().all(|count| *count == 1));
    home.ok(&["destroy", AGENT]);
    quiet(&home);
    assert!(invocations(&home, &[]).is_empty());
}
