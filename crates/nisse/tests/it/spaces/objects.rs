//! Objects of a space by the command line: written, changed, found, and who did it.

use serde_json::{Value, json};

use crate::devices;
use crate::harness::Home;

fn line(text: &str) -> Value {
    serde_json::from_str(text.trim()).unwrap()
}

fn titles(found: &str) -> Vec<String> {
    found.lines().map(|object| line(object)["title"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn objects_are_put_changed_found_and_deleted_and_survive_a_kill() {
    let home = Home::new();
    let node = home.up(&[]);
    devices::begin(&home, "laptop");
    home.ok(&["space", "create", "notes"]);
    let task = r#"{"@type":"dxn:type:example.org/type/Task:0.1.0","title":"milk","done":false}"#;
    let milk = line(&home.ok(&["space", "put", "notes", task]));
    let id = milk["id"].as_str().unwrap().to_owned();
    home.ok(&["space", "put", "notes", r#"{"title":"bread"}"#]);
    assert_eq!(titles(&home.ok(&["space", "query", "notes"])), ["milk", "bread"]);

    let done = line(&home.ok(&["space", "patch", "notes", &id, r#"{"done":true}"#]));
    assert_eq!((&done["title"], &done["done"]), (&json!("milk"), &json!(true)));
    let tasks = json!({
        "type": "select",
        "filter": { "type": "object", "typename": "dxn:type:example.org/type/Task", "props": {} }
    });
    assert_eq!(titles(&home.ok(&["space", "query", "notes", &tasks.to_string()])), ["milk"]);
    let history = home.json(&["space", "history", "notes", &id]);
    let newest = &history["changes"][0];
    assert_eq!(newest["name"], "laptop");
    assert_eq!(newest["identity"], home.json(&["identity", "show"])["identity"]);
    assert_eq!(newest["touched"], json!([{ "object": id, "key": "done" }]));

    node.kill();
    let _node = home.up(&[]);
    assert_eq!(line(&home.ok(&["space", "get", "notes", &id])), done);
    home.ok(&["space", "rm", "notes", &id]);
    assert_eq!(titles(&home.ok(&["space", "query", "notes"])), ["bread"]);
    assert_eq!(line(&home.ok(&["space", "get", "notes", &id]))["@deleted"], true);
}

#[test]
fn what_is_no_object_or_no_query_is_refused_with_its_cause() {
    let home = Home::new();
    let _node = home.up(&[]);
    devices::begin(&home, "laptop");
    home.ok(&["space", "create", "notes"]);
    let refused = |arguments: &[&str]| {
        let said = home.run(arguments);
        (said.code, said.err.lines().next().unwrap_or_default().to_owned())
    };
    let object = "01HQRS7T4V8WXYZ0123456789A";
    let (code, text) = refused(&["space", "get", "notes", object]);
    assert_eq!((code, text.as_str()), (1, "error: failed to find the object 01HQRS7T4V8WXYZ0123456789A in the space"));
    let (code, text) = refused(&["space", "patch", "notes", object, "{}"]);
    assert_eq!((code, text.as_str()), (1, "error: failed to find the object 01HQRS7T4V8WXYZ0123456789A in the space"));
    let (code, text) = refused(&["space", "put", "notes", "[1]"]);
    assert_eq!((code, text.as_str()), (2, "error: failed to read the object: a JSON object is expected"));
    let (code, text) = refused(&["space", "put", "notes", "{"]);
    assert!(code == 2 && text.starts_with("error: failed to read the JSON: "), "{text}");
    let (code, text) = refused(&["space", "put", "notes", r#"{"@what":1}"#]);
    assert!(code == 2 && text.contains("@what"), "{text}");
    let (code, text) = refused(&["space", "query", "notes", r#"{"type":"vector"}"#]);
    assert!(code == 2 && text.contains("vector"), "{text}");
    let (code, text) = refused(&["space", "put", "others", "{}"]);
    assert!(code == 1 && text.contains("failed to find the space others"), "{text}");
    assert_eq!(home.ok(&["space", "query", "notes"]), "");
}

#[test]
fn a_watched_query_tells_what_it_finds_and_whatever_changes_in_that() {
    let home = Home::new();
    let node = home.up(&[]);
    devices::begin(&home, "laptop");
    home.ok(&["space", "create", "notes"]);
    let milk = line(&home.ok(&["space", "put", "notes", r#"{"title":"milk","done":false}"#]));
    let open = json!({
        "type": "select",
        "filter": { "type": "object", "typename": null, "props": { "done": { "type": "compare", "operator": "eq", "value": false } } }
    });
    let mut watching = home.start(&["space", "watch", "notes", &open.to_string()]);
    let said = watching.hear(|line| line.contains("ready"));
    let told: Vec<Value> = said.lines().map(line).collect();
    assert_eq!((&told[0]["change"], &told[0]["object"]), (&json!("object"), &milk));
    assert_eq!(told.len(), 2, "{said}");
    let bread = line(&home.ok(&["space", "put", "notes", r#"{"title":"bread","done":false}"#]));
    watching.hear(|told| line(told)["object"] == bread);
    home.ok(&["space", "patch", "notes", milk["id"].as_str().unwrap(), r#"{"done":true}"#]);
    watching.hear(|told| line(told)["change"] == "gone" && line(told)["id"] == milk["id"]);
    node.kill();
    assert_ne!(watching.end().code, 0);
    let refused = home.run(&["space", "watch", "notes", "{"]);
    assert_eq!(refused.code, 2, "{refused:?}");
}
