//! What clients say, and what they are answered.

use automerge::ReadDoc as _;
use automerge::sync::{Message, SyncDoc as _};
use nisse_model::Role;

use super::peer::Followed;
use super::{Effect, PeerKey, Space, Turn, sound, unchanged};
use crate::document_id::DocumentId;
use crate::documents::news;
use crate::gauge::{self, guarded};
use crate::repo_protocol::{Incoming, Outgoing, PeerName};

/// Changes that one document may wait for.
const MISSING_MAX: usize = 1_000;

/// Why a message ends the connection that it came on.
type Refusal = String;

impl Space {
    pub(super) fn frame(&mut self, key: PeerKey, bytes: &[u8], turn: &mut Turn<'_>) {
        if !self.peers.contains_key(&key) {
            return;
        }
        let read = Incoming::decode(bytes).map_err(|error| format!("failed to {error}"));
        if let Err(why) = read.and_then(|message| self.message(key, &message, turn)) {
            self.tell(key, &Outgoing::Error { message: &why }, turn);
            self.close(key, &why, turn);
        }
    }

    fn message(&mut self, key: PeerKey, message: &Incoming<'_>, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let Some(peer) = self.peers.get_mut(&key) else { return Ok(()) };
        match message {
            Incoming::Join { speaks_v1: false, .. } => Err("unsupported protocol version".to_owned()),
            Incoming::Join { sender, .. } => {
                peer.name = Some(sender.clone());
                let metadata = self.metadata.clone();
                self.tell(key, &Outgoing::Peer { metadata: &metadata }, turn);
                Ok(())
            }
            _ if peer.name.is_none() => Err("the first message is to be `join`".to_owned()),
            Incoming::Leave { .. } => {
                self.close(key, "it left", turn);
                Ok(())
            }
            Incoming::Request { document, data, .. } => self.sync(key, *document, data, true, turn),
            Incoming::Sync { document, data, .. } => self.sync(key, *document, data, false, turn),
            Incoming::Ephemeral { sender, document, count, session, data, .. } => {
                self.pass_on(key, sender, &Passing { document: *document, count: *count, session, data }, turn)
            }
            // What they have not, and what other stores have, changes nothing here.
            Incoming::Unavailable { .. }
            | Incoming::RemoteSubscription { .. }
            | Incoming::RemoteHeads { .. }
            | Incoming::Unknown(_) => Ok(()),
        }
    }

    fn sync(
        &mut self,
        key: PeerKey,
        document: DocumentId,
        data: &[u8],
        request: bool,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let Some(peer) = self.peers.get(&key) else { return Ok(()) };
        let writes = peer.rights.role >= Role::Edit && self.fault.is_none() && turn.author.can_sign();
        let subject = peer.rights.subject;
        if !peer.followed.contains_key(&document) && peer.followed.len() >= self.limits.followed_max {
            return Err(format!("more than {} documents on one connection", self.limits.followed_max));
        }
        gauge::measure_message(data, &self.limits.message).map_err(|error| format!("failed to {error}"))?;
        let message = guarded(|| Message::decode(data)).map_err(|panic| panic.to_string())?;
        let message = message.map_err(|error| format!("failed to read a sync message: {error}"))?;
        let (brings, theirs) = (!message.changes.is_empty(), message.heads.clone());
        let known = self.is_known(document, turn)?;
        let followed = self.follow(key, document, writes);
        if !known && !brings && (request || !writes) {
            self.tell(key, &Outgoing::Unavailable { document }, turn);
            return Ok(());
        }
        let mut state = std::mem::take(&mut followed.state);
        let message = match self.unchanged(document, &mut state, message, turn)? {
            Ok(answer) => {
                self.follow(key, document, writes).state = state;
                if let Some(answer) = answer {
                    self.tell(key, &Outgoing::Sync { document, data: &answer.encode() }, turn);
                }
                return Ok(());
            }
            Err(message) => message,
        };
        let applied = self.apply(document, &mut state, message, turn);
        let (before, after, bytes) = match applied {
            Ok(applied) => applied,
            Err(why) => {
                self.documents.drop(document);
                return Err(why);
            }
        };
        self.follow(key, document, writes).state = state;
        turn.due.insert((key, document));
        // One that was told that nothing is taken sends no changes; that it has some its heads say.
        if !writes && (brings || self.lacks(document, &theirs)) {
            self.refuse_changes(key, document, turn);
        }
        if before == after {
            return Ok(());
        }
        let heads = (before, after);
        match self.admit(document, subject, heads, bytes, turn.author) {
            Ok(chunk) => turn.chunks.push(chunk),
            Err(error) => {
                self.documents.drop(document);
                return Err(format!("failed to {error}"));
            }
        }
        turn.due.extend(self.followers(document).map(|follower| (follower, document)));
        Ok(())
    }

