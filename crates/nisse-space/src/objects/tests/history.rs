use automerge::Automerge;
use automerge::transaction::CommitOptions;
use nisse_model::Timestamp;
use serde_json::{Value, json};

use super::{actor, document, id, map, writer};
use crate::objects::{History, Touched, delete, put};

fn touched(key: &str) -> Touched {
    Touched { object: id(1), key: Some(key.to_owned()) }
}

#[test]
fn a_history_names_who_when_and_what_newest_first() {
    let mut document = document(id(1), 1);
    let mut put = |json: Value, device: u8| put(&mut document, id(1), &map(json), &writer(device)).expect("put");
    put(json!({ "title": "milk", "list": [{ "a": 1 }] }), 1);
    put(json!({ "title": "milk and bread", "list": [{ "a": 2 }] }), 2);
    put(json!({ "list": [{ "a": 2 }], "@type": "dxn:type:T" }), 2);
    delete(&mut document, id(1), &writer(1)).expect("deleted");
    let history = History::read_touched(&document, 10);
    assert_eq!(history.changes_total, 5);
    let keys: Vec<Vec<Touched>> =
        history.changes.iter().map(|change| change.touched.iter().cloned().collect()).collect();
    assert_eq!(keys[0], [touched("@deleted")]);
    assert_eq!(keys[1], [touched("@type"), touched("title")]);
    assert_eq!(keys[2], [touched("list"), touched("title")]);
    assert_eq!(keys[3], [touched("@kind"), touched("list"), touched("title")]);
    let newest = &history.changes[0];
    assert_eq!((&newest.actor, newest.operations), (&actor(1), 1));
    assert_eq!(newest.time, Timestamp(1_700_000_123_000));
    assert_eq!(history.changes[4].time, Timestamp(0));
    let few = History::read(&document, 2);
    assert_eq!((few.changes.len(), few.changes_total), (2, 5));
    assert_eq!(few.changes[0].hash, newest.hash);
    assert!(few.changes[0].touched.is_empty());
    assert_eq!(History::read_touched(&Automerge::new(), 10).changes, []);
}

#[test]
fn a_history_is_the_same_on_two_devices() {
    let mut one = document(id(1), 1);
    let mut two = document(id(1), 2);
    for round in 0..3 {
        put(&mut one, id(1), &map(json!({ "a": round })), &writer(1)).expect("put");
        put(&mut two, id(1), &map(json!({ "b": round })), &writer(2)).expect("put");
    }
    one.merge(&mut two.fork()).expect("merged");
    two.merge(&mut one.fork()).expect("merged");
    assert_eq!(History::read_touched(&one, 100), History::read_touched(&two, 100));
}

#[test]
fn odd_times_and_long_messages_are_cut() {
    // automerge keeps the difference of two changes' times in 64 bits, and panics in debug builds beyond them.
    const LARGE: i64 = i64::MAX / 2;
    let mut document = document(id(1), 1);
    document.empty_commit(CommitOptions::default().with_time(-LARGE).with_message("é".repeat(1000)));
    document.empty_commit(CommitOptions::default().with_time(LARGE));
    let history = History::read_touched(&document, 10);
    assert_eq!(history.changes[0].time, Timestamp(u64::MAX));
    assert_eq!(history.changes[1].time, Timestamp(0));
    assert_eq!(history.changes[1].message.as_deref(), Some("é".repeat(200).as_str()));
    assert_eq!(history.changes[1].operations, 0);
}
