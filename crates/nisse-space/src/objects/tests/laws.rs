//! Laws, on random objects and random documents.

use automerge::transaction::{Transactable, Transaction};
use automerge::{Automerge, ObjId, ObjType, Prop, ROOT, ScalarValue};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{document, id, map, read, writer};
use crate::objects::{Directory, History, Object, compare, patch, put};

fn key() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "title", "list", "/", "bytes", "", "é", "x y", "0"]).prop_map(str::to_owned)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0i64..4).prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-cé👩\u{301} ]{0,8}".prop_map(Value::from),
        Just(json!({ "/": "dxn:echo:@:x" })),
        Just(json!({ "/": { "bytes": "AQI" } })),
        Just(json!("2026-01-01T00:00:00.000Z")),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(key(), inner, 0..6).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn object() -> impl Strategy<Value = Map<String, Value>> {
    let data = prop::collection::btree_map(key(), value(), 0..6);
    let uri = prop::option::of(prop::sample::select(vec!["dxn:type:a:0.1.0", "dxn:type:b"]));
    let keys = prop::option::of(prop::collection::vec(0u8..3, 0..3));
    (data, uri, any::<bool>(), keys).prop_map(|(data, uri, deleted, keys)| {
        let mut json: Map<String, Value> = data.into_iter().collect();
        if let Some(uri) = uri {
            json.insert("@type".into(), uri.into());
        }
        if deleted {
            json.insert("@deleted".into(), true.into());
        }
        if let Some(keys) = keys {
            let keys: Vec<Value> =
                keys.into_iter().map(|key| json!({ "source": "s", "id": key.to_string() })).collect();
            json.insert("@meta".into(), json!({ "keys": keys }));
        }
        json
    })
}

/// An object's JSON without what a put adds to it.
fn plain(mut json: Map<String, Value>) -> Value {
    json.remove("id");
    json.remove("@self");
    json.entry("@meta").or_insert(json!({ "keys": [] }));
    Value::Object(json)
}

fn same(one: &Value, other: &Value) -> bool {
    compare(one, other).is_eq()
}

/// One step in the building of a document that no program of ours would make.
#[derive(Debug, Clone)]
struct Step {
    container: usize,
    key: String,
    index: usize,
    what: u8,
    text: String,
    number: i64,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = prop_oneof![
        3 => prop::sample::select(vec!["objects", "links", "access", "system", "meta", "data", "keys", "kind", "type"]).prop_map(str::to_owned),
        1 => prop::sample::select(vec!["deleted", "source", "target", "/", "bytes", "id", "@type", "spaceId"]).prop_map(str::to_owned),
        2 => Just(id(1).to_string()),
        1 => key(),
    ];
    let step = (any::<usize>(), key, 0usize..4, any::<u8>(), "[a-cé👩\u{301}]{0,4}", any::<i64>());
    let step =
        step.prop_map(|(container, key, index, what, text, number)| Step { container, key, index, what, text, number });
    prop::collection::vec(step, 0..60)
}

fn build(steps: &[Step]) -> Automerge {
    let mut document = Automerge::new().with_actor(super::actor(9));
    let mut edit = document.transaction();
    let objects = edit.put_object(ROOT, "objects", ObjType::Map).expect("a map");
    let object = edit.put_object(&objects, id(1).to_string(), ObjType::Map).expect("a map");
    let mut containers = vec![(ROOT, ObjType::Map), (objects, ObjType::Map), (object.clone(), ObjType::Map)];
    for name in ["system", "meta", "data"] {
        containers.push((edit.put_object(&object, name, ObjType::Map).expect("a map"), ObjType::Map));
    }
    for step in steps {
        let (container, kind) = containers[step.container % containers.len()].clone();
        if let Some(made) = take(&mut edit, &container, kind, step) {
            containers.push(made);
        }
    }
    edit.commit();
    document
}

