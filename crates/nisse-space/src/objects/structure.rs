//! The shape of an object in a document, `{system, meta, data}`, and what is checked of it.

use automerge::{Automerge, AutomergeError, ObjId, ObjType, ROOT, ReadDoc, ScalarValue, Value as Stored};
use serde_json::{Map, Value, json};

use super::id::ObjectId;
use super::object::{ForeignKey, ObjectKind};
use super::value::{Budget, map_to_json};

/// Longest URI of a type or a reference in an object's `system`.
pub const OBJECT_URI_BYTES_MAX: usize = 1024;

/// Why an object could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// The document was not begun as one of objects.
    #[error("find the map `objects` in the document (found {found}): begin it first")]
    NotBegun {
        /// What stands there.
        found: &'static str,
    },
    /// There is no such object.
    #[error("find object {id} in the document")]
    Missing {
        /// The object.
        id: ObjectId,
    },
    /// Something is not what an object has at that place.
    #[error("read an object: its `{at}` is {found}, expected {expected}")]
    Shape {
        /// Where.
        at: &'static str,
        /// What stands there.
        found: &'static str,
        /// What may stand there.
        expected: &'static str,
    },
    /// More than an object may have.
    #[error("take an object with more than {max} {what}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        max: usize,
    },
    /// A key that begins with `@` and means nothing.
    #[error("write the key `{key}`: of keys with `@` an object has {known}")]
    UnknownKey {
        /// The key, shortened.
        key: String,
        /// The known ones.
        known: String,
    },
    /// The JSON is another object's.
    #[error("write object {id}: its JSON says that it is `{found}`")]
    OtherObject {
        /// The object that was to be written.
        id: ObjectId,
        /// What the JSON says, shortened.
        found: String,
    },
    /// An object would become a relation, or a relation an object.
    #[error("write `@relationSource` and `@relationTarget`: a relation has both from its beginning, an object neither")]
    KindChanges,
    /// automerge refused.
    #[error("change the document")]
    Automerge(#[source] Box<AutomergeError>),
}

impl From<AutomergeError> for ObjectError {
    fn from(error: AutomergeError) -> Self {
        Self::Automerge(Box::new(error))
    }
}

/// Whether the JSON form keeps a key for itself, so that `data` cannot have it.
pub(super) fn is_reserved(key: &str) -> bool {
    key == "id" || key.starts_with('@')
}

/// The map of a document's objects.
pub(super) fn objects_map<D: ReadDoc>(document: &D) -> Result<ObjId, ObjectError> {
    match document.get(ROOT, "objects")? {
        Some((Stored::Object(ObjType::Map), objects)) => Ok(objects),
        Some((other, _)) => Err(ObjectError::NotBegun { found: stored_kind(&other) }),
        None => Err(ObjectError::NotBegun { found: "nothing" }),
    }
}

/// A reference as it stands in a document: `{"/": uri}`.
pub(super) fn reference(uri: &str) -> Value {
    json!({ "/": uri })
}

/// Checks a URI of `system`.
pub(super) fn check_uri(uri: &str, at: &'static str) -> Result<(), ObjectError> {
    if uri.is_empty() || uri.len() > OBJECT_URI_BYTES_MAX || uri.contains(|c: char| c.is_whitespace() || c.is_control())
    {
        return Err(shape(at, "no URI", "a URI of 1 to 1024 bytes without spaces"));
    }
    Ok(())
}

/// The names in other systems that a `meta` has.
pub(super) fn foreign_keys(meta: Option<&Map<String, Value>>) -> Result<Vec<ForeignKey>, ObjectError> {
    let refused = |found: &Value| shape("meta.keys", json_kind(found), "a list of {source, id}, both text");
    let list = match meta.and_then(|meta| meta.get("keys")) {
        None => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(other) => return Err(refused(other)),
    };
    list.iter()
        .map(|key| match (key.get("source"), key.get("id")) {
            (Some(Value::String(source)), Some(Value::String(id))) => {
                Ok(ForeignKey { source: source.clone(), id: id.clone() })
            }
            _ => Err(refused(key)),
        })
        .collect()
}

/// The error of a wrong shape.
pub(super) fn shape(at: &'static str, found: &'static str, expected: &'static str) -> ObjectError {
    ObjectError::Shape { at, found, expected }
}

/// What a JSON value is, in words.
pub(super) fn json_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

/// What a stored value is, in words.
pub(super) fn stored_kind(value: &Stored<'_>) -> &'static str {
    match value {
        Stored::Object(ObjType::Map | ObjType::Table) => "a map",
        Stored::Object(ObjType::List) => "a list",
        Stored::Object(ObjType::Text) => "text",
        Stored::Scalar(scalar) => match scalar.as_ref() {
            ScalarValue::Str(_) => "text",
            ScalarValue::Null => "null",
            ScalarValue::Boolean(_) => "a boolean",
            _ => "a scalar",
        },
    }
}

/// A section of an object's structure as JSON.
pub(super) fn read_section(
    document: &Automerge,
    structure: &ObjId,
    name: &'static str,
    budget: &mut Budget,
) -> Result<Option<Map<String, Value>>, ObjectError> {
    // `data` is the JSON's first level; the other two stand below it.
    let depth = if name == "data" { 1 } else { 2 };
    match document.get(structure, name)? {
        None => Ok(None),
        Some((Stored::Object(ObjType::Map), id)) => map_to_json(document, &id, depth, budget).map(Some),
        Some((other, _)) => Err(shape(name, stored_kind(&other), "a map")),
    }
}

/// What the object is; one without a word for it is an object.
pub(super) fn read_kind(system: &Map<String, Value>) -> Result<ObjectKind, ObjectError> {
    match system.get("kind") {
        None => Ok(ObjectKind::Object),
        Some(Value::String(kind)) if kind == "object" => Ok(ObjectKind::Object),
        Some(Value::String(kind)) if kind == "relation" => Ok(ObjectKind::Relation),
        Some(Value::String(kind)) if kind == "type" => Ok(ObjectKind::Type),
        Some(Value::String(_)) => Err(shape("system.kind", "another word", "`object`, `relation` or `type`")),
        Some(other) => Err(shape("system.kind", json_kind(other), "`object`, `relation` or `type`")),
    }
}

/// The URI of a reference in `system`.
pub(super) fn read_uri(
    system: &Map<String, Value>,
    key: &str,
    at: &'static str,
) -> Result<Option<String>, ObjectError> {
    match system.get(key) {
        None => Ok(None),
        Some(Value::Object(map)) if map.len() == 1 && map.get("/").is_some_and(Value::is_string) => {
            let uri = map.get("/").and_then(Value::as_str).unwrap_or_default();
            check_uri(uri, at)?;
            Ok(Some(uri.to_owned()))
        }
        Some(other) => Err(shape(at, json_kind(other), r#"a reference {"/": uri}"#)),
    }
}

/// Whether `system` says that the object is deleted.
pub(super) fn read_deleted(system: &Map<String, Value>) -> Result<bool, ObjectError> {
    match system.get("deleted") {
        None => Ok(false),
        Some(Value::Bool(deleted)) => Ok(*deleted),
        Some(other) => Err(shape("system.deleted", json_kind(other), "a boolean")),
    }
}
