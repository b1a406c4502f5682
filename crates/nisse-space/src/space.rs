//! One open space: who is connected, what they say, what becomes durable and what they are told then.
//!
//! A [`Space`] knows no socket, no clock and no thread. It is given what happened ([`Event`]) in turns; all changes of a
//! turn become durable together, and nothing that depends on them is told before that: whoever hears of heads from us
//! may take them for kept. Each change is admitted by the rights of whoever brought it before automerge sees it, which
//! is why automerge's own sync runs here, document by document, and no ready-made repository does.
//!
//! Who is connected speaks one of two protocols ([`Speaks`]): clients that have no key bring changes, which are signed
//! here; peers of nisse bring chunks, which somebody signed.

mod applying;
mod chunks;
mod held;
mod keeping;
mod objects;
mod presence;
mod protocol;
mod repo;
mod resolve;
mod schemas;
mod sound;
mod taking;
#[cfg(test)]
mod tests;
mod unloaded;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use nisse_model::{CredentialId, Did, Role, Timestamp, Word};

use crate::chunk::{Changes, Chunk, ChunkError, ChunkId};
use crate::chunk_sync::Wanted;
use crate::document_id::DocumentId;
use crate::gauge;
use crate::repo_protocol::{PeerMetadata, PeerName, StorageName};
use crate::store::{Applied, Store, StoreError};
use held::Held;
use presence::Heard;
use protocol::{Passing, Refusal, SyncProtocol};
use schemas::Schemas;

pub use applying::Outcome;
pub use objects::{SpaceObjectError, Write};
pub use schemas::{MISFITS_MAX, Misfits, SchemaEntry};

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

/// What is spoken on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Speaks {
    /// The messages of automerge-repo, by a client without a key.
    AutomergeRepo,
    /// Chunks, by a peer of nisse.
    Chunks {
        /// Whether this home begins.
        first: bool,
        /// Which documents are wanted here.
        wanted: Wanted,
    },
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
        /// What they speak.
        speaks: Speaks,
    },
    /// Credentials of the space arrived.
    Credentials,
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
    /// What is known here of whoever made a chunk.
    fn word(&self, by: Made<'_>) -> Word;
    /// What time it is.
    fn now(&self) -> Timestamp;
    /// Whether the key can be used now.
    fn can_sign(&self) -> bool;
    /// Signs bytes in a context; `None` while the key can't be used.
    fn sign(&self, context: &str, bytes: &[u8]) -> Option<[u8; 64]>;
}

/// What a chunk says of who made it.
#[derive(Debug, Clone, Copy)]
pub struct Made<'c> {
    /// The device or agent that signed it.
    pub author: Did,
    /// The identity that it acted for.
    pub identity: Did,
    /// Whose changes it let in, if they are not its own.
    pub subject: Option<Did>,
    /// The newest credentials of the space that it had seen.
    pub seen: &'c [CredentialId],
    /// When, by its own clock.
    pub signed: Timestamp,
}

impl<'c> Made<'c> {
    fn of(changes: &'c Changes) -> Self {
        let Changes { author, identity, subject, seen, signed, .. } = changes;
        Self { author: *author, identity: *identity, subject: *subject, seen, signed: *signed }
    }
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
    /// Bytes of all chunks that are set aside.
    pub aside_bytes_max: u64,
    /// Bytes of chunks of one peer that wait for what they stand on.
    pub waiting_bytes_max: usize,
    /// Bytes of chunks that a peer is sent at a time.
    pub portion_bytes: usize,
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
            aside_bytes_max: 64 << 20,
            waiting_bytes_max: 16 << 20,
            portion_bytes: 4 << 20,
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
    held: Held,
    peers: BTreeMap<PeerKey, Peer>,
    /// What we call ourselves to clients.
    us: Arc<(PeerName, PeerMetadata)>,
    /// Counts the turns that changed a document.
    changes: u64,
    /// What is known of the schemas in it.
    schemas: Schemas,
    /// What clients said to others last.
    heard: Heard,
}

/// Somebody who is connected.
struct Peer {
    rights: Rights,
    protocol: Box<dyn SyncProtocol>,
}

