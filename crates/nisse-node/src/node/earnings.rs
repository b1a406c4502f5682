//! What this node has earned by running others' agents, and how it comes into somebody's hands.

use std::cmp::Reverse;

use futures::{StreamExt as _, TryStreamExt as _};
use nisse_market::MarketCall;
use nisse_model::{Address, Amount, DeploymentId};
use nisse_orchestrator::Assignment;

use super::{Node, market_error};
use crate::control::{EarnedLease, NodeEarnings, NodeWithdrawn};
use crate::error::{ErrorKind, NodeError};
use crate::home::KeyName;

/// Leases that are told of, the newest first.
const LEASES_MAX: usize = 200;
/// Leases that the market is asked about at once.
const ASKED_AT_ONCE: usize = 16;

impl Node {
    /// Every paid lease that this node ran, as far as it remembers, and what it can draw.
    pub async fn earnings(&self) -> Result<NodeEarnings, NodeError> {
        let paid = self.paid_leases().await?;
        let older = paid.len().saturating_sub(LEASES_MAX) as u64;
        let newest = paid.into_iter().take(LEASES_MAX);
        let asked = futures::stream::iter(newest).map(|deployment| async move {
            let market = self.market_of(KeyName::Operator, &deployment)?;
            let view = market.deployment(deployment.number).await.map_err(|error| market_error(&error))?;
            // Another went on with what this node lost by its silence: what was paid since is the other's.
            let paid = if view.node == Some(self.core.operator) { view.paid } else { Amount(0) };
            Ok::<_, NodeError>(EarnedLease {
                deployment: deployment.to_string(),
                agent_id: view.package.agent_id.clone(),
                owner: view.owner.to_string(),
                rate: view.rate.to_string(),
                paid: paid.to_string(),
                due: view.due.to_string(),
            })
        });
        let leases: Vec<EarnedLease> = asked.buffered(ASKED_AT_ONCE).try_collect().await?;
        let (mut withdrawable, mut earned) = (Amount(0), Amount(0));
        let own = self.core.operator;
        for version in self.core.keys.versions() {
            let market = self.market_at(version.manager)?;
            let told = async { Ok((market.claimable(own).await?, market.earned(own).await?)) };
            let (claimable, credited) = told.await.map_err(|error| market_error(&error))?;
            withdrawable = Amount(withdrawable.0.saturating_add(claimable.0));
            earned = Amount(earned.0.saturating_add(credited.0));
        }
        let slashes =
            self.market(KeyName::Operator)?.owed_of_slashes(own).await.map_err(|error| market_error(&error))?;
        let withdrawable = Amount(withdrawable.0.saturating_add(slashes.0)).to_string();
        let (slashes, earned) = (slashes.to_string(), earned.to_string());
        Ok(NodeEarnings { withdrawable, slashes, earned, leases, older })
    }

    /// Settles what is due by now, and draws all that this node can draw.
    pub async fn withdraw(&self, to: Option<&str>) -> Result<NodeWithdrawn, NodeError> {
        let to: Address = match to {
            None => self.core.operator,
            Some(text) => text
                .parse()
                .map_err(|error| NodeError::new(ErrorKind::Usage, "address_invalid", format!("failed to {error}")))?,
        };
        for deployment in self.paid_leases().await?.into_iter().take(LEASES_MAX) {
            let market = self.market_of(KeyName::Operator, &deployment)?;
            let view = market.deployment(deployment.number).await.map_err(|error| market_error(&error))?;
            // Only what this node runs now has anything due to it.
            if view.node != Some(self.core.operator) || view.due == Amount(0) {
                continue;
            }
            let settle = MarketCall::Settle { deployment: deployment.number };
            // A lease that ends meanwhile is settled by its end.
            if let Err(error) = market.write(&self.core.fresh_name("settle"), &settle).await {
                tracing::debug!(%deployment, error = crate::error::chain(&error), "it is settled otherwise");
            }
        }
        let mut drawn = Amount(0);
        for version in self.core.keys.versions() {
            let market = self.market_at(version.manager)?;
            let claimable = market.claimable(self.core.operator).await.map_err(|error| market_error(&error))?;
            if claimable == Amount(0) {
                continue;
            }
            market.withdraw(&self.core.fresh_name("withdraw"), to).await.map_err(|error| market_error(&error))?;
            drawn = Amount(drawn.0.saturating_add(claimable.0));
        }
        drawn = Amount(drawn.0.saturating_add(self.draw_slashes(to).await?.0));
        if drawn == Amount(0) {
            let text = "failed to withdraw: this node has earned nothing since the last time";
            return Err(NodeError::new(ErrorKind::Refused, "nothing_earned", text)
                .with_hint("`nisse node earnings` shows what its leases pay".to_owned()));
        }
        Ok(NodeWithdrawn { amount: drawn.to_string(), to: to.to_string() })
    }

    /// What slashes owe comes to this node's own address, and goes on from there.
    async fn draw_slashes(&self, to: Address) -> Result<Amount, NodeError> {
        let market = self.market(KeyName::Operator)?;
        let refused = |error| market_error(&error);
        let owed = market.owed_of_slashes(self.core.operator).await.map_err(refused)?;
        if owed == Amount(0) {
            return Ok(owed);
        }
        market.write(&self.core.fresh_name("claim"), &MarketCall::ClaimSlashed).await.map_err(refused)?;
        if to != self.core.operator {
            let pass_on = MarketCall::Transfer { to, amount: owed };
            market.write(&self.core.fresh_name("claimed"), &pass_on).await.map_err(refused)?;
        }
        Ok(owed)
    }

    /// The newest first.
    async fn paid_leases(&self) -> Result<Vec<DeploymentId>, NodeError> {
        let own = self.core.operator;
        let paid = self.glance(move |all| {
            let leases = all.agents().iter().filter(|(_, agent)| agent.assignment != Assignment::Home);
            leases.filter(|(_, agent)| agent.placement.owner != own).map(|(deployment, _)| *deployment).collect()
        });
        let mut paid: Vec<DeploymentId> = paid.await?;
        paid.sort_by_key(|deployment| Reverse(deployment.number));
        Ok(paid)
    }
}
