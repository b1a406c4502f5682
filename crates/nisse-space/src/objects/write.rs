//! Writing an object: one change that makes a document say what given JSON says.

use automerge::transaction::{CommitOptions, Transactable, Transaction};
use automerge::{ActorId, Automerge, ChangeHash, ObjId, ObjType, ReadDoc, Value as Stored};
use nisse_model::Timestamp;
use serde_json::{Map, Value, json};

use super::difference::{Strings, set, set_map};
use super::id::ObjectId;
use super::object::Object;
use super::structure::{
    ObjectError, check_uri, foreign_keys, is_reserved, json_kind, objects_map, read_kind, reference, shape, stored_kind,
};
use super::value::{Budget, check_size, to_json};

/// The keys with `@` that an object's JSON may have.
const KNOWN: [&str; 7] = ["@type", "@meta", "@deleted", "@self", "@parent", "@relationSource", "@relationTarget"];

/// Who writes, and when.
#[derive(Debug, Clone)]
pub struct Writer {
    /// The device's own actor in this document: no two devices may ever share one.
    pub actor: ActorId,
    /// The time that the change claims; automerge keeps whole seconds of it.
    pub time: Timestamp,
}

/// Makes an object exactly what its JSON says, by the smallest difference, in one change. None when it already is.
///
/// What the JSON leaves out is removed: data, the type, foreign keys (an absent `@meta` says that there are none), and
/// the mark of deletion. `id` and `@self` may be left out. The document's map `objects` must exist; the object need
/// not. Strings of `data` become text objects, in which concurrent edits merge; URIs and all strings of `@meta` are
/// replaced as wholes. Keys of the document that the JSON form cannot say stay as they are.
pub fn put(
    document: &mut Automerge,
    id: ObjectId,
    json: &Map<String, Value>,
    writer: &Writer,
) -> Result<Option<ChangeHash>, ObjectError> {
    let wanted = Wanted::check(json, id)?;
    change(document, writer, |edit| {
        let objects = objects_map(edit)?;
        let object = map_at(edit, &objects, &id.to_string())?;
        let is_new = is_empty(edit, &object, "system")? && (wanted.data.is_empty() || is_empty(edit, &object, "data")?);
        // What a stored object lacks and the JSON does not need is not made: it reads the same without.
        if is_new || !wanted.has_plain_system() || edit.get(&object, "system")?.is_some() {
            let system = map_at(edit, &object, "system")?;
            wanted.set_system(edit, &system, is_new)?;
        }
        wanted.set_meta(edit, &object, is_new)?;
        if is_new || !wanted.data.is_empty() || edit.get(&object, "data")?.is_some() {
            let data = map_at(edit, &object, "data")?;
            set_map(edit, &data, &wanted.data, Strings::Merge, is_reserved)?;
        }
        Ok(())
    })
}

/// Changes an object by a merge patch (RFC 7396) over its JSON: null removes a key, maps merge, all else replaces. The
/// patch of an object that does not exist makes it.
pub fn patch(
    document: &mut Automerge,
    id: ObjectId,
    patch: &Map<String, Value>,
    writer: &Writer,
) -> Result<Option<ChangeHash>, ObjectError> {
    check_size(patch)?;
    let mut json = Object::read(document, id)?.map(|object| object.to_json()).unwrap_or_default();
    merge(&mut json, patch);
    put(document, id, &json, writer)
}

/// Marks an object as deleted and keeps its data, in one change. None when it already is.
pub fn delete(document: &mut Automerge, id: ObjectId, writer: &Writer) -> Result<Option<ChangeHash>, ObjectError> {
    let objects = objects_map(document)?;
    let object = match document.get(&objects, id.to_string())? {
        Some((Stored::Object(ObjType::Map), object)) => object,
        Some((other, _)) => return Err(shape("objects", stored_kind(&other), "a map for each object")),
        None => return Err(ObjectError::Missing { id }),
    };
    change(document, writer, |edit| {
        let system = map_at(edit, &object, "system")?;
        Ok(set(edit, &system, "deleted".into(), &true.into(), Strings::Replace)?)
    })
}