/// What one turn brought so far.
struct Turn<'a> {
    author: &'a dyn Author,
    chunks: Vec<Admitted>,
    /// Chunks that are not simply put behind what is there, by document.
    unplaced: BTreeMap<DocumentId, Vec<(Chunk, PeerKey)>>,
    /// The names of all chunks that were brought to it.
    brought: HashSet<ChunkId>,
    /// Documents that are others now.
    changed: BTreeSet<DocumentId>,
    /// Documents that lost something: what was said of them to clients is not so any more.
    lost: BTreeSet<DocumentId>,
    /// What was said that is kept nowhere.
    passing: Vec<Passing>,
    /// How far what was committed elsewhere is applied once this is kept.
    applied: Option<Applied>,
    effects: Vec<Effect>,
}

/// A chunk that is taken.
struct Admitted {
    chunk: Chunk,
    /// Who brought it, if it was signed before it came here.
    from: Option<PeerKey>,
    /// Whether it is durable already.
    durable: bool,
}

impl<'a> Turn<'a> {
    fn new(author: &'a dyn Author) -> Self {
        Self {
            author,
            chunks: Vec::new(),
            unplaced: BTreeMap::new(),
            brought: HashSet::new(),
            changed: BTreeSet::new(),
            lost: BTreeSet::new(),
            passing: Vec::new(),
            applied: None,
            effects: Vec::new(),
        }
    }

    fn say(&mut self, peer: PeerKey, bytes: Vec<u8>) {
        self.effects.push(Effect::Send { peer, bytes });
    }

    /// Takes a chunk that was signed here.
    fn take(&mut self, chunk: Chunk) {
        self.changed.insert(chunk.changes().document);
        self.chunks.push(Admitted { chunk, from: None, durable: false });
    }

    /// The documents of chunks that were signed here and are not durable yet.
    fn made(&self) -> impl Iterator<Item = DocumentId> {
        let made = self.chunks.iter().filter(|one| one.from.is_none() && !one.durable);
        made.map(|one| one.chunk.changes().document)
    }

    /// What it has of a document that is not durable yet.
    fn of(&self, document: DocumentId) -> impl Iterator<Item = &Chunk> {
        let here = move |one: &&Admitted| !one.durable && one.chunk.changes().document == document;
        self.chunks.iter().filter(here).map(|one| &one.chunk)
    }
}

impl Space {
    /// Opens what the store has. `replica` names this store among all that hold the space.
    pub fn open(store: Store, replica: &str, limits: SpaceLimits) -> Self {
        let name = PeerName::new(&format!("nisse-{replica}")).expect("a replica's name is short");
        let storage = StorageName::new(replica).expect("a replica's name is short");
        let metadata = PeerMetadata { storage: Some(storage), is_ephemeral: false };
        let (held, us) = (Held::new(store, limits), Arc::new((name, metadata)));
        Self { held, peers: BTreeMap::new(), us, changes: 0, schemas: Schemas::default(), heard: Heard::default() }
    }

    /// Why nothing more is taken; what was taken is served all the same.
    pub fn fault(&self) -> Option<&str> {
        self.held.fault.as_deref()
    }

    /// How many turns changed a document since it was opened.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Forgets what is loaded and was not used since this was called last, as far as it is soon loaded again. To be called between
    /// turns, now and then, until it says `false`: there is no more to forget until something is used.
    pub fn let_go(&mut self) -> bool {
        self.held.documents.let_go()
    }

    /// Documents that are loaded.
    pub fn loaded(&self) -> usize {
        self.held.documents.len()
    }

    /// Where its chunks stand.
    pub fn store(&self) -> &Store {
        &self.held.store
    }

    /// Takes what happened, in order, and says what is to be done, when all of it is durable.
    pub fn turn(&mut self, events: Vec<Event>, author: &dyn Author) -> Vec<Effect> {
        let mut turn = Turn::new(author);
        for event in events {
            match event {
                Event::Opened { peer, rights, speaks } => self.open_peer(peer, rights, speaks, &mut turn),
                Event::Rights { peer, rights } => self.rights(peer, rights, &mut turn),
                Event::Credentials => self.judge_again(&mut turn),
                Event::Frame { peer, bytes } => self.frame(peer, &bytes, &mut turn),
                Event::Closed { peer } => self.forget(peer),
            }
        }
        self.conclude(&mut turn);
        turn.effects
    }