/// What automerge refuses is no step.
fn take(edit: &mut Transaction<'_>, container: &ObjId, kind: ObjType, step: &Step) -> Option<(ObjId, ObjType)> {
    let place: Prop = match kind {
        ObjType::Map | ObjType::Table => step.key.as_str().into(),
        ObjType::List | ObjType::Text => step.index.into(),
    };
    let made = [ObjType::Map, ObjType::List, ObjType::Text, ObjType::Table, ObjType::Map].get(step.what as usize % 16);
    if let Some(made) = made {
        let id = match place {
            Prop::Seq(index) => edit.insert_object(container, index, *made).ok()?,
            place => edit.put_object(container, place, *made).ok()?,
        };
        return Some((id, *made));
    }
    if kind == ObjType::Text {
        let _ = edit.splice_text(container, step.index, 0, &step.text);
        return None;
    }
    let scalar = match step.what % 16 {
        5 => ScalarValue::Null,
        6 => ScalarValue::Boolean(step.number % 2 == 0),
        7 => ScalarValue::Int(step.number),
        8 => ScalarValue::Uint(step.number as u64),
        9 => ScalarValue::F64(f64::from_bits(step.number as u64)),
        10 => ScalarValue::Timestamp(step.number),
        11 => ScalarValue::counter(step.number),
        12 => ScalarValue::Bytes(step.text.as_bytes().to_vec()),
        13 => {
            let _ = edit.delete(container, place);
            return None;
        }
        _ => step.text.as_str().into(),
    };
    let _ = match place {
        Prop::Seq(index) => edit.insert(container, index, scalar),
        place => edit.put(container, place, scalar),
    };
    None
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_was_put_is_read(first in object(), second in object()) {
        let mut document = document(id(1), 1);
        for json in [first, second] {
            put(&mut document, id(1), &json, &writer(1)).expect("put");
            let found = read(&document, id(1)).to_json();
            prop_assert!(same(&plain(found.clone()), &plain(json)));
            prop_assert_eq!(put(&mut document, id(1), &found, &writer(1)).expect("put"), None);
        }
        let loaded = Automerge::load(&document.save()).expect("loads");
        prop_assert_eq!(read(&loaded, id(1)), read(&document, id(1)));
    }

    #[test]
    fn any_document_is_read_without_panic_and_put_back_unchanged(steps in steps()) {
        let mut document = build(&steps);
        let _ = Directory::read(&document);
        let _ = History::read_touched(&document, 10);
        if let Ok(Some(object)) = Object::read(&document, id(1)) {
            let ends = object.source.is_some() == object.target.is_some();
            prop_assert_eq!(put(&mut document, id(1), &object.to_json(), &writer(1)).expect("put"), None, "{}", ends);
        }
    }

    #[test]
    fn any_document_takes_any_object(steps in steps(), json in object()) {
        let mut document = build(&steps);
        if put(&mut document, id(1), &json, &writer(1)).is_ok() {
            let found = read(&document, id(1)).to_json();
            let wanted = plain(json);
            for (key, value) in wanted.as_object().expect("a map") {
                prop_assert!(found.get(key).is_some_and(|found| same(found, value)) || key == "@meta", "{key}");
            }
            Automerge::load(&document.save()).expect("loads");
        }
    }

    #[test]
    fn two_devices_that_write_different_keys_keep_both(
        base in object(), one_key in "[k-m]", one in value(), other_key in "[n-p]", other in value(),
    ) {
        let mut left = document(id(1), 1);
        put(&mut left, id(1), &base, &writer(1)).expect("put");
        let mut right = Automerge::load(&left.save()).expect("loads");
        let with = |key: &str, value: &Value| {
            let mut json = base.clone();
            json.insert(key.to_owned(), value.clone());
            json
        };
        put(&mut left, id(1), &with(&one_key, &one), &writer(1)).expect("put");
        put(&mut right, id(1), &with(&other_key, &other), &writer(2)).expect("put");
        left.merge(&mut right.fork()).expect("merged");
        right.merge(&mut left.fork()).expect("merged");
        let merged = read(&left, id(1));
        prop_assert_eq!(&merged, &read(&right, id(1)));
        prop_assert!(same(&merged.data[&one_key], &one) && same(&merged.data[&other_key], &other));
    }

    #[test]
    fn two_devices_that_insert_into_one_string_keep_both(
        text in "[a-zé👩 ]{0,30}", one in "[0-4]{1,5}", one_at in 0usize..40, other in "[5-9]{1,5}", other_at in 0usize..40,
    ) {
        let mut left = document(id(1), 1);
        put(&mut left, id(1), &map(json!({ "text": text })), &writer(1)).expect("put");
        let mut right = left.fork();
        let with = |insert: &str, at: usize| {
            let mut letters: Vec<char> = text.chars().collect();
            let at = at.min(letters.len());
            letters.splice(at..at, insert.chars());
            map(json!({ "text": letters.into_iter().collect::<String>() }))
        };
        put(&mut left, id(1), &with(&one, one_at), &writer(1)).expect("put");
        put(&mut right, id(1), &with(&other, other_at), &writer(2)).expect("put");
        left.merge(&mut right).expect("merged");
        let merged = read(&left, id(1)).data["text"].as_str().expect("text").to_owned();
        prop_assert!(merged.contains(&one) && merged.contains(&other), "{merged}");
        prop_assert_eq!(merged.chars().count(), text.chars().count() + one.len() + other.len());
    }

    #[test]
    fn a_patch_is_what_rfc_7396_says(base in object(), change in object()) {
        fn naive(target: Option<&Value>, patch: &Value) -> Value {
            let Some(patch) = patch.as_object() else { return patch.clone() };
            let mut merged = target.and_then(Value::as_object).cloned().unwrap_or_default();
            for (key, value) in patch {
                if value.is_null() {
                    merged.remove(key);
                } else {
                    let new = naive(merged.get(key), value);
                    merged.insert(key.clone(), new);
                }
            }
            Value::Object(merged)
        }
        let mut document = document(id(1), 1);
        put(&mut document, id(1), &base, &writer(1)).expect("put");
        let before = Value::Object(read(&document, id(1)).to_json());
        patch(&mut document, id(1), &change, &writer(1)).expect("patched");
        let wanted = naive(Some(&before), &Value::Object(change));
        prop_assert!(same(&Value::Object(read(&document, id(1)).to_json()), &wanted));
    }
}
