//! Clients of automerge-repo: what they say, and what they are answered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use automerge::sync::{Message, State, SyncDoc as _};
use automerge::{ChangeHash, ReadDoc as _};
use nisse_model::Role;

use super::held::Held;
use super::protocol::{Passing, Refusal, SyncProtocol};
use super::{PeerKey, Rights, Turn, sound, unloaded};
use crate::document_id::DocumentId;
use crate::documents::{has, news};
use crate::gauge::{self, guarded};
use crate::repo_protocol::{Incoming, Outgoing, PeerMetadata, PeerName};

/// Changes that one document may wait for.
const MISSING_MAX: usize = 1_000;
/// Bytes of a document that are sent as they are stored: a view of it would be smaller than much more than that.
const STORED_BYTES_MAX: usize = 16 << 20;

/// A client's connection.
pub(super) struct Client {
    key: PeerKey,
    /// What we call ourselves.
    us: Arc<(PeerName, PeerMetadata)>,
    /// What they call themselves, once they did. It says nothing of who they are.
    name: Option<PeerName>,
    followed: BTreeMap<DocumentId, Followed>,
    /// Documents of which they are owed an answer, once all is durable.
    due: BTreeSet<DocumentId>,
}

/// A document that a client syncs.
struct Followed {
    state: State,
    /// Whether they were told that their changes are not taken.
    told: bool,
}

impl Followed {
    fn new(writes: bool) -> Self {
        let state = if writes { State::new() } else { State::new_read_only() };
        Self { state, told: false }
    }
}

impl Client {
    pub(super) fn new(key: PeerKey, us: Arc<(PeerName, PeerMetadata)>) -> Self {
        Self { key, us, name: None, followed: BTreeMap::new(), due: BTreeSet::new() }
    }
}

impl SyncProtocol for Client {
    fn begin(&mut self, _: &mut Held, _: &mut Turn<'_>) -> Result<(), Refusal> {
        Ok(())
    }

    fn hear(&mut self, bytes: &[u8], rights: Rights, held: &mut Held, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let message = Incoming::decode(bytes).map_err(|error| format!("failed to {error}"))?;
        match message {
            Incoming::Join { speaks_v1: false, .. } => Err("unsupported protocol version".to_owned())?,
            Incoming::Join { sender, .. } => {
                self.name = Some(sender);
                let us = Arc::clone(&self.us);
                self.say(&Outgoing::Peer { metadata: &us.1 }, turn);
            }
            _ if self.name.is_none() => Err("the first message is to be `join`".to_owned())?,
            Incoming::Leave { .. } => return Err(Refusal::Left),
            Incoming::Request { document, data, .. } => self.sync((document, data, true), rights, held, turn)?,
            Incoming::Sync { document, data, .. } => self.sync((document, data, false), rights, held, turn)?,
            Incoming::Ephemeral { sender, document, count, session, data, .. } => {
                let limit = held.limits.ephemeral_bytes_max;
                if data.len() > limit {
                    let length = data.len();
                    Err(format!("a message of {length} bytes that is not kept: at most {limit} are allowed"))?;
                }
                // Nobody speaks in another's name to those who can't tell them apart.
                if self.name.as_ref() == Some(&sender) {
                    let (session, data) = (session.to_owned(), data.to_vec());
                    turn.passing.push(Passing { sender, document, count, session, data, hops: 0 });
                }
            }
            // What they have not, and what other stores have, changes nothing here.
            Incoming::Unavailable { .. }
            | Incoming::RemoteSubscription { .. }
            | Incoming::RemoteHeads { .. }
            | Incoming::Unknown(_) => {}
        }
        Ok(())
    }

    fn rights(&mut self, rights: Rights) {
        let writes = rights.role >= Role::Edit;
        for (document, followed) in &mut self.followed {
            followed.state.set_read_only(!writes);
            self.due.insert(*document);
        }
    }

    fn take_waiting(&mut self, _: &mut Held, _: &mut Turn<'_>) -> Result<bool, Refusal> {
        Ok(false)
    }

    fn pass_on(&mut self, passing: &Passing, turn: &mut Turn<'_>) {
        let Passing { sender, document, count, session, data, .. } = passing;
        if self.followed.contains_key(document) {
            let (document, count) = (*document, *count);
            self.say(&Outgoing::Ephemeral { author: sender, document, count, session, data }, turn);
        }
    }

    fn tell(&mut self, _: Rights, held: &mut Held, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        if turn.lost.iter().any(|document| self.followed.contains_key(document)) {
            // automerge's sync takes nothing back that it told of: they begin anew.
            Err("changes of somebody who was cut off were taken out: connect again".to_owned())?;
        }
        self.due.extend(turn.changed.iter().filter(|document| self.followed.contains_key(document)));
        for document in std::mem::take(&mut self.due) {
            self.answer(document, held, turn)?;
        }
        Ok(())
    }

    fn farewell(&self, refusal: &Refusal) -> Option<Vec<u8>> {
        match refusal {
            Refusal::Left => None,
            Refusal::Because(why) => self.encoded(&Outgoing::Error { message: why }),
        }
    }
}

