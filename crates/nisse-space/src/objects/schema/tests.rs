//! Schemas that are read and refused, and objects that fit and do not.

use serde_json::{Value, json};

use super::*;
use crate::objects::{ObjectId, ObjectKind};

fn object(data: Value) -> Object {
    Object {
        id: ObjectId::new(1_700_000_000_000, [1; 10]),
        kind: ObjectKind::Object,
        type_uri: Some("dxn:type:example.org/type/Task:0.1.0".to_owned()),
        deleted: false,
        parent: None,
        source: None,
        target: None,
        meta: None,
        data: data.as_object().cloned().expect("a map"),
    }
}

fn check(schema: Value, data: Value) -> Result<(), String> {
    let schema = Schema::read(&schema).expect("a schema");
    schema.check(&object(data)).map_err(|misfit| misfit.to_string())
}

fn refused(schema: Value) -> String {
    Schema::read(&schema).expect_err("it is no schema").to_string()
}

fn task() -> Value {
    json!({
        "type": "object",
        "required": ["title"],
        "properties": { "title": { "type": "string", "minLength": 1 }, "done": { "type": "boolean" } },
    })
}

#[test]
fn what_does_not_fit_is_told_with_its_place_and_the_reason() {
    assert_eq!(check(task(), json!({ "title": "milk", "done": false })), Ok(()));
    let told = |data| check(task(), data).expect_err("it does not fit");
    assert_eq!(
        told(json!({ "title": "milk", "done": "no" })),
        "take the object as `dxn:type:example.org/type/Task:0.1.0`: at `/done` what stands there (text) is not of type \
         \"boolean\""
    );
    assert!(told(json!({})).ends_with("at `/` \"title\" is a required property"), "{}", told(json!({})));
    let long = told(json!({ "title": "", "done": false }));
    assert!(long.contains("at `/title`") && long.len() < 400, "{long}");
}

#[test]
fn a_deleted_object_is_not_looked_at() {
    let schema = Schema::read(&task()).expect("a schema");
    let mut deleted = object(json!({}));
    schema.check(&deleted).expect_err("it has no title");
    deleted.deleted = true;
    assert_eq!(schema.check(&deleted), Ok(()));
}

#[test]
fn the_id_is_there_for_schemas_that_speak_of_it_and_for_no_others() {
    let mut closed = task();
    closed["additionalProperties"] = json!(false);
    assert_eq!(check(closed.clone(), json!({ "title": "milk" })), Ok(()));
    closed["properties"]["id"] = json!({ "type": "string" });
    closed["required"] = json!(["id", "title"]);
    assert_eq!(check(closed.clone(), json!({ "title": "milk" })), Ok(()));
    check(closed, json!({ "title": "milk", "more": 1 })).expect_err("it has more");
}

#[test]
fn both_drafts_are_read_each_by_its_own_rules() {
    let seven = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "definitions": { "name": { "type": "string" } },
        "properties": { "pair": { "items": [{ "type": "number" }, { "$ref": "#/definitions/name" }] } },
        "dependencies": { "pair": ["title"], "title": { "required": ["pair"] } },
    });
    assert_eq!(check(seven.clone(), json!({ "pair": [1, "a"], "title": 1 })), Ok(()));
    check(seven.clone(), json!({ "pair": [1, 2], "title": 1 })).expect_err("the second is no text");
    check(seven, json!({ "title": 1 })).expect_err("there is no pair");
    let now = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "properties": { "pair": { "prefixItems": [{ "type": "number" }], "unevaluatedItems": false } },
        "dependentRequired": { "pair": ["title"] },
        "unevaluatedProperties": false,
    });
    check(now.clone(), json!({ "pair": [1] })).expect_err("there is no title");
    check(now.clone(), json!({ "pair": [1, 2], "title": 1 })).expect_err("a second item");
    check(now, json!({ "other": 1 })).expect_err("it is not spoken of");
    let other = refused(json!({ "$schema": "http://json-schema.org/draft-04/schema#" }));
    assert!(other.contains("only drafts 2020-12 and 07"), "{other}");
}

#[test]
fn the_schemas_that_echo_stores_are_read() {
    // As `toJsonSchema` of @dxos/echo-schema 0.8.3 makes them.
    let echo = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "dxn:type:example.org/type/Task:0.1.0",
        "entityKind": "object", "typename": "example.org/type/Task", "version": "0.1.0",
        "type": "object",
        "required": ["id", "title"],
        "properties": {
            "id": { "type": "string" },
            "title": { "type": "string", "format": "uri", "title": "Title" },
            "owner": {
                "$id": "/schemas/echo/ref",
                "reference": { "schema": { "$ref": "dxn:type:example.org/type/Person" }, "schemaVersion": "0.1.0" },
            },
        },
        "propertyOrder": ["title", "owner"],
        "additionalProperties": false,
        "annotations": { "meta": {} },
    });
    let declared = DeclaredType::of_schema(&echo).expect("it says its type");
    assert_eq!(declared.to_string(), "example.org/type/Task:0.1.0");
    let owner = json!({ "/": "dxn:echo:@:01HQRS7T4V8WXYZ0123456789A" });
    assert_eq!(check(echo.clone(), json!({ "title": "not a URI", "owner": owner })), Ok(()));
    check(echo, json!({ "title": 7 })).expect_err("no text");
}

#[test]
fn what_is_no_schema_is_refused_with_its_place() {
    assert!(refused(json!("text")).contains("no schema"));
    assert!(refused(json!({ "properties": { "a": { "type": "strin" } } })).contains("`/properties/a/type`"));
    assert!(refused(json!({ "properties": [1] })).contains("/properties"));
    assert!(refused(json!({ "pattern": "(" })).contains("pattern"));
    // What looks around or back is not matched in bounded time.
    assert!(refused(json!({ "pattern": "(a)\\1" })).contains("pattern"));
    assert!(refused(json!({ "pattern": "a".repeat(600) })).contains("512 bytes"));
    refused(json!({ "pattern": "((((a{1000}){1000}){1000}){1000})" }));
    assert!(refused(json!({ "description": "a".repeat(70_000) })).contains("65536 bytes"));
}

