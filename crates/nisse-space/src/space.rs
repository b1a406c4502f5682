//! One open space: who is connected, what they say, what becomes durable and what they are told then.
//!
//! A [`Space`] knows no socket, no clock and no thread. It is given what happened ([`Event`]) in turns; all changes of a
//! turn become durable together, and nothing that depends on them is told before that: whoever hears of heads from us
//! may take them for kept. Each change is admitted by the rights of whoever brought it before automerge sees it, which
//! is why automerge's own sync runs here, document by document, and no ready-made repository does.

mod objects;
mod peer;
mod sound;
mod sync;
#[cfg(test)]
mod tests;
mod unchanged;

use std::collections::{BTreeMap, BTreeSet};

use automerge::ChangeHash;
use nisse_model::{CredentialId, Did, Role, Timestamp};

use crate::chunk::{Changes, Chunk, ChunkError};
use crate::document_id::DocumentId;
use crate::documents::Documents;
use crate::gauge;
use crate::repo_protocol::{PeerMetadata, PeerName, StorageName};
use crate::store::{Store, StoreError};
use peer::Peer;

pub use objects::{SpaceObjectError, Write};

/// A connection, by the number that whoever has its socket gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerKey(pub u64);

/// What somebody who is connected may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    /// Whose changes theirs are; nobody's own for the identity that serves the space.
    pub subject: Option<Did>,
    /// Their role. Below reading there is nothing for them here.
    pub role: Role,
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// Somebody is connected.
    Opened {
        /// The connection.
        peer: PeerKey,
        /// What they may do.
        rights: Rights,
    },
    /// They may do something else from now on.
    Rights {
        /// The connection.
        peer: PeerKey,
        /// What they may do.
        rights: Rights,
    },
    /// They said something.
    Frame {
        /// The connection.
        peer: PeerKey,
        /// One message.
        bytes: Vec<u8>,
    },
    /// They are gone.
    Closed {
        /// The connection.
        peer: PeerKey,
    },
}

/// What is to be done now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Send one message.
    Send {
        /// To whom.
        peer: PeerKey,
        /// The message.
        bytes: Vec<u8>,
    },
    /// End the connection.
    Close {
        /// Whose.
        peer: PeerKey,
        /// Why, for the log.
        why: String,
    },
}

/// Whoever signs what is admitted.
pub trait Author {
    /// The key that signs, and the identity that it acts for.
    fn names(&self) -> (Did, Did);
    /// The newest credentials of the space that are known here, in order.
    fn seen(&self) -> Vec<CredentialId>;
    /// What time it is.
    fn now(&self) -> Timestamp;
    /// Whether the key can be used now.
    fn can_sign(&self) -> bool;
    /// Signs bytes in a context; `None` while the key can't be used.
    fn sign(&self, context: &str, bytes: &[u8]) -> Option<[u8; 64]>;
}

/// How much a space takes of anybody.
#[derive(Debug, Clone, Copy)]
pub struct SpaceLimits {
    /// What the changes of one message may be.
    pub message: gauge::Limits,
    /// Bytes of changes that one document may have.
    pub document_bytes_max: u64,
    /// Operations that one document may have.
    pub document_operations_max: u64,
    /// Documents that one connection may follow.
    pub followed_max: usize,
    /// Bytes that loaded documents may take.
    pub loaded_bytes_max: u64,
    /// Bytes of one message that is passed on and not kept.
    pub ephemeral_bytes_max: usize,
}

impl Default for SpaceLimits {
    fn default() -> Self {
        Self {
            message: gauge::Limits::MESSAGE,
            document_bytes_max: 64 << 20,
            document_operations_max: 4_000_000,
            followed_max: 20_000,
            loaded_bytes_max: 64 << 20,
            ephemeral_bytes_max: 64 << 10,
        }
    }
}

/// Why a space takes no changes any more. Each text completes "failed to …".
#[derive(Debug, thiserror::Error)]
pub enum SpaceError {
    /// Nothing can be read or kept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key that signs can't be used.
    #[error("sign changes: the vault is sealed; open it with `nisse unlock`")]
    Sealed,
    /// Nothing is taken any more.
    #[error("keep changes: {0}")]
    ReadOnly(String),
    /// automerge came to no end.
    #[error("change a document: {0}")]
    Automerge(String),
    /// What we signed ourselves is not sound.
    #[error("sign changes: {0}")]
    Chunk(#[from] ChunkError),
}

/// An open space.
pub struct Space {
    store: Store,
    limits: SpaceLimits,
    documents: Documents,
    peers: BTreeMap<PeerKey, Peer>,
    /// What we call ourselves to clients.
    name: PeerName,
    metadata: PeerMetadata,
    /// Why nothing more is taken.
    fault: Option<String>,
}

/// What one turn brought so far.
struct Turn<'a> {
    author: &'a dyn Author,
    chunks: Vec<Chunk>,
    /// Who is owed an answer about which document, once all is durable.
    due: BTreeSet<(PeerKey, DocumentId)>,
    effects: Vec<Effect>,
}

