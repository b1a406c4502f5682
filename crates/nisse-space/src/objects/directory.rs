//! The outer shape of a space's documents: which objects stand in them, and which stand elsewhere.
//!
//! The one thing to know: a document's *first change is the same bytes wherever it is made*, by an actor that is the
//! hash of what is begun. Two devices that begin the same document while apart begin the same maps, and both their
//! edits stay; had each made maps of its own, one device's would hide the other's.

use std::collections::{BTreeMap, BTreeSet};

use automerge::transaction::{Transactable, Transaction};
use automerge::{ActorId, Automerge, ChangeHash, ObjType, ROOT, ReadDoc, Value as Stored};
use nisse_model::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::difference::create;
use super::id::ObjectId;
use super::structure::{ObjectError, shape, stored_kind};
use super::value::{Budget, to_json};
use super::write::{Writer, change};
use crate::DocumentId;

/// Most objects and links that a document may have.
pub const DIRECTORY_ENTRIES_MAX: usize = 100_000;
/// Longest text that names the space in a document.
pub const ACCESS_TEXT_BYTES_MAX: usize = 256;

/// The scheme of automerge-repo's URLs.
const URL_SCHEME: &str = "automerge:";

/// How a document says which space it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// By the space's key, in hex (DXOS 0.8 and before).
    SpaceKey(String),
    /// By the space's id.
    SpaceId(String),
}

/// What a document of objects holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// The space it belongs to; None where the document does not say, or says it in no way we know.
    pub access: Option<Access>,
    /// The objects that stand in the document itself.
    pub inline: BTreeSet<ObjectId>,
    /// The objects that stand in documents of their own.
    pub links: BTreeMap<ObjectId, DocumentId>,
    /// How many entries were passed over because their id or URL cannot be read: one bad entry hides no other.
    pub unreadable: usize,
}

impl Directory {
    /// Reads what a document holds. One without `objects` and `links` holds nothing.
    pub fn read(document: &Automerge) -> Result<Self, ObjectError> {
        let mut directory =
            Self { access: read_access(document)?, inline: BTreeSet::new(), links: BTreeMap::new(), unreadable: 0 };
        for (key, value) in read_entries(document, "objects", |value| matches!(value, Stored::Object(ObjType::Map)))? {
            match (key.parse(), value) {
                (Ok(id), Some(_)) => drop(directory.inline.insert(id)),
                _ => directory.unreadable += 1,
            }
        }
        for (key, value) in read_entries(document, "links", |_| true)? {
            let url = value.as_ref().and_then(Value::as_str).and_then(|url| url.strip_prefix(URL_SCHEME));
            match (key.parse(), url.and_then(|id| id.parse().ok())) {
                (Ok(id), Some(document)) => drop(directory.links.insert(id, document)),
                _ => directory.unreadable += 1,
            }
        }
        Ok(directory)
    }
}

/// Begins a space's root document, with the objects that stand in it (the space's properties) begun too. The same
/// arguments give the same change; further edits of this device are `actor`'s.
pub fn begin_root(access: &Access, inline: &[ObjectId], actor: &ActorId) -> Result<Automerge, ObjectError> {
    begin("nisse/space/root/1", access, inline, true, actor)
}

/// Begins the document of one object. The same arguments give the same change; further edits of this device are
/// `actor`'s.
pub fn begin_object(access: &Access, id: ObjectId, actor: &ActorId) -> Result<Automerge, ObjectError> {
    begin("nisse/space/object/1", access, &[id], false, actor)
}

/// Says in a root document where an object's own document is. None when it already says so.
pub fn link(
    root: &mut Automerge,
    id: ObjectId,
    document: DocumentId,
    writer: &Writer,
) -> Result<Option<ChangeHash>, ObjectError> {
    let url = format!("{URL_SCHEME}{document}");
    change(root, writer, |edit| {
        let links = match edit.get(ROOT, "links")? {
            Some((Stored::Object(ObjType::Map), links)) => links,
            Some((other, _)) => return Err(shape("links", stored_kind(&other), "a map")),
            None => return Err(shape("links", "missing", "a map: begin the document first")),
        };
        if let Some((present, text)) = edit.get(&links, id.to_string())? {
            let present = present.into_owned();
            if to_json(edit, &present, &text, 1, &mut Budget::to_read()).ok() == Some(url.as_str().into()) {
                return Ok(());
            }
        } else if edit.keys(&links).count() >= DIRECTORY_ENTRIES_MAX {
            return Err(ObjectError::TooLarge { what: "links", max: DIRECTORY_ENTRIES_MAX });
        }
        // A scalar: of two URLs that were set at once one must win whole.
        Ok(edit.put(&links, id.to_string(), url)?)
    })
}

