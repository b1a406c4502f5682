//! Changes that were committed elsewhere: supposed before, made once, and no other kept by one that cannot be made.

use nisse_store::Position;
use serde_json::{Map, Value, json};

use super::*;
use crate::objects::{ObjectId, Query};
use crate::space::{SpaceError, Write};

const EVERY: &str = r#"{"type":"select","filter":{"type":"object","typename":null,"props":{}}}"#;

fn id(number: u8) -> ObjectId {
    ObjectId::new(1_000, [number; 10])
}

fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is no map"),
    }
}

impl World {
    fn apply(&mut self, position: u64, writes: &[(ObjectId, Write<'_>)]) -> Vec<(usize, String)> {
        let made = self.space.apply(("agent", Position(position)), writes, &self.keeper).expect("it can be made now");
        made.refused.into_iter().map(|(place, error)| (place, error.to_string())).collect()
    }

    fn title(&mut self, number: u8) -> Option<Value> {
        let object = self.space.object(id(number)).expect("it is read")?;
        object.to_json().get("title").cloned()
    }

    fn count(&mut self) -> usize {
        let query = Query::from_json(EVERY).expect("a query");
        self.space.query(&query).expect("it is asked").len()
    }
}

#[test]
fn what_is_supposed_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(folder.path());
    let (milk, bread) = (map(json!({ "title": "milk" })), map(json!({ "title": "bread" })));
    world.apply(1, &[(id(1), Write::Put(&milk))]);
    let summaries = |world: &World| {
        let mut all = Vec::new();
        world
            .space
            .store()
            .documents(|name, summary| {
                all.push((name, summary.chunks));
                true
            })
            .expect("they are read");
        all
    };
    let before = summaries(&world);

    let writes = [(id(1), Write::Patch(&bread)), (id(2), Write::Put(&bread)), (id(1), Write::Delete)];
    let supposed = world.space.suppose(&writes, &world.keeper).expect("it can be");
    assert_eq!(supposed[&id(1)].to_json()["title"], "bread");
    assert!(supposed[&id(1)].deleted);
    assert_eq!(supposed[&id(2)].to_json()["title"], "bread");
    let query = Query::from_json(EVERY).expect("a query");
    let found = world.space.query_supposing(&query, &writes, &world.keeper).expect("it is asked");
    assert_eq!(found.iter().map(|object| object.id).collect::<Vec<_>>(), [id(2)]);

    assert_eq!(summaries(&world), before);
    assert_eq!((world.title(1), world.title(2), world.count()), (Some(json!("milk")), None, 1));
    // What was supposed is in no view either.
    let mut world = World::new(folder.path());
    assert_eq!((world.title(1), world.title(2)), (Some(json!("milk")), None));
}

#[test]
fn what_was_made_is_not_made_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(folder.path());
    let (milk, bread) = (map(json!({ "title": "milk" })), map(json!({ "title": "bread" })));
    assert_eq!(world.apply(5, &[(id(1), Write::Put(&milk)), (id(2), Write::Put(&milk))]), []);
    // Somebody else changes it, and the node comes up again from its journal.
    world.space.write_object(id(1), Write::Put(&bread), &world.keeper).expect("it is written");
    for _ in 0..2 {
        assert_eq!(world.apply(5, &[(id(1), Write::Put(&milk)), (id(2), Write::Put(&milk))]), []);
        assert_eq!(world.apply(4, &[(id(1), Write::Put(&milk))]), []);
        assert_eq!(world.title(1), Some(json!("bread")));
        drop(world);
        world = World::new(folder.path());
    }
    assert_eq!(world.apply(6, &[(id(1), Write::Put(&milk))]), []);
    assert_eq!(world.title(1), Some(json!("milk")));
    // Another agent has its own place.
    let made = world.space.apply(("other", Position(1)), &[(id(3), Write::Put(&milk))], &world.keeper).expect("made");
    assert!(made.refused.is_empty());
    assert_eq!(world.count(), 3);
}

#[test]
fn what_cannot_be_made_keeps_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(folder.path());
    let (milk, odd) = (map(json!({ "title": "milk" })), map(json!({ "@what": 1 })));
    let writes =
        [(id(1), Write::Put(&milk)), (id(9), Write::Delete), (id(2), Write::Put(&odd)), (id(3), Write::Put(&milk))];
    let refused = world.apply(1, &writes);
    assert_eq!(refused.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [1, 2]);
    assert!(refused[0].1.contains("find the object"), "{refused:?}");
    assert_eq!((world.title(1), world.title(2), world.title(3)), (Some(json!("milk")), None, Some(json!("milk"))));
    assert_eq!(world.apply(1, &writes), [], "it is over, refused or not");
}

#[test]
fn while_nothing_can_be_signed_it_waits() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut world = World::new(folder.path());
    let milk = map(json!({ "title": "milk" }));
    *world.keeper.sealed.lock().expect("no test panics here") = true;
    let waits = world.space.apply(("agent", Position(1)), &[(id(1), Write::Put(&milk))], &world.keeper);
    assert!(matches!(waits, Err(SpaceError::Sealed)));
    *world.keeper.sealed.lock().expect("no test panics here") = false;
    assert_eq!(world.apply(1, &[(id(1), Write::Put(&milk))]), []);
    assert_eq!(world.title(1), Some(json!("milk")));
}
