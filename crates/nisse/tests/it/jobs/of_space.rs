//! Triggers of spaces: what becomes of their objects is told once each.

use serde_json::{Value, json};

use super::{AGENT, invocations, noted};
use crate::devices::begin;
use crate::harness::{Home, Package, eventually};

/// A worker that is told of a space, with what else its trigger says.
fn listening(home: &Home, more: &str) -> Package {
    let worker = home.copy_of("worker", "listening");
    worker.edit("every: 1s, missed: all", "every: 366d");
    worker.edit("permissions: []", "permissions: [\"space:notes:read\"]");
    let trigger = format!("  - name: notes\n    function: work\n    spec: {{kind: space, space: notes{more}}}\n");
    worker.edit("triggers:\n", &format!("triggers:\n{trigger}"));
    worker
}

fn put(home: &Home, object: &Value) -> String {
    let put = home.json(&["space", "put", "notes", &object.to_string()]);
    put["id"].as_str().unwrap().to_owned()
}

/// The types of the events that were handled, the oldest first, once there are so many.
fn told(home: &Home, count: usize) -> Vec<String> {
    eventually(&format!("{count} changes"), || {
        let mut listed = invocations(home, &["--trigger", "notes", "--state", "completed", "-n", "100"]);
        listed.reverse();
        let types = listed.iter().map(|entry| entry["event"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
        (types.len() >= count).then_some(types)
    })
}

#[test]
fn what_becomes_of_an_object_is_told_once_over_restarts_too() {
    let home = Home::new();
    let mut node = home.up(&[]);
    begin(&home, "home");
    home.ok(&["space", "create", "notes"]);
    put(&home, &json!({ "title": "there before" }));
    home.ok(&["deploy", listening(&home, "").path()]);
    // The trigger begins once it has looked.
    eventually("the begin", || {
        let shown = home.json(&["trigger", "show", AGENT, "notes"]);
        (shown["state"] == "on").then_some(())
    });
    std::thread::sleep(std::time::Duration::from_millis(500));
    let id = put(&home, &json!({ "title": "milk" }));
    assert_eq!(told(&home, 1), ["space.created"]);
    let shown = invocations(&home, &["--trigger", "notes"]);
    let shown = home.json(&["invocation", "show", AGENT, shown[0]["invocation"].as_str().unwrap()]);
    let data: Value = serde_json::from_str(shown["text"].as_str().unwrap()).unwrap();
    assert_eq!((&data["type"], &data["space"], &data["id"]), (&json!("created"), &json!("notes"), &json!(id)));
    assert_eq!(data["object"]["title"], "milk");

    put(&home, &json!({ "id": id, "title": "bread" }));
    assert_eq!(told(&home, 2).last().unwrap(), "space.updated");
    node.kill();
    node = home.up(&[]);
    eventually("it to serve", || (home.run(&["trigger", "ls", AGENT]).code == 0).then_some(()));
    home.ok(&["space", "rm", "notes", &id]);
    assert_eq!(told(&home, 3), ["space.created", "space.updated", "space.deleted"]);

    // What happens while it is paused is passed over; what happens while the agent is away is not.
    home.ok(&["trigger", "pause", AGENT, "notes"]);
    put(&home, &json!({ "title": "unseen" }));
    std::thread::sleep(std::time::Duration::from_millis(800));
    home.ok(&["trigger", "resume", AGENT, "notes"]);
    home.ok(&["pause", AGENT]);
    put(&home, &json!({ "title": "later" }));
    home.ok(&["resume", AGENT]);
    assert_eq!(told(&home, 4), ["space.created", "space.updated", "space.deleted", "space.created"]);
    let counts = noted(&node);
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
    assert_eq!(counts.keys().filter(|(function, _)| function == "work").count(), 4);
}

#[test]
fn a_trigger_takes_what_it_asks_for() {
    let home = Home::new();
    let _node = home.up(&[]);
    begin(&home, "home");
    home.ok(&["space", "create", "notes"]);
    put(&home, &json!({ "title": "there before" }));
    home.ok(&["deploy", listening(&home, ", existing: true, events: [created], debounce: 300ms").path()]);
    assert_eq!(told(&home, 1), ["space.created"]);
    let id = put(&home, &json!({ "title": "one" }));
    told(&home, 2);
    put(&home, &json!({ "id": id, "title": "changed, which nobody asked for" }));
    put(&home, &json!({ "title": "two" }));
    assert_eq!(told(&home, 3), ["space.created"; 3]);
}

#[test]
fn a_trigger_of_what_it_may_not_read_or_cannot_ask_is_refused() {
    let home = Home::new();
    let _node = home.up(&[]);
    let worker = listening(&home, "");
    worker.edit("[\"space:notes:read\"]", "[\"space:other:read\"]");
    let refused = home.run(&["deploy", worker.path()]).refusal();
    assert!(refused.contains("found a trigger of the space `notes` without a permission to read it"), "{refused}");
    assert!(refused.contains("add \"space:notes:read\" to `permissions`"), "{refused}");
    let refused = home.run(&["deploy", listening(&home, ", query: {type: nothing}").path()]);
    assert!(refused.err.contains("failed to read the query of the trigger `notes`"), "{}", refused.err);
}
