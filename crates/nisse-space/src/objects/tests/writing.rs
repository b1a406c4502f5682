use automerge::transaction::Transactable;
use automerge::{Automerge, ObjId, ObjType, ROOT, ReadDoc, ScalarValue};
use serde_json::{Value, json};

use super::{document, id, map, read, writer};
use crate::objects::{OBJECT_BYTES_MAX, OBJECT_KEYS_MAX, ObjectError, ObjectKind, delete, patch, put};

fn put_json(document: &mut Automerge, json: Value) -> bool {
    put(document, id(1), &map(json), &writer(1)).expect("put").is_some()
}

fn operations(document: &Automerge) -> u64 {
    document.get_changes_meta(&[]).iter().map(|change| change.max_op + 1 - change.start_op).sum()
}

fn data(document: &Automerge) -> ObjId {
    let (_, objects) = document.get(ROOT, "objects").expect("get").expect("objects");
    let (_, object) = document.get(&objects, id(1).to_string()).expect("get").expect("an object");
    document.get(&object, "data").expect("get").expect("data").1
}

#[test]
fn a_put_object_reads_the_same() {
    let mut document = document(id(1), 1);
    let json = json!({
        "id": id(1), "@self": format!("dxn:echo:@:{}", id(1)), "@type": "dxn:type:example.org/type/Task:0.1.0",
        "@meta": { "keys": [{ "source": "github.com", "id": "7" }], "tags": ["dxn:echo:@:x"] }, "@deleted": true,
        "@parent": "dxn:echo:@:parent", "title": "milk", "": "an empty key",
        "nested": { "list": [1, -2.5, "é", null, true, [], {}, { "raw": { "/": { "bytes": "AQI" } } }] },
        "reference": { "/": "dxn:echo:@:other" }, "large": u64::MAX,
    });
    assert!(put_json(&mut document, json.clone()));
    assert_eq!(read(&document, id(1)).to_json(), map(json.clone()));
    assert!(!put_json(&mut document, json), "nothing differs, so nothing changes");
    assert_eq!(read(&document, id(1)).kind, ObjectKind::Object);
    assert_eq!(read(&document, id(1)).foreign_keys()[0].source, "github.com");
    // Whole: what the JSON leaves out goes.
    assert!(put_json(&mut document, json!({ "title": "bread" })));
    let json =
        json!({ "id": id(1), "@self": format!("dxn:echo:@:{}", id(1)), "@meta": { "keys": [] }, "title": "bread" });
    assert_eq!(read(&document, id(1)).to_json(), map(json));
}

#[test]
fn a_relation_keeps_its_two_ends() {
    let mut document = document(id(1), 1);
    let ends = json!({ "@relationSource": "dxn:echo:@:a", "@relationTarget": "dxn:echo:@:b" });
    assert!(put_json(&mut document, ends.clone()));
    assert_eq!(read(&document, id(1)).kind, ObjectKind::Relation);
    assert!(!put_json(&mut document, ends));
    for json in [json!({}), json!({ "@relationSource": "dxn:echo:@:a" })] {
        let error = put(&mut document, id(1), &map(json), &writer(1)).expect_err("no object now");
        assert!(matches!(error, ObjectError::KindChanges), "{error}");
    }
    let mut document = super::document(id(2), 1);
    let error = put(&mut document, id(2), &map(json!({ "@relationTarget": "dxn:echo:@:a" })), &writer(1));
    assert!(matches!(error, Err(ObjectError::KindChanges)));
}

#[test]
fn only_what_differs_is_written() {
    let mut document = document(id(1), 1);
    put_json(&mut document, json!({ "title": "a long title", "count": 1, "list": [1, 2, 3, 4], "rest": { "a": "b" } }));
    let cases = [
        (json!({ "title": "a long title", "count": 2, "list": [1, 2, 3, 4], "rest": { "a": "b" } }), 1),
        (json!({ "title": "a longer title", "count": 2, "list": [1, 2, 3, 4], "rest": { "a": "b" } }), 2),
        (json!({ "title": "a longer title", "count": 2, "list": [1, 2, 9, 3, 4], "rest": { "a": "b" } }), 1),
        (json!({ "title": "a longer title", "count": 2, "list": [1, 9, 3, 4], "rest": { "a": "b" } }), 1 + 1),
        (json!({ "title": "a longer title", "count": 2.0, "list": [1, 9, 3, 4], "rest": { "a": "b" } }), 0),
        (json!({ "count": 2, "list": [1, 9, 3, 4], "rest": {} }), 2),
    ];
    for (json, wanted) in cases {
        let before = operations(&document);
        put_json(&mut document, json.clone());
        let object = read(&document, id(1));
        for (key, value) in map(json.clone()) {
            assert_eq!(crate::objects::compare(&object.data[&key], &value), std::cmp::Ordering::Equal);
        }
        let made = operations(&document) - before;
        assert!(made <= wanted, "{json} took {made} operations, not {wanted}");
    }
}

