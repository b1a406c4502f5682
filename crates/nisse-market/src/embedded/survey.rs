//! Looking a chain through as it lies there: every record of its log is read, every block run again, nothing written.

use std::path::Path;

use nisse_store::{Disk, Journal};

use super::open::{Log, run_again, snapshot_of};
use super::{EmbeddedChain, OpenChainError};

/// Blocks that a survey runs again from the first one on; a longer chain begins at its snapshot, as a start does.
pub const BLOCKS_RUN_AGAIN_MAX: usize = 200_000;

/// What a chain that is in order holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainSurvey {
    /// Its id.
    pub chain_id: u64,
    /// Height and hash of its newest block.
    pub head: (u64, [u8; 32]),
    /// The block behind which all were run again, and came out with the hashes that they had.
    pub run_again_from: u64,
    /// Bytes behind the newest record: of a block that nobody was told of.
    pub torn_bytes: u64,
}

impl EmbeddedChain {
    /// Holds the chain in `folder` against its own log, and changes nothing on the disk. Whoever asks sees to it that
    /// nobody makes blocks meanwhile.
    pub fn survey(disk: &dyn Disk, folder: &Path) -> Result<ChainSurvey, OpenChainError> {
        let mut found = Log::default();
        let survey = Journal::survey(disk, &folder.join("blocks"), |position, bytes| found.take(position.0, bytes))?;
        let genesis = found.genesis.ok_or_else(|| OpenChainError::Gone(folder.to_owned()))?;
        let is_short = found.blocks.len() <= BLOCKS_RUN_AGAIN_MAX;
        let snapshot = if is_short { None } else { snapshot_of(disk, folder, &found.blocks) };
        let run_again_from = snapshot.as_ref().map_or(0, |snapshot| snapshot.number);
        let state = run_again(&genesis, found.blocks, snapshot)?;
        let head = (state.head().number(), state.head().hash.0);
        Ok(ChainSurvey { chain_id: state.chain_id, head, run_again_from, torn_bytes: survey.torn_bytes })
    }
}
