//! Events by cursor: block after block by hash, never by subscription, so that no event is lost or told twice.
//!
//! The cursor asks for the next block by number and checks that its parent is the block before; if not, it walks back
//! to the common ancestor and reports what is undone before what came instead. Logs are asked by block hash, which a
//! node that does not know the block refuses, where a range would come back empty.
//!
//! Only another hash at the same height undoes a block. One that an endpoint does not have is not there yet: endpoints
//! lag, and several of them behind one address do not lag alike.
//!
//! Far behind on a chain elsewhere it catches up by ranges of final blocks (`range.rs`): block by block it would never
//! arrive.

mod position;
mod range;

pub use position::CursorPosition;

use range::Range;

use alloy::eips::BlockNumberOrTag;
use alloy::primitives::B256;
use alloy::providers::Provider as _;
use alloy::rpc::types::{Filter, Header, Log};
use nisse_model::Address;

use crate::event::{EventAt, MarketEvent, seconds};
use crate::provider::ChainClient;
use crate::tx::{BlockRef, ChainHash, to_alloy, to_model};

/// Blocks that a reorganisation may undo; a deeper one stops the cursor.
pub const REORG_DEPTH_MAX: usize = 128;
/// Blocks that one batch covers.
const BATCH_BLOCKS_MAX: u64 = 256;

/// What changed since the last batch. Apply `reverted`, then `committed`, and journal `position` with both.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EventBatch {
    /// Blocks that left the chain, newest first; everything learnt from them is void.
    pub reverted: Vec<BlockRef>,
    /// New events, oldest first.
    pub committed: Vec<EventAt>,
    /// The newest block covered.
    pub head: BlockRef,
    /// Whether the chain has more blocks already.
    pub more: bool,
}

/// Why events cannot be read. Each text completes "failed to …".
#[derive(Debug, Clone, thiserror::Error)]
pub enum CursorError {
    /// The chain does not answer.
    #[error("reach the chain: {0}")]
    Unreachable(String),
    /// The node contradicts itself; another try usually helps.
    #[error("read block {number}: {reason}")]
    Inconsistent {
        /// Its height.
        number: u64,
        /// What does not fit.
        reason: &'static str,
    },
    /// The chain's endpoint refuses to say what happened in one block.
    #[error("read the log of block {number}: the chain's endpoint refuses: {reason}")]
    Refused {
        /// Its height.
        number: u64,
        /// In its words.
        reason: String,
    },
    /// The chain's endpoint has yet to come to a block that was told of already.
    #[error("read block {number} again: the chain's endpoint does not have it yet")]
    Behind {
        /// Its height.
        number: u64,
    },
    /// More blocks were undone than the cursor remembers.
    #[error("follow a reorganisation of more than {REORG_DEPTH_MAX} blocks: sync anew from a final block")]
    TooDeep,
    /// Bytes that are not a position.
    #[error("read a cursor's position: it is malformed")]
    Position,
}

/// Reads the events of a few contracts in order.
#[derive(Debug)]
pub struct LogCursor {
    client: ChainClient,
    contracts: Vec<Address>,
    position: CursorPosition,
    /// The first block that matters when the position is empty.
    first: u64,
    range: Range,
    /// Whether blocks that may be undone still are read by ranges as well.
    hasty: bool,
}

impl LogCursor {
    /// A cursor over the logs of `contracts` that goes on behind `position`, or begins with block `first`.
    pub fn new(client: ChainClient, contracts: Vec<Address>, position: CursorPosition, first: u64) -> Self {
        Self { client, contracts, position, first, range: Range::default(), hasty: false }
    }

    /// For one look at what happened: newest blocks are read as quickly as final ones, and what is undone later goes
    /// untold.
    pub fn hasty(self) -> Self {
        Self { hasty: true, ..self }
    }

    /// Goes on behind another position.
    pub fn go_to(&mut self, position: CursorPosition) {
        self.position = position;
    }

    /// Where the cursor stands.
    pub fn position(&self) -> &CursorPosition {
        &self.position
    }

