//! Where a cursor stands, and its bytes in the caller's journal.

use super::{CursorError, REORG_DEPTH_MAX};
use crate::tx::{BlockRef, ChainHash};

/// Version of a position's bytes.
const POSITION_VERSION: u8 = 1;
/// Bytes of one block in a position.
const ENTRY_LENGTH: usize = 40;

/// Where a cursor stands: the newest blocks that it has told of, oldest first. The caller journals it together with
/// what it made of the events.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CursorPosition {
    pub(super) blocks: Vec<BlockRef>,
}

impl CursorPosition {
    /// The bytes to journal.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![POSITION_VERSION];
        for block in &self.blocks {
            out.extend_from_slice(&block.number.to_be_bytes());
            out.extend_from_slice(&block.hash.0);
        }
        out
    }

    /// Reads journalled bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CursorError> {
        let Some((&POSITION_VERSION, entries)) = bytes.split_first() else { return Err(CursorError::Position) };
        let (entries, rest) = entries.as_chunks::<ENTRY_LENGTH>();
        if !rest.is_empty() || entries.len() > REORG_DEPTH_MAX {
            return Err(CursorError::Position);
        }
        let block = |entry: &[u8; ENTRY_LENGTH]| {
            let (number, hash) = entry.split_at(8);
            let number = u64::from_be_bytes(number.try_into().expect("eight bytes"));
            BlockRef { number, hash: ChainHash(hash.try_into().expect("thirty-two bytes")) }
        };
        let blocks: Vec<BlockRef> = entries.iter().map(block).collect();
        let rises = blocks.windows(2).all(|pair| pair[0].number + 1 == pair[1].number);
        if rises { Ok(Self { blocks }) } else { Err(CursorError::Position) }
    }

    /// The newest block that was told of.
    pub fn head(&self) -> Option<BlockRef> {
        self.blocks.last().copied()
    }

    pub(super) fn push(&mut self, block: BlockRef) {
        self.blocks.push(block);
        if self.blocks.len() > REORG_DEPTH_MAX {
            self.blocks.remove(0);
        }
    }

    /// Goes on to a final block: what lies before it is not undone.
    pub(super) fn leap(&mut self, block: BlockRef) {
        self.blocks = vec![block];
    }
}
