//! One object: how it is read from a document and what its JSON says.

use automerge::{Automerge, ObjType, ReadDoc, Value as Stored};
use serde_json::{Map, Value};

use super::id::ObjectId;
use super::structure::{
    ObjectError, foreign_keys, is_reserved, objects_map, read_deleted, read_kind, read_section, read_uri, shape,
    stored_kind,
};
use super::value::Budget;

/// An object of a space.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Its name.
    pub id: ObjectId,
    /// Whether it stands for itself or relates two others.
    pub kind: ObjectKind,
    /// The URI of its type, such as `dxn:type:example.org/type/Task:0.1.0`.
    pub type_uri: Option<String>,
    /// Whether it was deleted; its data is kept.
    pub deleted: bool,
    /// The URI of the object above it.
    pub parent: Option<String>,
    /// A relation's source, as a URI.
    pub source: Option<String>,
    /// A relation's target, as a URI.
    pub target: Option<String>,
    /// What programs know of it: `keys` (its names elsewhere), `tags`. None where the document has none.
    pub meta: Option<Map<String, Value>>,
    /// What people know of it. Never has `id` or a key that begins with `@`: the JSON form could not say them.
    pub data: Map<String, Value>,
}

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    /// A thing.
    Object,
    /// A relation between two objects.
    Relation,
    /// A stored definition of a type (newer DXOS only).
    Type,
}

/// An object's name in another system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// The system, such as `github.com`.
    pub source: String,
    /// The name there.
    pub id: String,
}

impl Object {
    /// Reads an object from a document. None where the document has no such object, or has only begun it.
    pub fn read(document: &Automerge, id: ObjectId) -> Result<Option<Self>, ObjectError> {
        let Ok(objects) = objects_map(document) else {
            return Ok(None);
        };
        let Some((value, structure)) = document.get(&objects, id.to_string())? else {
            return Ok(None);
        };
        let structure = match value {
            Stored::Object(ObjType::Map) => structure,
            other => return Err(shape("objects", stored_kind(&other), "a map for each object")),
        };
        let mut budget = Budget::to_read();
        let system = read_section(document, &structure, "system", &mut budget)?.unwrap_or_default();
        let meta = read_section(document, &structure, "meta", &mut budget)?;
        let mut data = read_section(document, &structure, "data", &mut budget)?.unwrap_or_default();
        data.retain(|key, _| !is_reserved(key));
        if system.is_empty() && data.is_empty() {
            return Ok(None);
        }
        foreign_keys(meta.as_ref())?;
        Ok(Some(Self {
            id,
            kind: read_kind(&system)?,
            type_uri: read_uri(&system, "type", "system.type")?,
            deleted: read_deleted(&system)?,
            parent: read_uri(&system, "parent", "system.parent")?,
            source: read_uri(&system, "source", "system.source")?,
            target: read_uri(&system, "target", "system.target")?,
            meta,
            data,
        }))
    }

    /// The object as ECHO's flat JSON: its data, plus `id`, `@self`, and where they apply `@type`, `@meta`, `@deleted`,
    /// `@parent`, `@relationSource` and `@relationTarget`.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut json = self.data.clone();
        json.insert("id".into(), self.id.to_string().into());
        json.insert("@self".into(), format!("dxn:echo:@:{}", self.id).into());
        let named = [
            ("@type", &self.type_uri),
            ("@parent", &self.parent),
            ("@relationSource", &self.source),
            ("@relationTarget", &self.target),
        ];
        for (key, uri) in named {
            if let Some(uri) = uri {
                json.insert(key.into(), uri.clone().into());
            }
        }
        if self.deleted {
            json.insert("@deleted".into(), true.into());
        }
        if let Some(meta) = &self.meta {
            json.insert("@meta".into(), Value::Object(meta.clone()));
        }
        json
    }

    /// The object's names in other systems.
    pub fn foreign_keys(&self) -> Vec<ForeignKey> {
        foreign_keys(self.meta.as_ref()).unwrap_or_default()
    }
}
