//! What the chain asks for gas, beside what this key would pay.

use alloy::eips::BlockNumberOrTag;
use alloy::providers::Provider as _;

use super::{Market, MarketError};
use crate::tx::QueueError;

/// Gas that costs more than a key pays: what is sent now waits until it is cheaper. Both in wei per gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DearGas {
    /// The newest block's base fee.
    pub asked: u128,
    /// The most that this key offers.
    pub most: u128,
}

impl Market {
    /// Whether gas costs more than this key pays.
    pub async fn dear_gas(&self) -> Result<Option<DearGas>, MarketError> {
        let most = self.inner.queue.fee_per_gas_max();
        let provider = self.inner.client.provider();
        let block = provider.get_block_by_number(BlockNumberOrTag::Latest).await.map_err(QueueError::from_call)?;
        let block = block.ok_or(MarketError::Malformed { what: "the newest block" })?;
        let asked = u128::from(block.header.base_fee_per_gas.unwrap_or(0));
        Ok((asked > most).then_some(DearGas { asked, most }))
    }
}
