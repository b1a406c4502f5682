//! Objects of an open space, as its own home reads and writes them.
//!
//! Each has a document of its own, whose name follows from its id; the space's root document links them. What is begun at
//! two places at once has the same first change at both (see [`objects::begin_root`]), and so is one.

use automerge::{ActorId, Automerge, ReadDoc as _};
use nisse_model::{Did, Hash256};
use serde_json::{Map, Value};

use super::{Author, Effect, Space, SpaceError, Turn};
use crate::document_id::DocumentId;
use crate::documents::news;
use crate::gauge::guarded;
use crate::objects::{
    self, Access, DeclaredType, Directory, History, Misfit, Object, ObjectError, ObjectId, Query, QueryError,
    SchemaError, Writer,
};
use crate::root::{object_document, root_document};
use crate::vouched::{self, Vouched};

/// Why something was not done with a space's objects. Each text completes "failed to …".
#[derive(Debug, thiserror::Error)]
pub enum SpaceObjectError {
    /// The object, or what stands where it should.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The query.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The space.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// There is no such object.
    #[error("find the object {0} in the space")]
    Unknown(ObjectId),
    /// It is not what its type's schema says.
    #[error(transparent)]
    Misfit(#[from] Misfit),
    /// What was to be a schema.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// No schema is declared of a type.
    #[error("find a schema of `{0}` in the space")]
    Undeclared(String),
}

/// What is done with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write<'j> {
    /// It becomes what the JSON says, whatever it was.
    Put(&'j Map<String, Value>),
    /// The JSON is a merge patch (RFC 7396) of it.
    Patch(&'j Map<String, Value>),
    /// It is marked as deleted.
    Delete,
}

impl Space {
    /// Changes an object, durable when this returns, and says how it is then. The effects are for those who are connected.
    pub fn write_object(
        &mut self,
        id: ObjectId,
        write: Write<'_>,
        author: &dyn Author,
    ) -> Result<(Object, Vec<Effect>), SpaceObjectError> {
        let effects = self.write_together(author, |space, turn| space.write(id, write, turn))?;
        let object = self.object(id)?.ok_or(SpaceObjectError::Unknown(id))?;
        Ok((object, effects))
    }

    /// Changes objects all together or not at all; durable when this returns.
    pub(super) fn write_together(
        &mut self,
        author: &dyn Author,
        work: impl FnOnce(&mut Self, &mut Turn<'_>) -> Result<(), SpaceObjectError>,
    ) -> Result<Vec<Effect>, SpaceObjectError> {
        if let Some(fault) = &self.held.fault {
            return Err(SpaceError::ReadOnly(fault.clone()).into());
        }
        let mut turn = Turn::new(author);
        if let Err(error) = work(self, &mut turn) {
            self.undo(&mut turn);
            return Err(error);
        }
        self.conclude(&mut turn);
        match &self.held.fault {
            Some(fault) => Err(SpaceError::ReadOnly(fault.clone()).into()),
            None => Ok(turn.effects),
        }
    }

    pub(super) fn write(
        &mut self,
        id: ObjectId,
        write: Write<'_>,
        turn: &mut Turn<'_>,
    ) -> Result<(), SpaceObjectError> {
        let schema = self.schema_for(id, write)?;
        let (root, access) =
            (root_document(self.held.store.space()), Access::SpaceId(self.held.store.space().to_string()));
        let linked = self.linked(id)?;
        let place = match self.object_place(id)? {
            Some(place) => place,
            None if write == Write::Delete => return Err(SpaceObjectError::Unknown(id)),
            None => object_document(self.held.store.space(), id),
        };
        if linked.is_none() {
            self.edit(root, turn, |document, writer| {
                begun(document, "links", || objects::begin_root(&access, &[], &writer.actor))?;
                objects::link(document, id, place, writer)?;
                Ok(())
            })?;
        }
        self.edit(place, turn, |document, writer| {
            begun(document, "objects", || objects::begin_object(&access, id, &writer.actor))?;
            match write {
                Write::Put(json) => objects::put(document, id, json, writer),
                Write::Patch(patch) => objects::patch(document, id, patch, writer),
                Write::Delete => objects::delete(document, id, writer),
            }?;
            let Some(object) = Object::read(document, id)?.filter(|_| write != Write::Delete) else { return Ok(()) };
            if objects::is_schema(&object) && !object.deleted {
                DeclaredType::read(&object)?;
            }
            match &schema {
                Some(schema) => Ok(schema.check(&object)?),
                None => Ok(()),
            }
        })
    }

    /// Changes a document of our own accord.
    fn edit(
        &mut self,
        document: DocumentId,
        turn: &mut Turn<'_>,
        change: impl FnOnce(&mut Automerge, &Writer) -> Result<(), SpaceObjectError>,
    ) -> Result<(), SpaceObjectError> {
        let (key, _) = turn.author.names();
        let aside = self.held.store.aside_digest(document).map_err(SpaceError::from)?;
        let writer = Writer { actor: own_actor(key, self.us.0.as_str(), document, aside), time: turn.author.now() };
        let loaded = self.held.documents.get(&self.held.store, document, Vec::new).map_err(SpaceError::from)?;
        let automerge = &mut loaded.automerge;
        let before = automerge.get_heads();
        let changed = guarded(|| change(automerge, &writer));
        let sound = matches!(changed, Ok(Ok(())));
        let (after, bytes) = (automerge.get_heads(), if sound { news(automerge, &before) } else { Vec::new() });
        if !sound {
            self.held.documents.drop(document);
        }
        changed.map_err(|panic| SpaceError::Automerge(panic.to_string()))??;
        if before == after {
            return Ok(());
        }
        match self.held.admit(document, None, (before, after), bytes, turn.author) {
            Ok(chunk) => turn.take(chunk),
            Err(error) => {
                self.held.documents.drop(document);
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// One object, if there is one of that id.
    pub fn object(&mut self, id: ObjectId) -> Result<Option<Object>, SpaceObjectError> {
        let Some(place) = self.object_place(id)? else { return Ok(None) };
        let loaded = self.held.documents.get(&self.held.store, place, Vec::new).map_err(SpaceError::from)?;
        Ok(Object::read(&loaded.automerge, id)?)
    }

    /// The objects that a query finds, in its order. It reads all objects of the space.
    pub fn query(&mut self, query: &Query) -> Result<Vec<Object>, SpaceObjectError> {
        let all = self.every_object()?;
        Ok(query.run(&all)?.into_iter().cloned().collect())
    }

    pub(super) fn every_object(&mut self) -> Result<Vec<Object>, SpaceObjectError> {
        let mut all = Vec::new();
        let directory = self.directory()?;
        let root = root_document(self.held.store.space());
        let places = directory.links.iter().map(|(id, place)| (*id, *place));
        for (id, place) in directory.inline.iter().map(|id| (*id, root)).chain(places) {
            let loaded = self.held.documents.get(&self.held.store, place, Vec::new).map_err(SpaceError::from)?;
            // One that is no object hides no other.
            match Object::read(&loaded.automerge, id) {
                Ok(object) => all.extend(object),
                Err(error) => tracing::debug!(%id, %error, "an object is left out"),
            }
            self.held.documents.settle(&self.held.store).map_err(SpaceError::from)?;
        }
        Ok(all)
    }

    /// The newest changes of an object's document, what each touched, and who vouches for it.
    pub fn history(&mut self, id: ObjectId, limit: usize) -> Result<(History, Vouched), SpaceObjectError> {
        let place = self.object_place(id)?.ok_or(SpaceObjectError::Unknown(id))?;
        let loaded = self.held.documents.get(&self.held.store, place, Vec::new).map_err(SpaceError::from)?;
        let history = History::read_touched(&loaded.automerge, limit);
        let vouched = vouched::of(&self.held.store, place).map_err(SpaceError::from)?;
        Ok((history, vouched))
    }

    pub(super) fn directory(&mut self) -> Result<Directory, SpaceObjectError> {
        let root = root_document(self.held.store.space());
        let loaded = self.held.documents.get(&self.held.store, root, Vec::new).map_err(SpaceError::from)?;
        Ok(Directory::read(&loaded.automerge)?)
    }

    /// The document that an object stands in. It may be there without a link: that of somebody who was cut off is set aside,
    /// while others wrote on in the object. The next write links it again.
    fn object_place(&mut self, id: ObjectId) -> Result<Option<DocumentId>, SpaceObjectError> {
        if let Some(place) = self.linked(id)? {
            return Ok(Some(place));
        }
        let own = object_document(self.held.store.space(), id);
        let is_there = self.held.store.summary(own).map_err(SpaceError::from)?.is_some();
        Ok(is_there.then_some(own))
    }

    /// The document that the root says that an object stands in.
    pub(super) fn linked(&mut self, id: ObjectId) -> Result<Option<DocumentId>, SpaceObjectError> {
        let directory = self.directory()?;
        let root = root_document(self.held.store.space());
        Ok(directory.links.get(&id).copied().or(directory.inline.contains(&id).then_some(root)))
    }
}

/// Begins what is kept in a document, unless it was begun; what else stands in it stays.
fn begun(
    document: &mut Automerge,
    key: &str,
    begin: impl FnOnce() -> Result<Automerge, ObjectError>,
) -> Result<(), ObjectError> {
    if document.get(automerge::ROOT, key)?.is_some() {
        return Ok(());
    }
    let mut begun = begin()?;
    document.merge(&mut begun)?;
    Ok(())
}

/// The actor of this device in a document, on this replica: one that was copied elsewhere is another replica. Where something
/// is set aside it is another one, too: that may be a change of ours, and come back, and no number is to be given twice.
fn own_actor(device: Did, replica: &str, document: DocumentId, aside: Option<Hash256>) -> ActorId {
    let mut parts: Vec<&[u8]> = vec![b"nisse actor v1", &device.0, replica.as_bytes(), &document.0];
    parts.extend(aside.as_ref().map(|Hash256(digest)| digest.as_slice()));
    let Hash256(digest) = Hash256::of_parts(&parts);
    ActorId::from(&digest[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_device_and_replica_and_document_has_its_own_actor() {
        let actor = own_actor(Did([1; 32]), "one", DocumentId([1; 16]), None);
        assert_eq!(actor, own_actor(Did([1; 32]), "one", DocumentId([1; 16]), None));
        assert_ne!(actor, own_actor(Did([2; 32]), "one", DocumentId([1; 16]), None));
        assert_ne!(actor, own_actor(Did([1; 32]), "two", DocumentId([1; 16]), None));
        assert_ne!(actor, own_actor(Did([1; 32]), "one", DocumentId([2; 16]), None));
        assert_ne!(actor, own_actor(Did([1; 32]), "one", DocumentId([1; 16]), Some(Hash256([1; 32]))));
    }
}
