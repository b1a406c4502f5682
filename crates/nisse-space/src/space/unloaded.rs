//! Answers to a client that need no loaded document: most of what is said when a client comes back is that nothing changed,
//! and a client that has nothing of a document is sent all that is stored of it, as it is stored.

use automerge::ChangeHash;
use automerge::sync::{BloomFilter, Capability, ChunkList, Have, Message, MessageFlags, MessageVersion, State};

/// Takes a message as automerge would, and says what it would answer, if anything; `Err` gives back one that needs the
/// document: it brings or asks for something, or names what only the document's history can tell of. `stored` gives all changes
/// of the document, as automerge loads them, where they can be sent so; it is asked for a client that has none of them.
pub(super) fn answer<E>(
    state: &mut State,
    message: Message,
    heads: &[ChangeHash],
    stored: impl FnOnce() -> Result<Option<Vec<u8>>, E>,
) -> Result<Result<Option<Message>, Message>, E> {
    let asks_alone = message.changes.is_empty() && message.need.is_empty() && !heads.is_empty() && !state.needs_reset;
    if asks_alone && has_all(state, &message, heads) {
        return Ok(Ok(nothing_new(state, message, heads)));
    }
    if asks_alone
        && has_nothing(&message)
        && let Some(stored) = stored()?
    {
        return Ok(Ok(Some(everything(state, message, heads, stored))));
    }
    Ok(Err(message))
}

/// Whether they have just what is here.
fn has_all(state: &State, message: &Message, heads: &[ChangeHash]) -> bool {
    let known = |sync: &Have| sync.last_sync.iter().all(|head| heads.contains(head));
    message.heads == heads
        && message.have.iter().all(known)
        && state.shared_heads.iter().all(|head| heads.contains(head))
}

/// Whether they have nothing, want it, and can be sent a whole document.
fn has_nothing(message: &Message) -> bool {
    message.heads.is_empty()
        && message.have.iter().all(|sync| sync.last_sync.is_empty())
        && message.flags.is_some_and(|flags| !flags.contains(MessageFlags::READ_ONLY))
}

fn nothing_new(state: &mut State, message: Message, heads: &[ChangeHash]) -> Option<Message> {
    hear(state, message);
    if state.have_responded {
        return None;
    }
    let second = state.their_capabilities.as_ref().is_some_and(|can| can.contains(&Capability::MessageV2));
    let version = match second && !state.peer_read_only {
        true => MessageVersion::V2,
        false => MessageVersion::V1,
    };
    Some(say(state, heads, ChunkList::empty(), version))
}

/// What automerge would say, but for `have`: it would describe all its changes to one who has none of them, and hears here that
/// they are shared once they are sent.
fn everything(state: &mut State, message: Message, heads: &[ChangeHash], stored: Vec<u8>) -> Message {
    hear(state, message);
    say(state, heads, ChunkList::from(stored), MessageVersion::V2)
}

/// Keeps what a message says, as automerge would where all its heads are known.
fn hear(state: &mut State, message: Message) {
    if let Some(flags) = message.flags {
        let mut capabilities = vec![Capability::MessageV2];
        if flags.contains(MessageFlags::SUPPORTS_SYNC_RESET) {
            capabilities.push(Capability::SyncReset);
        }
        state.their_capabilities = Some(capabilities);
        state.peer_read_only = flags.contains(MessageFlags::READ_ONLY);
    }
    state.in_flight = false;
    // They have all that was sent, or lost it.
    state.sent_hashes.clear();
    state.last_sent_heads.clone_from(&message.heads);
    state.shared_heads.clone_from(&message.heads);
    state.their_have = Some(message.have);
    state.their_heads = Some(message.heads);
    state.their_need = Some(message.need);
}

