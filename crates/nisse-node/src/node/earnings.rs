//! What this node has earned by running others' agents, and how it comes into somebody's hands.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _};
use nisse_market::MarketCall;
use nisse_model::{Address, Amount, DeploymentId};
use nisse_orchestrator::Assignment;

use super::{Node, market_error};
use crate::control::{EarnedLease, NodeEarnings, NodeWithdrawn};
use crate::error::{ErrorKind, NodeError};
use crate::wallets::KeyName;

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
            // What this node lost by its silence is another's now, or nobody's: so is what the market says of it.
            let held = view.node == Some(self.core.operator);
            Ok::<_, NodeError>(held.then(|| EarnedLease {
                deployment: deployment.to_string(),
                agent_id: view.package.agent_id.clone(),
                owner: view.owner.to_string(),
                rate: view.rate.to_string(),
                paid: view.paid.to_string(),
                due: view.due.to_string(),
            }))
        });
        let leases: Vec<EarnedLease> =
            asked.buffered(ASKED_AT_ONCE).try_filter_map(|lease| async move { Ok(lease) }).try_collect().await?;
        let (withdrawable, slashes) = self.withdrawable().await?;
        let mut earned = Amount(0);
        for (_, own) in self.payees()? {
            for version in self.core.keys.versions() {
                let credited = self.market_at(version.manager)?.earned(own).await;
                earned = sum(earned, credited.map_err(|error| market_error(&error))?);
            }
        }
        let [withdrawable, slashes, earned] = [withdrawable, slashes, earned].map(|amount| amount.to_string());
        Ok(NodeEarnings { withdrawable, slashes, earned, leases, older })
    }

    /// What this home's keys can draw now, and how much of it slashes owe.
    pub(super) async fn withdrawable(&self) -> Result<(Amount, Amount), NodeError> {
        let refused = |error| market_error(&error);
        let newest = self.market(KeyName::Operator)?;
        let (mut withdrawable, mut slashes) = (Amount(0), Amount(0));
        for (_, own) in self.payees()? {
            slashes = sum(slashes, newest.owed_of_slashes(own).await.map_err(refused)?);
            for version in self.core.keys.versions() {
                let claimable = self.market_at(version.manager)?.claimable(own).await;
                withdrawable = sum(withdrawable, claimable.map_err(refused)?);
            }
        }
        Ok((sum(withdrawable, slashes), slashes))
    }

    /// Settles what is due by now, and draws all that this home's keys can draw: each to its own address, unless `to` is
    /// given.
    pub async fn withdraw(&self, to: Option<&str>) -> Result<NodeWithdrawn, NodeError> {
        let to: Option<Address> =
            match to {
                None => None,
                Some(text) => Some(text.parse().map_err(|error| {
                    NodeError::new(ErrorKind::Usage, "address_invalid", format!("failed to {error}"))
                })?),
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
        let (mut drawn, mut receivers) = (Amount(0), BTreeSet::new());
        for (name, own) in self.payees()? {
            let receiver = to.unwrap_or(own);
            let amount = self.draw(name, own, receiver).await?;
            if amount > Amount(0) {
                drawn = sum(drawn, amount);
                receivers.insert(receiver.to_string());
            }
        }
        if drawn == Amount(0) {
            let text = "failed to withdraw: this node has earned nothing since the last time";
            return Err(NodeError::new(ErrorKind::Refused, "nothing_earned", text)
                .with_hint("`nisse node earnings` shows what its leases pay".to_owned()));
        }
        let to = receivers.into_iter().collect::<Vec<_>>().join(" and ");
        Ok(NodeWithdrawn { amount: drawn.to_string(), to })
    }

    /// This home's keys: what orders of the second one got back waits on the market as well.
    fn payees(&self) -> Result<Vec<(KeyName, Address)>, NodeError> {
        let mut payees = vec![(KeyName::Operator, self.core.operator)];
        payees.extend(self.core.wallets.address(KeyName::Deployer).map(|deployer| (KeyName::Deployer, deployer)));
        Ok(payees)
    }

    /// Draws what one key can draw.
    async fn draw(&self, name: KeyName, own: Address, to: Address) -> Result<Amount, NodeError> {
        let (core, refused) = (&self.core, |error| market_error(&error));
        let mut drawn = Amount(0);
        for version in core.keys.versions() {
            let market = core.keys.market_of(&core.home, &core.supervisor, name, version.manager)?;
            let claimable = market.claimable(own).await.map_err(refused)?;
            if claimable > Amount(0) {
                market.withdraw(&core.fresh_name("withdraw"), to).await.map_err(refused)?;
                drawn = sum(drawn, claimable);
            }
        }
        let market = self.market(name)?;
        let owed = market.owed_of_slashes(own).await.map_err(refused)?;
        if owed > Amount(0) {
            market.write(&core.fresh_name("claim"), &MarketCall::ClaimSlashed).await.map_err(refused)?;
            // The contract pays whom it owes; from there it goes on.
            if to != own {
                let pass_on = MarketCall::Transfer { to, amount: owed };
                market.write(&core.fresh_name("claimed"), &pass_on).await.map_err(refused)?;
            }
            drawn = sum(drawn, owed);
        }
        Ok(drawn)
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

fn sum(one: Amount, other: Amount) -> Amount {
    Amount(one.0.saturating_add(other.0))
}
