//! Chunks that somebody signed before they came here: looked at, applied, and taken.

use automerge::{Automerge, Change, ChangeHash, ReadDoc as _};
use nisse_model::Word;

use super::held::Held;
use super::repo::unsaved;
use super::{Admitted, Made, PeerKey, Turn, sound};
use crate::chunk::{Changes, Chunk};
use crate::gauge::{self, guarded};
use crate::store::StoreError;
use crate::vouched::changes_in;

/// Bytes of all chunks that are set aside.
const ASIDE_BYTES_MAX: u64 = 256 << 20;

/// What became of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is in its document, or set aside.
    Held,
    /// What it stands on, or who made it, is not known here yet.
    Waits,
}

/// Why a chunk is not put into its document.
enum Unfit {
    /// Nobody who follows the rules would have taken it.
    Unsound(String),
    /// It does not go with what is here.
    Clashes,
    /// What is here can't be read.
    Store(StoreError),
}

impl From<StoreError> for Unfit {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<gauge::Panicked> for Unfit {
    fn from(panic: gauge::Panicked) -> Self {
        Self::Unsound(panic.to_string())
    }
}

impl Held {
    /// Takes a chunk, or says why whoever brought it is not to bring any more.
    pub(super) fn take(&mut self, chunk: &Chunk, from: PeerKey, turn: &mut Turn<'_>) -> Result<Taken, String> {
        let failed = |error: StoreError| format!("failed to {error}");
        let changes = chunk.changes();
        if changes.space != self.store.space() {
            return Err("a chunk of another space".to_owned());
        }
        if let Some(fault) = &self.fault {
            return Err(format!("nothing is taken here: failed to {fault}"));
        }
        let here = turn.chunks.iter().any(|one| one.chunk.id() == chunk.id());
        if here || self.store.holds(changes.document, chunk.id()).map_err(failed)? {
            return Ok(Taken::Held);
        }
        match turn.author.word(Made::of(changes)) {
            Word::Unknown => return Ok(Taken::Waits),
            Word::CutOff | Word::Nothing => return self.put_aside(chunk, from, turn),
            Word::Counts => {}
        }
        match self.put_in(chunk, turn) {
            Ok(true) => {
                turn.changed.insert(changes.document);
                turn.chunks.push(Admitted { chunk: chunk.clone(), from: Some(from), durable: false });
                Ok(Taken::Held)
            }
            // Perhaps it vouches for what is set aside.
            Ok(false) if self.store.has_aside(changes.document).map_err(failed)? => {
                self.resolve(changes.document, Some((chunk, from)), turn).map_err(failed)?;
                Ok(Taken::Held)
            }
            Ok(false) => Ok(Taken::Waits),
            Err(Unfit::Clashes) => {
                self.documents.drop(changes.document);
                self.put_aside(chunk, from, turn)
            }
            Err(Unfit::Unsound(why)) => {
                self.documents.drop(changes.document);
                Err(format!("the chunk {} of {} is not taken: {why}", chunk.id(), changes.document))
            }
            Err(Unfit::Store(error)) => Err(failed(error)),
        }
    }

    /// Holds a chunk that counts for nothing by itself: somebody may vouch for it.
    fn put_aside(&mut self, chunk: &Chunk, from: PeerKey, turn: &mut Turn<'_>) -> Result<Taken, String> {
        let length = chunk.stored().len() as u64;
        let held = match self.aside_bytes {
            Some(held) => held,
            None => self.store.aside_bytes().map_err(|error| format!("failed to {error}"))?,
        };
        if held + length > ASIDE_BYTES_MAX {
            return Err(format!("a chunk of {}, who may not write here", chunk.changes().author));
        }
        self.aside_bytes = Some(held + length);
        if let Err(error) = self.store.set_aside([chunk]) {
            self.broken(&error);
            return Err(format!("failed to keep changes: {error}"));
        }
        turn.chunks.push(Admitted { chunk: chunk.clone(), from: Some(from), durable: true });
        Ok(Taken::Held)
    }

    /// Puts a chunk into its document; `false`: what it stands on is not there.
    fn put_in(&mut self, chunk: &Chunk, turn: &Turn<'_>) -> Result<bool, Unfit> {
        let (changes, limits) = (chunk.changes(), self.limits);
        let document = changes.document;
        gauge::measure(&changes.bytes, &limits.message)
            .map_err(|error| Unfit::Unsound(format!("failed to {error}")))?;
        if self.documents.peek(document).is_some_and(|loaded| !loaded.automerge.get_missing_deps(&[]).is_empty()) {
            // What waits there of clients would come in by what this brings.
            self.documents.drop(document);
        }
        let held = self.store.summary(document)?.map_or(0, |summary| summary.bytes);
        let loaded = self.documents.get(&self.store, document, || unsaved(document, turn))?;
        let automerge = &mut loaded.automerge;
        if changes.before.iter().any(|head| automerge.get_change_by_hash(head).is_none()) {
            return Ok(false);
        }
        if changes.only_vouches() {
            return Ok(true);
        }
        let brought =
            changes_in(&changes.bytes).ok_or_else(|| Unfit::Unsound("its changes can't be read".to_owned()))?;
        leads(changes, &brought, automerge)?;
        let before = automerge.get_heads();
        let applied = guarded(|| automerge.load_incremental(&changes.bytes))?;
        applied.map_err(|_| Unfit::Clashes)?;
        let missing = brought.iter().any(|change| automerge.get_change_by_hash(&change.hash()).is_none());
        if missing || automerge.stats().num_ops > limits.document_operations_max {
            return Err(Unfit::Clashes);
        }
        if held + changes.bytes.len() as u64 > limits.document_bytes_max {
            return Err(Unfit::Clashes);
        }
        guarded(|| sound::check(automerge, &before, &changes.bytes))?.map_err(|why| Unfit::Unsound(why.to_owned()))?;
        Ok(true)
    }
}

/// Whether what a chunk brings stands on what it says that it stands on, and leads where it says.
fn leads(changes: &Changes, brought: &[Change], automerge: &Automerge) -> Result<(), Unfit> {
    use std::collections::BTreeSet;
    let new: BTreeSet<ChangeHash> = brought.iter().map(Change::hash).collect();
    let beside: BTreeSet<ChangeHash> =
        guarded(|| automerge.get_changes(&changes.before))?.iter().map(Change::hash).collect();
    let stands =
        |dep: &ChangeHash| new.contains(dep) || automerge.get_change_by_hash(dep).is_some() && !beside.contains(dep);
    if !brought.iter().flat_map(Change::deps).all(stands) {
        return Err(Unfit::Unsound("it stands on more than it says".to_owned()));
    }
    let mut after: BTreeSet<ChangeHash> = changes.before.iter().copied().chain(new.iter().copied()).collect();
    for dep in brought.iter().flat_map(Change::deps) {
        after.remove(dep);
    }
    if !after.iter().eq(&changes.after) {
        return Err(Unfit::Unsound("it does not lead where it says".to_owned()));
    }
    Ok(())
}