impl Client {
    fn sync(
        &mut self,
        (document, data, request): (DocumentId, &[u8], bool),
        rights: Rights,
        held: &mut Held,
        turn: &mut Turn<'_>,
    ) -> Result<(), String> {
        let writes = rights.role >= Role::Edit && held.fault.is_none() && turn.author.can_sign();
        if !self.followed.contains_key(&document) && self.followed.len() >= held.limits.followed_max {
            return Err(format!("more than {} documents on one connection", held.limits.followed_max));
        }
        gauge::measure_message(data, &held.limits.message).map_err(|error| format!("failed to {error}"))?;
        let message = guarded(|| Message::decode(data)).map_err(|panic| panic.to_string())?;
        let message = message.map_err(|error| format!("failed to read a sync message: {error}"))?;
        let (brings, theirs) = (!message.changes.is_empty(), message.heads.clone());
        let known = held.is_known(document, turn)?;
        let followed = self.follow(document, writes);
        if !known && !brings && (request || !writes) {
            self.say(&Outgoing::Unavailable { document }, turn);
            return Ok(());
        }
        let mut state = std::mem::take(&mut followed.state);
        let message = match held.answer_unloaded(document, &mut state, message, turn)? {
            Ok(answer) => {
                self.follow(document, writes).state = state;
                if let Some(answer) = answer {
                    self.say(&Outgoing::Sync { document, data: &answer.encode() }, turn);
                }
                return Ok(());
            }
            Err(message) => message,
        };
        let applied = held.apply(document, &mut state, message, turn);
        let (before, after, bytes) = match applied {
            Ok(applied) => applied,
            Err(why) => {
                held.documents.drop(document);
                return Err(why);
            }
        };
        self.follow(document, writes).state = state;
        self.due.insert(document);
        // One that was told that nothing is taken sends no changes; that it has some its heads say.
        if !writes && (brings || held.lacks(document, &theirs)) {
            self.refuse_changes(document, rights.role, held, turn);
        }
        if before == after {
            return Ok(());
        }
        let heads = (before, after);
        match held.admit(document, rights.subject, heads, bytes, turn.author) {
            Ok(chunk) => turn.take(chunk),
            Err(error) => {
                held.documents.drop(document);
                return Err(format!("failed to {error}"));
            }
        }
        Ok(())
    }

    fn follow(&mut self, document: DocumentId, writes: bool) -> &mut Followed {
        let followed = self.followed.entry(document).or_insert_with(|| Followed::new(writes));
        followed.state.set_read_only(!writes);
        followed
    }

    /// Says to a client, once for each document, that what it changed is not taken.
    fn refuse_changes(&mut self, document: DocumentId, role: Role, held: &Held, turn: &mut Turn<'_>) {
        let role = role.as_str();
        let Some(followed) = self.followed.get_mut(&document) else { return };
        if std::mem::replace(&mut followed.told, true) {
            return;
        }
        let why = match &held.fault {
            Some(fault) => format!("changes to {document} are not taken: failed to {fault}"),
            None if !turn.author.can_sign() => format!("changes to {document} are not taken: the vault here is sealed"),
            None => format!("changes to {document} are not taken: your role here is `{role}`, and `edit` is needed"),
        };
        self.say(&Outgoing::Error { message: &why }, turn);
    }

    /// Tells a client what it has not, if there is anything to tell.
    fn answer(&mut self, document: DocumentId, held: &mut Held, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let Some(followed) = self.followed.get_mut(&document) else { return Ok(()) };
        // One document that can't be read ends what is said of it, and not the space.
        let loaded = held.documents.get(&held.store, document, Vec::new);
        let loaded = loaded.map_err(|error| format!("failed to {error}"))?;
        let state = &mut followed.state;
        let message = guarded(|| loaded.automerge.generate_sync_message(state).map(Message::encode));
        if let Some(data) = message.map_err(|panic| panic.to_string())? {
            self.say(&Outgoing::Sync { document, data: &data }, turn);
        }
        Ok(())
    }

    fn say(&self, message: &Outgoing<'_>, turn: &mut Turn<'_>) {
        if let Some(bytes) = self.encoded(message) {
            turn.say(self.key, bytes);
        }
    }

    fn encoded(&self, message: &Outgoing<'_>) -> Option<Vec<u8>> {
        Some(message.encode(&self.us.0, self.name.as_ref()?))
    }
}

impl Held {
    /// What a client is answered that has just what is durable here of a document that is not loaded, or nothing of it.
    fn answer_unloaded(
        &mut self,
        document: DocumentId,
        state: &mut State,
        message: Message,
        turn: &Turn<'_>,
    ) -> Result<Result<Option<Message>, Message>, String> {
        let changing = turn.of(document).next().is_some();
        if changing || self.documents.peek(document).is_some() {
            return Ok(Err(message));
        }
        let summary = self.store.summary(document).map_err(|error| format!("failed to {error}"))?;
        let heads = summary.map(|summary| summary.heads).unwrap_or_default();
        let stored = || self.store.whole(document, STORED_BYTES_MAX);
        unloaded::answer(state, message, &heads, stored).map_err(|error| format!("failed to {error}"))
    }

    /// Gives a message to automerge; says which heads were before and after, and what is new.
    #[expect(clippy::type_complexity, reason = "three things that only one caller takes apart")]
    fn apply(
        &mut self,
        document: DocumentId,
        state: &mut State,
        message: Message,
        turn: &Turn<'_>,
    ) -> Result<(Vec<ChangeHash>, Vec<ChangeHash>, Vec<u8>), String> {
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
    fn lacks(&mut self, document: DocumentId, changes: &[ChangeHash]) -> bool {
        let loaded = self.documents.peek(document);
        loaded.is_some_and(|loaded| changes.iter().any(|head| !has(&loaded.automerge, head)))
    }
}

/// What this turn admitted of a document and did not make durable yet.
pub(super) fn unsaved(document: DocumentId, turn: &Turn<'_>) -> Vec<u8> {
    turn.of(document).flat_map(|chunk| chunk.changes().bytes.iter().copied()).collect()
}
