//! What clients say to others and nobody keeps: cursors, who is there.
//!
//! A home passes it on to its clients and to those homes that asked for it, each message once: of a client's session, what is not newer
//! than the last is passed over, as clients of automerge-repo do, so that no ring of homes goes round for ever. A home says to
//! another one that it takes such messages when it has the first one for it, or once that one said so: a space in which nobody says anything
//! costs nothing, and a home that knows of none is sent none.

use std::collections::{HashMap, VecDeque};

use nisse_model::Timestamp;

use super::protocol::Passing;
use super::{PeerKey, Turn};
use crate::chunk_sync::Frame;
use crate::repo_protocol::PeerName;

/// Sessions of clients of which the last message is remembered.
const SESSIONS_MAX: usize = 4_096;
/// Messages that are sent to one peer, or heard of it, in a second.
const MESSAGES_MAX: u32 = 256;
/// And their bytes.
const BYTES_MAX: usize = 1 << 20;
const SECOND_MS: u64 = 1_000;

/// The last message of each session, as far as they are remembered.
#[derive(Default)]
pub(super) struct Heard {
    last: HashMap<(PeerName, String), u64>,
    /// Which came first.
    order: VecDeque<(PeerName, String)>,
}

impl Heard {
    /// Whether a message is to be passed on, and notes it. What a client here says always is: it numbers its messages itself.
    pub(super) fn is_new(&mut self, passing: &Passing) -> bool {
        let session = (passing.sender.clone(), passing.session.clone());
        if let Some(last) = self.last.get_mut(&session) {
            let is_new = passing.count > *last || passing.hops == 0;
            *last = passing.count.max(*last);
            return is_new;
        }
        if self.order.len() >= SESSIONS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.last.remove(&oldest);
        }
        self.order.push_back(session.clone());
        self.last.insert(session, passing.count);
        true
    }
}

/// How much went one way in this second.
#[derive(Default)]
pub(super) struct Pace {
    since: Timestamp,
    messages: u32,
    bytes: usize,
}

impl Pace {
    /// Whether there is room for so many bytes more, and takes it.
    pub(super) fn has_room(&mut self, bytes: usize, now: Timestamp) -> bool {
        // A clock that was set back begins a second, too.
        if now < self.since || now.0 - self.since.0 >= SECOND_MS {
            *self = Self { since: now, messages: 0, bytes: 0 };
        }
        let has_room = self.messages < MESSAGES_MAX && self.bytes + bytes <= BYTES_MAX;
        if has_room {
            self.messages += 1;
            self.bytes += bytes;
        }
        has_room
    }
}

/// What of it goes over one connection between homes.
#[derive(Default)]
pub(super) struct Presence {
    /// Whether they were told that it is taken here, and said that they take it.
    told: bool,
    taken: bool,
    /// The last message, until they say so.
    waiting: Option<Vec<u8>>,
    sent: Pace,
    heard: Pace,
}

impl Presence {
    pub(super) fn is_told(&self) -> bool {
        self.told
    }

    /// Sends a message on, unless that is too much.
    pub(super) fn pass_on(&mut self, (to, frame): (PeerKey, Vec<u8>), turn: &mut Turn<'_>) {
        if !self.taken {
            self.tell(to, turn);
            self.waiting = Some(frame);
        } else if self.sent.has_room(frame.len(), turn.author.now()) {
            turn.say(to, frame);
        }
    }

    /// They take it: so does this home.
    pub(super) fn taken(&mut self, by: PeerKey, turn: &mut Turn<'_>) {
        self.taken = true;
        self.tell(by, turn);
        if let Some(frame) = self.waiting.take() {
            self.pass_on((by, frame), turn);
        }
    }

    /// Whether there is room for a message of theirs.
    pub(super) fn hears(&mut self, bytes: usize, turn: &Turn<'_>) -> bool {
        self.heard.has_room(bytes, turn.author.now())
    }

    fn tell(&mut self, to: PeerKey, turn: &mut Turn<'_>) {
        if !std::mem::replace(&mut self.told, true) {
            turn.say(to, Frame::Offer { items: Vec::new() }.encode());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document_id::DocumentId;

    fn passing(session: &str, count: u64, hops: u8) -> Passing {
        let (sender, document) = (PeerName::new("app").expect("a name"), DocumentId([1; 16]));
        Passing { sender, document, count, session: session.to_owned(), data: Vec::new(), hops }
    }

    #[test]
    fn what_was_heard_is_passed_over_and_sessions_are_apart() {
        let mut heard = Heard::default();
        assert!(heard.is_new(&passing("one", 5, 1)));
        assert!(!heard.is_new(&passing("one", 5, 2)));
        assert!(!heard.is_new(&passing("one", 4, 1)));
        assert!(heard.is_new(&passing("two", 1, 1)));
        assert!(heard.is_new(&passing("one", 6, 1)));
        // What a client here says comes back from elsewhere, and goes no further.
        assert!(heard.is_new(&passing("own", 1, 0)));
        assert!(heard.is_new(&passing("own", 1, 0)));
        assert!(!heard.is_new(&passing("own", 1, 3)));
    }

    #[test]
    fn no_more_sessions_are_remembered_than_there_is_room_for() {
        let mut heard = Heard::default();
        for number in 0..2 * SESSIONS_MAX {
            assert!(heard.is_new(&passing(&number.to_string(), 1, 1)));
        }
        assert_eq!((heard.last.len(), heard.order.len()), (SESSIONS_MAX, SESSIONS_MAX));
        assert!(heard.is_new(&passing("0", 1, 1)), "it was forgotten");
    }

    #[test]
    fn a_second_has_room_for_so_many_and_for_so_many_bytes() {
        let mut pace = Pace::default();
        let now = Timestamp(10_000);
        assert!((0..MESSAGES_MAX).all(|_| pace.has_room(1, now)));
        assert!(!pace.has_room(1, Timestamp(10_999)));
        assert!(pace.has_room(BYTES_MAX, Timestamp(11_000)));
        assert!(!pace.has_room(1, Timestamp(11_500)));
        assert!(pace.has_room(1, Timestamp(9_000)), "the clock was set back");
    }
}
