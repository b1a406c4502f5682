//! Documents that are loaded, and no more of them than there is room for.
//!
//! automerge takes about 440 bytes for each operation of a loaded document, so what it costs to keep one is estimated by
//! counting them. What was not used for longest goes first, and is loaded again when it is needed.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use automerge::{ActorId, Automerge, ChangeHash, LoadOptions, OnPartialLoad, ReadDoc as _, SaveOptions};

use crate::document_id::DocumentId;
use crate::gauge;
use crate::store::{Store, StoreError};

/// What a loaded document costs at least, in bytes: measured on documents of a few operations.
const DOCUMENT_BYTES: u64 = 16 << 10;
/// What an operation costs, in bytes: measured on a document of 100,000.
const OPERATION_BYTES: u64 = 440;
/// A view is made when so many chunks stand behind the last one,
const BEHIND_MAX: u64 = 64;
/// or so many bytes of changes.
const BEHIND_BYTES_MAX: usize = 256 << 10;
/// A document that costs no more is loaded again sooner than anybody notices, so that it stays loaded only while it is in use.
const SMALL_BYTES_MAX: u64 = 256 << 10;
/// What all of those may cost that stay loaded between turns.
const ALL_SMALL_BYTES_MAX: u64 = 2 << 20;

/// A loaded document.
pub(crate) struct Loaded {
    pub(crate) automerge: Automerge,
    /// Chunks that are in it and durable.
    chunks: u64,
    /// Chunks, and bytes of changes, that its view has not.
    behind: u64,
    behind_bytes: usize,
    used: u64,
}

/// The documents of one space that are loaded.
pub(crate) struct Documents {
    loaded: HashMap<DocumentId, Loaded>,
    /// Counts uses.
    tick: u64,
    /// The uses that were counted when small documents were looked through last.
    looked: u64,
    bytes_max: u64,
}

/// Which changes a document has that it did not have before, as automerge loads them.
pub(crate) fn news(document: &Automerge, before: &[ChangeHash]) -> Vec<u8> {
    if before.is_empty() { saved(document) } else { document.save_after(before) }
}

/// What automerge saves of a document, without what waits in it for changes that nobody brought.
fn saved(document: &Automerge) -> Vec<u8> {
    document.save_with_options(SaveOptions { deflate: true, retain_orphans: false })
}

/// Whether a document has a change. Asking automerge for the change itself would have it made anew from its operations.
pub(crate) fn has(document: &Automerge, change: &ChangeHash) -> bool {
    document.get_change_meta_by_hash(change).is_some()
}

/// An empty document. Whoever changes it gives it an actor of its own first: automerge would draw one.
pub(crate) fn empty() -> Automerge {
    Automerge::new().with_actor(ActorId::from([0; 16].as_slice()))
}

fn read(document: DocumentId, bytes: &[u8]) -> Result<Automerge, StoreError> {
    if bytes.is_empty() {
        return Ok(empty());
    }
    let options = LoadOptions::new().on_partial_load(OnPartialLoad::Error);
    let damaged = |reason: String| StoreError::Damaged { document, reason };
    let loaded = gauge::guarded(|| Automerge::load_with_options(bytes, options));
    let loaded = loaded.map_err(|panic| damaged(panic.to_string()))?.map_err(|error| damaged(error.to_string()))?;
    Ok(loaded.with_actor(ActorId::from([0; 16].as_slice())))
}

impl Loaded {
    fn cost(&self) -> u64 {
        DOCUMENT_BYTES + OPERATION_BYTES * self.automerge.stats().num_ops
    }

    fn is_small(&self) -> bool {
        self.cost() <= SMALL_BYTES_MAX
    }

    /// Whether it has changes that wait for others.
    fn waits(&self) -> bool {
        !self.automerge.get_missing_deps(&[]).is_empty()
    }

    /// A chunk of it became durable.
    pub(crate) fn grew(&mut self, bytes: usize) {
        self.chunks += 1;
        self.behind += 1;
        self.behind_bytes += bytes;
    }
}