impl Access {
    fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::SpaceKey(text) => ("spaceKey", text),
            Self::SpaceId(text) => ("spaceId", text),
        }
    }
}

fn begin(
    domain: &str,
    access: &Access,
    inline: &[ObjectId],
    has_links: bool,
    actor: &ActorId,
) -> Result<Automerge, ObjectError> {
    let (key, text) = access.parts();
    if text.len() > ACCESS_TEXT_BYTES_MAX {
        return Err(ObjectError::TooLarge { what: "bytes in the name of its space", max: ACCESS_TEXT_BYTES_MAX });
    }
    let inline: BTreeSet<ObjectId> = inline.iter().copied().collect();
    let names: Vec<String> = inline.iter().map(ObjectId::to_string).collect();
    // None of the parts holds a line feed but perhaps the text, which stands last.
    let begun = Sha256::digest(format!("{domain}\n{key}\n{}\n{text}", names.join(",")));
    let mut document = Automerge::new().with_actor(actor.clone());
    let writer = Writer { actor: ActorId::from(&begun[..16]), time: Timestamp(0) };
    change(&mut document, &writer, |edit| {
        edit.put(ROOT, "version", 1)?;
        create(edit, &ROOT, "access".into(), &json!({ key: text }))?;
        begin_objects(edit, &names)?;
        if has_links {
            edit.put_object(ROOT, "links", ObjType::Map)?;
        }
        Ok(())
    })?;
    Ok(document)
}

/// An object that is only begun has an empty `system`: reading finds no object there.
fn begin_objects(edit: &mut Transaction<'_>, names: &[String]) -> Result<(), ObjectError> {
    let objects = edit.put_object(ROOT, "objects", ObjType::Map)?;
    for name in names {
        let object = edit.put_object(&objects, name.as_str(), ObjType::Map)?;
        edit.put_object(&object, "system", ObjType::Map)?;
        let meta = edit.put_object(&object, "meta", ObjType::Map)?;
        edit.put_object(&meta, "keys", ObjType::List)?;
        edit.put_object(&object, "data", ObjType::Map)?;
    }
    Ok(())
}

fn read_access(document: &Automerge) -> Result<Option<Access>, ObjectError> {
    let Some((Stored::Object(ObjType::Map), access)) = document.get(ROOT, "access")? else {
        return Ok(None);
    };
    let mut budget = Budget::to_read();
    for (key, make) in [("spaceId", Access::SpaceId as fn(String) -> Access), ("spaceKey", Access::SpaceKey)] {
        if let Some((value, id)) = document.get(&access, key)?
            && let Value::String(text) = to_json(document, &value, &id, 1, &mut budget)?
            && text.len() <= ACCESS_TEXT_BYTES_MAX
        {
            return Ok(Some(make(text)));
        }
    }
    Ok(None)
}

type Entries = Vec<(String, Option<Value>)>;

/// The entries of one of the document's maps: the JSON of scalars and texts, null for containers, None for what
/// `allowed` refuses or what cannot be read.
fn read_entries(
    document: &Automerge,
    map: &'static str,
    allowed: fn(&Stored<'_>) -> bool,
) -> Result<Entries, ObjectError> {
    let id = match document.get(ROOT, map)? {
        Some((Stored::Object(ObjType::Map), id)) => id,
        Some((other, _)) => return Err(shape(map, stored_kind(&other), "a map")),
        None => return Ok(Vec::new()),
    };
    if document.keys(&id).count() > DIRECTORY_ENTRIES_MAX {
        return Err(ObjectError::TooLarge { what: "entries in its directory", max: DIRECTORY_ENTRIES_MAX });
    }
    let entry = |key: String, value: Stored<'_>, child: automerge::ObjId| {
        let json = match &value {
            Stored::Object(ObjType::Map | ObjType::List | ObjType::Table) => Some(Value::Null),
            other => to_json(document, other, &child, 1, &mut Budget::to_read()).ok(),
        };
        (key, json.filter(|_| allowed(&value)))
    };
    let items = document.map_range(&id, ..);
    Ok(items.map(|item| entry(item.key.to_string(), item.value.clone().into_value(), item.id())).collect())
}