    /// What a client is answered that has just what is durable here of a document that is not loaded.
    fn unchanged(
        &mut self,
        document: DocumentId,
        state: &mut automerge::sync::State,
        message: Message,
        turn: &Turn<'_>,
    ) -> Result<Result<Option<Message>, Message>, Refusal> {
        let changing = turn.chunks.iter().any(|chunk| chunk.changes().document == document);
        if changing || self.documents.peek(document).is_some() {
            return Ok(Err(message));
        }
        let summary = self.store.summary(document).map_err(|error| format!("failed to {error}"))?;
        let heads = summary.map(|summary| summary.heads).unwrap_or_default();
        Ok(unchanged::answer(state, message, &heads))
    }

    fn follow(&mut self, key: PeerKey, document: DocumentId, writes: bool) -> &mut Followed {
        let peer = self.peers.get_mut(&key).expect("the caller found it");
        let followed = peer.followed.entry(document).or_insert_with(|| Followed::new(writes));
        followed.state.set_read_only(!writes);
        followed
    }

    /// Whether there is a document of this name.
    fn is_known(&mut self, document: DocumentId, turn: &Turn<'_>) -> Result<bool, Refusal> {
        if self.documents.peek(document).is_some_and(|loaded| !loaded.automerge.get_heads().is_empty())
            || turn.chunks.iter().any(|chunk| chunk.changes().document == document)
        {
            return Ok(true);
        }
        let summary = self.store.summary(document).map_err(|error| format!("failed to {error}"))?;
        Ok(summary.is_some())
    }

    /// Gives a message to automerge; says which heads were before and after, and what is new.
    #[expect(clippy::type_complexity, reason = "three things that only one caller takes apart")]
    fn apply(
        &mut self,
        document: DocumentId,
        state: &mut automerge::sync::State,
        message: Message,
        turn: &Turn<'_>,
    ) -> Result<(Vec<automerge::ChangeHash>, Vec<automerge::ChangeHash>, Vec<u8>), Refusal> {
        let limit = self.limits.document_bytes_max;
        let unsaved = || unsaved(document, turn);
        let loaded =
            self.documents.get(&self.store, document, unsaved).map_err(|error| format!("failed to {error}"))?;
        let automerge = &mut loaded.automerge;
        let before = automerge.get_heads();
        let received = guarded(|| automerge.receive_sync_message(state, message)).map_err(|panic| panic.to_string())?;
        received.map_err(|error| format!("failed to apply changes to {document}: {error}"))?;
        let missing = automerge.get_missing_deps(&[]).len();
        if missing > MISSING_MAX {
            return Err(format!("{document} would wait for {missing} changes: at most {MISSING_MAX} are allowed"));
        }
        let after = automerge.get_heads();
        if before == after {
            return Ok((before, after, Vec::new()));
        }
        let operations = automerge.stats().num_ops;
        if operations > self.limits.document_operations_max {
            let most = self.limits.document_operations_max;
            return Err(format!("{document} would have {operations} operations: at most {most} are allowed"));
        }
        let (bytes, sound) = guarded(|| {
            let bytes = news(automerge, &before);
            let sound = sound::check(automerge, &before, &bytes);
            (bytes, sound)
        })
        .map_err(|panic| panic.to_string())?;
        sound.map_err(|why| format!("failed to apply changes to {document}: {why}"))?;
        let held = self.store.summary(document).map_err(|error| format!("failed to {error}"))?;
        let held = held.map_or(0, |summary| summary.bytes);
        if held + bytes.len() as u64 > limit {
            return Err(format!("{document} would have more than {limit} bytes of changes"));
        }
        Ok((before, after, bytes))
    }