    fn open_peer(&mut self, key: PeerKey, rights: Rights, speaks: Speaks, turn: &mut Turn<'_>) {
        let mut protocol: Box<dyn SyncProtocol> = match speaks {
            Speaks::AutomergeRepo => Box::new(repo::Client::new(key, Arc::clone(&self.us))),
            Speaks::Chunks { first, wanted } => Box::new(chunks::Replica::new(key, first, wanted)),
        };
        let begun = protocol.begin(&mut self.held, turn);
        self.peers.insert(key, Peer { rights, protocol });
        self.settled(key, begun, turn);
    }

    fn frame(&mut self, key: PeerKey, bytes: &[u8], turn: &mut Turn<'_>) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let heard = peer.protocol.hear(bytes, peer.rights, &mut self.held, turn);
        self.settled(key, heard, turn);
        for passing in std::mem::take(&mut turn.passing) {
            if !self.heard.is_new(&passing) {
                continue;
            }
            for (_, other) in self.peers.iter_mut().filter(|(other, _)| **other != key) {
                other.protocol.pass_on(&passing, turn);
            }
        }
    }

    /// Sends those away who said what is refused.
    fn settled(&mut self, key: PeerKey, heard: Result<(), Refusal>, turn: &mut Turn<'_>) {
        let Err(refusal) = heard else { return };
        let last = self.peers.get(&key).and_then(|peer| peer.protocol.farewell(&refusal));
        if let Some(last) = last {
            turn.say(key, last);
        }
        self.close(key, &refusal.to_string(), turn);
    }

    /// Keeps what a turn brought, and then answers for it.
    fn conclude(&mut self, turn: &mut Turn<'_>) {
        loop {
            if let Err(error) = self.held.place(turn) {
                self.held.broken(&error);
                turn.unplaced.clear();
            }
            if !turn.changed.is_empty() || !turn.brought.is_empty() {
                self.take_waiting(turn);
            }
            if turn.unplaced.is_empty() {
                break;
            }
        }
        if let Err(error) = self.held.keep(turn) {
            for peer in std::mem::take(&mut self.peers).into_keys() {
                turn.effects.push(Effect::Close { peer, why: format!("failed to keep changes: {error}") });
            }
        }
        self.changes += u64::from(!turn.changed.is_empty());
        self.schemas.changed(&turn.changed);
        let mut refused = Vec::new();
        for (key, peer) in &mut self.peers {
            if let Err(refusal) = peer.protocol.tell(peer.rights, &mut self.held, turn) {
                refused.push((*key, refusal));
            }
        }
        for (key, refusal) in refused {
            self.settled(key, Err(refusal), turn);
        }
        self.held.settle();
    }

    fn rights(&mut self, key: PeerKey, rights: Rights, turn: &mut Turn<'_>) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let less = rights.role < peer.rights.role;
        peer.rights = rights;
        if rights.role < Role::Read {
            return self.close(key, "the right to read is gone", turn);
        }
        peer.protocol.rights(rights);
        if less {
            // What waits in a document may be theirs.
            self.held.documents.drop_waiting();
        }
    }

    /// Looks anew at what is here by credentials that arrived.
    fn judge_again(&mut self, turn: &mut Turn<'_>) {
        if let Err(error) = self.held.judge_again(turn) {
            self.held.broken(&error);
        }
        self.take_waiting(turn);
    }

    /// Takes what waited for what this turn brought, whoever brought it.
    fn take_waiting(&mut self, turn: &mut Turn<'_>) {
        loop {
            let (mut taken, mut refused) = (false, Vec::new());
            for (key, peer) in &mut self.peers {
                match peer.protocol.take_waiting(&mut self.held, turn) {
                    Ok(some) => taken |= some,
                    Err(refusal) => refused.push((*key, refusal)),
                }
            }
            for (key, refusal) in refused {
                self.settled(key, Err(refusal), turn);
            }
            if !taken {
                return;
            }
        }
    }

    fn forget(&mut self, key: PeerKey) {
        if self.peers.remove(&key).is_some() {
            self.held.documents.drop_waiting();
        }
    }

    /// Ends a connection of ours.
    fn close(&mut self, key: PeerKey, why: &str, turn: &mut Turn<'_>) {
        if self.peers.remove(&key).is_some() {
            self.held.documents.drop_waiting();
            turn.effects.push(Effect::Close { peer: key, why: why.to_owned() });
        }
    }
}
