//! Chunks that are held and in no document, and by what right each chunk was made.
//!
//! What an author was known to be when it made a chunk follows from the credentials that it had seen; all chunks that say
//! the same of it are of one *standing*, so that few questions are asked when a credential arrives.

use std::collections::BTreeSet;

use automerge::ChangeHash;
use nisse_model::{CredentialId, Did, Hash256, Timestamp};
use nisse_store::{Rows, Table, WriteTransaction};

use super::items::Place;
use super::{CHUNKS, ITEMS, SUMMARIES, Store, StoreError, Summary, VIEWS, numbered};
use crate::chunk::{Changes, Chunk, ChunkId};
use crate::document_id::DocumentId;

const ASIDE: Table = Table::new("space.aside");
/// One chunk's changes of each standing, without what it changes.
const STANDINGS: Table = Table::new("space.standings");
/// The documents that have a chunk of a standing.
const TOUCHED: Table = Table::new("space.touched");

/// A chunk that is here.
pub(crate) struct Kept {
    pub(crate) id: ChunkId,
    pub(crate) stored: Vec<u8>,
    pub(crate) changes: Changes,
    pub(crate) is_aside: bool,
}

/// By what right chunks were made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Standing {
    pub(crate) author: Did,
    pub(crate) identity: Did,
    pub(crate) subject: Option<Did>,
    pub(crate) seen: Vec<CredentialId>,
    /// When the first of them was signed.
    pub(crate) signed: Timestamp,
}

impl Standing {
    fn digest(changes: &Changes) -> Hash256 {
        let seen: Vec<u8> = changes.seen.iter().flat_map(|credential| credential.0.0).collect();
        let subject = changes.subject.map(|subject| subject.0.to_vec()).unwrap_or_default();
        Hash256::of_parts(&[b"nisse standing v1", &changes.author.0, &changes.identity.0, &subject, &seen])
    }

    pub(crate) fn of(changes: &Changes) -> Self {
        Self {
            author: changes.author,
            identity: changes.identity,
            subject: changes.subject,
            seen: changes.seen.clone(),
            signed: changes.signed,
        }
    }
}

impl Store {
    /// Notes by what right a chunk was made.
    pub(super) fn note_standing(&self, rows: &mut WriteTransaction, changes: &Changes) -> Result<(), StoreError> {
        let Hash256(digest) = Standing::digest(changes);
        let touched = [self.space.0.0.as_slice(), &digest, &changes.document.0].concat();
        if rows.get(TOUCHED, &touched)?.is_some() {
            return Ok(());
        }
        rows.put(TOUCHED, &touched, &[])?;
        let bare = Changes { bytes: Vec::new(), before: Vec::new(), after: Vec::new(), ..changes.clone() };
        let key = [self.space.0.0.as_slice(), &digest].concat();
        if rows.get(STANDINGS, &key)?.is_none() {
            rows.put(STANDINGS, &key, &bare.signed_bytes())?;
        }
        Ok(())
    }

    /// By what rights the chunks here were made, each with its name.
    pub(crate) fn standings(&self) -> Result<Vec<(Hash256, Standing)>, StoreError> {
        let mut all = Vec::new();
        let space = self.space.0.0.as_slice();
        self.database.read(|rows| {
            rows.with_prefix(STANDINGS, space, &mut |key, row| {
                let name = key[space.len()..].try_into().map(Hash256);
                if let (Ok(name), Ok(changes)) = (name, Changes::decode_unsigned(row)) {
                    all.push((name, Standing::of(&changes)));
                }
                true
            })
        })?;
        Ok(all)
    }

    /// The documents that have a chunk of this standing.
    pub(crate) fn touched(&self, Hash256(standing): Hash256) -> Result<BTreeSet<DocumentId>, StoreError> {
        let mut documents = BTreeSet::new();
        let prefix = [self.space.0.0.as_slice(), &standing].concat();
        self.database.read(|rows| {
            rows.with_prefix(TOUCHED, &prefix, &mut |key, _| {
                documents.extend(key.last_chunk::<16>().copied().map(DocumentId));
                true
            })
        })?;
        Ok(documents)
    }