#[test]
fn a_scalar_keeps_its_kind() {
    let mut document = document(id(1), 1);
    put_json(&mut document, json!({ "keep": 1 }));
    let id_of_data = data(&document);
    let mut edit = document.transaction();
    edit.put(&id_of_data, "string", "old").expect("put");
    edit.put(&id_of_data, "counter", ScalarValue::counter(5)).expect("put");
    edit.put(&id_of_data, "time", ScalarValue::Timestamp(0)).expect("put");
    edit.put(&id_of_data, "bytes", vec![1u8]).expect("put");
    edit.put(&id_of_data, "nan", f64::NAN).expect("put");
    edit.put(&id_of_data, "@hidden", "kept").expect("put");
    edit.commit();
    let json = json!({
        "keep": 1, "string": "new", "counter": 7, "time": "1970-01-01T00:00:01.000Z",
        "bytes": { "/": { "bytes": "Ag" } }, "nan": null,
    });
    assert!(put_json(&mut document, json.clone()));
    let get = |key: &str| document.get(&id_of_data, key).expect("get").expect("a value").0.into_owned();
    assert_eq!(get("string"), automerge::Value::str("new"));
    assert_eq!(get("counter"), automerge::Value::counter(7));
    assert_eq!(get("time"), automerge::Value::timestamp(1000));
    assert_eq!(get("bytes"), automerge::Value::bytes(vec![2]));
    assert!(get("nan").as_f64().is_some_and(f64::is_nan));
    assert_eq!(get("@hidden"), automerge::Value::str("kept"), "what the JSON cannot say stays");
    assert!(!put_json(&mut document, json));
    // Another kind replaces it.
    put_json(&mut document, json!({ "time": "noon", "counter": "many" }));
    assert_eq!(
        document.get(&id_of_data, "time").expect("get").expect("a value").0,
        automerge::Value::Object(ObjType::Text)
    );
}

#[test]
fn two_edits_of_one_string_both_stay() {
    let mut one = document(id(1), 1);
    put_json(&mut one, json!({ "title": "buy milk", "see": { "/": "dxn:echo:@:aaa" } }));
    let mut two = one.fork();
    put(&mut one, id(1), &map(json!({ "title": "please buy milk", "see": { "/": "dxn:echo:@:bbb" } })), &writer(1))
        .expect("put");
    put(&mut two, id(1), &map(json!({ "title": "buy milk and bread", "see": { "/": "dxn:echo:@:ccc" } })), &writer(2))
        .expect("put");
    one.merge(&mut two).expect("merged");
    let object = read(&one, id(1));
    assert_eq!(object.data["title"], "please buy milk and bread");
    let see = object.data["see"]["/"].as_str().expect("a URI");
    assert!(["dxn:echo:@:bbb", "dxn:echo:@:ccc"].contains(&see), "a URI is no mixture: {see}");
}

#[test]
fn a_large_string_that_differs_throughout_is_replaced_in_bounded_time() {
    let mut document = document(id(1), 1);
    let text = |seed: u32| -> String {
        let letter = |place: u32| char::from(b'a' + (place.wrapping_mul(seed).wrapping_mul(place) >> 7) as u8 % 26);
        format!("head é {} tail é", (0..30_000).map(letter).collect::<String>())
    };
    put_json(&mut document, json!({ "text": text(2_654_435_761) }));
    put_json(&mut document, json!({ "text": text(40_503) }));
    assert_eq!(read(&document, id(1)).data["text"], text(40_503));
    let huge = "x".repeat(400_000);
    put_json(&mut document, json!({ "text": huge }));
    assert!(document.get(data(&document), "text").expect("get").expect("a value").0.is_str(), "one scalar, as in ECHO");
}

#[test]
fn a_merge_patch_changes_what_it_names() {
    let mut document = document(id(1), 1);
    let patched = |document: &mut Automerge, json: Value| {
        patch(document, id(1), &map(json), &writer(1)).expect("patched");
        read(document, id(1))
    };
    let object = patched(&mut document, json!({ "@type": "dxn:type:T", "a": { "b": 1, "c": [1] }, "d": "e" }));
    assert_eq!(object.data, map(json!({ "a": { "b": 1, "c": [1] }, "d": "e" })));
    let object = patched(
        &mut document,
        json!({ "a": { "b": null, "c": [2], "x": { "y": null } }, "d": { "z": 1 }, "@deleted": true }),
    );
    assert_eq!(object.data, map(json!({ "a": { "c": [2], "x": {} }, "d": { "z": 1 } })));
    assert_eq!((object.type_uri.as_deref(), object.deleted), (Some("dxn:type:T"), true));
    let object = patched(&mut document, json!({ "@deleted": null, "@type": null }));
    assert_eq!((object.type_uri, object.deleted), (None, false));
}