    /// Whether a loaded document lacks one of these changes.
    fn lacks(&mut self, document: DocumentId, changes: &[automerge::ChangeHash]) -> bool {
        let loaded = self.documents.peek(document);
        loaded.is_some_and(|loaded| changes.iter().any(|head| loaded.automerge.get_change_by_hash(head).is_none()))
    }

    /// Says to a client, once for each document, that what it changed is not taken.
    fn refuse_changes(&mut self, key: PeerKey, document: DocumentId, turn: &mut Turn<'_>) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let role = peer.rights.role.as_str();
        let Some(followed) = peer.followed.get_mut(&document) else { return };
        if std::mem::replace(&mut followed.told, true) {
            return;
        }
        let why = match &self.fault {
            Some(fault) => format!("changes to {document} are not taken: failed to {fault}"),
            None if !turn.author.can_sign() => format!("changes to {document} are not taken: the vault here is sealed"),
            None => format!("changes to {document} are not taken: your role here is `{role}`, and `edit` is needed"),
        };
        self.tell(key, &Outgoing::Error { message: &why }, turn);
    }

    /// Passes something on to all others who follow the document, and keeps it nowhere.
    fn pass_on(
        &mut self,
        key: PeerKey,
        sender: &PeerName,
        passing: &Passing<'_>,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let &Passing { document, count, session, data } = passing;
        let limit = self.limits.ephemeral_bytes_max;
        if data.len() > limit {
            return Err(format!("a message of {} bytes that is not kept: at most {limit} are allowed", data.len()));
        }
        // Nobody speaks in another's name to those who can't tell them apart.
        if self.peers.get(&key).is_none_or(|peer| peer.name.as_ref() != Some(sender)) {
            return Ok(());
        }
        let others: Vec<PeerKey> = self.followers(document).filter(|other| *other != key).collect();
        for other in others {
            self.tell(other, &Outgoing::Ephemeral { author: sender, document, count, session, data }, turn);
        }
        Ok(())
    }

    /// Tells a client what it has not, if there is anything to tell.
    pub(super) fn answer(&mut self, key: PeerKey, document: DocumentId, turn: &mut Turn<'_>) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let Some(followed) = peer.followed.get_mut(&document) else { return };
        let loaded = match self.documents.get(&self.store, document, Vec::new) {
            Ok(loaded) => loaded,
            // One document that can't be read ends what is said of it, and not the space.
            Err(error) => return self.close(key, &format!("failed to {error}"), turn),
        };
        let state = &mut followed.state;
        match guarded(|| loaded.automerge.generate_sync_message(state).map(Message::encode)) {
            Ok(Some(data)) => self.tell(key, &Outgoing::Sync { document, data: &data }, turn),
            Ok(None) => {}
            Err(panic) => self.close(key, &panic.to_string(), turn),
        }
    }

    fn tell(&self, key: PeerKey, message: &Outgoing<'_>, turn: &mut Turn<'_>) {
        let Some(target) = self.peers.get(&key).and_then(|peer| peer.name.as_ref()) else { return };
        turn.effects.push(Effect::Send { peer: key, bytes: message.encode(&self.name, target) });
    }
}

/// What one client says to others through us.
struct Passing<'b> {
    document: DocumentId,
    count: u64,
    session: &'b str,
    data: &'b [u8],
}

/// What this turn admitted of a document and did not make durable yet.
fn unsaved(document: DocumentId, turn: &Turn<'_>) -> Vec<u8> {
    let chunks = turn.chunks.iter().map(crate::chunk::Chunk::changes);
    chunks.filter(|changes| changes.document == document).flat_map(|changes| changes.bytes.iter().copied()).collect()
}
