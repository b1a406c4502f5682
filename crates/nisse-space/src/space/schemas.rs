//! The schemas of a space: which are declared, which one counts, and what does not fit them.
//!
//! A schema is an object as any other, so whoever writes may bring one, and two may declare one type at once: *the one with the
//! highest id counts*, sound or not, at every home. Who declares a type anew deletes those that they saw, so the later one counts
//! whatever the clocks said. What is declared is looked for once in all objects, and from then on in those that changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::Value;

use super::objects::{SpaceObjectError, Write};
use super::{Author, Effect, Space, SpaceError};
use crate::document_id::DocumentId;
use crate::objects::{
    self, DeclaredType, Misfit, Object, ObjectId, SCHEMA_WORK_MAX, Schema, SchemaError, is_schema, named_object,
};
use crate::root::root_document;

/// Objects that do not fit which are told of at a time.
pub const MISFITS_MAX: usize = 1_000;
/// What is looked at for one answer to that, in the bytes of [`SCHEMA_WORK_MAX`].
const CHECK_WORK_MAX: u64 = 32 * SCHEMA_WORK_MAX;
/// Schemas that are kept ready to be checked against.
const READY_MAX: usize = 64;

/// What is known of the schemas in a space.
#[derive(Default)]
pub(super) struct Schemas {
    /// Documents that changed since they were looked at; none: nothing was looked at yet.
    stale: Option<BTreeSet<DocumentId>>,
    /// Where each object stood when it was looked at.
    places: BTreeMap<ObjectId, DocumentId>,
    /// The objects that hold a schema.
    found: BTreeMap<ObjectId, DeclaredType>,
    ready: HashMap<ObjectId, Result<Arc<Schema>, SchemaError>>,
}

/// A schema that is declared.
#[derive(Debug, Clone, PartialEq)]
pub struct SchemaEntry {
    /// The object that holds it.
    pub id: ObjectId,
    /// The type that it is of.
    pub declared: DeclaredType,
    /// The schema.
    pub schema: Value,
    /// Why nothing is checked against it.
    pub trouble: Option<String>,
}

/// What does not fit its type's schema.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Misfits {
    /// Each object, and why.
    pub found: Vec<(ObjectId, Misfit)>,
    /// Objects that were looked at: those of a type that a schema is declared of.
    pub checked: u64,
    /// Whether all were.
    pub is_whole: bool,
}

impl Schemas {
    /// Documents became others.
    pub(super) fn changed(&mut self, documents: &BTreeSet<DocumentId>) {
        if let Some(stale) = &mut self.stale {
            stale.extend(documents);
        }
    }

    /// The object that counts for a type; without a version it is the highest.
    fn of_type(&self, uri: &str) -> Option<(ObjectId, &DeclaredType)> {
        let (name, version) = objects::type_name(uri);
        // By id they are ordered as they are found.
        let of_name = self.found.iter().filter(|(_, declared)| declared.name == name);
        let wanted =
            of_name.filter(|(_, declared)| version.is_none_or(|version| declared.version.to_string() == version));
        wanted.max_by_key(|(id, declared)| (&declared.version, **id)).map(|(id, declared)| (*id, declared))
    }
}

impl Space {
    /// Declares what objects of a type have to be. The object that holds it has the id given, unless the same counts already;
    /// others of the type are deleted.
    pub fn declare_schema(
        &mut self,
        id: ObjectId,
        (declared, schema): (&DeclaredType, &Value),
        author: &dyn Author,
    ) -> Result<(SchemaEntry, Vec<Effect>), SpaceObjectError> {
        let sound = Arc::new(Schema::read(schema)?);
        self.look()?;
        let others = self.holding(|found| found == declared);
        if let Some(last) = others.last().copied()
            && let Some(entry) = self.entry(last)?.filter(|entry| entry.schema == *schema)
            && others.len() == 1
        {
            return Ok((entry, Vec::new()));
        }
        let json = declared.object(schema);
        let effects = self.write_together(author, |space, turn| {
            space.write(id, Write::Put(&json), turn)?;
            let mut others = others.into_iter().filter(|other| *other != id);
            others.try_for_each(|other| space.write(other, Write::Delete, turn))
        })?;
        self.look()?;
        self.keep_ready(id, Ok(sound));
        let entry = self.entry(id)?.ok_or(SpaceObjectError::Unknown(id))?;
        Ok((entry, effects))
    }

