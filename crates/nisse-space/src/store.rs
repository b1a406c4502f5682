//! Where a space's chunks stand, on the database that all spaces of a home share.
//!
//! A document's chunks stand in the order in which they were taken, each behind what it stands on. Its view is what
//! automerge saved of them at some time, so that loading need not read them all; every view can be thrown away.
//!
//! A chunk whose author was cut off, and that nobody else vouches for, is set aside: it is held, and is in no document.

mod applied;
mod aside;
mod items;
mod kept;
mod register;
mod summary;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use automerge::ChangeHash;
use nisse_model::{CredentialId, Hash256};
use nisse_store::{Database, DatabaseError, Rows, Table, WriteTransaction};

pub(crate) use applied::Applied;
pub(crate) use aside::{Kept, Standing};
pub(crate) use items::Place;

pub use register::Registered;
pub use summary::Summary;

use crate::chunk::{Chunk, ChunkError, ChunkId};
use crate::document_id::DocumentId;
use crate::gauge;

const CHUNKS: Table = Table::new("space.chunks");
/// Which chunks are here, by document and name, and where each is.
const ITEMS: Table = Table::new("space.items");
const SUMMARIES: Table = Table::new("space.documents");
const VIEWS: Table = Table::new("space.views");

/// Why a space's store does not do what it should. Each text completes "failed to …".
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database below.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A row that nothing of ours wrote so.
    #[error("read the document {document}: {reason}")]
    Damaged {
        /// The document.
        document: DocumentId,
        /// What is wrong.
        reason: String,
    },
    /// The list of spaces is not as it was written.
    #[error("read which spaces there are: {0}")]
    Register(String),
}

/// One space's part of the database.
#[derive(Debug, Clone)]
pub struct Store {
    database: Arc<Database>,
    space: CredentialId,
}

/// What a document is loaded from.
pub(crate) struct Stored {
    /// What automerge saved at some time; empty if there is no view.
    pub(crate) view: Vec<u8>,
    /// The changes of the chunks behind it, one behind the other.
    pub(crate) later: Vec<u8>,
    /// How many chunks those are.
    pub(crate) chunks: u64,
}

impl Store {
    /// The part of this space. Nothing is written yet.
    pub fn new(database: Arc<Database>, space: CredentialId) -> Self {
        Self { database, space }
    }

    #[cfg(test)]
    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// The space.
    pub fn space(&self) -> CredentialId {
        self.space
    }

    /// What is known of a document without loading it.
    pub fn summary(&self, document: DocumentId) -> Result<Option<Summary>, StoreError> {
        let row = self.database.read(|rows| rows.get(SUMMARIES, &self.key(document)))?;
        row.map(|row| Summary::decode(document, &row)).transpose()
    }

    /// Hands each document and its summary to `each`, by name, until it says `false`.
    pub fn documents(&self, mut each: impl FnMut(DocumentId, Summary) -> bool) -> Result<(), StoreError> {
        let mut failed = None;
        self.database.read(|rows| {
            rows.with_prefix(SUMMARIES, &self.space.0.0, &mut |key, value| {
                let Some(document) = key.last_chunk::<16>().copied().map(DocumentId) else { return true };
                match Summary::decode(document, value) {
                    Ok(summary) => each(document, summary),
                    Err(error) => {
                        failed = Some(error);
                        false
                    }
                }
            })
        })?;
        failed.map_or(Ok(()), Err)
    }

    /// Whether a chunk is here, in its document or set aside.
    pub fn holds(&self, document: DocumentId, chunk: ChunkId) -> Result<bool, StoreError> {
        Ok(self.database.read(|rows| rows.get(ITEMS, &self.item_key(document, chunk)))?.is_some())
    }

    /// Hands each chunk of a document to `each`, in the order in which they were taken, until it says `false`.
    pub fn chunks(&self, document: DocumentId, mut each: impl FnMut(&[u8]) -> bool) -> Result<(), StoreError> {
        let rows = |rows: &nisse_store::ReadTransaction| {
            rows.with_prefix(CHUNKS, &self.key(document), &mut |_, value| each(value))
        };
        Ok(self.database.read(rows)?)
    }

    /// What a document is loaded from: its view and the chunks behind it, or all its chunks.
    pub(crate) fn load(&self, document: DocumentId, with_view: bool) -> Result<Stored, StoreError> {
        let key = self.key(document);
        let mut stored = Stored { view: Vec::new(), later: Vec::new(), chunks: 0 };
        let mut failed: Option<ChunkError> = None;
        self.database.read(|rows| {
            let mut from = 0;
            if with_view
                && let Some(view) = rows.get(VIEWS, &key)?
                && let Some((upto, saved)) = view.split_first_chunk::<8>()
            {
                from = u64::from_be_bytes(*upto);
                stored.view = saved.to_vec();
            }
            let (first, last) = (numbered(&key, from), numbered(&key, u64::MAX));
            let range = (std::ops::Bound::Included(first.as_slice()), std::ops::Bound::Included(last.as_slice()));
            rows.range(CHUNKS, range.0, range.1, &mut |_, value| match Chunk::decode_own(value) {
                Ok(changes) => {
                    stored.later.extend(changes.bytes);
                    stored.chunks += 1;
                    true
                }
                Err(error) => {
                    failed = Some(error);
                    false
                }
            })
        })?;
        match failed {
            Some(error) => Err(StoreError::Damaged { document, reason: format!("failed to {error}") }),
            None => Ok(stored),
        }
    }

