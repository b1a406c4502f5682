//! What anybody may read: the blocks that a pin of a public kind reaches, and no other.
//!
//! Every block is asked about by itself, on the way too. A root that is public says nothing about what its bytes link to
//! under another codec.

use std::sync::Arc;

use nisse_model::ContentId;

use super::BlockStore;
use crate::unixfs::Blocks;
use crate::{StoreError, VerifiedBlock};

/// The public part of a store. It hides that anything else is held.
#[derive(Clone)]
pub struct PublicBlocks(Arc<BlockStore>);

impl PublicBlocks {
    /// What is public in `store`.
    pub fn of(store: &Arc<BlockStore>) -> Self {
        Self(Arc::clone(store))
    }

    /// Whether anybody may read the block.
    pub fn has(&self, cid: &ContentId) -> bool {
        self.0.is_public(cid)
    }

    /// How long the block is, from the index alone; `None` where it is not public or known to be damaged.
    pub fn block_bytes(&self, cid: &ContentId) -> Option<u64> {
        if self.has(cid) { self.0.block_bytes(&cid.digest()) } else { None }
    }
}

impl Blocks for PublicBlocks {
    fn block(&self, cid: &ContentId) -> Result<Option<VerifiedBlock>, StoreError> {
        if !self.has(cid) {
            return Ok(None);
        }
        if let Some(bytes) = self.0.verified.get(&cid.digest()) {
            return Ok(Some(VerifiedBlock::known(*cid, bytes)));
        }
        let block = self.0.get_block(cid)?;
        if let Some(block) = &block {
            self.0.verified.keep(cid.digest(), block.shared().clone());
        }
        Ok(block)
    }
}
