//! What objects of a type have to be, by the command line.

use serde_json::{Value, json};

use crate::devices;
use crate::harness::Home;

const TASK: &str = "dxn:type:example.org/type/Task:0.1.0";

fn line(text: &str) -> Value {
    serde_json::from_str(text.trim()).unwrap()
}

/// A file beside the home.
fn file(home: &Home, name: &str, content: &Value) -> String {
    let path = home.beside(name);
    std::fs::write(&path, content.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_type_is_declared_and_what_does_not_fit_is_refused_with_its_place() {
    let home = Home::new();
    let node = home.up(&[]);
    devices::begin(&home, "laptop");
    home.ok(&["space", "create", "notes"]);
    let old = line(&home.ok(&["space", "put", "notes", &json!({ "@type": TASK, "title": 7 }).to_string()]));
    let schema = json!({
        "$id": TASK, "type": "object", "required": ["title"],
        "properties": { "title": { "type": "string" }, "done": { "type": "boolean" } },
    });
    let declared = home.ok(&["space", "schema", "put", "notes", &file(&home, "task.json", &schema)]);
    assert_eq!(declared.trim(), TASK);
    let put = |object: Value| home.run(&["space", "put", "notes", &object.to_string()]);
    let refused = put(json!({ "@type": TASK, "title": "milk", "done": "no" })).refusal();
    insta::assert_snapshot!(refused, @r#"
    exit 2
    error: failed to take the object as `dxn:type:example.org/type/Task:0.1.0`: at `/done` what stands there (text) is not of type "boolean"
    hint: `nisse space schema get SPACE dxn:type:example.org/type/Task:0.1.0` shows what it has to be
    "#);
    let milk = line(&put(json!({ "@type": TASK, "title": "milk" })).out);
    let id = milk["id"].as_str().unwrap();
    let refused = home.run(&["space", "patch", "notes", id, r#"{"title":null}"#]);
    assert!(refused.code == 2 && refused.err.contains("\"title\" is a required property"), "{refused:?}");
    assert_eq!(line(&home.ok(&["space", "get", "notes", id])), milk);

    let check = home.json(&["space", "schema", "check", "notes"]);
    assert_eq!((&check["checked"], &check["whole"]), (&json!(2), &json!(true)));
    let misfit = json!({
        "object": old["id"], "type": TASK, "at": "/title",
        "reason": "what stands there (a number) is not of type \"string\"",
    });
    assert_eq!(check["misfits"], json!([misfit]));

    node.kill();
    let _node = home.up(&[]);
    assert_eq!(put(json!({ "@type": TASK })).code, 2);
    assert_eq!(home.json(&["space", "schema", "ls", "notes"])[0]["type"], TASK);
    assert_eq!(line(&home.ok(&["space", "schema", "get", "notes", "example.org/type/Task"])), schema);
    home.ok(&["space", "schema", "rm", "notes", TASK]);
    assert_eq!(put(json!({ "@type": TASK })).code, 0);
    assert_eq!(home.json(&["space", "schema", "ls", "notes"]), json!([]));
    let audit = home.ok(&["audit", "ls"]);
    assert!(audit.contains("space.schema.put") && audit.contains("space.schema.remove"), "{audit}");
}

#[test]
fn what_is_no_schema_is_refused_with_its_cause() {
    let home = Home::new();
    let _node = home.up(&[]);
    devices::begin(&home, "laptop");
    home.ok(&["space", "create", "notes"]);
    let refused = |schema: &Value, more: &[&str]| {
        let path = file(&home, "schema.json", schema);
        let said = home.run(&[&["space", "schema", "put", "notes", &path], more].concat());
        (said.code, said.err.lines().next().unwrap_or_default().to_owned())
    };
    let (code, text) = refused(&json!({ "type": "object" }), &[]);
    assert!(code == 2 && text.contains("does not say which type"), "{text}");
    let (code, text) = refused(&json!({ "type": "strin" }), &["--type", "example.org/type/Task:0.1.0"]);
    assert!(code == 2 && text.contains("`/type`"), "{text}");
    let outside = json!({ "properties": { "a": { "$ref": "https://example.org/a" } } });
    let (code, text) = refused(&outside, &["--type", "example.org/type/Task:0.1.0"]);
    assert!(code == 2 && text.contains("outside of it"), "{text}");
    let (code, text) = refused(&json!({}), &["--type", "example.org/type/Task"]);
    assert!(code == 2 && text.contains("has no version"), "{text}");
    for command in ["get", "rm"] {
        let none = home.run(&["space", "schema", command, "notes", "example.org/type/None"]);
        assert!(none.code == 1 && none.err.contains("failed to find a schema of `example.org/type/None`"), "{none:?}");
    }
    assert_eq!(home.json(&["space", "schema", "ls", "notes"]), json!([]));
}