/// Runs an edit as one change of the writer's; a failed one leaves the document as it was.
pub(super) fn change(
    document: &mut Automerge,
    writer: &Writer,
    edit: impl FnOnce(&mut Transaction<'_>) -> Result<(), ObjectError>,
) -> Result<Option<ChangeHash>, ObjectError> {
    let actor_before = document.get_actor().clone();
    document.set_actor(writer.actor.clone());
    let seconds = i64::try_from(writer.time.seconds()).unwrap_or(i64::MAX);
    let options = |_: &()| CommitOptions::default().with_time(seconds);
    let outcome = document.transact_with(options, edit);
    document.set_actor(actor_before);
    outcome.map(|success| success.hash).map_err(|failure| failure.error)
}

/// The map at a key, made where there is none.
fn map_at(edit: &mut Transaction<'_>, parent: &ObjId, key: &str) -> Result<ObjId, ObjectError> {
    match edit.get(parent, key)? {
        Some((Stored::Object(ObjType::Map), id)) => Ok(id),
        _ => Ok(edit.put_object(parent, key, ObjType::Map)?),
    }
}

/// Whether there is an empty map at a key, or none.
fn is_empty(edit: &Transaction<'_>, parent: &ObjId, key: &str) -> Result<bool, ObjectError> {
    match edit.get(parent, key)? {
        Some((Stored::Object(ObjType::Map), id)) => Ok(edit.keys(&id).next().is_none()),
        _ => Ok(true),
    }
}

/// Whether `system` has a kind that cannot be read.
fn has_odd_kind(edit: &Transaction<'_>, system: &ObjId) -> Result<bool, ObjectError> {
    let Some((value, id)) = edit.get(system, "kind")? else { return Ok(false) };
    let kind = to_json(edit, &value, &id, 1, &mut Budget::to_read()).unwrap_or_default();
    Ok(read_kind(&Map::from_iter([("kind".to_owned(), kind)])).is_err())
}

/// An object's JSON, checked and taken apart.
struct Wanted {
    type_uri: Option<String>,
    parent: Option<String>,
    source: Option<String>,
    target: Option<String>,
    deleted: bool,
    meta: Option<Map<String, Value>>,
    data: Map<String, Value>,
}

impl Wanted {
    fn check(json: &Map<String, Value>, id: ObjectId) -> Result<Self, ObjectError> {
        check_size(json)?;
        check_keys(json, id)?;
        let deleted = match json.get("@deleted") {
            None => false,
            Some(Value::Bool(deleted)) => *deleted,
            Some(other) => return Err(shape("@deleted", json_kind(other), "a boolean")),
        };
        let meta = match json.get("@meta") {
            None => None,
            Some(Value::Object(meta)) => Some(meta.clone()),
            Some(other) => return Err(shape("@meta", json_kind(other), "a map")),
        };
        foreign_keys(meta.as_ref())?;
        let data = json.iter().filter(|(key, _)| !is_reserved(key)).map(|(key, value)| (key.clone(), value.clone()));
        Ok(Self {
            type_uri: uri(json, "@type")?,
            parent: uri(json, "@parent")?,
            source: uri(json, "@relationSource")?,
            target: uri(json, "@relationTarget")?,
            deleted,
            meta,
            data: data.collect(),
        })
    }

    /// Whether nothing of it stands in `system` but perhaps the kind.
    fn has_plain_system(&self) -> bool {
        let uris = [&self.type_uri, &self.parent, &self.source, &self.target];
        !self.deleted && uris.iter().all(|uri| uri.is_none())
    }

    fn set_system(&self, edit: &mut Transaction<'_>, system: &ObjId, is_new: bool) -> Result<(), ObjectError> {
        let is_relation = self.source.is_some();
        let ends = (edit.get(system, "source")?.is_some(), edit.get(system, "target")?.is_some());
        let allowed = if is_new { (is_relation, is_relation) } else { ends };
        if (is_relation, self.target.is_some()) != allowed {
            return Err(ObjectError::KindChanges);
        }
        let named =
            [("type", &self.type_uri), ("parent", &self.parent), ("source", &self.source), ("target", &self.target)];
        for (key, uri) in named {
            match uri {
                Some(uri) => set(edit, system, key.into(), &reference(uri), Strings::Replace)?,
                None if edit.get(system, key)?.is_some() => edit.delete(system, key)?,
                None => {}
            }
        }
        // An object that was never deleted need not say so; one that says so stays as it is.
        if self.deleted || edit.get(system, "deleted")?.is_some() {
            set(edit, system, "deleted".into(), &self.deleted.into(), Strings::Replace)?;
        }
        // A kind stays; where there is none that means anything, the ends say what it is. An object with neither
        // system nor data would read as none at all.
        let would_vanish = self.data.is_empty() && edit.keys(system).next().is_none();
        if is_new || would_vanish || has_odd_kind(edit, system)? {
            let kind = if is_relation { "relation" } else { "object" };
            set(edit, system, "kind".into(), &kind.into(), Strings::Replace)?;
        }
        Ok(())
    }

    fn set_meta(&self, edit: &mut Transaction<'_>, object: &ObjId, is_new: bool) -> Result<(), ObjectError> {
        let none = json!({ "keys": [] });
        let meta = match &self.meta {
            Some(meta) => &Value::Object(meta.clone()),
            None if is_new || edit.get(object, "meta")?.is_some() => &none,
            None => return Ok(()),
        };
        Ok(set(edit, object, "meta".into(), meta, Strings::Replace)?)
    }
}

fn check_keys(json: &Map<String, Value>, id: ObjectId) -> Result<(), ObjectError> {
    let name = id.to_string();
    let other = |found: &Value| ObjectError::OtherObject { id, found: found.to_string().chars().take(60).collect() };
    if let Some(found) = json.get("id").filter(|found| found.as_str() != Some(&name)) {
        return Err(other(found));
    }
    if let Some(found) = json.get("@self").filter(|found| !found.as_str().is_some_and(|uri| uri.ends_with(&name))) {
        return Err(other(found));
    }
    match json.keys().find(|key| key.starts_with('@') && !KNOWN.contains(&key.as_str())) {
        Some(key) => {
            let (key, known) = (key.chars().take(60).collect(), KNOWN.join(", "));
            Err(ObjectError::UnknownKey { key, known })
        }
        None => Ok(()),
    }
}

fn uri(json: &Map<String, Value>, key: &'static str) -> Result<Option<String>, ObjectError> {
    match json.get(key) {
        None => Ok(None),
        Some(Value::String(uri)) => check_uri(uri, key).map(|()| Some(uri.clone())),
        Some(other) => Err(shape(key, json_kind(other), "a URI")),
    }
}

/// RFC 7396 §2. The patch's nesting is within its limit, so the recursion is too.
fn merge(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (key, value) in patch {
        match value {
            Value::Null => {
                target.remove(key);
            }
            Value::Object(patch) => {
                let child = target.entry(key).or_insert(Value::Null);
                if !child.is_object() {
                    *child = Value::Object(Map::new());
                }
                if let Value::Object(child) = child {
                    merge(child, patch);
                }
            }
            other => {
                target.insert(key.clone(), other.clone());
            }
        }
    }
}
