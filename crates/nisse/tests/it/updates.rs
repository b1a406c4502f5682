//! An update whose new package fails: the old one goes on, everybody is told, and the next update works.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::harness::{Home, Node, example};

const COUNTER: &str = "nisse.test.counter";

fn count(node: &Node<'_>, method: &str) -> String {
    let answer = node.ask_served(COUNTER, method, "/");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text().trim().to_owned()
}

/// What the chain says of the updates of the first deployment.
fn updates_on_chain(home: &Home) -> Vec<(String, String)> {
    let entry = home.json(&["market", "show", "1"]);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let events = entry["events"].as_array().unwrap().iter();
    events
        .map(|event| (text(&event["event"]), text(&event["detail"])))
        .filter(|(name, _)| name.contains("update"))
        .collect()
}

#[test]
fn an_update_that_traps_at_its_start_is_refused_and_the_old_package_goes_on() {
    let home = Home::new();
    let node = home.up(&[]);
    home.ok(&["deploy", &example("counter")]);
    assert_eq!(count(&node, "POST"), "1");
    let trap = home.copy_of("trap-at-start", "trap");
    trap.edit("nisse.test.trap-at-start@v1.0.0", "nisse.test.counter@v1.1.0");
    assert_snapshot!(home.run(&["update", COUNTER, trap.path()]).refusal(), @r"
    exit 3
    error: failed to update nisse.test.counter: start: run the agent: it panicked (an `unreachable` instruction); the old package goes on
    hint: `nisse logs nisse.test.counter` shows what it said; mend it, then `nisse update nisse.test.counter DIR` again
    ");
    let log = home.ok(&["logs", COUNTER]);
    assert!(log.contains(" error ") && log.contains("panicked"), "the new one's end stands in the log: {log}");

    assert_eq!(count(&node, "GET"), "1", "the old one answers, with its state");
    assert_eq!(count(&node, "POST"), "2");
    let status = home.json(&["status", COUNTER]);
    assert_eq!((&status["version"], &status["state"]), (&json!("1.0.0"), &json!("running")));
    let reason = status["update_refused"].as_str().unwrap().to_owned();
    assert_eq!(reason, "start: run the agent: it panicked (an `unreachable` instruction)");
    assert!(home.ok(&["status", COUNTER]).contains(&format!("refused: {reason}")));
    let requested = ("update requested".to_owned(), "revision 1".to_owned());
    let refused = ("update refused".to_owned(), format!("revision 1: {reason}"));
    assert_eq!(updates_on_chain(&home), [requested.clone(), refused.clone()]);
    node.kill();

    let node = home.up(&[]);
    assert_eq!(count(&node, "POST"), "3");
    assert_eq!(home.json(&["status", COUNTER])["update_refused"], json!(reason), "it is remembered");
    let newer = home.copy_of("counter", "newer");
    newer.edit("@v1.0.0", "@v1.2.0");
    let status = home.json(&["update", COUNTER, newer.path()]);
    assert_eq!((&status["version"], &status["update_refused"]), (&json!("1.2.0"), &Value::Null));
    assert_eq!(count(&node, "POST"), "4", "the state came along");
    let chain = updates_on_chain(&home);
    assert_eq!(chain[..2], [requested, refused]);
    assert_eq!(
        chain[2..],
        [("update requested", "revision 2"), ("updated", "revision 2, incarnation 2")]
            .map(|(name, detail)| (name.to_owned(), detail.to_owned()))
    );
}
