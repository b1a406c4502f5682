//! Where the chain stands, and its clock, by which money runs.

use alloy::eips::BlockNumberOrTag;
use alloy::providers::Provider as _;
use nisse_model::Timestamp;

use super::{Market, MarketError};
use crate::tx::QueueError;

impl Market {
    /// The number of the newest block.
    pub async fn head(&self) -> Result<u64, MarketError> {
        let head = self.inner.client.provider().get_block_number().await;
        Ok(head.map_err(QueueError::from_call)?)
    }

    /// The time of the newest block.
    pub async fn head_time(&self) -> Result<Timestamp, MarketError> {
        let provider = self.inner.client.provider();
        let block = provider.get_block_by_number(BlockNumberOrTag::Latest).await.map_err(QueueError::from_call)?;
        let block = block.ok_or(MarketError::Malformed { what: "the newest block" })?;
        Ok(Timestamp(block.header.timestamp.saturating_mul(1000)))
    }
}
