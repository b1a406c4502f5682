//! The chain's clock, by which money runs.

use alloy::eips::BlockNumberOrTag;
use alloy::providers::Provider as _;
use nisse_model::Timestamp;

use super::{Market, MarketError};
use crate::tx::QueueError;

impl Market {
    /// The time of the newest block.
    pub async fn head_time(&self) -> Result<Timestamp, MarketError> {
        let provider = self.inner.client.provider();
        let block = provider.get_block_by_number(BlockNumberOrTag::Latest).await.map_err(QueueError::from_call)?;
        let block = block.ok_or(MarketError::Malformed { what: "the newest block" })?;
        Ok(Timestamp(block.header.timestamp.saturating_mul(1000)))
    }
}