    /// All changes of a document as automerge loads them, up to so many bytes. `None` where there is more, and where the view is
    /// damaged: whoever loads the document makes it anew.
    pub(crate) fn whole(&self, document: DocumentId, bytes_max: usize) -> Result<Option<Vec<u8>>, StoreError> {
        let Stored { mut view, later, .. } = self.load(document, true)?;
        if view.len() + later.len() > bytes_max || !gauge::is_whole(&view) {
            return Ok(None);
        }
        view.extend(later);
        Ok(Some(view))
    }

    /// Takes chunks, each behind what it stands on, durable when this returns. Those that are here already are left out. `heads`
    /// are those of the documents then, where they are known: chunks that were made apart from each other do not tell them.
    pub fn commit<'c>(
        &self,
        chunks: impl IntoIterator<Item = &'c Chunk>,
        heads: &BTreeMap<DocumentId, Vec<ChangeHash>>,
    ) -> Result<(), StoreError> {
        self.commit_applied(chunks, heads, (None, &BTreeSet::new()))
    }

    /// As [`Self::commit`], and how far what was committed elsewhere is applied with them, and which documents are kept besides.
    pub(crate) fn commit_applied<'c>(
        &self,
        chunks: impl IntoIterator<Item = &'c Chunk>,
        heads: &BTreeMap<DocumentId, Vec<ChangeHash>>,
        (applied, kept): (Option<&Applied>, &BTreeSet<DocumentId>),
    ) -> Result<(), StoreError> {
        self.database.write(|rows| {
            self.put_kept(rows, kept)?;
            if let Some(applied) = applied {
                self.put_applied(rows, applied)?;
            }
            let mut summaries: BTreeMap<DocumentId, Summary> = BTreeMap::new();
            for chunk in chunks {
                let changes = chunk.changes();
                let item_key = self.item_key(changes.document, chunk.id());
                if rows.get(ITEMS, &item_key)?.is_some() {
                    continue;
                }
                let key = self.key(changes.document);
                let summary = match summaries.entry(changes.document) {
                    std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                    std::collections::btree_map::Entry::Vacant(entry) => {
                        let row = rows.get(SUMMARIES, &key)?;
                        let known = row.map(|row| Summary::decode(changes.document, &row)).transpose()?;
                        entry.insert(known.unwrap_or_default())
                    }
                };
                rows.put(CHUNKS, &numbered(&key, summary.chunks), chunk.stored())?;
                rows.put(ITEMS, &item_key, &Place::Numbered(summary.chunks).encode())?;
                self.note_standing(rows, changes)?;
                summary.take(changes);
            }
            for (document, mut summary) in summaries {
                if let Some(heads) = heads.get(&document) {
                    summary.heads.clone_from(heads);
                }
                rows.put(SUMMARIES, &self.key(document), &summary.encode())?;
            }
            Ok(())
        })
    }

    /// Keeps what automerge saved of a document's first `upto` chunks. A power cut may take it back.
    pub(crate) fn keep_view(&self, document: DocumentId, upto: u64, saved: &[u8]) -> Result<(), StoreError> {
        let mut view = upto.to_be_bytes().to_vec();
        view.extend(saved);
        self.database.write_lazily(|rows| Ok(rows.put(VIEWS, &self.key(document), &view)?))
    }

    /// Throws the view of a document away; it is made anew from the chunks.
    pub(crate) fn forget_view(&self, document: DocumentId) -> Result<(), StoreError> {
        self.database.write_lazily(|rows| {
            rows.remove(VIEWS, &self.key(document))?;
            Ok(())
        })
    }

    /// Throws all views of the space away.
    pub fn forget_views(&self) -> Result<(), StoreError> {
        self.database.write(|rows: &mut WriteTransaction| {
            rows.remove_prefix(VIEWS, &self.space.0.0)?;
            Ok(())
        })
    }

    fn key(&self, document: DocumentId) -> Vec<u8> {
        [self.space.0.0.as_slice(), &document.0].concat()
    }

    fn item_key(&self, document: DocumentId, chunk: ChunkId) -> Vec<u8> {
        let ChunkId(Hash256(name)) = chunk;
        [self.space.0.0.as_slice(), &document.0, &name].concat()
    }
}

/// A key with a number behind it, so that rows stand by number.
fn numbered(key: &[u8], number: u64) -> Vec<u8> {
    [key, &number.to_be_bytes()].concat()
}
