//! What nodes are known for.

use nisse_model::{Address, Amount, AmountPerHour, Timestamp};

use super::{Market, MarketError};
use crate::contracts::{Manager, Nodes, Reputation};
use crate::event::seconds;
use crate::tx::to_alloy;

/// What the market's contracts know of a node; both times fade, by half in 90 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeFacts {
    /// Ten-thousandths: paid time against itself, faults, and the 30 days that a newcomer lacks.
    pub score: u16,
    /// Below a quarter, an order that asks for a reputation goes to others first.
    pub newcomer: bool,
    /// Seconds of paid work.
    pub worked_seconds: u64,
    /// Seconds of work that missed heartbeats and slashes took.
    pub fault_seconds: u64,
    /// Until when paid time was counted; `None` before the first time.
    pub counted: Option<Timestamp>,
}

impl Market {
    /// What a node is known for; `None` on a market that knows no reputation.
    pub async fn facts(&self, node: Address) -> Result<Option<NodeFacts>, MarketError> {
        let Some(at) = self.inner.addresses.reputation else { return Ok(None) };
        let (node, what) = (to_alloy(node), "a node's reputation");
        let score = self.view(at, what, Reputation::scoreOfCall { node }).await?;
        let newcomer = self.view(at, what, Reputation::isNewcomerCall { node }).await?;
        let facts = self.view(at, what, Reputation::factsOfCall { node }).await?;
        Ok(Some(NodeFacts {
            score,
            newcomer,
            worked_seconds: facts.worked.saturating_to(),
            fault_seconds: facts.faults.saturating_to(),
            counted: (facts.countedUntil != 0).then(|| seconds(facts.countedUntil)),
        }))
    }

    /// The stake that a node must have free to be given a lease at this rate.
    pub async fn stake_for(&self, rate: AmountPerHour) -> Result<Amount, MarketError> {
        Ok(Amount(rate.0.saturating_mul(self.lock_hours().await?.into())))
    }

    /// Hours of a lease's rate that are locked of its node's stake, and for which what was not revealed stays locked.
    pub async fn lock_hours(&self) -> Result<u32, MarketError> {
        self.view(self.inner.addresses.manager, "the market's lock", Manager::lockHoursCall {}).await
    }

    /// The least stake of a node that is given leases.
    pub async fn min_stake(&self) -> Result<Amount, MarketError> {
        self.view(self.inner.addresses.nodes, "the least stake", Nodes::minStakeCall {}).await.map(Amount)
    }
}
