//! Objects that this home writes, beside documents that clients write.

use serde_json::{Map, Value, json};

use super::*;
use crate::objects::{ObjectId, Query};
use crate::root::root_document;
use crate::space::{SpaceObjectError, Write};

fn id(number: u8) -> ObjectId {
    ObjectId::new(1_700_000_000_000, [number; 10])
}

fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is no map"),
    }
}

impl World {
    fn put(&mut self, number: u8, value: Value) -> Result<Value, SpaceObjectError> {
        let (object, effects) = self.space.write_object(id(number), Write::Put(&map(value)), &self.keeper)?;
        self.deliver(effects);
        Ok(Value::Object(object.to_json()))
    }

    fn query(&mut self, query: Value) -> Vec<String> {
        let query = Query::from_json(&query.to_string()).expect("a query");
        let found = self.space.query(&query).expect("found");
        found.iter().map(|object| object.data["title"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

fn select(filter: Value) -> Value {
    json!({ "type": "select", "filter": filter })
}

fn everything() -> Value {
    select(json!({ "type": "object", "typename": null, "props": {} }))
}

#[test]
fn an_object_is_put_and_read_and_found_and_is_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(folder.path());
    assert_eq!(world.space.object(id(1)).expect("read"), None);
    let put = world.put(1, json!({ "title": "milk", "done": false })).expect("put");
    assert_eq!((&put["id"], &put["title"], &put["done"]), (&json!(id(1).to_string()), &json!("milk"), &json!(false)));
    world.put(2, json!({ "title": "bread", "done": true })).expect("put");
    assert_eq!(world.query(everything()), ["milk", "bread"]);
    let done = json!({ "type": "object", "typename": null, "props": { "done": { "type": "compare", "operator": "eq", "value": true } } });
    assert_eq!(world.query(select(done.clone())), ["bread"]);
    let store = world.space.store().clone();
    let mut world = World::with(Space::open(store, "replica", SpaceLimits::default()));
    assert_eq!(world.query(select(done)), ["bread"]);
    let patch = map(json!({ "done": true, "title": null }));
    let (object, _) = world.space.write_object(id(1), Write::Patch(&patch), &world.keeper).expect("patched");
    assert_eq!(Value::Object(object.data), json!({ "done": true }));
    let (history, vouched) = world.space.history(id(1), 10).expect("read");
    assert_eq!(history.changes_total, 3);
    let device = world.keeper.key.did();
    for change in &history.changes {
        let voucher = vouched.get(&change.hash).expect("somebody vouches for it");
        assert_eq!((voucher.author, voucher.identity, voucher.subject), (device, IDENTITY, None));
    }
}

#[test]
fn the_same_again_makes_no_change_and_a_deleted_one_is_not_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(folder.path());
    world.put(1, json!({ "title": "milk" })).expect("put");
    let place = crate::root::object_document(SPACE, id(1));
    let chunks = world.chunks(place).len();
    world.put(1, json!({ "title": "milk" })).expect("put");
    assert_eq!(world.chunks(place).len(), chunks);
    let (object, _) = world.space.write_object(id(1), Write::Delete, &world.keeper).expect("deleted");
    assert!(object.deleted);
    assert!(world.query(everything()).is_empty());
    let unknown = world.space.write_object(id(9), Write::Delete, &world.keeper).expect_err("there is none");
    assert!(matches!(unknown, SpaceObjectError::Unknown(_)), "{unknown}");
}

#[test]
fn what_is_refused_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(folder.path());
    world.put(1, json!({ "title": "milk", "@what": 1 })).expect_err("no such key");
    assert_eq!(world.space.object(id(1)).expect("read"), None);
    *world.keeper.sealed.lock().expect("not poisoned") = true;
    let sealed = world.put(1, json!({ "title": "milk" })).expect_err("sealed");
    assert_eq!(sealed.to_string(), "sign changes: the vault is sealed; open it with `nisse unlock`");
    assert_eq!(world.space.object(id(1)).expect("read"), None);
    *world.keeper.sealed.lock().expect("not poisoned") = false;
    world.put(1, json!({ "title": "milk" })).expect("put");
    assert_eq!(world.query(everything()), ["milk"]);
}

#[test]
fn a_client_follows_what_this_home_writes_and_its_own_keys_stay() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(folder.path());
    let root = root_document(SPACE);
    let mut client = Client::new("app", 1);
    client.write(root, "notes");
    let client = world.connect(client, Role::Edit);
    world.settle();
    world.put(1, json!({ "title": "milk" })).expect("put");
    world.settle();
    assert_eq!(world.clients[client].lines(root), ["access", "links", "notes", "objects", "version"]);
    assert_eq!(world.query(everything()), ["milk"]);
}