    /// The schemas that count, by type.
    pub fn schemas(&mut self) -> Result<Vec<SchemaEntry>, SpaceObjectError> {
        self.look()?;
        let newest: BTreeMap<DeclaredType, ObjectId> =
            self.schemas.found.iter().map(|(id, declared)| (declared.clone(), *id)).collect();
        newest.into_values().filter_map(|id| self.entry(id).transpose()).collect()
    }

    /// The schema that counts for a type, `dxn:type:NAME:VERSION` or `NAME:VERSION`; without a version it is the highest.
    pub fn schema(&mut self, uri: &str) -> Result<SchemaEntry, SpaceObjectError> {
        self.look()?;
        let found = self.schemas.of_type(uri).map(|(id, _)| id);
        let entry = found.map(|id| self.entry(id)).transpose()?.flatten();
        entry.ok_or_else(|| SpaceObjectError::Undeclared(uri.chars().take(80).collect()))
    }

    /// Takes back what is declared of a type; without a version it is all of them.
    pub fn remove_schema(&mut self, uri: &str, author: &dyn Author) -> Result<Vec<Effect>, SpaceObjectError> {
        self.look()?;
        let (name, version) = objects::type_name(uri);
        let holding = self
            .holding(|found| found.name == name && version.is_none_or(|version| found.version.to_string() == version));
        if holding.is_empty() {
            return Err(SpaceObjectError::Undeclared(uri.chars().take(80).collect()));
        }
        self.write_together(author, |space, turn| {
            holding.into_iter().try_for_each(|id| space.write(id, Write::Delete, turn))
        })
    }

    /// The objects that do not fit the schema of their type: others may have written them, whom no schema binds.
    pub fn misfits(&mut self) -> Result<Misfits, SpaceObjectError> {
        self.look()?;
        let places: Vec<(ObjectId, DocumentId)> = self.schemas.places.iter().map(|(id, at)| (*id, *at)).collect();
        let (mut misfits, mut work) = (Misfits { is_whole: true, ..Misfits::default() }, 0u64);
        for (id, place) in places {
            let Some(object) = self.read_at(id, place)? else { continue };
            let Some(schema) = self.of_object(&object)? else { continue };
            work = work.saturating_add(schema.cost(&object).min(SCHEMA_WORK_MAX));
            if work > CHECK_WORK_MAX || misfits.found.len() >= MISFITS_MAX {
                misfits.is_whole = false;
                break;
            }
            misfits.checked += 1;
            if let Err(misfit) = schema.check(&object) {
                misfits.found.push((id, misfit));
            }
            self.held.documents.settle(&self.held.store).map_err(SpaceError::from)?;
        }
        Ok(misfits)
    }

    /// What an object has to be once it is written.
    pub(super) fn schema_for(
        &mut self,
        id: ObjectId,
        write: Write<'_>,
    ) -> Result<Option<Arc<Schema>>, SpaceObjectError> {
        let said = |json: &serde_json::Map<String, Value>| json.get("@type").map(|uri| uri.as_str().map(str::to_owned));
        let uri = match write {
            Write::Delete => return Ok(None),
            Write::Put(json) => said(json).flatten(),
            Write::Patch(patch) => match said(patch) {
                Some(uri) => uri,
                None => self.object(id)?.and_then(|object| object.type_uri),
            },
        };
        let Some(uri) = uri else { return Ok(None) };
        self.look()?;
        self.schema_of(&uri)
    }

    fn of_object(&mut self, object: &Object) -> Result<Option<Arc<Schema>>, SpaceObjectError> {
        object.type_uri.as_deref().map_or(Ok(None), |uri| self.schema_of(uri))
    }

    /// What is ready for a type. What counts and is none says nothing of objects.
    fn schema_of(&mut self, uri: &str) -> Result<Option<Arc<Schema>>, SpaceObjectError> {
        let declared = match named_object(uri) {
            // The object may be one that was replaced: its type is what counts.
            Some(id) => self.object(id)?.filter(is_schema).and_then(|object| DeclaredType::of_object(&object).ok()),
            None => None,
        };
        let uri = declared.map_or_else(|| uri.to_owned(), |(declared, _)| declared.to_string());
        let Some((id, _)) = self.schemas.of_type(&uri) else { return Ok(None) };
        Ok(self.ready(id)?.ok())
    }

