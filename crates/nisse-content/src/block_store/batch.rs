//! Blocks that are put together: one sync for all of them, and a hold that collections respect.

use std::collections::HashSet;
use std::io;
use std::sync::atomic::Ordering;

use nisse_model::ContentId;

use super::{AddError, BlockStore, PinError, StoreError};
use crate::VerifiedBlock;
use crate::unixfs::{FileBuilder, Profile};

impl BlockStore {
    /// Starts a batch: blocks that become durable together, with one sync.
    pub fn batch(&self) -> Batch<'_> {
        let id = self.next_batch.fetch_add(1, Ordering::Relaxed);
        self.write_index().held.insert(id, HashSet::new());
        Batch { store: self, id }
    }
}

/// Blocks that become durable together. While it lives, a collection keeps what it put; dropped without a commit, the
/// blocks stay until the next collection, as any that nothing pins.
pub struct Batch<'a> {
    store: &'a BlockStore,
    id: u64,
}

impl Batch<'_> {
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

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.store.write_index().held.remove(&self.id);
    }
}
