//! Blocks that were read and hashed a moment ago.
//!
//! Whoever reads a block in parts, a range or a piece at a time, costs the disk and the processor one whole block, not
//! one for each part.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use nisse_model::Hash256;

/// What is held of blocks that were verified, in bytes.
pub const VERIFIED_BYTES_MAX: usize = 16 << 20;
/// What an entry counts besides its block.
const ENTRY_BYTES: usize = 256;

/// The blocks that were asked for last. It gives out nothing that it was not given.
#[derive(Default)]
pub(super) struct VerifiedCache(Mutex<Cached>);

#[derive(Default)]
struct Cached {
    blocks: HashMap<Hash256, (Bytes, u64)>,
    /// By when each was asked for last.
    by_age: BTreeMap<u64, Hash256>,
    asked: u64,
    bytes: usize,
}

impl VerifiedCache {
    /// The block's bytes, if they are here.
    pub(super) fn get(&self, digest: &Hash256) -> Option<Bytes> {
        let cached = &mut *self.lock();
        let (bytes, age) = cached.blocks.get_mut(digest)?;
        cached.by_age.remove(age);
        cached.asked += 1;
        *age = cached.asked;
        cached.by_age.insert(*age, *digest);
        Some(bytes.clone())
    }

    /// Keeps a block whose bytes were hashed.
    pub(super) fn keep(&self, digest: Hash256, bytes: Bytes) {
        let cached = &mut *self.lock();
        cached.asked += 1;
        cached.bytes += bytes.len() + ENTRY_BYTES;
        cached.by_age.insert(cached.asked, digest);
        if let Some((same, age)) = cached.blocks.insert(digest, (bytes, cached.asked)) {
            cached.bytes -= same.len() + ENTRY_BYTES;
            cached.by_age.remove(&age);
        }
        while cached.bytes > VERIFIED_BYTES_MAX
            && let Some((_, oldest)) = cached.by_age.pop_first()
        {
            if let Some((gone, _)) = cached.blocks.remove(&oldest) {
                cached.bytes -= gone.len() + ENTRY_BYTES;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Cached> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_longest_ago_goes_first_and_the_limit_is_held() {
        let cache = VerifiedCache::default();
        let digest = |seed: u32| Hash256::of(&seed.to_be_bytes());
        let block = Bytes::from(vec![0; 1 << 20]);
        for seed in 0..40 {
            cache.keep(digest(seed), block.clone());
            cache.keep(digest(seed), block.clone());
            assert!(cache.get(&digest(0)).is_some(), "{seed}");
            assert!(cache.lock().bytes <= VERIFIED_BYTES_MAX);
        }
        assert!(cache.get(&digest(1)).is_none() && cache.get(&digest(39)).is_some());
        let cached = cache.lock();
        assert_eq!((cached.blocks.len(), cached.by_age.len()), (15, 15));
        assert_eq!(cached.bytes, 15 * ((1 << 20) + ENTRY_BYTES));
    }

    #[test]
    fn blocks_without_bytes_fill_it_too() {
        let cache = VerifiedCache::default();
        (0..100_000_u32).for_each(|seed| cache.keep(Hash256::of(&seed.to_be_bytes()), Bytes::new()));
        assert_eq!(cache.lock().blocks.len(), VERIFIED_BYTES_MAX / ENTRY_BYTES);
    }
}