    pub(super) fn aside(&self, document: DocumentId, chunk: ChunkId) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.database.read(|rows| rows.get(ASIDE, &self.item_key(document, chunk)))?)
    }

    /// Bytes of all chunks that are set aside.
    pub(crate) fn aside_bytes(&self) -> Result<u64, StoreError> {
        let mut bytes = 0;
        self.database.read(|rows| {
            rows.with_prefix(ASIDE, &self.space.0.0, &mut |_, stored| {
                bytes += stored.len() as u64;
                true
            })
        })?;
        Ok(bytes)
    }

    /// The documents of which something is set aside.
    pub(crate) fn with_aside(&self) -> Result<BTreeSet<DocumentId>, StoreError> {
        let mut documents = BTreeSet::new();
        let space = self.space.0.0.as_slice();
        self.database.read(|rows| {
            rows.with_prefix(ASIDE, space, &mut |key, _| {
                documents.extend(key[space.len()..].first_chunk::<16>().copied().map(DocumentId));
                true
            })
        })?;
        Ok(documents)
    }

    /// A digest of what of a document is set aside; none where nothing is.
    pub(crate) fn aside_digest(&self, document: DocumentId) -> Result<Option<Hash256>, StoreError> {
        let mut names = Vec::new();
        let key = self.key(document);
        self.database.read(|rows| {
            rows.with_prefix(ASIDE, &key, &mut |name, _| {
                names.extend_from_slice(&name[key.len()..]);
                true
            })
        })?;
        Ok((!names.is_empty()).then(|| Hash256::of(&names)))
    }

    /// Whether something of a document is set aside.
    pub(crate) fn has_aside(&self, document: DocumentId) -> Result<bool, StoreError> {
        let mut any = false;
        self.database.read(|rows| {
            rows.with_prefix(ASIDE, &self.key(document), &mut |_, _| {
                any = true;
                false
            })
        })?;
        Ok(any)
    }

    /// All chunks of a document: those in it, in their order, and behind them what is set aside.
    pub(crate) fn all_of(&self, document: DocumentId) -> Result<Vec<Kept>, StoreError> {
        let (mut all, mut failed) = (Vec::new(), None);
        self.database.read(|rows| {
            for (table, is_aside) in [(CHUNKS, false), (ASIDE, true)] {
                rows.with_prefix(table, &self.key(document), &mut |_, stored| match Chunk::decode_own(stored) {
                    Ok(changes) => {
                        let id = ChunkId(Hash256::of(stored));
                        all.push(Kept { id, stored: stored.to_vec(), changes, is_aside });
                        true
                    }
                    Err(error) => {
                        failed = Some(format!("failed to {error}"));
                        false
                    }
                })?;
            }
            Ok::<_, StoreError>(())
        })?;
        failed.map_or(Ok(all), |reason| Err(StoreError::Damaged { document, reason }))
    }

    /// Makes a document of these chunks, in their order, and sets the others aside: durable when this returns.
    pub(crate) fn make_anew(
        &self,
        document: DocumentId,
        (chunks, heads): (&[Kept], Vec<ChangeHash>),
        aside: &[Kept],
    ) -> Result<(), StoreError> {
        self.database.write(|rows: &mut WriteTransaction| {
            let key = self.key(document);
            for table in [CHUNKS, ASIDE, ITEMS, VIEWS] {
                rows.remove_prefix(table, &key)?;
            }
            rows.remove(SUMMARIES, &key)?;
            let mut summary = Summary::default();
            for held in chunks {
                rows.put(CHUNKS, &numbered(&key, summary.chunks), &held.stored)?;
                rows.put(ITEMS, &self.item_key(document, held.id), &Place::Numbered(summary.chunks).encode())?;
                self.note_standing(rows, &held.changes)?;
                summary.take(&held.changes);
            }
            summary.heads = heads;
            if summary.chunks > 0 {
                rows.put(SUMMARIES, &key, &summary.encode())?;
            }
            for held in aside {
                let key = self.item_key(document, held.id);
                rows.put(ASIDE, &key, &held.stored)?;
                rows.put(ITEMS, &key, &Place::Aside.encode())?;
                self.note_standing(rows, &held.changes)?;
            }
            Ok(())
        })
    }
}
