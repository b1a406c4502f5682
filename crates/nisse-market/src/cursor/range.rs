//! Catching up: the logs of many blocks at once, as far as their chain calls them final.
//!
//! A range comes back empty from an endpoint that does not have its blocks yet, so only blocks are asked so that lie
//! minutes back, and only where the last of them is there. Each block with a log is looked up: a log counts only under
//! the block's own hash.

use std::collections::BTreeMap;

use alloy::eips::BlockNumberOrTag;
use alloy::providers::Provider as _;
use alloy::rpc::types::Log;
use alloy::transports::RpcError;

use super::{CursorError, CursorPosition, EventBatch, LogCursor, REORG_DEPTH_MAX, unreachable};
use crate::tx::{BlockRef, ChainHash};

/// Blocks from which on a range is quicker than the blocks one by one.
const BEHIND_MIN: u64 = 64;
/// Blocks that are asked for at once, where the endpoint does not refuse so many.
const RANGE_BLOCKS_MAX: u64 = 10_000;
/// Logs that one range may hold; one with more is asked for in parts.
const RANGE_LOGS_MAX: usize = 2_000;
/// Ranges in a row that an endpoint answers before it is asked for more at once.
const GROW_AFTER: u32 = 8;

/// How many blocks an endpoint is asked for at once.
#[derive(Debug)]
pub(super) struct Range {
    blocks: u64,
    answered: u32,
    /// Whether the last try broke off.
    broken: bool,
}

impl Default for Range {
    fn default() -> Self {
        Self { blocks: RANGE_BLOCKS_MAX, answered: 0, broken: false }
    }
}

impl Range {
    /// Half as many from now on; false when it is one already.
    fn shrink(&mut self) -> bool {
        let shrinks = self.blocks > 1;
        *self = Self { blocks: (self.blocks / 2).max(1), answered: 0, broken: false };
        shrinks
    }

    /// A try broke off: where two do in a row, it may have been too much to answer in time.
    fn broke(&mut self) {
        if std::mem::replace(&mut self.broken, true) {
            self.shrink();
        }
    }

    fn answered(&mut self) {
        self.broken = false;
        self.answered += 1;
        if self.answered == GROW_AFTER {
            *self = Self { blocks: (self.blocks * 2).min(RANGE_BLOCKS_MAX), answered: 0, broken: false };
        }
    }
}

impl LogCursor {
    /// The last block up to which to catch up by ranges, when block `start` is far enough behind it.
    pub(super) async fn far_behind(&self, start: u64, newest: u64) -> Result<Option<u64>, CursorError> {
        if self.client.is_embedded() || newest < start.saturating_add(BEHIND_MIN) {
            return Ok(None);
        }
        let last = if self.hasty { newest } else { self.last_final(newest).await? };
        Ok((last >= start.saturating_add(BEHIND_MIN)).then_some(last))
    }

    /// The newest final block. A chain that has no word for it is taken at the depth that a cursor can follow back.
    async fn last_final(&self, newest: u64) -> Result<u64, CursorError> {
        let deep = newest.saturating_sub(REORG_DEPTH_MAX as u64);
        match self.client.provider().get_block_by_number(BlockNumberOrTag::Finalized).await {
            Ok(Some(block)) => Ok(block.header.number.min(newest)),
            Ok(None) | Err(RpcError::ErrorResp(_)) => Ok(deep),
            Err(error) => Err(unreachable(error)),
        }
    }

    /// Tells of one range from `start` on, to `last` at most. Smaller ones are tried until the endpoint answers.
    pub(super) async fn catch_up(
        &mut self,
        start: u64,
        last: u64,
        position: &mut CursorPosition,
        batch: &mut EventBatch,
    ) -> Result<(), CursorError> {
        loop {
            let end = last.min(start.saturating_add(self.range.blocks - 1));
            let header = self.header(end).await?.ok_or(CursorError::Behind { number: end })?;
            let filter = self.filter().from_block(start).to_block(end);
            let refusal = match self.client.provider().get_logs(&filter).await {
                Ok(logs) if logs.len() <= RANGE_LOGS_MAX || end == start => {
                    // Each of its blocks is looked up: fewer of them may go through where all did not.
                    if let Err(error) = self.tell(start, end, logs, batch).await {
                        self.range.broke();
                        return Err(error);
                    }
                    position.leap(BlockRef { number: end, hash: ChainHash(header.hash.0) });
                    self.range.answered();
                    return Ok(());
                }
                Ok(logs) => format!("{} logs in {} blocks", logs.len(), end - start + 1),
                Err(RpcError::ErrorResp(payload)) => payload.message.into_owned(),
                Err(error) => {
                    self.range.broke();
                    return Err(unreachable(error));
                }
            };
            tracing::debug!(start, end, reason = refusal, "the chain's endpoint refuses a range of blocks");
            if !self.range.shrink() {
                return Err(CursorError::Refused { number: start, reason: refusal });
            }
        }
    }

    async fn tell(&self, start: u64, end: u64, logs: Vec<Log>, batch: &mut EventBatch) -> Result<(), CursorError> {
        let mut blocks: BTreeMap<u64, Vec<Log>> = BTreeMap::new();
        for log in logs {
            let number = log.block_number.filter(|number| (start..=end).contains(number));
            let inconsistent =
                CursorError::Inconsistent { number: start, reason: "a log is of a block out of its range" };
            blocks.entry(number.ok_or(inconsistent)?).or_default().push(log);
        }
        for (number, logs) in blocks {
            let header = self.header(number).await?.ok_or(CursorError::Behind { number })?;
            batch.committed.extend(self.read(&header, logs)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{GROW_AFTER, RANGE_BLOCKS_MAX, Range};

    #[test]
    fn a_range_shrinks_when_it_is_refused_and_grows_again_when_a_few_were_answered() {
        let mut range = Range::default();
        assert!((0..13).all(|_| range.shrink()));
        assert_eq!(range.blocks, 1);
        assert!(!range.shrink(), "one block is the least");
        for doubled in [2, 4, 8] {
            (0..GROW_AFTER).for_each(|_| range.answered());
            assert_eq!(range.blocks, doubled);
        }
        (0..100 * GROW_AFTER).for_each(|_| range.answered());
        assert_eq!(range.blocks, RANGE_BLOCKS_MAX);
        range.broke();
        range.answered();
        range.broke();
        assert_eq!(range.blocks, RANGE_BLOCKS_MAX, "a try that breaks off now and then costs nothing");
        range.broke();
        assert_eq!(range.blocks, RANGE_BLOCKS_MAX / 2);
    }
}
