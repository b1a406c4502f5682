//! What nodes are known for, and how an order chooses among them.

use nisse_model::{Address, Amount, AmountPerHour, Timestamp};

use super::{Market, MarketError};
use crate::contracts::{Manager, Nodes, Reputation};
use crate::event::seconds;
use crate::selection::Selection;
use crate::tx::{QueueError, to_alloy};

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
        let hours = self.view(self.inner.addresses.manager, "the market's lock", Manager::lockHoursCall {}).await?;
        Ok(Amount(rate.0.saturating_mul(hours.into())))
    }

    /// The least stake of a node that is given leases.
    pub async fn min_stake(&self) -> Result<Amount, MarketError> {
        self.view(self.inner.addresses.nodes, "the least stake", Nodes::minStakeCall {}).await.map(Amount)
    }

    /// Whether this market takes offers: one that is older than they are does not.
    pub async fn takes_offers(&self) -> Result<bool, MarketError> {
        let view = Manager::offerUsedCall { node: to_alloy(self.key()), nonce: 0 };
        match self.view(self.inner.addresses.manager, "whether an offer was used", view).await {
            Ok(_) => Ok(true),
            Err(MarketError::Queue(QueueError::Refused(_)) | MarketError::Malformed { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// How the winner of an order is chosen.
    pub async fn selection(&self, deployment: u64) -> Result<Selection, MarketError> {
        if self.inner.addresses.reputation.is_none() {
            return Ok(Selection::LowestPrice);
        }
        let what = "how an order chooses";
        let found = self.view(self.inner.addresses.manager, what, Manager::selectionOfCall { id: deployment }).await?;
        Selection::read(&found).ok_or(MarketError::Malformed { what })
    }
}
