//! Whose chunks count when credentials arrive.
//!
//! A chunk counts where its author had the right to make it, and no revocation cuts that off which it had not seen. One that
//! is cut off counts all the same where a chunk that counts stands on it: whoever signed that one had it, and vouches for it.
//! So what a revoked member wrote before they were revoked stays, whatever way it came, and what they write afterwards is
//! nobody's. The rest is set aside, and comes back if somebody vouches for it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use automerge::{Automerge, Change, ChangeHash};
use nisse_model::{Did, Hash256, Word};

use super::held::Held;
use super::{Admitted, Author, Effect, Made, Space, SpaceError, SpaceLimits, Turn, taking};
use crate::chunk::{Changes, Chunk, ChunkId};
use crate::document_id::DocumentId;
use crate::documents::empty;
use crate::gauge::{self, guarded};
use crate::store::{Kept, Standing, StoreError};
use crate::vouched::changes_in;

/// What was known of each standing when it was looked at last.
pub(super) type Words = BTreeMap<Hash256, Word>;

impl Standing {
    fn made(&self) -> Made<'_> {
        let Self { author, identity, subject, seen, signed } = self;
        Made { author: *author, identity: *identity, subject: *subject, seen, signed: *signed }
    }

    /// Whether somebody made it, or it was made for them.
    fn is_of(&self, who: Did) -> bool {
        is_of((self.author, self.identity, self.subject), who)
    }
}

fn is_of((author, identity, subject): (Did, Did, Option<Did>), who: Did) -> bool {
    author == who || identity == who || subject == Some(who)
}

impl Held {
    /// Looks at the documents of all of whom something else is known than before, and at all that have something set aside.
    pub(super) fn judge_again(&mut self, turn: &mut Turn<'_>) -> Result<(), StoreError> {
        let mut documents = self.store.with_aside()?;
        for (name, standing) in self.store.standings()? {
            let word = turn.author.word(standing.made());
            if self.words.insert(name, word).unwrap_or(Word::Counts) != word {
                documents.extend(self.store.touched(name)?);
            }
        }
        for document in documents {
            self.resolve(document, turn)?;
        }
        Ok(())
    }

    /// Finds a place for what is not simply put behind what is there.
    pub(super) fn place(&mut self, turn: &mut Turn<'_>) -> Result<(), StoreError> {
        let documents: Vec<DocumentId> = turn.unplaced.keys().copied().collect();
        documents.into_iter().try_for_each(|document| self.resolve(document, turn))
    }

    /// Makes a document of the chunks that count, with those that just came.
    fn resolve(&mut self, document: DocumentId, turn: &mut Turn<'_>) -> Result<(), StoreError> {
        let new = turn.unplaced.remove(&document).unwrap_or_default();
        let mut all = self.store.all_of(document)?;
        let had: BTreeSet<ChunkId> = all.iter().filter(|kept| !kept.is_aside).map(|kept| kept.id).collect();
        let count = all.len();
        all.extend(turn.of(document).chain(new.iter().map(|(chunk, _)| chunk)).map(kept));
        let counts: Vec<bool> =
            all.iter().map(|kept| turn.author.word(Made::of(&kept.changes)) == Word::Counts).collect();
        let graph = Graph::of(&all, &self.limits);
        let (placed, aside, heads) = graph.order(&graph.vouched(counts));
        let (placed, aside) = take_apart(all, &placed, &aside);
        let now: BTreeSet<ChunkId> = placed.iter().map(|kept| kept.id).collect();
        if now == had && count == placed.len() + aside.len() {
            return Ok(());
        }
        self.store.make_anew(document, (&placed, heads), &aside)?;
        self.aside_bytes = None;
        self.documents.drop(document);
        for one in turn.chunks.iter_mut().filter(|one| one.chunk.changes().document == document) {
            one.durable = true;
        }
        turn.chunks.extend(new.into_iter().map(|(chunk, from)| Admitted { chunk, from: Some(from), durable: true }));
        turn.changed.insert(document);
        if !had.is_subset(&now) {
            turn.lost.insert(document);
        }
        Ok(())
    }
}

impl Space {
    /// Vouches for what somebody wrote who is about to be cut off, as far as nobody else does: it stays. Durable when this
    /// returns; the effects are for those who are connected.
    pub fn vouch_for(&mut self, who: Did, author: &dyn Author) -> Result<Vec<Effect>, SpaceError> {
        if let Some(fault) = &self.held.fault {
            return Err(SpaceError::ReadOnly(fault.clone()));
        }
        let mut turn = Turn::new(author);
        let mut documents = BTreeSet::new();
        for (name, standing) in self.held.store.standings()? {
            if standing.is_of(who) {
                documents.extend(self.held.store.touched(name)?);
            }
        }
        for document in documents {
            let mut all = self.held.store.all_of(document)?;
            all.retain(|kept| !kept.is_aside);
            let theirs = |changes: &Changes| is_of((changes.author, changes.identity, changes.subject), who);
            let others: Vec<bool> = all
                .iter()
                .map(|kept| !theirs(&kept.changes) && author.word(Made::of(&kept.changes)) == Word::Counts)
                .collect();
            let vouched = Graph::of(&all, &self.held.limits).vouched(others);
            if vouched.iter().zip(&all).all(|(vouched, kept)| *vouched || kept.changes.only_vouches()) {
                continue;
            }
            let Some(summary) = self.held.store.summary(document)? else { continue };
            let heads = (summary.heads.clone(), summary.heads);
            let chunk = self.held.admit(document, None, heads, Vec::new(), author)?;
            turn.take(chunk);
        }
        self.conclude(&mut turn);
        match &self.held.fault {
            Some(fault) => Err(SpaceError::ReadOnly(fault.clone())),
            None => Ok(turn.effects),
        }
    }
}

