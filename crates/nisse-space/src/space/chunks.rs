//! Peers of nisse: which chunks they and we lack, asked for and sent.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::held::Held;
use super::presence::Presence;
use super::protocol::{Passing, Refusal, SyncProtocol};
use super::taking::Taken;
use super::{PeerKey, Rights, Turn};
use crate::chunk::{Chunk, ChunkId};
use crate::chunk_sync::{Bound, Frame, ITEMS_MAX, Item, Items, Range, Wanted, answer, begin};
use crate::document_id::DocumentId;
use crate::store::{Place, Store, StoreError};

/// Chunks that a peer may make us note as lacking.
const LACKING_MAX: usize = 8 * ITEMS_MAX;
/// Bytes of new chunks that are sent without being asked for.
const NEWS_BYTES_MAX: usize = 256 << 10;
/// Chunks of one peer that wait for what they stand on.
const WAITING_MAX: usize = 4_096;

/// A connection with another replica of the space.
pub(super) struct Replica {
    key: PeerKey,
    /// Whether we begin.
    first: bool,
    /// The documents that are wanted here.
    ours: Wanted,
    /// Those that they want, once they said so.
    theirs: Option<Wanted>,
    /// What they have and we lack.
    lacking: BTreeSet<Item>,
    /// What of it was asked for.
    asked: BTreeSet<Item>,
    /// What they asked for and were not sent yet, each behind what it stands on.
    owed: BTreeSet<(DocumentId, Place, ChunkId)>,
    /// Chunks that stand on what did not come yet, and their bytes.
    waiting: BTreeMap<ChunkId, Chunk>,
    waiting_bytes: usize,
    /// What was taken here after we said what we have and before they answered.
    unsaid: BTreeSet<Item>,
    /// What clients say to others.
    presence: Presence,
    /// Whether to compare anew once all that is lacking came: not all of it was noted.
    again: bool,
}

/// What of a space is spoken of with one peer.
struct Shared<'s> {
    store: &'s Store,
    ours: &'s Wanted,
    theirs: &'s Wanted,
}

impl Items for Shared<'_> {
    type Error = StoreError;

    fn scan(&self, from: &Item, upto: &Bound, each: &mut dyn FnMut(Item)) -> Result<(), StoreError> {
        let upto = match upto {
            Bound::Before(item) => Some(item.to_bytes()),
            Bound::End => None,
        };
        self.store.items(&from.to_bytes(), upto.as_ref().map(<[u8; 48]>::as_slice), |document, chunk| {
            if self.ours.includes(document) && self.theirs.includes(document) {
                each(Item { document, chunk });
            }
            true
        })
    }
}

fn failed(error: impl std::fmt::Display) -> Refusal {
    Refusal::Because(format!("failed to {error}"))
}

impl SyncProtocol for Replica {
    fn begin(&mut self, held: &mut Held, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        if !self.first {
            return Ok(());
        }
        let shared = Shared { store: &held.store, ours: &self.ours, theirs: &Wanted::All };
        let ranges = begin(&shared).map_err(failed)?;
        self.hello(ranges, held, turn);
        Ok(())
    }

