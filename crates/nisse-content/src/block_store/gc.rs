//! Collection: packs that hold something nothing pins are copied without it, then removed.
//!
//! The copy is synced before the old pack goes, so a power cut at any moment leaves each live block at least once.

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
        for (number, bytes) in packs.sealed.clone() {
            let keep = by_pack.get(&number).map_or(&[][..], Vec::as_slice);
            let live_bytes: u64 = keep.iter().map(|(_, location)| record_bytes(location.length)).sum();
            if live_bytes == bytes {
                continue;
            }
            if !self.copy_out(&mut packs, keep)? {
                collected.damaged_packs += 1;
                continue;
            }
            collected.copied += keep.len() as u64;
            // The copies are durable before the index forgets the rest and the pack goes.
            self.sync(&mut packs)?;
            collected.blocks += self.forget(number);
            self.remove_pack(&mut packs, number, bytes)?;
        }
        self.sync(&mut packs)?;
        collected.freed = ByteSize(before.saturating_sub(self.read_index().stored_bytes));
        Ok(collected)
    }

    /// Copies live blocks into the active pack, each hashed on the way. False when one of them is damaged.
    fn copy_out(&self, packs: &mut super::Packs, keep: &[(Hash256, Location)]) -> Result<bool, StoreError> {
        let mut keep = keep.to_vec();
        keep.sort_by_key(|(_, location)| location.offset);
        for (digest, _) in keep {
            match self.get_block(&ContentId::raw(digest)) {
                Ok(Some(block)) => self.append(packs, digest, block.bytes(), None)?,
                Ok(None) => {}
                Err(StoreError::Damaged { .. }) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Drops from the index what still stands in a pack.
    fn forget(&self, pack: u32) -> u64 {
        let mut index = self.write_index();
        let before = index.blocks.len();
        index.blocks.retain(|_, location| location.pack != pack);
        let gone = before - index.blocks.len();
        let index = &mut *index;
        index.damaged.retain(|digest| index.blocks.contains_key(digest));
        gone as u64
    }
}