impl<'a> Turn<'a> {
    fn new(author: &'a dyn Author) -> Self {
        Self { author, chunks: Vec::new(), due: BTreeSet::new(), effects: Vec::new() }
    }
}

impl Space {
    /// Opens what the store has. `replica` names this store among all that hold the space.
    pub fn open(store: Store, replica: &str, limits: SpaceLimits) -> Self {
        let name = PeerName::new(&format!("nisse-{replica}")).expect("a replica's name is short");
        let storage = StorageName::new(replica).expect("a replica's name is short");
        let metadata = PeerMetadata { storage: Some(storage), is_ephemeral: false };
        let documents = Documents::new(limits.loaded_bytes_max);
        Self { store, limits, documents, peers: BTreeMap::new(), name, metadata, fault: None }
    }

    /// Why nothing more is taken; what was taken is served all the same.
    pub fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// Who is connected.
    pub fn peers(&self) -> usize {
        self.peers.len()
    }

    /// Documents that are loaded.
    pub fn loaded(&self) -> usize {
        self.documents.len()
    }

    /// Where its chunks stand.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Takes what happened, in order, and says what is to be done, when all of it is durable.
    pub fn turn(&mut self, events: Vec<Event>, author: &dyn Author) -> Vec<Effect> {
        let mut turn = Turn::new(author);
        for event in events {
            match event {
                Event::Opened { peer, rights } => {
                    self.peers.insert(peer, Peer::new(rights));
                }
                Event::Rights { peer, rights } => self.rights(peer, rights, &mut turn),
                Event::Frame { peer, bytes } => self.frame(peer, &bytes, &mut turn),
                Event::Closed { peer } => self.forget(peer),
            }
        }
        self.conclude(&mut turn);
        turn.effects
    }

    /// Keeps what a turn brought, and then answers for it.
    fn conclude(&mut self, turn: &mut Turn<'_>) {
        self.keep(turn);
        for (peer, document) in std::mem::take(&mut turn.due) {
            self.answer(peer, document, turn);
        }
        if let Err(error) = self.documents.settle(&self.store) {
            self.broken(&error);
        }
    }

    /// Those who sync a document.
    fn followers(&self, document: DocumentId) -> impl Iterator<Item = PeerKey> {
        let followers = self.peers.iter().filter(move |(_, peer)| peer.followed.contains_key(&document));
        followers.map(|(key, _)| *key)
    }

    /// Makes durable what was admitted. What could not be kept is not answered, and nothing more is taken.
    fn keep(&mut self, turn: &mut Turn<'_>) {
        if turn.chunks.is_empty() {
            return;
        }
        match self.store.commit(&turn.chunks) {
            Ok(()) => {
                for chunk in &turn.chunks {
                    let changes = chunk.changes();
                    if let Some(loaded) = self.documents.peek(changes.document) {
                        loaded.grew(changes.bytes.len());
                    }
                }
            }
            Err(error) => {
                // What is loaded has changes that the disk has not.
                for chunk in &turn.chunks {
                    self.documents.drop(chunk.changes().document);
                }
                self.broken(&error);
                turn.due.clear();
                for peer in std::mem::take(&mut self.peers).into_keys() {
                    turn.effects.push(Effect::Close { peer, why: format!("failed to keep changes: {error}") });
                }
            }
        }
    }

    fn broken(&mut self, error: &StoreError) {
        tracing::error!(space = %self.store.space(), %error, "the space takes no more changes");
        self.fault = Some(error.to_string());
    }

    /// Changes that were just applied, signed.
    fn admit(
        &mut self,
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

    fn rights(&mut self, key: PeerKey, rights: Rights, turn: &mut Turn<'_>) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let less = rights.role < peer.rights.role;
        peer.rights = rights;
        if rights.role < Role::Read {
            return self.close(key, "the right to read is gone", turn);
        }
        let writes = rights.role >= Role::Edit;
        for (document, followed) in &mut peer.followed {
            followed.state.set_read_only(!writes);
            turn.due.insert((key, *document));
        }
        if less {
            // What waits in a document may be theirs.
            self.documents.drop_waiting();
        }
    }

    fn forget(&mut self, key: PeerKey) {
        if self.peers.remove(&key).is_some() {
            self.documents.drop_waiting();
        }
    }

    /// Ends a connection of ours.
    fn close(&mut self, key: PeerKey, why: &str, turn: &mut Turn<'_>) {
        if self.peers.remove(&key).is_some() {
            self.documents.drop_waiting();
            turn.effects.push(Effect::Close { peer: key, why: why.to_owned() });
        }
    }
}