    fn hear(&mut self, bytes: &[u8], _: Rights, held: &mut Held, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let frame = Frame::decode(bytes).map_err(failed)?;
        if self.theirs.is_none() {
            let Frame::Hello { space, wanted, ranges } = frame else {
                return Err("the first frame is to be a hello".to_owned())?;
            };
            if space != held.store.space() {
                return Err("this is another space".to_owned())?;
            }
            self.theirs = Some(wanted);
            return self.greeted(&ranges, held, turn);
        }
        match frame {
            Frame::Hello { .. } => Err("a second hello".to_owned())?,
            Frame::Reconcile { ranges } => {
                let surplus = self.compare(&ranges, held, turn, Self::reconcile)?;
                self.offer(surplus, turn);
            }
            Frame::Offer { items } if items.is_empty() => self.presence.taken(self.key, turn),
            Frame::Offer { items } => {
                for item in items {
                    if !held.store.holds(item.document, item.chunk).map_err(failed)? {
                        self.note(item);
                    }
                }
                self.ask(turn);
            }
            Frame::Want { items } => self.send(&items, held, turn)?,
            Frame::Chunks { chunks, missing } => self.brought(&chunks, &missing, held, turn)?,
            Frame::Presence { .. } if !self.presence.is_told() => {
                Err("what a client says to others, which nobody here said to take".to_owned())?;
            }
            Frame::Presence { sender, document, count, session, data, hops } => {
                // What is too much, or of what nobody wants to hear, is passed over: no client waits for it.
                if self.ours.includes(document) && self.presence.hears(data.len(), turn) {
                    let (session, data) = (session.into_owned(), data.into_owned());
                    turn.passing.push(Passing { sender, document, count, session, data, hops });
                }
            }
            Frame::Error { message } => Err(format!("the other side says: {message}"))?,
        }
        Ok(())
    }

    fn rights(&mut self, _: Rights) {}

    fn take_waiting(&mut self, held: &mut Held, turn: &mut Turn<'_>) -> Result<bool, Refusal> {
        let before = self.waiting.len();
        self.waiting_bytes = 0;
        for chunk in std::mem::take(&mut self.waiting).into_values() {
            if held.take(&chunk, self.key, turn)? == Taken::Waits {
                self.wait(chunk, held);
            }
        }
        Ok(self.waiting.len() < before)
    }

    fn pass_on(&mut self, passing: &Passing, turn: &mut Turn<'_>) {
        let Passing { sender, document, count, session, data, hops } = passing;
        let wanted = self.theirs.as_ref().is_some_and(|theirs| theirs.includes(*document));
        if !wanted || *hops >= Frame::HOPS_MAX || data.len() > Frame::PRESENCE_BYTES_MAX {
            return;
        }
        let (sender, session, data) = (sender.clone(), session.into(), data.into());
        let frame = Frame::Presence { sender, document: *document, count: *count, session, data, hops: hops + 1 };
        self.presence.pass_on((self.key, frame.encode()), turn);
    }

    fn tell(&mut self, _: Rights, _: &mut Held, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let new = turn.chunks.iter().filter(|one| one.from != Some(self.key));
        let Some(theirs) = &self.theirs else {
            self.unsaid.extend(new.map(|one| item_of(&one.chunk)));
            // Too many to name: what is compared anew finds them.
            self.again |= self.unsaid.len() > ITEMS_MAX;
            return Ok(());
        };
        let new: Vec<&Chunk> =
            new.map(|one| &one.chunk).filter(|chunk| theirs.includes(chunk.changes().document)).collect();
        if new.is_empty() {
            return Ok(());
        }
        let frames: Vec<Vec<u8>> = if new.iter().map(|chunk| chunk.stored().len()).sum::<usize>() <= NEWS_BYTES_MAX {
            let chunks = new.iter().map(|chunk| Cow::Borrowed(chunk.stored())).collect();
            vec![Frame::Chunks { chunks, missing: Vec::new() }.encode()]
        } else {
            let items: BTreeSet<Item> = new.iter().map(|chunk| item_of(chunk)).collect();
            let items: Vec<Item> = items.into_iter().collect();
            items.chunks(ITEMS_MAX).map(|items| Frame::Offer { items: items.to_vec() }.encode()).collect()
        };
        for frame in frames {
            turn.say(self.key, frame);
        }
        Ok(())
    }

    fn farewell(&self, refusal: &Refusal) -> Option<Vec<u8>> {
        let Refusal::Because(message) = refusal else { return None };
        Some(Frame::Error { message: message.clone() }.encode())
    }
}

impl Replica {
    pub(super) fn new(key: PeerKey, first: bool, ours: Wanted) -> Self {
        Self {
            key,
            first,
            ours,
            theirs: None,
            lacking: BTreeSet::new(),
            asked: BTreeSet::new(),
            owed: BTreeSet::new(),
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            unsaid: BTreeSet::new(),
            presence: Presence::default(),
            again: false,
        }
    }

