//! Visits every block beneath some roots, each once.

use std::collections::HashSet;

use nisse_model::{CidCodec, ContentId, Hash256};

use super::BlockStore;
use crate::unixfs::{Blocks, Node, NodeError};
use crate::{StoreError, VerifiedBlock};

/// Blocks beneath one pin: a tebibyte in the default profile.
pub(crate) const DAG_BLOCKS_MAX: usize = 1 << 20;

/// What lies beneath some roots.
#[derive(Debug, Default)]
pub(super) struct Reached {
    /// Each block that is held, once.
    pub(super) digests: HashSet<Hash256>,
    /// Their bytes.
    pub(super) bytes: u64,
    /// Why some of it is not there, if so.
    pub(super) broken: Option<WalkError>,
}

/// Why the blocks beneath a root cannot all be named.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// A block is missing.
    #[error("find block {0}")]
    NotHeld(ContentId),
    /// A block is spoilt, or the disk failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A dag-pb block that is not UnixFS, so that its links are unknown.
    #[error("read node {cid}")]
    Node {
        /// Which.
        cid: ContentId,
        /// What is wrong with it.
        source: NodeError,
    },
    /// More than can be held by one pin.
    #[error("walk more than {DAG_BLOCKS_MAX} blocks")]
    TooManyBlocks,
}

/// Walks all it can reach, and keeps the first reason why that is not all.
pub(super) fn reach(store: &BlockStore, roots: &[ContentId]) -> Reached {
    let mut reached = Reached::default();
    let mut pending: Vec<ContentId> = roots.iter().rev().copied().collect();
    // One block may be linked as raw and as dag-pb: it is visited once for each.
    let mut seen = HashSet::new();
    while let Some(cid) = pending.pop() {
        if !seen.insert((cid.digest(), cid.codec())) {
            continue;
        }
        if seen.len() > DAG_BLOCKS_MAX {
            reached.broken.get_or_insert(WalkError::TooManyBlocks);
            return reached;
        }
        match visit(store, cid, &mut pending) {
            Ok(bytes) if reached.digests.insert(cid.digest()) => reached.bytes += bytes,
            Ok(_) => {}
            Err(error) => {
                reached.broken.get_or_insert(error);
            }
        }
    }
    reached
}

fn visit(store: &BlockStore, cid: ContentId, pending: &mut Vec<ContentId>) -> Result<u64, WalkError> {
    match cid.codec() {
        // A leaf needs not be read to know that it has no links.
        CidCodec::Raw => store.block_bytes(&cid.digest()).ok_or(WalkError::NotHeld(cid)),
        CidCodec::DagPb => {
            let block = store.block(&cid)?.ok_or(WalkError::NotHeld(cid))?;
            pending.extend(links_of(&block)?.into_iter().rev());
            Ok(block.bytes().len() as u64)
        }
    }
}

/// What a block links, in order.
pub(super) fn links_of(block: &VerifiedBlock) -> Result<Vec<ContentId>, WalkError> {
    let cid = block.cid();
    match cid.codec() {
        CidCodec::Raw => Ok(Vec::new()),
        CidCodec::DagPb => {
            let node = Node::decode(block.shared()).map_err(|source| WalkError::Node { cid, source })?;
            Ok(node.links.iter().map(|link| link.cid).collect())
        }
    }
}
