//! Who shows life, and by when, as the contract counts it.

use alloy::primitives::aliases::U40;
use nisse_model::{Address, Amount};

use super::{Market, MarketError};
use crate::contracts::{Heartbeats, Nodes};
use crate::event::amount;
use crate::tx::to_alloy;

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

    /// What somebody is owed of slashes.
    pub async fn owed_of_slashes(&self, account: Address) -> Result<Amount, MarketError> {
        let call = Nodes::claimableCall { account: to_alloy(account) };
        self.view(self.inner.addresses.nodes, "what slashes owe", call).await.map(amount)
    }
}
