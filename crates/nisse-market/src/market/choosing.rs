//! How an order chooses among bids, and which ways of choosing a market knows: what is older than they are does not.

use alloy::sol_types::SolCall;
use nisse_model::{Address, AmountPerHour, Hash256, Timestamp};

use super::{Market, MarketError};
use crate::contracts::Manager;
use crate::event::seconds;
use crate::selection::Selection;
use crate::tx::{QueueError, to_alloy};

impl Market {
    /// How the winner of an order is chosen.
    pub async fn selection(&self, deployment: u64) -> Result<Selection, MarketError> {
        let what = "how an order chooses";
        let view = Manager::selectionOfCall { id: deployment };
        let found = if self.inner.addresses.reputation.is_some() {
            self.view(self.inner.addresses.manager, what, view).await?
        } else {
            match self.where_known(what, view).await? {
                Some(found) => found,
                None => return Ok(Selection::LowestPrice),
            }
        };
        Selection::read(&found).ok_or(MarketError::Malformed { what })
    }

    /// Whether this market takes offers.
    pub async fn takes_offers(&self) -> Result<bool, MarketError> {
        let view = Manager::offerUsedCall { node: to_alloy(self.key()), nonce: 0 };
        Ok(self.where_known("whether an offer was used", view).await?.is_some())
    }

    /// Whether this market takes orders whose bids are sealed.
    pub async fn takes_sealed_bids(&self) -> Result<bool, MarketError> {
        let view = sealed_bid(0, self.key(), Hash256::default());
        Ok(self.where_known("a sealed bid", view).await?.is_some())
    }

    /// The end of the round of a sealed bid that was neither revealed nor reclaimed, and the rate for which stake is
    /// locked: the order's limit. `None` for one that was, or was never made.
    pub async fn sealed_bid(
        &self,
        deployment: u64,
        node: Address,
        commitment: Hash256,
    ) -> Result<Option<(Timestamp, AmountPerHour)>, MarketError> {
        let view = sealed_bid(deployment, node, commitment);
        let found = self.view(self.inner.addresses.manager, "a sealed bid", view).await?;
        Ok((found.roundEnds != 0).then(|| (seconds(found.roundEnds), AmountPerHour(found.rate))))
    }

    /// What a view of the Manager says; `None` of a Manager that has no such view, and so gives no reason.
    async fn where_known<C: SolCall>(&self, what: &'static str, view: C) -> Result<Option<C::Return>, MarketError> {
        match self.view(self.inner.addresses.manager, what, view).await {
            Ok(found) => Ok(Some(found)),
            Err(MarketError::Queue(QueueError::Refused(reason))) if reason.name.is_empty() => Ok(None),
            Err(MarketError::Malformed { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn sealed_bid(deployment: u64, node: Address, commitment: Hash256) -> Manager::sealedBidCall {
    Manager::sealedBidCall { id: deployment, node: to_alloy(node), commitment: commitment.0.into() }
}