#[test]
fn a_deleted_object_keeps_its_data() {
    let mut document = document(id(1), 1);
    put_json(&mut document, json!({ "title": "milk" }));
    assert!(delete(&mut document, id(1), &writer(1)).expect("deleted").is_some());
    assert!(delete(&mut document, id(1), &writer(1)).expect("deleted").is_none());
    let object = read(&document, id(1));
    assert!(object.deleted);
    assert_eq!(object.data["title"], "milk");
    assert!(matches!(delete(&mut document, id(2), &writer(1)), Err(ObjectError::Missing { .. })));
    assert!(matches!(delete(&mut Automerge::new(), id(2), &writer(1)), Err(ObjectError::NotBegun { .. })));
}

#[test]
fn what_is_no_object_is_refused_and_changes_nothing() {
    let mut document = document(id(1), 1);
    let mut deep = json!(0);
    for _ in 0..64 {
        deep = json!([deep]);
    }
    let many: serde_json::Map<String, Value> =
        (0..=OBJECT_KEYS_MAX).map(|key| (key.to_string(), Value::Null)).collect();
    let cases = [
        (json!({ "@typo": 1 }), "`@typo`: of keys with `@` an object has @type"),
        (json!({ "id": "another" }), "its JSON says that it is `\"another\"`"),
        (json!({ "@self": format!("dxn:echo:@:{}", id(2)) }), "its JSON says that it is"),
        (json!({ "@type": 7 }), "`@type` is a number, expected a URI"),
        (json!({ "@type": "with space" }), "`@type` is no URI"),
        (json!({ "@deleted": "yes" }), "`@deleted` is text, expected a boolean"),
        (json!({ "@meta": [] }), "`@meta` is a list, expected a map"),
        (json!({ "@meta": { "keys": [{ "source": "a" }] } }), "`meta.keys` is a map, expected a list of {source, id}"),
        (json!({ "a": deep }), "more than 64 levels of nesting"),
        (Value::Object(many), "more than 10000 keys"),
        (json!({ "a": "x".repeat(OBJECT_BYTES_MAX) }), "more than 1048576 bytes"),
        (json!({ "a": "\n".repeat(OBJECT_BYTES_MAX - 100) }), "more than 1048576 bytes"),
        (json!({ "a": vec![0; 100_001] }), "more than 100000 elements"),
    ];
    let before = document.get_heads();
    for (json, wanted) in cases {
        let error = put(&mut document, id(1), &map(json), &writer(1)).expect_err(wanted).to_string();
        assert!(error.contains(wanted), "{error}");
        assert_eq!(document.get_heads(), before);
    }
    let error = put(&mut Automerge::new(), id(1), &map(json!({})), &writer(1)).expect_err("not begun");
    assert_eq!(error.to_string(), "find the map `objects` in the document (found nothing): begin it first");
}

#[test]
fn a_put_is_the_writers_change_and_the_same_bytes_each_time() {
    let made = || {
        let mut document = document(id(1), 1);
        put_json(
            &mut document,
            json!({ "b": { "d": [1, "x", { "a": 1, "b": 2, "c": 3, "d": 4 }], "c": 2 }, "a": "text", "e": 1, "f": 2, "g": 3 }),
        );
        document
    };
    let document = made();
    assert_eq!(document.get_heads(), made().get_heads());
    let change = document.get_change_by_hash(&document.get_heads()[0]).expect("a change");
    assert_eq!((change.actor_id(), change.timestamp()), (&super::actor(1), 1_700_000_123));
}

#[test]
fn a_long_list_is_emptied_and_filled_again_in_bounded_time() {
    // Elements inserted singly would each be moved past all that were deleted: minutes for this one.
    let mut document = document(id(1), 1);
    put_json(&mut document, json!({ "list": (0..20_000).collect::<Vec<_>>() }));
    put_json(&mut document, json!({ "list": [] }));
    let list = json!((0..4_000).map(|number| json!({ "a": number, "b": [number.to_string()] })).collect::<Vec<_>>());
    put_json(&mut document, json!({ "list": list.clone() }));
    assert_eq!(read(&document, id(1)).data["list"], list);
}
