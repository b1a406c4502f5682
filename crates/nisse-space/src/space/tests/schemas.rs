//! Schemas that are declared in a space, and what is written against them.

use serde_json::{Map, Value, json};

use super::*;
use crate::objects::{DeclaredType, ObjectId, SCHEMA_URI};
use crate::space::{SpaceObjectError, Write};

const TASK: &str = "dxn:type:example.org/type/Task:0.1.0";

fn id(number: u8) -> ObjectId {
    ObjectId::new(1_700_000_000_000, [number; 10])
}

fn map(value: Value) -> Map<String, Value> {
    value.as_object().cloned().expect("a map")
}

fn titled() -> Value {
    json!({ "required": ["title"], "properties": { "title": { "type": "string" } } })
}

fn numbered() -> Value {
    json!({ "required": ["number"] })
}

impl World {
    fn write(&mut self, number: u8, value: Value) -> Result<(), SpaceObjectError> {
        let (_, effects) = self.space.write_object(id(number), Write::Put(&map(value)), &self.keeper)?;
        self.deliver(effects);
        Ok(())
    }

    fn change(&mut self, number: u8, value: Value) -> Result<(), SpaceObjectError> {
        self.space.write_object(id(number), Write::Patch(&map(value)), &self.keeper).map(drop)
    }

    fn declare(&mut self, number: u8, uri: &str, schema: &Value) -> Result<ObjectId, SpaceObjectError> {
        let declared = DeclaredType::parse(uri).expect("a type");
        let (entry, effects) = self.space.declare_schema(id(number), (&declared, schema), &self.keeper)?;
        self.deliver(effects);
        Ok(entry.id)
    }

    fn task(&mut self, number: u8, value: Value) -> Result<(), SpaceObjectError> {
        let mut value = map(value);
        value.insert("@type".to_owned(), TASK.into());
        self.write(number, Value::Object(value))
    }
}

fn misfit(written: Result<(), SpaceObjectError>) -> String {
    match written {
        Err(SpaceObjectError::Misfit(misfit)) => misfit.to_string(),
        other => panic!("it fits, or is something else: {other:?}"),
    }
}

#[test]
fn what_does_not_fit_is_refused_whole_and_what_does_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(folder.path());
    world.task(1, json!({ "number": 1 })).expect("nothing is declared yet");
    world.declare(100, TASK, &titled()).expect("declared");
    assert!(misfit(world.task(2, json!({ "title": 7 }))).contains("at `/title`"));
    assert_eq!(world.space.object(id(2)).expect("read"), None);
    assert!(!world.space.directory().expect("read").links.contains_key(&id(2)), "not even its link is there");
    world.task(2, json!({ "title": "milk" })).expect("it fits");
    assert!(misfit(world.change(2, json!({ "title": null }))).contains("required"));
    assert_eq!(world.space.object(id(2)).expect("read").expect("it is there").data["title"], "milk");
    world.change(2, json!({ "title": "bread", "more": 1 })).expect("it fits");
    // One that was there before may be changed into what fits, or be deleted, and nothing else.
    misfit(world.change(1, json!({ "number": 2 })));
    world.change(1, json!({ "title": "old" })).expect("it fits now");
    world.write(3, json!({ "@type": "dxn:type:example.org/type/Other:0.1.0" })).expect("of another type");
    world.write(4, json!({ "number": 1 })).expect("of no type");
    misfit(world.change(4, json!({ "@type": TASK })));
}

#[test]
fn the_schema_is_an_object_as_echo_keeps_it_and_is_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(folder.path());
    world.declare(100, TASK, &titled()).expect("declared");
    let kept = world.space.object(id(100)).expect("read").expect("it is there");
    assert_eq!(kept.type_uri.as_deref(), Some(SCHEMA_URI));
    let held = json!({ "typename": "example.org/type/Task", "version": "0.1.0", "jsonSchema": titled() });
    assert_eq!(Value::Object(kept.data), held);
    let store = world.space.store().clone();
    let mut world = World::with(Space::open(store, "replica", SpaceLimits::default()));
    misfit(world.task(1, json!({})));
    let all = world.space.schemas().expect("read");
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].declared.to_string().as_str(), &all[0].schema), ("example.org/type/Task:0.1.0", &titled()));
    // Declared again as it is, it is the same object.
    assert_eq!(world.declare(101, TASK, &titled()).expect("declared"), id(100));
    world.space.remove_schema(TASK, &world.keeper).expect("removed");
    world.task(1, json!({})).expect("nothing is declared any more");
    let none = world.space.remove_schema(TASK, &world.keeper).expect_err("it is gone");
    assert_eq!(none.to_string(), format!("find a schema of `{TASK}` in the space"));
    assert!(matches!(world.space.schema(TASK), Err(SpaceObjectError::Undeclared(_))));
}

