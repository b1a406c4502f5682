//! Blocks that are put together: one sync for all of them, and a hold that collections respect.

use std::collections::HashSet;
use std::io;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use nisse_model::{ContentId, Hash256};

use super::walk::reach;
use super::{AddError, BlockStore, PinError, StoreError};
use crate::VerifiedBlock;
use crate::unixfs::{FileBuilder, Profile};

impl BlockStore {
    /// Starts a batch: blocks that become durable together, with one sync.
    pub fn batch(&self) -> Batch<&Self> {
        Batch::begin(self)
    }

    /// The same for work that goes on elsewhere.
    pub fn shared_batch(self: &Arc<Self>) -> Batch<Arc<Self>> {
        Batch::begin(Arc::clone(self))
    }
}

/// Blocks that become durable together. While it lives, a collection keeps what it put; dropped without a commit, the
/// blocks stay until the next collection, as any that nothing pins.
pub struct Batch<S: Deref<Target = BlockStore>> {
    store: S,
    id: u64,
}

impl<S: Deref<Target = BlockStore>> Batch<S> {
    fn begin(store: S) -> Self {
        let id = store.next_batch.fetch_add(1, Ordering::Relaxed);
        store.write_index().held.insert(id, HashSet::new());
        Self { store, id }
    }

    /// Puts one block, unless it is held already.
    pub fn put<B: AsRef<[u8]>>(&self, block: &VerifiedBlock<B>) -> Result<(), StoreError> {
        self.store.check_running()?;
        let mut packs = self.store.lock_packs();
        let digest = block.cid().digest();
        let known = {
            let mut index = self.store.write_index();
            index.held.entry(self.id).or_default().insert(digest);
            index.blocks.contains_key(&digest) && !index.damaged.contains(&digest)
        };
        if known { Ok(()) } else { self.store.append(&mut packs, digest, block.bytes(), self.store.options.quota) }
    }

    /// Puts one block that came from another node: anybody may have it.
    pub fn put_found<B: AsRef<[u8]>>(&self, block: &VerifiedBlock<B>) -> Result<(), StoreError> {
        self.put(block)?;
        self.store.write_index().found.insert(block.cid().digest());
        Ok(())
    }

    /// Holds all that lies beneath `root` as if this batch had put it. `false` where not all of it is here.
    ///
    /// With `public_only`, a block counts as here only if a public pin reaches it or it was found elsewhere
    /// ([`Batch::put_found`]): whoever names content by its id alone gets nothing that is private here.
    pub fn take(&self, root: ContentId, public_only: bool) -> bool {
        let reached = reach(&self.store, &[root]);
        if reached.broken.is_some() {
            return false;
        }
        // A collection under way has counted what is held already.
        let _packs = self.store.lock_packs();
        let mut index = self.store.write_index();
        let is_public = |digest: &Hash256| index.pinned.get(digest).is_some_and(|pins| pins.public > 0);
        let is_open = |digest: &Hash256| !public_only || index.found.contains(digest) || is_public(digest);
        let here = |digest: &Hash256| index.blocks.contains_key(digest) && is_open(digest);
        if !reached.digests.iter().all(here) {
            return false;
        }
        index.held.entry(self.id).or_default().extend(reached.digests);
        true
    }

    /// Cuts a stream into a file's blocks and puts them. Nothing is durable before the commit.
    pub fn add(&self, reader: &mut dyn io::Read, profile: Profile) -> Result<ContentId, AddError> {
        let mut builder = FileBuilder::new(profile);
        let mut sink = |block: VerifiedBlock<&[u8]>| self.put(&block);
        let mut buffer = vec![0; profile.chunk_bytes()];
        loop {
            // Filled as far as possible, so that whole chunks are hashed where they lie.
            let mut filled = 0;
            while filled < buffer.len() {
                match reader.read(&mut buffer[filled..]) {
                    Ok(0) => break,
                    Ok(count) => filled += count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(AddError::Read(error)),
                }
            }
            builder.write(&buffer[..filled], &mut sink)?;
            if filled < buffer.len() {
                return Ok(builder.finish(&mut sink)?);
            }
        }
    }

    /// One sync makes all of it durable.
    pub fn commit(self) -> Result<(), StoreError> {
        self.store.sync(&mut self.store.lock_packs())
    }

    /// Makes all of it durable, then pins `roots` under `name`, in this order.
    pub fn commit_and_pin(self, name: &str, roots: &[ContentId]) -> Result<(), PinError> {
        self.store.pin(name, roots)
    }
}

impl<S: Deref<Target = BlockStore>> Drop for Batch<S> {
    fn drop(&mut self) {
        self.store.write_index().held.remove(&self.id);
    }
}
