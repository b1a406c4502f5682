//! The blocks of one file: which are here, which are missing, and whether it can become a file at all.

use std::collections::{BTreeMap, HashMap};

use nisse_model::{CidCodec, ContentId};

use super::DownloadError;
use crate::VerifiedBlock;
use crate::car::{CarLimits, DagScope};
use crate::unixfs::Node;

/// Everything verified so far. Blocks are numbered in the order in which they were named.
#[derive(Debug)]
pub(super) struct Parts {
    root: ContentId,
    bytes_max: u64,
    limits: CarLimits,
    numbers: HashMap<ContentId, usize>,
    missing: BTreeMap<usize, ContentId>,
    here: BTreeMap<usize, VerifiedBlock>,
    bytes: u64,
    /// What is verified and yet no file that is taken: no provider can mend that.
    broken: Option<DownloadError>,
}

impl Parts {
    pub(super) fn new(root: ContentId, bytes_max: u64) -> Self {
        Self {
            root,
            bytes_max,
            limits: CarLimits::file_bytes(bytes_max),
            numbers: HashMap::from([(root, 0)]),
            missing: BTreeMap::from([(0, root)]),
            here: BTreeMap::new(),
            bytes: 0,
            broken: None,
        }
    }

    pub(super) fn root(&self) -> ContentId {
        self.root
    }

    pub(super) fn missing(&self) -> impl Iterator<Item = ContentId> {
        self.missing.values().copied()
    }

    pub(super) fn is_whole(&self) -> bool {
        self.missing.is_empty()
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    pub(super) fn broken(&mut self) -> Option<DownloadError> {
        self.broken.take()
    }

    pub(super) fn into_blocks(self) -> impl Iterator<Item = VerifiedBlock> {
        self.here.into_values()
    }

    /// Takes a block, unless nobody waits for it any more.
    pub(super) fn put(&mut self, block: VerifiedBlock) {
        let cid = block.cid();
        let Some(number) = self.numbers.get(&cid).copied().filter(|number| self.missing.remove(number).is_some())
        else {
            return;
        };
        if let Err(error) = self.look_into(&block) {
            self.broken.get_or_insert(error);
        }
        self.here.insert(number, block);
    }

    fn look_into(&mut self, block: &VerifiedBlock) -> Result<(), DownloadError> {
        let cid = block.cid();
        let too_large = DownloadError::TooLarge { cid: self.root, bytes_max: self.bytes_max };
        self.bytes += block.bytes().len() as u64;
        let is_file = cid == self.root && cid.codec() == CidCodec::Raw;
        if self.bytes > self.limits.bytes_max || (is_file && self.bytes > self.bytes_max) {
            return Err(too_large);
        }
        if cid.codec() == CidCodec::Raw {
            return Ok(());
        }
        let node = Node::decode(block.shared()).map_err(|source| DownloadError::Node { cid, source })?;
        // Only a claim, but one that a smaller file does not fulfil.
        if cid == self.root && node.file_bytes.is_some_and(|bytes| bytes > self.bytes_max) {
            return Err(too_large);
        }
        for link in DagScope::Entity.links(&node) {
            let number = self.numbers.len();
            if let std::collections::hash_map::Entry::Vacant(entry) = self.numbers.entry(link) {
                entry.insert(number);
                self.missing.insert(number, link);
            }
        }
        if self.numbers.len() > self.limits.blocks_max {
            return Err(DownloadError::TooManyBlocks { cid: self.root, blocks_max: self.limits.blocks_max });
        }
        Ok(())
    }
}
