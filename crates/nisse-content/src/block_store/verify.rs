//! Reading back all that somebody needs: every block is fetched from the disk and hashed, and what cannot be had is
//! named with everybody who misses it.

use std::collections::{HashMap, HashSet};

use nisse_model::{ByteSize, CidCodec, ContentId, Hash256};

use super::walk::{DAG_BLOCKS_MAX, WalkError, links_of};
use super::{BlockStore, Pin};

/// Faults that are named; more are counted.
pub const FAULTS_MAX: usize = 100;
/// Of those who miss one block, so many are named.
pub const MISSED_BY_MAX: usize = 8;

/// Roots with all that lies beneath them, and who needs that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// Who, as it is told: ``pin `added/…` ``.
    pub by: String,
    /// What.
    pub roots: Vec<ContentId>,
}

/// A block that is needed and cannot be had.
#[derive(Debug)]
pub struct Fault {
    /// Which.
    pub cid: ContentId,
    /// Why not.
    pub why: WalkError,
    /// Who needs it: at most [`MISSED_BY_MAX`] of them, each once.
    pub missed_by: Vec<String>,
}

/// What reading everything back found.
#[derive(Debug, Default)]
pub struct Verified {
    /// Blocks that are as they should be, each once.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: ByteSize,
    /// Those that are not; at most [`FAULTS_MAX`].
    pub faults: Vec<Fault>,
    /// Faults beyond these.
    pub faults_left_out: u64,
}

impl From<&Pin> for Need {
    fn from(pin: &Pin) -> Self {
        Self { by: format!("pin `{}`", pin.name), roots: pin.roots.clone() }
    }
}

impl BlockStore {
    /// Reads and hashes every block beneath what is needed. Reads the disk for as long as that takes, one block at a
    /// time, and holds up nobody.
    pub fn verify(&self, needs: &[Need]) -> Verified {
        let mut reading = Reading { store: self, looked: HashMap::new(), verified: Verified::default() };
        needs.iter().for_each(|need| reading.read(need));
        reading.verified
    }
}

/// What is known of a block that was looked at.
#[derive(Clone, Copy)]
enum Looked {
    Sound,
    /// Its place among the faults; `None` for one that is only counted.
    Faulty(Option<usize>),
}

struct Reading<'a> {
    store: &'a BlockStore,
    /// The same bytes may be linked as raw and as dag-pb, and only the one be sound.
    looked: HashMap<(Hash256, CidCodec), Looked>,
    verified: Verified,
}

impl Reading<'_> {
    fn read(&mut self, need: &Need) {
        let mut pending: Vec<ContentId> = need.roots.iter().rev().copied().collect();
        let mut seen = HashSet::new();
        while let Some(cid) = pending.pop() {
            if !seen.insert((cid.digest(), cid.codec())) {
                continue;
            }
            if seen.len() > DAG_BLOCKS_MAX {
                let place = self.fault(cid, WalkError::TooManyBlocks);
                return self.missed(place, need);
            }
            match self.looked.get(&(cid.digest(), cid.codec())).copied() {
                Some(Looked::Faulty(place)) => self.missed(place, need),
                // A leaf that was read once is not read again; a node is, for its links.
                Some(Looked::Sound) if cid.codec() == CidCodec::Raw => {}
                known => self.look(cid, known.is_none(), need, &mut pending),
            }
        }
    }

    fn look(&mut self, cid: ContentId, is_first: bool, need: &Need, pending: &mut Vec<ContentId>) {
        let (place, looked) = ((cid.digest(), cid.codec()), self.fetch(cid));
        match looked {
            Ok((bytes, links)) => {
                pending.extend(links.into_iter().rev());
                self.looked.insert(place, Looked::Sound);
                if is_first {
                    self.verified.blocks += 1;
                    self.verified.bytes.0 += bytes;
                }
            }
            Err(why) => {
                let fault = self.fault(cid, why);
                self.looked.insert(place, Looked::Faulty(fault));
                self.missed(fault, need);
            }
        }
    }

    /// A block's bytes, hashed and counted, and what it links.
    fn fetch(&self, cid: ContentId) -> Result<(u64, Vec<ContentId>), WalkError> {
        let block = self.store.get_block(&cid)?.ok_or(WalkError::NotHeld(cid))?;
        Ok((block.bytes().len() as u64, links_of(&block)?))
    }

    fn fault(&mut self, cid: ContentId, why: WalkError) -> Option<usize> {
        let place = self.verified.faults.len();
        if place == FAULTS_MAX {
            self.verified.faults_left_out += 1;
            return None;
        }
        self.verified.faults.push(Fault { cid, why, missed_by: Vec::new() });
        Some(place)
    }

    fn missed(&mut self, place: Option<usize>, need: &Need) {
        let Some(fault) = place.and_then(|place| self.verified.faults.get_mut(place)) else { return };
        if fault.missed_by.len() < MISSED_BY_MAX && !fault.missed_by.contains(&need.by) {
            fault.missed_by.push(need.by.clone());
        }
    }
}
