//! Methods that exist on a development chain only: they move the clock, undo blocks and let calls fail.

use std::sync::PoisonError;

use alloy::primitives::U64;
use revm::state::EvmState;
use serde_json::{Value, json};

use super::block::Block;
use super::record::{BlockRecord, Record};
use super::rpc::{Params, RpcError, quantity, unknown_method};
use super::state::{State, Unmined};
use super::{EmbeddedChain, Writer};

/// Blocks that one call makes or undoes.
pub(super) const BLOCKS_MAX: u64 = 1_024;

/// Calls that are to fail as those of an endpoint in trouble do.
#[derive(Default)]
pub(super) struct Failing {
    left: u64,
    /// Only calls of this method.
    method: Option<String>,
}

impl EmbeddedChain {
    /// Whether this call is one of those that are to fail. Calls of a development chain's own methods never are.
    pub(super) fn fails(&self, method: &str) -> bool {
        let mut failing = self.inner.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let meant = failing.method.as_ref().map_or(!method.starts_with("nisse_"), |only| only == method);
        let fails = meant && failing.left > 0;
        failing.left -= u64::from(fails);
        fails
    }

    pub(super) fn handle_dev(&self, method: &str, params: &Params<'_>) -> Result<Value, RpcError> {
        match method {
            "nisse_mine" => {
                let count = params.optional::<U64>(0, "a number of blocks")?.map_or(1, |count| count.to());
                self.mine_empty(count)
            }
            "nisse_increaseTime" => {
                let mut writer = self.writer();
                writer.ahead_seconds = writer.ahead_seconds.saturating_add(params.get::<U64>(0, "seconds")?.to());
                quantity(writer.ahead_seconds)
            }
            "nisse_setNextTimestamp" => {
                let at: u64 = params.get::<U64>(0, "seconds since 1970")?.to();
                let mut writer = self.writer();
                let head = self.read().head().header.timestamp;
                if at < head {
                    return Err(RpcError::params(format!("{at} is before the newest block's time, {head}")));
                }
                writer.next_timestamp = Some(at);
                quantity(at)
            }
            "nisse_failNext" => {
                let left = params.get::<U64>(0, "a number of calls")?.to();
                let method = params.optional(1, "a method")?;
                *self.inner.failing.lock().unwrap_or_else(PoisonError::into_inner) = Failing { left, method };
                quantity(left)
            }
            "nisse_reorg" => {
                let depth: u64 = params.get::<U64>(0, "a number of blocks")?.to();
                let keep = params.optional(1, "true or false")?.unwrap_or(true);
                self.reorg(depth, keep)
            }
            _ => Err(unknown_method(method)),
        }
    }

    fn mine_empty(&self, count: u64) -> Result<Value, RpcError> {
        if count > BLOCKS_MAX {
            return Err(RpcError::params(format!("at most {BLOCKS_MAX} blocks at once")));
        }
        let mut writer = self.writer();
        if count > 0 {
            // A time that was asked for is the first block's.
            self.mine(&mut writer, None)?;
            self.mine_more(&mut writer, count - 1)?;
        }
        quantity(self.head().0)
    }

    /// Empty blocks that become durable together: a sync for each would take minutes for a chain of some age.
    fn mine_more(&self, writer: &mut Writer, count: u64) -> Result<(), RpcError> {
        let mut blocks: Vec<Block> = Vec::new();
        {
            let state = self.read();
            for _ in 0..count {
                let parent = blocks.last().unwrap_or_else(|| state.head());
                let block = Block::next(parent, self.timestamp(writer, parent), None);
                blocks.push(block);
            }
        }
        let records: Vec<Record> = blocks.iter().map(|block| Record::Block(Box::new(BlockRecord::of(block)))).collect();
        self.log_all(writer, &records)?;
        let mut state = self.write();
        blocks.into_iter().for_each(|block| state.commit(block, EvmState::default()));
        Ok(())
    }

    /// Replaces the newest `depth` blocks by `depth` + 1 others. Their transactions come again, behind one empty
    /// block, when `keep`; else they are lost, as after a real reorganisation that left them out.
    fn reorg(&self, depth: u64, keep: bool) -> Result<Value, RpcError> {
        let mut writer = self.writer();
        let head = self.head().0;
        if depth == 0 || depth > head || depth > BLOCKS_MAX {
            return Err(RpcError::params(format!("between 1 and {} blocks can be undone", head.min(BLOCKS_MAX))));
        }
        let to = head - depth;
        let undone: Vec<_> = self.read().blocks(to + 1, head).to_vec();
        let state = self.replay_to(to)?;
        self.log(&mut writer, &Record::Reorg(to))?;
        *self.write() = state;
        for filter in self.filters().open.values_mut() {
            filter.back_to(to);
        }
        // One second later than the block that it replaces, so that its hash differs for certain.
        writer.next_timestamp = undone.first().map(|block| block.header.timestamp + 1);
        self.mine(&mut writer, None)?;
        for block in &undone {
            let again = block.mined.as_ref().filter(|_| keep);
            let unmined = again.map(|mined| Unmined { envelope: mined.envelope.clone(), sender: mined.sender });
            self.mine(&mut writer, unmined)?;
        }
        Ok(json!({ "ancestor": U64::from(to), "head": U64::from(self.head().0) }))
    }

    /// The chain as it was at block `number`, run again from its birth.
    fn replay_to(&self, number: u64) -> Result<State, RpcError> {
        let current = self.read();
        let mut state = State::genesis(&self.inner.genesis);
        for block in current.blocks(1, number) {
            if !state.replay(BlockRecord::of(block)) {
                return Err(RpcError::internal("a block came out differently when run again"));
            }
        }
        Ok(state)
    }
}