fn say(state: &mut State, heads: &[ChangeHash], changes: ChunkList, version: MessageVersion) -> Message {
    state.have_responded = true;
    state.in_flight = true;
    state.last_sent_heads = heads.to_vec();
    let mut flags = MessageFlags::new();
    flags.set(MessageFlags::SUPPORTS_SYNC_RESET);
    if state.read_only {
        flags.set(MessageFlags::READ_ONLY);
    }
    Message {
        heads: heads.to_vec(),
        need: Vec::new(),
        have: vec![Have { last_sync: heads.to_vec(), bloom: BloomFilter::default() }],
        changes,
        flags: Some(flags),
        version,
    }
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

    fn ask(state: &mut State, message: Message, automerge: &Automerge) -> Result<Option<Message>, Message> {
        let stored = || Ok::<_, std::convert::Infallible>(Some(automerge.save()));
        answer(state, message, &automerge.get_heads(), stored).expect("infallible")
    }

    /// Both ways from one state and one message; they must come to the same.
    fn same(automerge: &Automerge, state: &State, message: &Message) -> (State, Option<Message>) {
        let mut slow = state.clone();
        let mut copy = automerge.clone();
        copy.receive_sync_message(&mut slow, message.clone()).expect("received");
        let answered = copy.generate_sync_message(&mut slow);
        let mut fast = state.clone();
        let told = ask(&mut fast, message.clone(), automerge).expect("nothing needs the document");
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

    /// Says all that two sides have to say to each other; how often it was.
    fn talk(ours: &mut Automerge, state: &mut State, theirs: &mut Automerge, their_state: &mut State) -> usize {
        for turns in 0..20 {
            let (told, asked) = (ours.generate_sync_message(state), theirs.generate_sync_message(their_state));
            if told.is_none() && asked.is_none() {
                return turns;
            }
            if let Some(told) = told {
                let told = Message::decode(&told.encode()).expect("a message");
                theirs.receive_sync_message(their_state, told).expect("received");
            }
            if let Some(asked) = asked {
                ours.receive_sync_message(state, asked).expect("received");
            }
        }
        panic!("they never come to an end");
    }

    #[test]
    fn a_client_that_has_nothing_is_sent_all_and_goes_on_from_there() {
        for changes in [1, 7, 300] {
            let mut ours = document(changes);
            let mut theirs = Automerge::new().with_actor(ActorId::from([2; 16].as_slice()));
            let (mut state, mut their_state) = (State::new(), State::new());
            let first = theirs.generate_sync_message(&mut their_state).expect("the first word");
            let first = Message::decode(&first.encode()).expect("a message");
            let told = ask(&mut state, first, &ours).expect("nothing needs the document").expect("an answer");
            let told = Message::decode(&told.encode()).expect("a message");
            theirs.receive_sync_message(&mut their_state, told).expect("received");
            assert_eq!(theirs.get_heads(), ours.get_heads());
            let last = theirs.generate_sync_message(&mut their_state).expect("that it is taken");
            assert!(last.changes.is_empty());
            assert_eq!(ask(&mut state, last, &ours), Ok(None));
            assert_eq!(talk(&mut ours, &mut state, &mut theirs, &mut their_state), 0);
            // Either side writes, and the other one hears of it alone.
            for (mine, value) in [(true, 1), (false, 2)] {
                let writer = if mine { &mut ours } else { &mut theirs };
                let mut transaction = writer.transaction();
                transaction.put(ROOT, "later", value).expect("written");
                transaction.commit();
                assert!(talk(&mut ours, &mut state, &mut theirs, &mut their_state) > 0);
                assert_eq!(ours.get_heads(), theirs.get_heads());
            }
        }
    }

    #[test]
    fn a_client_that_wrote_meanwhile_keeps_what_it_wrote() {
        let mut ours = document(300);
        let mut theirs = Automerge::new().with_actor(ActorId::from([2; 16].as_slice()));
        let (mut state, mut their_state) = (State::new(), State::new());
        let first = theirs.generate_sync_message(&mut their_state).expect("the first word");
        let told = ask(&mut state, first, &ours).expect("nothing needs the document").expect("an answer");
        for writer in [&mut ours, &mut theirs] {
            let mut transaction = writer.transaction();
            transaction.put(ROOT, "meanwhile", 1).expect("written");
            transaction.commit();
        }
        theirs.receive_sync_message(&mut their_state, told).expect("received");
        assert!(talk(&mut ours, &mut state, &mut theirs, &mut their_state) > 0);
        assert_eq!(ours.get_heads(), theirs.get_heads());
        assert_eq!(ours.get_heads().len(), 2);
    }

    #[test]
    fn a_client_that_cannot_be_sent_all_needs_the_document() {
        let automerge = document(3);
        let first = document(0).generate_sync_message(&mut State::new()).expect("the first word");
        // It knows no documents that come as one.
        let old = Message { flags: None, ..first.clone() };
        // It takes nothing.
        let mut flags = MessageFlags::new();
        flags.set(MessageFlags::READ_ONLY);
        let reads = Message { flags: Some(flags), ..first.clone() };
        // It had something once.
        let mut synced = first.clone();
        synced.have[0].last_sync = automerge.get_heads();
        for message in [old, reads, synced] {
            assert_eq!(ask(&mut State::new(), message.clone(), &automerge), Err(message));
        }
        // What is stored can't be sent as it is.
        let unfit = || Ok::<_, std::convert::Infallible>(None);
        let told = answer(&mut State::new(), first.clone(), &automerge.get_heads(), unfit).expect("infallible");
        assert_eq!(told, Err(first));
    }

    #[test]
    fn whoever_has_more_or_less_or_something_else_needs_the_document() {
        let automerge = document(3);
        let heads = automerge.get_heads();
        for other in [document(2), document(4)] {
            let message = other.generate_sync_message(&mut State::new()).expect("the first word");
            assert_eq!(ask(&mut State::new(), message.clone(), &automerge), Err(message));
        }
        let mut message = automerge.generate_sync_message(&mut State::new()).expect("the first word");
        message.need = vec![heads[0]];
        assert_eq!(ask(&mut State::new(), message.clone(), &automerge), Err(message.clone()));
        message.need.clear();
        message.have[0].last_sync = vec![ChangeHash([8; 32])];
        assert_eq!(ask(&mut State::new(), message.clone(), &automerge), Err(message));
    }
}
