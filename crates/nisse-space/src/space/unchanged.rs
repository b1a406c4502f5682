//! The answer to a client that has just what is here, without loading the document: most of what is said when a client
//! comes back is that nothing changed.

use automerge::ChangeHash;
use automerge::sync::{BloomFilter, Capability, ChunkList, Have, Message, MessageFlags, MessageVersion, State};

/// Takes a message as automerge would, and says what it would answer, if anything; `Err` gives back one that needs the
/// document: it brings or asks for something, or names what only the document's history can tell of.
pub(super) fn answer(state: &mut State, message: Message, heads: &[ChangeHash]) -> Result<Option<Message>, Message> {
    let known = |sync: &Have| sync.last_sync.iter().all(|head| heads.contains(head));
    let plain = message.changes.is_empty()
        && message.need.is_empty()
        && !heads.is_empty()
        && message.heads == heads
        && message.have.iter().all(known)
        && state.shared_heads.iter().all(|head| heads.contains(head))
        && !state.needs_reset;
    if !plain {
        return Err(message);
    }
    state.in_flight = false;
    if let Some(flags) = message.flags {
        let mut capabilities = vec![Capability::MessageV2];
        if flags.contains(MessageFlags::SUPPORTS_SYNC_RESET) {
            capabilities.push(Capability::SyncReset);
        }
        state.their_capabilities = Some(capabilities);
        state.peer_read_only = flags.contains(MessageFlags::READ_ONLY);
    }
    // They have all that was sent.
    state.sent_hashes.clear();
    state.last_sent_heads.clone_from(&message.heads);
    state.shared_heads.clone_from(&message.heads);
    state.their_have = Some(message.have);
    state.their_heads = Some(message.heads);
    state.their_need = Some(message.need);
    if state.have_responded {
        return Ok(None);
    }
    state.have_responded = true;
    state.in_flight = true;
    let mut flags = MessageFlags::new();
    flags.set(MessageFlags::SUPPORTS_SYNC_RESET);
    if state.read_only {
        flags.set(MessageFlags::READ_ONLY);
    }
    let second = state.their_capabilities.as_ref().is_some_and(|can| can.contains(&Capability::MessageV2));
    let version = match second && !state.peer_read_only {
        true => MessageVersion::V2,
        false => MessageVersion::V1,
    };
    Ok(Some(Message {
        heads: heads.to_vec(),
        need: Vec::new(),
        have: vec![Have { last_sync: heads.to_vec(), bloom: BloomFilter::default() }],
        changes: ChunkList::empty(),
        flags: Some(flags),
        version,
    }))
}

#[cfg(test)]
mod tests {
    use automerge::sync::SyncDoc as _;
    use automerge::transaction::Transactable as _;
    use automerge::{ActorId, Automerge, ROOT};

    use super::*;

    fn document(changes: u64) -> Automerge {
        let mut automerge = Automerge::new().with_actor(ActorId::from([1; 16].as_slice()));
        for change in 0..changes {
            let mut transaction = automerge.transaction();
            transaction.put(ROOT, "key", change).expect("written");
            transaction.commit();
        }
        automerge
    }

    /// Both ways from one state and one message; they must come to the same.
    fn same(automerge: &Automerge, state: &State, message: &Message) -> (State, Option<Message>) {
        let mut slow = state.clone();
        let mut copy = automerge.clone();
        copy.receive_sync_message(&mut slow, message.clone()).expect("received");
        let answered = copy.generate_sync_message(&mut slow);
        let mut fast = state.clone();
        let told = answer(&mut fast, message.clone(), &automerge.get_heads()).expect("nothing needs the document");
        assert_eq!(told, answered);
        assert_eq!(fast, slow);
        (fast, told)
    }

    #[test]
    fn a_client_that_comes_back_is_answered_as_automerge_would() {
        for changes in [1, 7, 300] {
            let automerge = document(changes);
            let from_nothing = State::new();
            let mut synced = State::new();
            synced.shared_heads = automerge.get_heads();
            for theirs in [from_nothing, synced] {
                for ours in [State::new(), State::new_read_only()] {
                    let mut client = theirs.clone();
                    let first = automerge.generate_sync_message(&mut client).expect("the first word");
                    let (state, told) = same(&automerge, &ours, &first);
                    automerge.clone().receive_sync_message(&mut client, told.expect("an answer")).expect("received");
                    if let Some(second) = automerge.generate_sync_message(&mut client) {
                        assert_eq!(same(&automerge, &state, &second).1, None);
                    }
                }
            }
        }
    }

    #[test]
    fn whoever_has_more_or_less_or_something_else_needs_the_document() {
        let automerge = document(3);
        let heads = automerge.get_heads();
        for other in [document(0), document(2), document(4)] {
            let message = other.generate_sync_message(&mut State::new()).expect("the first word");
            assert_eq!(answer(&mut State::new(), message.clone(), &heads), Err(message));
        }
        let mut message = automerge.generate_sync_message(&mut State::new()).expect("the first word");
        message.need = vec![heads[0]];
        assert_eq!(answer(&mut State::new(), message.clone(), &heads), Err(message.clone()));
        message.need.clear();
        message.have[0].last_sync = vec![ChangeHash([8; 32])];
        assert_eq!(answer(&mut State::new(), message.clone(), &heads), Err(message));
    }
}