    fn say(&self, frame: &Frame<'_>, turn: &mut Turn<'_>) {
        turn.say(self.key, frame.encode());
    }

    fn hello(&self, ranges: Vec<Range>, held: &Held, turn: &mut Turn<'_>) {
        let (space, wanted) = (held.store.space(), self.ours.clone());
        self.say(&Frame::Hello { space, wanted, ranges }, turn);
    }

    fn reconcile(&self, ranges: Vec<Range>, _: &Held, turn: &mut Turn<'_>) {
        if !ranges.is_empty() {
            self.say(&Frame::Reconcile { ranges }, turn);
        }
    }

    /// They said what they want, and have of what they know that we want.
    fn greeted(&mut self, ranges: &[Range], held: &mut Held, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let unsaid = std::mem::take(&mut self.unsaid);
        let surplus = if self.first {
            let surplus = self.compare(ranges, held, turn, Self::reconcile)?;
            let new =
                unsaid.into_iter().filter(|item| self.theirs.as_ref().is_none_or(|them| them.includes(item.document)));
            BTreeSet::from_iter(surplus.into_iter().chain(new)).into_iter().take(ITEMS_MAX).collect()
        } else if self.ours == Wanted::All {
            self.compare(ranges, held, turn, Self::hello)?
        } else {
            // What they compared is more than what both of us speak of.
            let ranges = self.begin_anew(held)?;
            self.hello(ranges, held, turn);
            Vec::new()
        };
        self.offer(surplus, turn);
        self.offer_rest(held, turn)
    }

    /// Where a part is kept here, nothing else is compared: what is here besides, such as what was written before, is offered.
    fn offer_rest(&self, held: &Held, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let (Wanted::Only(kept), Some(theirs)) = (&self.ours, &self.theirs) else { return Ok(()) };
        let mut items = Vec::new();
        let scanned = held.store.items(&[], None, |document, chunk| {
            if !kept.contains(&document) && theirs.includes(document) {
                items.push(Item { document, chunk });
            }
            true
        });
        scanned.map_err(failed)?;
        for items in items.chunks(ITEMS_MAX) {
            self.say(&Frame::Offer { items: items.to_vec() }, turn);
        }
        Ok(())
    }

    fn begin_anew(&self, held: &Held) -> Result<Vec<Range>, Refusal> {
        let theirs = self.theirs.as_ref().unwrap_or(&Wanted::All);
        begin(&Shared { store: &held.store, ours: &self.ours, theirs }).map_err(failed)
    }

