//! Chunks that somebody signed before they came here: looked at, applied, and taken.

use automerge::{Automerge, Change, ChangeHash, ReadDoc as _};
use nisse_model::Word;

use super::held::Held;
use super::repo::unsaved;
use super::{Admitted, Made, PeerKey, SpaceLimits, Turn, sound};
use crate::chunk::{Changes, Chunk};
use crate::documents::has;
use crate::gauge::{self, guarded};
use crate::store::StoreError;
use crate::vouched::changes_in;

/// Heads that a document may have after what others bring: fewer than a chunk can name, so that it can still be changed.
const HEADS_MAX: usize = Changes::HEADS_MAX / 2;

/// What became of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is in its document, or set aside.
    Held,
    /// What it stands on is not here yet; or who made it is not known, and no room is left to set it aside.
    Waits,
}

/// Why a chunk is not put into its document.
pub(super) enum Unfit {
    /// Nobody who follows the rules would have taken it.
    Unsound(String),
    /// It does not go with what is here; or it is not for it alone to say.
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
        let document = changes.document;
        if changes.space != self.store.space() {
            return Err("a chunk of another space".to_owned());
        }
        if let Some(fault) = &self.fault {
            return Err(format!("nothing is taken here: failed to {fault}"));
        }
        if turn.brought.contains(&chunk.id()) || self.store.holds(document, chunk.id()).map_err(failed)? {
            return Ok(Taken::Held);
        }
        let word = turn.author.word(Made::of(changes));
        gauge::measure(&changes.bytes, &self.limits.message)
            .map_err(|error| format!("the chunk {} of {document} is not taken: failed to {error}", chunk.id()))?;
        // Where something is set aside, what comes may vouch for it.
        let simple = word == Word::Counts
            && !turn.unplaced.contains_key(&document)
            && !self.store.has_aside(document).map_err(failed)?;
        let placed = if simple { self.put_in(chunk, turn) } else { Err(Unfit::Clashes) };
        match placed {
            Ok(true) => {
                turn.brought.insert(chunk.id());
                turn.changed.insert(document);
                turn.chunks.push(Admitted { chunk: chunk.clone(), from: Some(from), durable: false });
                Ok(Taken::Held)
            }
            Ok(false) => Ok(Taken::Waits),
            Err(Unfit::Clashes) => {
                if simple {
                    self.documents.drop(document);
                }
                // What counts is never left out for what does not.
                if word != Word::Counts && !self.has_room_aside(chunk, turn).map_err(failed)? {
                    if word == Word::Unknown {
                        return Ok(Taken::Waits);
                    }
                    tracing::debug!(%document, chunk = %chunk.id(), "a chunk is not held: too much is set aside");
                    return Ok(Taken::Held);
                }
                turn.brought.insert(chunk.id());
                turn.unplaced.entry(document).or_default().push((chunk.clone(), from));
                Ok(Taken::Held)
            }
            Err(Unfit::Unsound(why)) => {
                self.documents.drop(document);
                Err(format!("the chunk {} of {document} is not taken: {why}", chunk.id()))
            }
            Err(Unfit::Store(error)) => Err(failed(error)),
        }
    }

    /// Whether there is room to hold one chunk more that is perhaps in no document.
    fn has_room_aside(&mut self, chunk: &Chunk, turn: &Turn<'_>) -> Result<bool, StoreError> {
        let held = match self.aside_bytes {
            Some(held) => held,
            None => *self.aside_bytes.insert(self.store.aside_bytes()?),
        };
        let coming: usize = turn.unplaced.values().flatten().map(|(chunk, _)| chunk.stored().len()).sum();
        Ok(held + (coming + chunk.stored().len()) as u64 <= self.limits.aside_bytes_max)
    }

    /// Puts a chunk into its document; `false`: what it stands on is not there.
    fn put_in(&mut self, chunk: &Chunk, turn: &Turn<'_>) -> Result<bool, Unfit> {
        let (changes, limits) = (chunk.changes(), self.limits);
        let document = changes.document;
        if self.documents.peek(document).is_some_and(|loaded| !loaded.automerge.get_missing_deps(&[]).is_empty()) {
            // What waits there of clients would come in by what this brings.
            self.documents.drop(document);
        }
        let held = self.store.summary(document)?.map_or(0, |summary| summary.bytes);
        let loaded = self.documents.get(&self.store, document, || unsaved(document, turn))?;
        let automerge = &mut loaded.automerge;
        if changes.before.iter().any(|head| !has(automerge, head)) {
            return Ok(false);
        }
        apply(changes, automerge, held, &limits)?;
        Ok(true)
    }
}

/// Applies what a chunk brings to a document of so many bytes, which has what it stands on.
pub(super) fn apply(
    changes: &Changes,
    automerge: &mut Automerge,
    held: u64,
    limits: &SpaceLimits,
) -> Result<(), Unfit> {
    if changes.only_vouches() {
        return Ok(());
    }
    let brought = changes_in(&changes.bytes).ok_or_else(|| Unfit::Unsound("its changes can't be read".to_owned()))?;
    leads(changes, &brought, automerge)?;
    let before = automerge.get_heads();
    let applied = guarded(|| automerge.load_incremental(&changes.bytes))?;
    applied.map_err(|_| Unfit::Clashes)?;
    let missing = brought.iter().any(|change| !has(automerge, &change.hash()));
    let is_large = automerge.stats().num_ops > limits.document_operations_max
        || held + changes.bytes.len() as u64 > limits.document_bytes_max
        || automerge.get_heads().len() > HEADS_MAX;
    if missing || is_large {
        return Err(Unfit::Clashes);
    }
    guarded(|| sound::check(automerge, &before, &changes.bytes))?.map_err(|why| Unfit::Unsound(why.to_owned()))
}

/// Whether what a chunk brings stands on what it says that it stands on, and leads where it says.
fn leads(changes: &Changes, brought: &[Change], automerge: &Automerge) -> Result<(), Unfit> {
    use std::collections::BTreeSet;
    let new: BTreeSet<ChangeHash> = brought.iter().map(Change::hash).collect();
    let beside: BTreeSet<ChangeHash> =
        guarded(|| automerge.get_changes(&changes.before))?.iter().map(Change::hash).collect();
    let stands = |dep: &ChangeHash| new.contains(dep) || has(automerge, dep) && !beside.contains(dep);
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