impl Documents {
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self { loaded: HashMap::new(), tick: 0, looked: 0, bytes_max }
    }

    /// How many are loaded.
    pub(crate) fn len(&self) -> usize {
        self.loaded.len()
    }

    /// A document as the store has it, with what `unsaved` holds besides; an empty one if there is none.
    pub(crate) fn get(
        &mut self,
        store: &Store,
        document: DocumentId,
        unsaved: impl FnOnce() -> Vec<u8>,
    ) -> Result<&mut Loaded, StoreError> {
        self.tick += 1;
        let loaded = match self.loaded.entry(document) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let mut loaded = load(store, document)?;
                let unsaved = unsaved();
                if !unsaved.is_empty() {
                    let applied = loaded.automerge.load_incremental(&unsaved);
                    applied.map_err(|error| StoreError::Damaged { document, reason: error.to_string() })?;
                }
                entry.insert(loaded)
            }
        };
        loaded.used = self.tick;
        Ok(loaded)
    }

    /// One that is loaded already.
    pub(crate) fn peek(&mut self, document: DocumentId) -> Option<&mut Loaded> {
        self.loaded.get_mut(&document)
    }

    /// Forgets what is loaded of a document, and with it what was not stored.
    pub(crate) fn drop(&mut self, document: DocumentId) {
        self.loaded.remove(&document);
    }

    /// Forgets documents in which changes wait for others that did not come.
    pub(crate) fn drop_waiting(&mut self) {
        self.loaded.retain(|_, loaded| !loaded.waits());
    }

    /// Forgets small documents that were not used since this was called last, but for those in which changes wait; whether there
    /// are others of which it may forget some later.
    pub(crate) fn let_go(&mut self) -> bool {
        let looked = std::mem::replace(&mut self.looked, self.tick);
        let (mut kept, mut later) = (HashMap::new(), false);
        for (document, loaded) in self.loaded.drain() {
            let small = loaded.is_small() && !loaded.waits();
            if small && loaded.used <= looked {
                continue;
            }
            later |= small;
            kept.insert(document, loaded);
        }
        // A table keeps the room that it once needed.
        self.loaded = kept;
        later
    }

    /// Makes views where many chunks stand behind the last, and forgets what there is no room for.
    pub(crate) fn settle(&mut self, store: &Store) -> Result<(), StoreError> {
        for (document, loaded) in &mut self.loaded {
            if loaded.behind >= BEHIND_MAX || loaded.behind_bytes >= BEHIND_BYTES_MAX {
                store.keep_view(*document, loaded.chunks, &saved(&loaded.automerge))?;
                (loaded.behind, loaded.behind_bytes) = (0, 0);
            }
        }
        // Those in which changes wait are not loaded again as they are: only want of room takes them.
        self.forget_oldest(ALL_SMALL_BYTES_MAX, |loaded| loaded.is_small() && !loaded.waits());
        self.forget_oldest(self.bytes_max, |_| true);
        Ok(())
    }

    /// Forgets those of a kind that were not used for longest, if together they cost more than this, until it is half as much.
    fn forget_oldest(&mut self, bytes_max: u64, of_kind: impl Fn(&Loaded) -> bool) {
        let of_kind = self.loaded.iter().filter(|(_, loaded)| of_kind(loaded));
        let mut all: Vec<_> = of_kind.map(|(document, loaded)| (loaded.used, *document, loaded.cost())).collect();
        let mut cost: u64 = all.iter().map(|(.., cost)| cost).sum();
        if cost <= bytes_max {
            return;
        }
        all.sort_unstable();
        for (_, document, freed) in all {
            if cost <= bytes_max / 2 {
                break;
            }
            self.loaded.remove(&document);
            cost -= freed;
        }
    }
}

/// Loads a document with its view; one that does not fit its chunks is thrown away.
fn load(store: &Store, document: DocumentId) -> Result<Loaded, StoreError> {
    let stored = store.load(document, true)?;
    let viewed = !stored.view.is_empty();
    let whole = |stored: &crate::store::Stored| read(document, &[stored.view.as_slice(), &stored.later].concat());
    let (automerge, stored) = match whole(&stored) {
        Err(error) if viewed => {
            tracing::warn!(%document, %error, "a view is thrown away and made anew");
            store.forget_view(document)?;
            let stored = store.load(document, false)?;
            (whole(&stored)?, stored)
        }
        read => (read?, stored),
    };
    let chunks = store.summary(document)?.map_or(0, |summary| summary.chunks);
    Ok(Loaded { automerge, chunks, behind: stored.chunks, behind_bytes: stored.later.len(), used: 0 })
}