    /// Answers what they say that they have, and notes what we lack; gives what they do.
    fn compare(
        &mut self,
        ranges: &[Range],
        held: &Held,
        turn: &mut Turn<'_>,
        reply: fn(&Self, Vec<Range>, &Held, &mut Turn<'_>),
    ) -> Result<Vec<Item>, Refusal> {
        let theirs = self.theirs.as_ref().unwrap_or(&Wanted::All);
        let answer = answer(&Shared { store: &held.store, ours: &self.ours, theirs }, ranges).map_err(failed)?;
        self.again |= answer.lacking.len() == ITEMS_MAX;
        for item in answer.lacking {
            self.note(item);
        }
        reply(self, answer.ranges, held, turn);
        Ok(answer.surplus)
    }

    /// Offers what they lack, and asks for what we do.
    fn offer(&mut self, surplus: Vec<Item>, turn: &mut Turn<'_>) {
        if !surplus.is_empty() {
            self.say(&Frame::Offer { items: surplus }, turn);
        }
        self.ask(turn);
    }

    fn note(&mut self, item: Item) {
        if !self.ours.includes(item.document) {
            return;
        }
        if self.lacking.len() < LACKING_MAX {
            self.lacking.insert(item);
        } else {
            self.again = true;
        }
    }

    /// Asks for all that is lacking, unless they owe an answer: they send it in their order, a portion for each time that they
    /// are asked. A list that is full says that another follows.
    fn ask(&mut self, turn: &mut Turn<'_>) {
        if !self.asked.is_empty() || self.lacking.is_empty() {
            return;
        }
        self.asked.clone_from(&self.lacking);
        let items: Vec<Item> = self.asked.iter().copied().collect();
        for items in items.chunks(ITEMS_MAX) {
            self.say(&Frame::Want { items: items.to_vec() }, turn);
        }
        if items.len().is_multiple_of(ITEMS_MAX) {
            self.say(&Frame::Want { items: Vec::new() }, turn);
        }
    }

    /// Notes what they want, and sends a portion of all that they are owed once their list is at its end.
    fn send(&mut self, items: &[Item], held: &Held, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let theirs = self.theirs.as_ref().unwrap_or(&Wanted::All);
        let mut missing = Vec::new();
        for item in items {
            let place = held.store.place(item.document, item.chunk).map_err(failed)?;
            match place.filter(|_| theirs.includes(item.document)) {
                Some(place) if self.owed.len() < LACKING_MAX => {
                    self.owed.insert((item.document, place, item.chunk));
                }
                Some(_) => Err(format!("more than {LACKING_MAX} chunks are wanted at once"))?,
                None => missing.push(*item),
            }
        }
        if items.len() == ITEMS_MAX && missing.is_empty() {
            return Ok(());
        }
        let (mut chunks, mut bytes) = (Vec::new(), 0);
        while let Some((document, place, chunk)) = self.owed.first().copied().filter(|_| items.len() < ITEMS_MAX) {
            match held.store.stored(document, chunk, place).map_err(failed)? {
                Some(stored) if chunks.is_empty() || bytes + stored.len() <= held.limits.portion_bytes => {
                    bytes += stored.len();
                    chunks.push(Cow::Owned(stored));
                }
                Some(_) => break,
                None => missing.push(Item { document, chunk }),
            }
            self.owed.pop_first();
            if chunks.len() == Frame::CHUNKS_MAX || missing.len() == ITEMS_MAX {
                break;
            }
        }
        missing.sort_unstable();
        if !(chunks.is_empty() && missing.is_empty()) {
            self.say(&Frame::Chunks { chunks, missing }, turn);
        }
        Ok(())
    }

    /// They sent chunks: those that were asked for, or new ones.
    fn brought(
        &mut self,
        chunks: &[Cow<'_, [u8]>],
        missing: &[Item],
        held: &mut Held,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        if chunks.is_empty() && missing.is_empty() {
            Err("chunks were announced, and none came".to_owned())?;
        }
        let owed = self.asked.len();
        for item in missing {
            self.asked.remove(item);
            self.lacking.remove(item);
        }
        for bytes in chunks {
            let chunk = Chunk::decode(bytes).map_err(failed)?;
            let item = item_of(&chunk);
            if !self.ours.includes(item.document) {
                Err(format!("a chunk of {}, which nobody asked for", item.document))?;
            }
            self.asked.remove(&item);
            self.lacking.remove(&item);
            if held.take(&chunk, self.key, turn)? == Taken::Waits {
                self.wait(chunk, held);
            }
        }
        if owed > 0 && self.asked.is_empty() {
            self.ask(turn);
        } else if self.asked.len() < owed {
            self.say(&Frame::Want { items: Vec::new() }, turn);
        }
        if self.again && self.lacking.is_empty() {
            self.again = false;
            let ranges = self.begin_anew(held)?;
            self.reconcile(ranges, held, turn);
        }
        Ok(())
    }

    fn wait(&mut self, chunk: Chunk, held: &Held) {
        if self.waiting.contains_key(&chunk.id()) {
            return;
        }
        let length = chunk.stored().len();
        if self.waiting.len() < WAITING_MAX && self.waiting_bytes + length <= held.limits.waiting_bytes_max {
            self.waiting_bytes += length;
            self.waiting.insert(chunk.id(), chunk);
        } else {
            self.again = true;
        }
    }
}

fn item_of(chunk: &Chunk) -> Item {
    Item { document: chunk.changes().document, chunk: chunk.id() }
}
