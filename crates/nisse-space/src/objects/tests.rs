//! What a space's objects keep to, on documents of one device and of two.

mod directory;
mod history;
mod laws;
mod reading;
mod values;
mod writing;

use automerge::{ActorId, Automerge};
use nisse_model::Timestamp;
use serde_json::{Map, Value};

use super::{Access, Object, ObjectId, Writer, begin_object};

fn id(number: u8) -> ObjectId {
    ObjectId::new(1_700_000_000_000, [number; 10])
}

fn actor(number: u8) -> ActorId {
    ActorId::from([number; 16])
}

fn writer(number: u8) -> Writer {
    Writer { actor: actor(number), time: Timestamp(1_700_000_123_456) }
}

fn access() -> Access {
    Access::SpaceId("B2NJDFNVZIW77OQSXUBNAD7BUMBD3G5PO".into())
}

/// The begun document of one object on one device.
fn document(object: ObjectId, device: u8) -> Automerge {
    begin_object(&access(), object, &actor(device)).expect("a document")
}

fn map(json: Value) -> Map<String, Value> {
    match json {
        Value::Object(map) => map,
        other => panic!("{other} is no map"),
    }
}

fn read(document: &Automerge, object: ObjectId) -> Object {
    Object::read(document, object).expect("readable").expect("an object")
}