    /// The schema that an object holds, read.
    fn ready(&mut self, id: ObjectId) -> Result<Result<Arc<Schema>, SchemaError>, SpaceObjectError> {
        if let Some(ready) = self.schemas.ready.get(&id) {
            return Ok(ready.clone());
        }
        let object = self.object(id)?.ok_or(SpaceObjectError::Unknown(id))?;
        let read = DeclaredType::read(&object).map(|(_, schema)| Arc::new(schema));
        self.keep_ready(id, read.clone());
        Ok(read)
    }

    fn keep_ready(&mut self, id: ObjectId, read: Result<Arc<Schema>, SchemaError>) {
        if self.schemas.ready.len() >= READY_MAX {
            self.schemas.ready.clear();
        }
        self.schemas.ready.insert(id, read);
    }

    fn entry(&mut self, id: ObjectId) -> Result<Option<SchemaEntry>, SpaceObjectError> {
        let Some((declared, schema)) = self.object(id)?.and_then(|object| DeclaredType::of_object(&object).ok()) else {
            return Ok(None);
        };
        let trouble = self.ready(id)?.err().map(|error| error.to_string());
        Ok(Some(SchemaEntry { id, declared, schema, trouble }))
    }

    fn holding(&self, wanted: impl Fn(&DeclaredType) -> bool) -> Vec<ObjectId> {
        self.schemas.found.iter().filter(|(_, declared)| wanted(declared)).map(|(id, _)| *id).collect()
    }

    /// Looks at what changed since it was looked at last; the first time at everything.
    pub(super) fn look(&mut self) -> Result<(), SpaceObjectError> {
        let root = root_document(self.held.store.space());
        let stale = self.schemas.stale.replace(BTreeSet::new());
        let looked = self.look_at(root, stale.as_ref());
        if looked.is_err() {
            // Everything again, the next time.
            self.schemas.stale = None;
        }
        looked
    }

    fn look_at(&mut self, root: DocumentId, stale: Option<&BTreeSet<DocumentId>>) -> Result<(), SpaceObjectError> {
        let mut moved = BTreeSet::new();
        if stale.is_none_or(|stale| stale.contains(&root)) {
            let directory = self.directory()?;
            let inline = directory.inline.into_iter().map(|id| (id, root));
            let places: BTreeMap<_, _> = inline.chain(directory.links).collect();
            let known = std::mem::take(&mut self.schemas.places);
            let all = known.keys().chain(places.keys());
            moved.extend(all.filter(|id| known.get(id) != places.get(id) || stale.is_none()).copied());
            self.schemas.places = places;
        }
        let stale = stale.into_iter().flatten();
        let stale: BTreeSet<DocumentId> = stale.copied().collect();
        let changed = self.schemas.places.iter().filter(|(_, place)| stale.contains(*place)).map(|(id, _)| *id);
        moved.extend(changed);
        for id in moved {
            let place = self.schemas.places.get(&id).copied();
            let object = place.map(|place| self.read_at(id, place)).transpose()?.flatten();
            let object = object.filter(|object| is_schema(object) && !object.deleted);
            let declared = object.and_then(|object| DeclaredType::of_object(&object).ok());
            self.schemas.ready.remove(&id);
            match declared {
                Some((declared, _)) => drop(self.schemas.found.insert(id, declared)),
                None => drop(self.schemas.found.remove(&id)),
            }
            self.held.documents.settle(&self.held.store).map_err(SpaceError::from)?;
        }
        Ok(())
    }

    /// The object that stands in a document; one that cannot be read is none.
    fn read_at(&mut self, id: ObjectId, place: DocumentId) -> Result<Option<Object>, SpaceObjectError> {
        let loaded = self.held.documents.get(&self.held.store, place, Vec::new).map_err(SpaceError::from)?;
        Ok(Object::read(&loaded.automerge, id).unwrap_or_else(|error| {
            tracing::debug!(%id, %error, "an object is left out");
            None
        }))
    }
}