fn kept(chunk: &Chunk) -> Kept {
    Kept { id: chunk.id(), stored: chunk.stored().to_vec(), changes: chunk.changes().clone(), is_aside: false }
}

/// What stands on what among the chunks of one document.
struct Graph<'k> {
    all: &'k [Kept],
    limits: &'k SpaceLimits,
    /// The changes of each; none of one that is not to be given to automerge.
    brought: Vec<Vec<ChangeHash>>,
    /// What each change stands on.
    deps: HashMap<ChangeHash, Vec<ChangeHash>>,
}

impl<'k> Graph<'k> {
    fn of(all: &'k [Kept], limits: &'k SpaceLimits) -> Self {
        let mut deps = HashMap::new();
        let mut brought = Vec::with_capacity(all.len());
        for kept in all {
            let bytes = &kept.changes.bytes;
            let is_small = gauge::measure(bytes, &limits.message).is_ok();
            let changes = is_small.then(|| changes_in(bytes)).flatten().unwrap_or_default();
            brought.push(changes.iter().map(Change::hash).collect());
            deps.extend(changes.iter().map(|change| (change.hash(), change.deps().to_vec())));
        }
        Self { all, limits, brought, deps }
    }

    /// These, and those that bring nothing but what they stand on. Whatever order chunks came in, it comes to the same.
    fn vouched(&self, mut counts: Vec<bool>) -> Vec<bool> {
        let mut had = HashSet::new();
        for place in (0..counts.len()).filter(|place| counts[*place]) {
            self.have(place, &mut had);
        }
        loop {
            let before = had.len();
            let mut any = false;
            for (place, counts) in counts.iter_mut().enumerate() {
                let brought = &self.brought[place];
                if !*counts && !brought.is_empty() && brought.iter().all(|change| had.contains(change)) {
                    *counts = true;
                    any = true;
                    self.have(place, &mut had);
                }
            }
            if !any && had.len() == before {
                return counts;
            }
        }
    }

    /// Notes what the author of a chunk had: what it brought, and all that that stands on.
    fn have(&self, place: usize, had: &mut HashSet<ChangeHash>) {
        let mut open: Vec<ChangeHash> = self.all[place].changes.before.clone();
        open.extend(&self.brought[place]);
        while let Some(change) = open.pop() {
            if had.insert(change) {
                open.extend(self.deps.get(&change).into_iter().flatten());
            }
        }
    }

    /// What automerge makes of these, which it took before.
    fn document_of(&self, placed: &[usize]) -> Automerge {
        let mut document = empty();
        for place in placed {
            // It did before.
            let _ = guarded(|| document.load_incremental(&self.all[*place].changes.bytes).map(drop));
        }
        document
    }

    /// Puts those that count behind what they stand on, as far as that is here and automerge takes them; and says which are
    /// left over, and the heads. Of those that could come next the one with the lowest name does, so that of two that exclude each other
    /// the same is placed everywhere.
    fn order(&self, counts: &[bool]) -> (Vec<usize>, Vec<usize>, Vec<ChangeHash>) {
        let (mut document, mut bytes) = (empty(), 0);
        let (mut placed, mut there) = (Vec::new(), HashSet::<ChangeHash>::new());
        let mut aside: Vec<usize> = (0..self.all.len()).filter(|place| !counts[*place]).collect();
        // By what they wait for: each is looked at again only when that is there.
        let mut waiting = HashMap::<ChangeHash, Vec<usize>>::new();
        let mut ready = BTreeSet::new();
        let missing = |place: usize, there: &HashSet<ChangeHash>| {
            self.all[place].changes.before.iter().copied().find(|head| !there.contains(head))
        };
        for place in (0..self.all.len()).filter(|place| counts[*place]) {
            match missing(place, &there) {
                Some(head) => waiting.entry(head).or_default().push(place),
                None => drop(ready.insert((self.all[place].id, place))),
            }
        }
        while let Some((_, place)) = ready.pop_first() {
            let changes = &self.all[place].changes;
            let is_read = changes.only_vouches() || !self.brought[place].is_empty();
            if !is_read || taking::apply(changes, &mut document, bytes, self.limits).is_err() {
                // What it left half done is nowhere.
                document = self.document_of(&placed);
                aside.push(place);
                continue;
            }
            bytes += changes.bytes.len() as u64;
            placed.push(place);
            for change in &self.brought[place] {
                if there.insert(*change) {
                    for waits in waiting.remove(change).unwrap_or_default() {
                        match missing(waits, &there) {
                            Some(head) => waiting.entry(head).or_default().push(waits),
                            None => drop(ready.insert((self.all[waits].id, waits))),
                        }
                    }
                }
            }
        }
        aside.extend(waiting.into_values().flatten());
        (placed, aside, document.get_heads())
    }
}

/// Those that are placed, in their order, and those that are set aside; each once.
fn take_apart(all: Vec<Kept>, placed: &[usize], aside: &[usize]) -> (Vec<Kept>, Vec<Kept>) {
    let mut all: Vec<Option<Kept>> = all.into_iter().map(Some).collect();
    let mut taken = BTreeSet::new();
    let mut pick = |places: &[usize]| -> Vec<Kept> {
        let picked = places.iter().filter_map(|place| all[*place].take());
        picked.filter(|kept| taken.insert(kept.id)).collect()
    };
    (pick(placed), pick(aside))
}
