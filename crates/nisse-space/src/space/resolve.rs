//! Whose chunks count when credentials arrive.
//!
//! A chunk counts where its author had the right to make it, and no revocation cuts that off which it had not seen. One that
//! is cut off counts all the same where a chunk that counts stands on it: whoever signed that one had it, and vouches for it.
//! So what a revoked member wrote before they were revoked stays, whatever way it came, and what they write afterwards is
//! nobody's. The rest is set aside, and comes back if somebody vouches for it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use automerge::{Automerge, Change, ChangeHash, ReadDoc as _};
use nisse_model::{Did, Hash256, Word};

use super::held::Held;
use super::{Admitted, Author, Effect, Made, PeerKey, Space, SpaceError, Turn};
use crate::chunk::{Changes, Chunk, ChunkId};
use crate::document_id::DocumentId;
use crate::documents::empty;
use crate::gauge::guarded;
use crate::store::{Held as Kept, Standing, StoreError};
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
    /// Looks at the documents of all of whom something else is known than before.
    pub(super) fn judge_again(&mut self, turn: &mut Turn<'_>) -> Result<(), StoreError> {
        let mut documents = BTreeSet::new();
        for (name, standing) in self.store.standings()? {
            let word = turn.author.word(standing.made());
            if self.words.insert(name, word).unwrap_or(Word::Counts) != word {
                documents.extend(self.store.touched(name)?);
            }
        }
        for document in documents {
            self.resolve(document, None, turn)?;
        }
        Ok(())
    }

    /// Makes a document of the chunks that count, with one that just came.
    pub(super) fn resolve(
        &mut self,
        document: DocumentId,
        new: Option<(&Chunk, PeerKey)>,
        turn: &mut Turn<'_>,
    ) -> Result<(), StoreError> {
        let mut all = self.store.all_of(document)?;
        let had: BTreeSet<ChunkId> = all.iter().filter(|kept| !kept.is_aside).map(|kept| kept.id).collect();
        let count = all.len();
        all.extend(turn.of(document).chain(new.map(|(chunk, _)| chunk)).map(kept));
        let graph = Graph::of(&all);
        let counts: Vec<bool> =
            all.iter().map(|kept| turn.author.word(Made::of(&kept.changes)) == Word::Counts).collect();
        let (placed, aside) = graph.order(&graph.vouched(counts));
        let (placed, aside) = take_apart(all, &placed, &aside);
        let now: BTreeSet<ChunkId> = placed.iter().map(|kept| kept.id).collect();
        if now == had && count == placed.len() + aside.len() {
            return Ok(());
        }
        self.store.make_anew(document, &placed, &aside)?;
        self.aside_bytes = None;
        self.documents.drop(document);
        for one in turn.chunks.iter_mut().filter(|one| one.chunk.changes().document == document) {
            one.durable = true;
        }
        if let Some((chunk, from)) = new {
            turn.chunks.push(Admitted { chunk: chunk.clone(), from: Some(from), durable: true });
        }
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
            if Graph::of(&all).vouched(others).into_iter().all(|vouched| vouched) {
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
    /// The changes of each.
    brought: Vec<Vec<ChangeHash>>,
    /// Who brings a change.
    bringers: HashMap<ChangeHash, Vec<usize>>,
}

impl<'k> Graph<'k> {
    fn of(all: &'k [Kept]) -> Self {
        let hashes = |kept: &Kept| {
            changes_in(&kept.changes.bytes).unwrap_or_default().iter().map(Change::hash).collect::<Vec<_>>()
        };
        let brought: Vec<Vec<ChangeHash>> = all.iter().map(hashes).collect();
        let mut bringers = HashMap::<ChangeHash, Vec<usize>>::new();
        for (place, hashes) in brought.iter().enumerate() {
            for hash in hashes {
                bringers.entry(*hash).or_default().push(place);
            }
        }
        Self { all, brought, bringers }
    }

    /// These, and all that they stand on.
    fn vouched(&self, mut counts: Vec<bool>) -> Vec<bool> {
        let mut open: Vec<usize> = (0..counts.len()).filter(|place| counts[*place]).collect();
        while let Some(place) = open.pop() {
            for head in &self.all[place].changes.before {
                let bringers = self.bringers.get(head).map(Vec::as_slice).unwrap_or_default();
                if bringers.iter().any(|bringer| counts[*bringer]) {
                    continue;
                }
                for bringer in bringers {
                    counts[*bringer] = true;
                    open.push(*bringer);
                }
            }
        }
        counts
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
    /// left over.
    fn order(&self, counts: &[bool]) -> (Vec<usize>, Vec<usize>) {
        let mut document = empty();
        let (mut placed, mut there) = (Vec::new(), HashSet::<ChangeHash>::new());
        let mut left: Vec<usize> = (0..self.all.len()).filter(|place| counts[*place]).collect();
        let mut aside: Vec<usize> = (0..self.all.len()).filter(|place| !counts[*place]).collect();
        loop {
            let before = left.len();
            let mut later = Vec::new();
            for place in left {
                let changes = &self.all[place].changes;
                if !changes.before.iter().all(|head| there.contains(head)) {
                    later.push(place);
                    continue;
                }
                let applied = guarded(|| document.load_incremental(&changes.bytes));
                let brought = &self.brought[place];
                let taken = matches!(applied, Ok(Ok(_)))
                    && brought.iter().all(|hash| document.get_change_by_hash(hash).is_some());
                if taken {
                    there.extend(brought);
                    placed.push(place);
                } else {
                    // What it left half done is nowhere.
                    document = self.document_of(&placed);
                    aside.push(place);
                }
            }
            left = later;
            if left.is_empty() || left.len() == before {
                aside.extend(left);
                return (placed, aside);
            }
        }
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