#[test]
fn what_is_declared_anew_counts_whatever_the_clocks_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(folder.path());
    world.declare(200, TASK, &titled()).expect("declared");
    world.declare(100, TASK, &numbered()).expect("declared anew, by an older id");
    world.task(1, json!({ "number": 1 })).expect("it fits the newer one");
    misfit(world.task(2, json!({ "title": "milk" })));
    assert_eq!(world.space.schemas().expect("read").len(), 1);
}

#[test]
fn of_two_that_are_declared_at_once_the_highest_id_counts() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(folder.path());
    world.declare(100, TASK, &titled()).expect("declared");
    // As another home made it that did not know of the first.
    let other = DeclaredType::parse(TASK).expect("a type").object(&numbered());
    world.write(101, Value::Object(other)).expect("written");
    misfit(world.task(1, json!({ "title": "milk" })));
    world.task(1, json!({ "number": 1 })).expect("it fits the one that counts");
    assert_eq!(world.space.schema(TASK).expect("declared").id, id(101));
    // Whoever declares it now deletes both.
    world.declare(99, TASK, &titled()).expect("declared");
    world.task(1, json!({ "title": "milk" })).expect("it fits");
}

#[test]
fn a_type_without_a_version_is_the_highest_and_a_version_of_its_own_is_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(folder.path());
    world.declare(100, "example.org/type/Task:0.10.0", &numbered()).expect("declared");
    world.declare(101, "example.org/type/Task:0.9.0", &titled()).expect("declared");
    world.write(1, json!({ "@type": "dxn:type:example.org/type/Task", "number": 1 })).expect("it is 0.10.0");
    misfit(world.write(2, json!({ "@type": "dxn:type:example.org/type/Task:0.9.0", "number": 1 })));
    world.task(3, json!({})).expect("0.1.0 is not declared");
    // ECHO's clients name a type by the object that holds its schema.
    misfit(world.write(4, json!({ "@type": format!("dxn:echo:@:{}", id(101)), "number": 1 })));
    world.declare(102, "example.org/type/Task:0.9.0", &numbered()).expect("declared anew");
    world.write(4, json!({ "@type": format!("dxn:echo:@:{}", id(101)), "number": 1 })).expect("it is the same type");
    world.space.remove_schema("example.org/type/Task", &world.keeper).expect("all are removed");
    assert!(world.space.schemas().expect("read").is_empty());
}

#[test]
fn what_is_no_schema_is_not_declared_by_any_way() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(folder.path());
    let unsound = json!({ "type": "strin" });
    assert!(matches!(world.declare(100, TASK, &unsound), Err(SpaceObjectError::Schema(_))));
    let object = DeclaredType::parse(TASK).expect("a type").object(&unsound);
    assert!(matches!(world.write(100, Value::Object(object)), Err(SpaceObjectError::Schema(_))));
    assert!(matches!(world.write(100, json!({ "@type": SCHEMA_URI })), Err(SpaceObjectError::Schema(_))));
    assert_eq!(world.space.object(id(100)).expect("read"), None);
    world.task(1, json!({ "title": 7 })).expect("nothing is declared");
}

#[test]
fn what_others_bring_is_taken_whatever_a_schema_says_and_told_of() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(folder.path());
    world.declare(100, TASK, &titled()).expect("declared");
    world.task(1, json!({ "title": "milk" })).expect("it fits");
    assert!(world.space.misfits().expect("read").found.is_empty());
    // A client of automerge-repo writes over it: what it brings is no object of that type any more.
    let place = crate::root::object_document(SPACE, id(1));
    let mut client = Client::new("app", 1);
    client.find(place);
    let client = world.connect(client, Role::Edit);
    world.settle();
    world.clients[client].set_in_data(place, &id(1).to_string(), "title", 7);
    world.settle();
    let read = world.space.object(id(1)).expect("read").expect("it is there");
    assert_eq!(read.data["title"], 7);
    let misfits = world.space.misfits().expect("read");
    assert_eq!((misfits.found.len(), misfits.checked, misfits.is_whole), (1, 1, true));
    assert_eq!((misfits.found[0].0, misfits.found[0].1.at.as_str()), (id(1), "/title"));
    // And what they declare is known here as soon as it is there.
    let schema = crate::root::object_document(SPACE, id(100));
    world.clients[client].find(schema);
    world.settle();
    world.clients[client].set_in_data(schema, &id(100).to_string(), "jsonSchema", 7);
    world.settle();
    let all = world.space.schemas().expect("read");
    assert!(all[0].trouble.as_deref().is_some_and(|trouble| trouble.contains("no schema")), "{all:?}");
    world.task(2, json!({})).expect("what is no schema binds nobody");
}
