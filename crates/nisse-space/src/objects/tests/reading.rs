use automerge::transaction::Transactable;
use automerge::{ObjType, ROOT, ScalarValue};
use serde_json::json;

use super::{document, id, map, read, writer};
use crate::objects::{OBJECT_DEPTH_MAX, Object, ObjectError, ObjectKind, put};

/// A document of one object, as another program may have left it.
fn odd(edit: impl FnOnce(&mut automerge::transaction::Transaction<'_>, &automerge::ObjId)) -> automerge::Automerge {
    let mut document = automerge::Automerge::new();
    let mut transaction = document.transaction();
    let objects = transaction.put_object(ROOT, "objects", ObjType::Map).expect("a map");
    edit(&mut transaction, &objects);
    transaction.commit();
    document
}

#[test]
fn an_object_of_a_stock_client_is_read_as_its_flat_json() {
    let document = odd(|edit, objects| {
        let object = edit.put_object(objects, id(1).to_string(), ObjType::Map).expect("a map");
        let system = edit.put_object(&object, "system", ObjType::Map).expect("a map");
        edit.put(&system, "kind", "object").expect("put");
        let kind = edit.put_object(&system, "type", ObjType::Map).expect("a map");
        let uri = edit.put_object(&kind, "/", ObjType::Text).expect("text");
        edit.splice_text(&uri, 0, 0, "dxn:type:example.org/type/Task:0.1.0").expect("splice");
        let meta = edit.put_object(&object, "meta", ObjType::Map).expect("a map");
        edit.put_object(&meta, "keys", ObjType::List).expect("a list");
        let data = edit.put_object(&object, "data", ObjType::Map).expect("a map");
        let title = edit.put_object(&data, "title", ObjType::Text).expect("text");
        edit.splice_text(&title, 0, 0, "milk").expect("splice");
        edit.put(&data, "old", "a scalar").expect("put");
        edit.put(&data, "count", ScalarValue::counter(3)).expect("put");
        edit.put(&data, "at", ScalarValue::Timestamp(1_700_000_000_123)).expect("put");
        edit.put(&data, "raw", vec![1u8, 2, 255, 0]).expect("put");
        edit.put(&data, "large", u64::MAX).expect("put");
        edit.put(&data, "part", 0.5).expect("put");
        edit.put(&data, "none", ()).expect("put");
        edit.put(&data, "odd", f64::NAN).expect("put");
        edit.put(&data, "id", "hidden").expect("put");
        edit.put(&data, "@type", "hidden").expect("put");
    });
    let object = read(&document, id(1));
    assert_eq!(object.kind, ObjectKind::Object);
    let wanted = json!({
        "id": id(1), "@self": format!("dxn:echo:@:{}", id(1)), "@type": "dxn:type:example.org/type/Task:0.1.0",
        "@meta": { "keys": [] }, "title": "milk", "old": "a scalar", "count": 3, "at": "2023-11-14T22:13:20.123Z",
        "raw": { "/": { "bytes": "AQL/AA" } }, "large": u64::MAX, "part": 0.5, "none": null, "odd": null,
    });
    assert_eq!(object.to_json(), map(wanted));
}

#[test]
fn what_is_not_there_or_only_begun_is_no_object() {
    assert_eq!(Object::read(&automerge::Automerge::new(), id(1)).expect("readable"), None);
    assert_eq!(Object::read(&document(id(1), 1), id(1)).expect("readable"), None);
    assert_eq!(Object::read(&document(id(1), 1), id(2)).expect("readable"), None);
}

#[test]
fn an_odd_shape_is_named() {
    let object = |edit: &mut automerge::transaction::Transaction<'_>, objects: &automerge::ObjId| {
        edit.put_object(objects, id(1).to_string(), ObjType::Map).expect("a map")
    };
    let cases = [
        (odd(|edit, objects| edit.put(objects, id(1).to_string(), 3).expect("put")), "`objects` is a scalar"),
        (
            odd(|edit, objects| {
                let object = object(edit, objects);
                edit.put(&object, "data", true).expect("put");
            }),
            "`data` is a boolean, expected a map",
        ),
        (
            odd(|edit, objects| {
                let object = object(edit, objects);
                let system = edit.put_object(&object, "system", ObjType::Map).expect("a map");
                edit.put(&system, "kind", "stone").expect("put");
            }),
            "`system.kind` is another word, expected `object`, `relation` or `type`",
        ),
        (
            odd(|edit, objects| {
                let object = object(edit, objects);
                let system = edit.put_object(&object, "system", ObjType::Map).expect("a map");
                edit.put(&system, "type", "dxn:type:x").expect("put");
            }),
            "`system.type` is text, expected a reference",
        ),
    ];
    for (document, wanted) in cases {
        let error = Object::read(&document, id(1)).expect_err("odd").to_string();
        assert!(error.contains(wanted), "{error}");
        // And a put heals it.
        let mut document = document;
        put(&mut document, id(1), &map(json!({ "title": "new" })), &writer(1)).expect("healed");
        assert_eq!(read(&document, id(1)).data, map(json!({ "title": "new" })));
    }
}

#[test]
fn nesting_beyond_the_limit_is_an_error_and_no_overflow() {
    let document = odd(|edit, objects| {
        let object = edit.put_object(objects, id(1).to_string(), ObjType::Map).expect("a map");
        let mut inner = edit.put_object(&object, "data", ObjType::Map).expect("a map");
        for _ in 0..10_000 {
            inner = edit.put_object(&inner, "a", ObjType::Map).expect("a map");
        }
    });
    let error = Object::read(&document, id(1)).expect_err("too deep");
    assert!(matches!(error, ObjectError::TooLarge { max: OBJECT_DEPTH_MAX, .. }), "{error}");
}
