//! Which chunks are here, in the order by which two peers compare what they have: by document, then by name.

use std::ops::Bound;

use nisse_model::Hash256;
use nisse_store::{Database, Rows, WriteTransaction};

use super::{CHUNKS, ITEMS, Store, StoreError};
use crate::chunk::{Chunk, ChunkId};
use crate::document_id::DocumentId;

/// Where a chunk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// In its document, behind as many others.
    Numbered(u64),
    /// Set aside.
    Aside,
}

impl Place {
    pub(super) fn encode(self) -> Vec<u8> {
        match self {
            Self::Numbered(number) => number.to_be_bytes().to_vec(),
            Self::Aside => Vec::new(),
        }
    }

    fn decode(row: &[u8]) -> Option<Self> {
        match row {
            [] => Some(Self::Aside),
            number => number.try_into().ok().map(|number| Self::Numbered(u64::from_be_bytes(number))),
        }
    }
}

impl Store {
    /// Hands each chunk that is here to `each`, from one name on up to another, until it says `false`. A name here is a
    /// document's with a chunk's behind it, or the beginning of that; there is no end without one.
    pub(crate) fn items(
        &self,
        from: &[u8],
        upto: Option<&[u8]>,
        mut each: impl FnMut(DocumentId, ChunkId) -> bool,
    ) -> Result<(), StoreError> {
        let space = self.space.0.0.as_slice();
        let from = [space, from].concat();
        let upto = upto.map(|upto| [space, upto].concat());
        let end = upto.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        self.database.read(|rows| {
            rows.range(ITEMS, Bound::Included(&from), end, &mut |key, _| match named(space, key) {
                Some((document, chunk)) => each(document, chunk),
                None => false,
            })
        })?;
        Ok(())
    }

    /// Where a chunk is, if it is here.
    pub(crate) fn place(&self, document: DocumentId, chunk: ChunkId) -> Result<Option<Place>, StoreError> {
        let row = self.database.read(|rows| rows.get(ITEMS, &self.item_key(document, chunk)))?;
        let damaged =
            || StoreError::Damaged { document, reason: format!("the row of the chunk {chunk} is none of ours") };
        row.map(|row| Place::decode(&row).ok_or_else(damaged)).transpose()
    }

    /// The stored form of a chunk of which [`Self::place`] is known.
    pub(crate) fn chunk_at(
        &self,
        document: DocumentId,
        chunk: ChunkId,
        place: Place,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(match place {
            Place::Numbered(number) => {
                self.database.read(|rows| rows.get(CHUNKS, &super::numbered(&self.key(document), number)))?
            }
            Place::Aside => self.aside(document, chunk)?,
        })
    }

    /// The stored form of a chunk that was there, wherever it is by now: as its document is made anew, it may be moved.
    pub(crate) fn stored(
        &self,
        document: DocumentId,
        chunk: ChunkId,
        place: Place,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        match self.chunk_at(document, chunk, place)? {
            Some(stored) if ChunkId(Hash256::of(&stored)) == chunk => Ok(Some(stored)),
            _ => match self.place(document, chunk)? {
                Some(place) => self.chunk_at(document, chunk, place),
                None => Ok(None),
            },
        }
    }

    /// The first document behind another, or of all, of which a chunk is here, be it set aside.
    pub(crate) fn next_document(&self, before: Option<DocumentId>) -> Result<Option<DocumentId>, StoreError> {
        let from = match before.map(|DocumentId(name)| u128::from_be_bytes(name).checked_add(1)) {
            None => [0; 16],
            Some(Some(next)) => next.to_be_bytes(),
            Some(None) => return Ok(None),
        };
        let mut found = None;
        self.items(&from, None, |document, _| {
            found = Some(document);
            false
        })?;
        Ok(found)
    }

    /// All chunks of a document: those in it, in their order, and behind them what is set aside.
    pub(crate) fn places(&self, document: DocumentId) -> Result<Vec<(Place, ChunkId)>, StoreError> {
        let (mut places, mut damaged) = (Vec::new(), false);
        let key = self.key(document);
        self.database.read(|rows| {
            rows.with_prefix(ITEMS, &key, &mut |name, row| {
                match (Place::decode(row), name[key.len()..].try_into()) {
                    (Some(place), Ok(chunk)) => places.push((place, ChunkId(Hash256(chunk)))),
                    _ => damaged = true,
                }
                !damaged
            })
        })?;
        if damaged {
            return Err(StoreError::Damaged { document, reason: "the row of a chunk is none of ours".to_owned() });
        }
        places.sort_unstable();
        Ok(places)
    }

    /// Names all chunks of a space that was kept before they had names by document.
    pub(super) fn name_all(&self, rows: &mut WriteTransaction) -> Result<(), StoreError> {
        let mut found = Vec::new();
        let space = self.space.0.0.as_slice();
        rows.with_prefix(CHUNKS, space, &mut |key, stored| {
            if let Some((document, number)) = key[space.len()..].split_first_chunk::<16>() {
                let chunk = ChunkId(Hash256::of(stored));
                found.push((DocumentId(*document), number.to_vec(), chunk, Chunk::decode_own(stored).ok()));
            }
            true
        })?;
        for (document, number, chunk, changes) in found {
            rows.put(ITEMS, &self.item_key(document, chunk), &number)?;
            if let Some(changes) = changes {
                self.note_standing(rows, &changes)?;
            }
        }
        Ok(())
    }
}

/// The name in a key.
fn named(space: &[u8], key: &[u8]) -> Option<(DocumentId, ChunkId)> {
    let (document, chunk) = key.strip_prefix(space)?.split_first_chunk::<16>()?;
    Some((DocumentId(*document), ChunkId(Hash256(chunk.try_into().ok()?))))
}

/// Brings what an older nisse kept of a space into today's form.
pub(super) fn renew(database: &std::sync::Arc<Database>, space: nisse_model::CredentialId) -> Result<(), StoreError> {
    let store = Store::new(std::sync::Arc::clone(database), space);
    database.write(|rows| store.name_all(rows))
}
