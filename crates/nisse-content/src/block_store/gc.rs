//! Collection: packs that hold something nothing pins are copied without it, then removed.
//!
//! The copy is synced before the old pack goes, so a power cut at any moment leaves each live block at least once. What
//! needs no room goes first, and a copy for which there is none is taken back: a full disk gets fuller by none of it.

use std::collections::{BTreeMap, HashSet};

use nisse_model::{ByteSize, ContentId, Hash256};

use super::pack::record_bytes;
use super::walk::{WalkError, reach};
use super::{BlockStore, Location};
use crate::StoreError;

/// What a collection did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Blocks that are gone.
    pub blocks: u64,
    /// Bytes of pack files that are free again.
    pub freed: ByteSize,
    /// Live blocks that were copied.
    pub copied: u64,
    /// Packs that stay as they are because a live block in them is damaged.
    pub damaged_packs: u64,
    /// Packs that stay as they are because the disk has no room for a copy of what is live in them.
    pub crowded_packs: u64,
    /// The least room in which one of these would be copied; zero where there is none.
    pub room_needed: ByteSize,
}

impl Collected {
    /// What stays though nothing pins it, in one sentence.
    pub fn left(&self) -> Option<String> {
        let crowded = (self.crowded_packs > 0).then(|| {
            format!(
                "packs that stay, for the disk has no room for a copy of what is kept in them: {}; with {} more room the \
                 next collection goes on",
                self.crowded_packs, self.room_needed
            )
        });
        let damaged = (self.damaged_packs > 0).then(|| {
            format!(
                "packs that stay, for a block that is kept in them is damaged: {}; add its content again",
                self.damaged_packs
            )
        });
        let said: Vec<String> = crowded.into_iter().chain(damaged).collect();
        (!said.is_empty()).then(|| said.join("; "))
    }
}

/// Why nothing was collected.
#[derive(Debug, thiserror::Error)]
pub enum GcError {
    /// What lies beneath a pin is not known in full, so that what it still needs could be lost.
    #[error("collect: not all of pin `{name}` is held")]
    BrokenPin {
        /// Which pin.
        name: String,
        /// What is missing.
        source: WalkError,
    },
    /// The disk is full, and no pack can go before what is kept in it has been copied.
    #[error("collect: {needed} that are kept must be copied first, and the disk has no room for them")]
    NoRoom {
        /// The least room that lets a pack go.
        needed: ByteSize,
    },
    /// The store failed; what was copied so far is safe, and the rest as it was.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl GcError {
    /// What to do about it, if there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::BrokenPin { name, .. } => {
                Some(format!("add or fetch its content again, or give it up with `nisse content rm {name}`"))
            }
            Self::NoRoom { needed } => {
                Some(format!("free {needed} on the disk, then run `nisse content gc` again; nothing is lost meanwhile"))
            }
            Self::Store(error) => error.hint(),
        }
    }
}

impl BlockStore {
    /// Removes every block that no pin reaches and no open batch holds. Writers wait; readers do not.
    pub fn gc(&self) -> Result<Collected, GcError> {
        self.check_running()?;
        let log = self.lock_pins();
        let mut live: HashSet<Hash256> = HashSet::new();
        for (name, roots) in &log.live {
            let reached = reach(self, roots);
            if let Some(source) = reached.broken {
                return Err(GcError::BrokenPin { name: name.clone(), source });
            }
            live.extend(reached.digests);
        }
        let mut packs = self.lock_packs();
        self.seal(&mut packs)?;
        let by_pack = {
            let index = self.read_index();
            live.extend(index.held.values().flatten());
            let mut by_pack: BTreeMap<u32, Vec<(Hash256, Location)>> = BTreeMap::new();
            for (digest, location) in index.blocks.iter().filter(|(digest, _)| live.contains(digest)) {
                by_pack.entry(location.pack).or_default().push((*digest, *location));
            }
            by_pack
        };
        let mut collected = Collected::default();
        let before = self.read_index().stored_bytes;
        let live_bytes = |number: &u32| -> u64 {
            by_pack.get(number).into_iter().flatten().map(|(_, location)| record_bytes(location.length)).sum()
        };
        let mut wasteful: Vec<(u64, u32, u64)> =
            packs.sealed.iter().map(|(number, bytes)| (live_bytes(number), *number, *bytes)).collect();
        wasteful.retain(|(live, _, bytes)| live != bytes);
        // The less is copied for a pack, the sooner its room is there for the copies of the next.
        wasteful.sort_unstable();
        for (live, number, bytes) in wasteful {
            let keep = by_pack.get(&number).map_or(&[][..], Vec::as_slice);
            match self.copy_out(&mut packs, keep) {
                Ok(true) => collected.copied += keep.len() as u64,
                Ok(false) => {
                    collected.damaged_packs += 1;
                    continue;
                }
                Err(error) if error.is_no_room() => {
                    if collected.crowded_packs == 0 {
                        collected.room_needed = ByteSize(live);
                    }
                    collected.crowded_packs += 1;
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            collected.blocks += self.forget(number);
            self.remove_pack(&mut packs, number, bytes)?;
        }
        self.sync(&mut packs)?;
        collected.freed = ByteSize(before.saturating_sub(self.read_index().stored_bytes));
        if collected.crowded_packs > 0 && collected.blocks == 0 {
            return Err(GcError::NoRoom { needed: collected.room_needed });
        }
        Ok(collected)
    }

    /// Copies live blocks into the active pack, each hashed on the way, and places them there once they are durable.
    /// False when one of them is damaged. What was not copied to its end is taken back.
    fn copy_out(&self, packs: &mut super::Packs, keep: &[(Hash256, Location)]) -> Result<bool, StoreError> {
        let end = Self::end_of(packs);
        let copied = self.copy(packs, keep);
        let Ok(Some(placed)) = copied else {
            self.take_back(packs, end);
            return copied.map(|_| false);
        };
        self.sync(packs)?;
        let mut index = self.write_index();
        placed.into_iter().for_each(|(digest, location)| index.place(digest, location));
        Ok(true)
    }

    /// Where each block was copied to, or `None` when one of them is damaged.
    fn copy(
        &self,
        packs: &mut super::Packs,
        keep: &[(Hash256, Location)],
    ) -> Result<Option<Vec<(Hash256, Location)>>, StoreError> {
        let mut keep = keep.to_vec();
        keep.sort_by_key(|(_, location)| location.offset);
        let mut placed = Vec::with_capacity(keep.len());
        for (digest, _) in keep {
            match self.get_block(&ContentId::raw(digest)) {
                Ok(Some(block)) => placed.push((digest, self.write_record(packs, digest, block.bytes())?)),
                Ok(None) => {}
                Err(StoreError::Damaged { .. }) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(Some(placed))
    }

    /// Drops from the index what still stands in a pack.
    fn forget(&self, pack: u32) -> u64 {
        let mut index = self.write_index();
        let before = index.blocks.len();
        index.blocks.retain(|_, location| location.pack != pack);
        let gone = before - index.blocks.len();
        let index = &mut *index;
        index.damaged.retain(|digest| index.blocks.contains_key(digest));
        index.found.retain(|digest| index.blocks.contains_key(digest));
        gone as u64
    }
}