    /// What changed, or `None` when nothing did. After an error the cursor stands where it stood. Where only a part of the
    /// blocks can be read, that part is told: an endpoint that answers nine calls of ten would never answer hundreds in a row.
    pub async fn next(&mut self) -> Result<Option<EventBatch>, CursorError> {
        let mut position = self.position.clone();
        let mut batch = EventBatch::default();
        match self.undo(&mut position, &mut batch).await {
            Ok(()) => {}
            Err(error) if batch.reverted.is_empty() || matches!(error, CursorError::TooDeep) => return Err(error),
            Err(error) => {
                tracing::debug!(%error, "a reorganisation was followed back in part");
                // How far the chain is was not asked.
                return Ok(Some(self.told(position, batch, u64::MAX)));
            }
        }
        let start = position.head().map_or(self.first, |head| head.number + 1);
        let newest = self.client.provider().get_block_number().await.map_err(unreachable)?;
        if let Some(end) = self.far_behind(start, newest).await? {
            self.catch_up(start, end, &mut position, &mut batch).await?;
            return Ok(Some(self.told(position, batch, newest)));
        }
        for number in start..start.saturating_add(BATCH_BLOCKS_MAX) {
            match self.block(number, position.head()).await {
                Ok(Some((block, events))) => {
                    batch.committed.extend(events);
                    position.push(block);
                }
                Ok(None) => break,
                Err(error) if position != self.position => {
                    tracing::debug!(%error, "the chain's log was read in part");
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        if position == self.position {
            return Ok(None);
        }
        Ok(Some(self.told(position, batch, newest)))
    }

    fn told(&mut self, position: CursorPosition, mut batch: EventBatch, newest: u64) -> EventBatch {
        batch.head = position.head().unwrap_or_default();
        batch.more = newest > batch.head.number;
        self.position = position;
        batch
    }

    /// A block that stands on `parent`, with its events; `None` where there is none yet, or where blocks changed while a
    /// batch was read: what is told so far is consistent, the rest comes next.
    async fn block(
        &self,
        number: u64,
        parent: Option<BlockRef>,
    ) -> Result<Option<(BlockRef, Vec<EventAt>)>, CursorError> {
        let Some(header) = self.header(number).await? else { return Ok(None) };
        if parent.is_some_and(|parent| parent.hash.0 != header.inner.parent_hash.0) {
            return Ok(None);
        }
        let block = BlockRef { number, hash: ChainHash(header.hash.0) };
        let events = self.events(&header, block).await?;
        Ok(Some((block, events)))
    }

    /// Drops the blocks that are no longer on the chain.
    async fn undo(&self, position: &mut CursorPosition, batch: &mut EventBatch) -> Result<(), CursorError> {
        let known = position.blocks.len();
        while let Some(head) = position.head() {
            match self.header(head.number).await? {
                Some(now) if now.hash.0 == head.hash.0 => return Ok(()),
                None if !self.client.is_embedded() => return Err(CursorError::Behind { number: head.number }),
                Some(_) | None => {}
            }
            batch.reverted.push(head);
            position.blocks.pop();
        }
        // Only a chain younger than the window may be undone to its first block.
        let to_birth = batch.reverted.last().is_none_or(|oldest| oldest.number <= self.first);
        if known == 0 || to_birth { Ok(()) } else { Err(CursorError::TooDeep) }
    }

    async fn header(&self, number: u64) -> Result<Option<Header>, CursorError> {
        let block = self.client.provider().get_block_by_number(BlockNumberOrTag::Number(number)).await;
        let header = block.map_err(unreachable)?.map(|block| block.header);
        match header {
            Some(header) if header.number != number => {
                Err(CursorError::Inconsistent { number, reason: "the node answered with another block" })
            }
            header => Ok(header),
        }
    }

    async fn events(&self, header: &Header, block: BlockRef) -> Result<Vec<EventAt>, CursorError> {
        let filter = self.filter().at_block_hash(B256::from(block.hash.0));
        if !filter.matches_bloom(header.logs_bloom) {
            return Ok(Vec::new());
        }
        let logs = self.client.provider().get_logs(&filter).await.map_err(unreachable)?;
        self.read(header, logs)
    }

    fn filter(&self) -> Filter {
        Filter::new().address(self.contracts.iter().copied().map(to_alloy).collect::<Vec<_>>())
    }

    /// The events of one block's logs.
    fn read(&self, header: &Header, logs: Vec<Log>) -> Result<Vec<EventAt>, CursorError> {
        let block = BlockRef { number: header.number, hash: ChainHash(header.hash.0) };
        let mut events = Vec::new();
        for log in logs {
            let inconsistent = |reason| CursorError::Inconsistent { number: block.number, reason };
            let contract = to_model(log.address());
            if log.block_hash != Some(header.hash) || log.removed || !self.contracts.contains(&contract) {
                return Err(inconsistent("a log is of another block or contract"));
            }
            let (Some(tx), Some(log_index)) = (log.transaction_hash, log.log_index) else {
                return Err(inconsistent("a log has no transaction"));
            };
            let Some(event) = MarketEvent::read(&log.inner) else { continue };
            let time = seconds(header.timestamp);
            events.push(EventAt { block, time, tx: ChainHash(tx.0), log_index, contract, event });
        }
        events.sort_by_key(|event| event.log_index);
        Ok(events)
    }
}

fn unreachable(error: alloy::transports::TransportError) -> CursorError {
    CursorError::Unreachable(error.to_string())
}
