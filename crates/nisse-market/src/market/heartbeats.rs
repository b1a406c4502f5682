//! Who shows life, and by when, as the contract counts it.

use alloy::primitives::aliases::U40;
use alloy::providers::Provider as _;
use alloy::rpc::types::Filter;
use nisse_model::{Address, Amount, Hash256};

use super::{Market, MarketError};
use crate::contracts::{Heartbeats, Nodes};
use crate::event::{MarketEvent, amount};
use crate::tx::{QueueError, to_alloy};

impl Market {
    /// Seconds of a heartbeat period; `None` on a market without heartbeats. Period `n` begins at unix time `n` periods.
    pub async fn heartbeat_period(&self) -> Result<Option<u64>, MarketError> {
        let Some(heartbeats) = self.inner.addresses.heartbeats else { return Ok(None) };
        let seconds = self.view(heartbeats, "the heartbeats' period", Heartbeats::periodCall {}).await?;
        if seconds == 0 {
            return Err(MarketError::Malformed { what: "the heartbeats' period" });
        }
        Ok(Some(u64::from(seconds)))
    }

    /// The number of the last period in which a node showed life; 0 for never.
    pub async fn last_heartbeat(&self, node: Address) -> Result<u64, MarketError> {
        let Some(heartbeats) = self.inner.addresses.heartbeats else { return Ok(0) };
        let call = Heartbeats::lastOfCall { node: to_alloy(node) };
        self.view(heartbeats, "a node's last heartbeat", call).await.map(|period| period.to())
    }

    /// Whether a node showed life in a period, of those that the contract remembers.
    pub async fn has_beaten(&self, node: Address, period: u64) -> Result<bool, MarketError> {
        let Some(heartbeats) = self.inner.addresses.heartbeats else { return Ok(true) };
        let call = Heartbeats::hasBeatenCall { node: to_alloy(node), period: U40::saturating_from(period) };
        self.view(heartbeats, "a node's heartbeat", call).await
    }

    /// The root that a node's heartbeat for a period has, in this block; `None` where there is no such heartbeat.
    pub async fn root_of_heartbeat(
        &self,
        node: Address,
        period: u64,
        block: u64,
    ) -> Result<Option<Hash256>, MarketError> {
        let Some(heartbeats) = self.inner.addresses.heartbeats else { return Ok(None) };
        let logs = Filter::new().address(to_alloy(heartbeats)).select(block);
        let logs = self.inner.client.provider().get_logs(&logs).await.map_err(QueueError::from_call)?;
        let found = logs.iter().filter_map(|log| MarketEvent::read(&log.inner)).find_map(|event| match event {
            MarketEvent::Heartbeat { node: by, period: of, root } if (by, of) == (node, period) => Some(root),
            _ => None,
        });
        Ok(found)
    }

    /// What somebody is owed of slashes.
    pub async fn owed_of_slashes(&self, account: Address) -> Result<Amount, MarketError> {
        let call = Nodes::claimableCall { account: to_alloy(account) };
        self.view(self.inner.addresses.nodes, "what slashes owe", call).await.map(amount)
    }
}