#[test]
fn nothing_outside_of_it_is_followed() {
    for to in
        ["https://example.org/schema", "file:///etc/passwd", "other.json", "dxn:type:example.org/type/Person", "#name"]
    {
        let text = refused(json!({ "properties": { "a": { "$ref": to } } }));
        assert!(text.contains("outside") && text.contains("/properties/a/$ref"), "{text}");
    }
    assert!(refused(json!({ "$ref": "#/$defs/none" })).contains("no schema stands"));
    assert!(refused(json!({ "$ref": "#/enum/0", "enum": [{}] })).contains("no schema stands"));
    // Below a name of its own `#` is another schema.
    let named = json!({ "properties": { "a": { "$id": "other", "items": { "$ref": "#" } } } });
    assert!(refused(named).contains("outside"));
    assert!(refused(json!({ "$dynamicRef": "#a" })).contains("depends"));
}

#[test]
fn what_refers_to_itself_goes_into_the_object_first() {
    for schema in [
        json!({ "$ref": "#" }),
        json!({ "allOf": [{ "$ref": "#" }] }),
        json!({ "$defs": { "a": { "not": { "$ref": "#/$defs/b" } }, "b": { "$ref": "#/$defs/a" } } }),
    ] {
        assert!(refused(schema).contains("comes back"));
    }
    let tree = json!({ "properties": { "children": { "items": { "$ref": "#" } }, "name": { "type": "string" } } });
    let mut deep = json!({ "name": "leaf" });
    for _ in 0..30 {
        deep = json!({ "name": "branch", "children": [deep] });
    }
    assert_eq!(check(tree.clone(), deep.clone()), Ok(()));
    let mut place = &mut deep;
    while place.get("children").is_some() {
        place = &mut place["children"][0];
    }
    place["name"] = json!(7);
    check(tree, deep).expect_err("the leaf has no name");
}

#[test]
fn a_schema_that_doubles_at_each_level_costs_no_time() {
    // Two looks at each level in the object: 2^60 for the deepest.
    let doubling =
        json!({ "allOf": [{ "properties": { "a": { "$ref": "#" } } }, { "properties": { "a": { "$ref": "#" } } }] });
    let mut deep = json!({ "b": 1 });
    for _ in 0..60 {
        deep = json!({ "a": deep });
    }
    let text = check(doubling.clone(), deep).expect_err("too much");
    assert!(text.contains("too large or too deep"), "{text}");
    assert_eq!(check(doubling, json!({ "a": { "a": 1 } })), Ok(()));
    // And at each reference, at the same value.
    let mut definitions = serde_json::Map::new();
    for number in 0..40 {
        let next = json!({ "$ref": format!("#/$defs/d{}", number + 1) });
        definitions.insert(format!("d{number}"), json!({ "allOf": [next, next] }));
    }
    definitions.insert("d40".to_owned(), json!({ "type": "object" }));
    assert!(refused(json!({ "$ref": "#/$defs/d0", "$defs": definitions })).contains("looks at one value"));
    let mut nested = json!({});
    for _ in 0..100 {
        nested = json!({ "not": nested });
    }
    assert!(refused(nested).contains("levels of nesting"));
}

#[test]
fn the_longest_chain_that_is_followed_fits_into_a_small_stack() {
    // A chain of references at each of 60 levels, as long as is followed in all.
    let chain = |length: usize| {
        let mut definitions = serde_json::Map::new();
        for number in 0..length {
            definitions.insert(format!("d{number}"), json!({ "$ref": format!("#/$defs/d{}", number + 1) }));
        }
        definitions.insert(format!("d{length}"), json!({ "properties": { "a": { "$ref": "#" } } }));
        json!({ "$ref": "#/$defs/d0", "$defs": definitions })
    };
    let mut deep = json!({ "b": 1 });
    for _ in 0..60 {
        deep = json!({ "a": deep });
    }
    let on_a_small_stack = |schema: Value, data: Value| {
        let thread = std::thread::Builder::new().stack_size(1 << 20);
        thread.spawn(move || check(schema, data)).expect("a thread").join().expect("it fits")
    };
    assert_eq!(on_a_small_stack(chain(4), deep.clone()), Ok(()));
    on_a_small_stack(chain(160), json!({ "b": 1 })).expect("it fits");
    on_a_small_stack(chain(20), deep).expect_err("it is too deep");
}

#[test]
fn a_type_is_named_in_each_of_its_ways_or_refused() {
    for text in ["dxn:type:example.org/type/Task:1.2.3", "example.org/type/Task:1.2.3"] {
        assert_eq!(DeclaredType::parse(text).expect("a type").to_string(), "example.org/type/Task:1.2.3");
    }
    let refused = |text: &str| DeclaredType::parse(text).expect_err("no type").to_string();
    assert!(refused("example.org/type/Task").contains("has no version"));
    assert!(refused("dxos.org/type/Schema:0.1.0").contains("the type of schemas"));
    assert!(refused("a b:0.1.0").contains("no name of a type"));
    DeclaredType::of_schema(&json!({ "type": "object" })).expect_err("it does not say");
    assert_eq!(
        named_object("dxn:echo:@:01HQRS7T4V8WXYZ0123456789A").map(|id| id.to_string()).as_deref(),
        Some("01HQRS7T4V8WXYZ0123456789A")
    );
    assert_eq!(named_object("dxn:type:a:0.1.0"), None);
}
