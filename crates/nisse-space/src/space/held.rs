//! What a space holds, without those who are connected to it.

use std::collections::{BTreeMap, BTreeSet};

use automerge::ChangeHash;
use nisse_model::Did;

use super::{Author, SpaceError, SpaceLimits, Turn};
use crate::chunk::{Changes, Chunk};
use crate::document_id::DocumentId;
use crate::documents::Documents;
use crate::space::resolve::Words;
use crate::store::{Store, StoreError};

/// Its chunks, and the documents that are loaded of them.
pub(super) struct Held {
    pub(super) store: Store,
    pub(super) limits: SpaceLimits,
    pub(super) documents: Documents,
    /// What was known of those who made the chunks when it was looked at last.
    pub(super) words: Words,
    /// Bytes of what is set aside, once they were counted.
    pub(super) aside_bytes: Option<u64>,
    /// The documents that are kept, where that is not all of them; and whether that has changed.
    pub(super) kept: Option<BTreeSet<DocumentId>>,
    pub(super) is_rekept: bool,
    /// Why nothing more is taken.
    pub(super) fault: Option<String>,
}

impl Held {
    pub(super) fn new(store: Store, limits: SpaceLimits) -> Self {
        let (documents, words) = (Documents::new(limits.loaded_bytes_max), Words::default());
        let kept = store.kept();
        let mut held =
            Self { store, limits, documents, words, aside_bytes: None, kept: None, is_rekept: false, fault: None };
        match kept {
            Ok(kept) => held.kept = kept,
            Err(error) => {
                held.kept = Some(BTreeSet::new());
                held.broken(&error);
            }
        }
        held
    }

    /// Whether there is a document of this name.
    pub(super) fn is_known(&mut self, document: DocumentId, turn: &Turn<'_>) -> Result<bool, String> {
        if self.documents.peek(document).is_some_and(|loaded| !loaded.automerge.get_heads().is_empty())
            || turn.of(document).next().is_some()
        {
            return Ok(true);
        }
        let summary = self.store.summary(document).map_err(|error| format!("failed to {error}"))?;
        Ok(summary.is_some())
    }

    /// Makes durable what was admitted. What could not be kept is not answered, and nothing more is taken.
    pub(super) fn keep(&mut self, turn: &mut Turn<'_>) -> Result<(), StoreError> {
        let new: Vec<&Chunk> = turn.chunks.iter().filter(|one| !one.durable).map(|one| &one.chunk).collect();
        let applied = turn.applied.take();
        if new.is_empty() && applied.is_none() {
            return Ok(());
        }
        let mut heads = BTreeMap::new();
        for chunk in &new {
            let document = chunk.changes().document;
            heads.extend(self.documents.peek(document).map(|loaded| (document, loaded.automerge.get_heads())));
        }
        // What is made here is kept here.
        let made = match &self.kept {
            Some(kept) => turn.made().filter(|document| !kept.contains(document)).collect(),
            None => BTreeSet::new(),
        };
        let kept = self.store.commit_applied(new.iter().copied(), &heads, (applied.as_ref(), &made));
        if let Some(all) = self.kept.as_mut().filter(|_| kept.is_ok() && !made.is_empty()) {
            all.extend(made);
            self.is_rekept = true;
        }
        for chunk in new {
            let changes = chunk.changes();
            match &kept {
                Ok(()) => {
                    if let Some(loaded) = self.documents.peek(changes.document) {
                        loaded.grew(changes.bytes.len());
                    }
                }
                // What is loaded has changes that the disk has not.
                Err(_) => self.documents.drop(changes.document),
            }
        }
        if let Err(error) = &kept {
            self.broken(error);
            turn.changed.clear();
            turn.chunks.clear();
        }
        kept
    }

    pub(super) fn broken(&mut self, error: &StoreError) {
        tracing::error!(space = %self.store.space(), %error, "the space takes no more changes");
        self.fault = Some(error.to_string());
    }

    /// Keeps no more documents loaded than there is room for.
    pub(super) fn settle(&mut self) {
        if let Err(error) = self.documents.settle(&self.store) {
            self.broken(&error);
        }
    }

    /// Changes that were just applied, signed.
    pub(super) fn admit(
        &self,
        document: DocumentId,
        subject: Option<Did>,
        (before, after): (Vec<ChangeHash>, Vec<ChangeHash>),
        bytes: Vec<u8>,
        author: &dyn Author,
    ) -> Result<Chunk, SpaceError> {
        let (key, identity) = author.names();
        let (space, seen, signed) = (self.store.space(), author.seen(), author.now());
        let subject = subject.filter(|subject| *subject != identity);
        let changes = Changes { space, document, author: key, identity, subject, seen, before, after, signed, bytes };
        let signature = author.sign(Changes::CONTEXT, &changes.signed_bytes()).ok_or(SpaceError::Sealed)?;
        Ok(changes.with_signature(signature)?)
    }
}
