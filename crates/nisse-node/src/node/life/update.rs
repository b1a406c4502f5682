//! Another package for a live agent, here or on the node that runs it.

use std::time::Duration;

use nisse_market::{DeploymentView, Market};
use nisse_model::{Address, AgentId, AgentName, DeploymentId, Hash256, Manifest};
use nisse_orchestrator::{Agent, Assignment};

use super::not_now;
use super::settle::UPDATE;
use crate::caller;
use crate::control::{AgentStatus, PackageUpload, UpdateRequest};
use crate::error::{ErrorKind, NodeError};
use crate::node::deploy::AskedTerms;
use crate::node::find::Found;
use crate::node::orders::{Order, has_node};
use crate::node::{Node, market_error};
use crate::owned::check_modest;
use crate::packages::{self, RunBy, Stored};

const VERB: &str = "update";
/// Between two looks at what another node answered on the market.
const LOOK_PAUSE: Duration = Duration::from_millis(250);

impl Node {
    /// Swaps to another package; the old one goes on until the new one is ready.
    pub async fn update(&self, text: &str, request: UpdateRequest) -> Result<AgentStatus, NodeError> {
        let (deployment, agent) = match self.find_running(text).await? {
            (deployment, Found::Agent(agent)) => (deployment, agent),
            (_, Found::Order(order)) if caller::is_member() => return Err(order.not_here(VERB)),
            (_, Found::Order(order)) => return self.update_elsewhere(*order, request).await,
        };
        if caller::is_member() {
            self.check_members_package(&agent, &request.package).await?;
        }
        let run_by = if agent.assignment == Assignment::Home { RunBy::Home } else { RunBy::Market };
        let stored = packages::store(&self.core, request.package, agent.placement.owner, run_by).await?;
        // To fetch an artifact takes its time: another update may have been faster.
        let agent = match self.find_running(&deployment.to_string()).await? {
            (_, Found::Agent(agent)) => agent,
            (_, Found::Order(order)) => return Err(order.not_here(VERB)),
        };
        check_successor(&agent.placement.package.agent_id, &stored.reference.agent_id, request.allow_downgrade)?;
        self.swap_to(deployment, &agent, stored).await
    }

    /// Refuses what a member may not have this home run or fetch.
    async fn check_members_package(&self, agent: &Agent, package: &PackageUpload) -> Result<(), NodeError> {
        if package.artifact_cid.is_some() {
            let text =
                "failed to update for a space: a member's update brings its artifact, this home fetches none for them";
            return Err(NodeError::new(ErrorKind::Refused, "artifact_needed", text)
                .with_hint("leave --artifact-cid out".to_owned()));
        }
        // What is no manifest is refused where it is stored, with all that is wrong with it.
        let Ok(new) = Manifest::parse(&package.manifest) else { return Ok(()) };
        check_modest(&self.manifest_of(&agent.placement.package).await?, &new)
    }

    /// Has the market pass another package on to the node that runs an order of this home. That node fetches it, and
    /// answers on the market.
    async fn update_elsewhere(&self, order: Order, request: UpdateRequest) -> Result<AgentStatus, NodeError> {
        let Some(node) = order.runs_on() else { return Err(order.not_here("update")) };
        let (deployment, owner) = (order.deployment, order.view.owner);
        let stored = packages::store(&self.core, request.package, owner, RunBy::Market).await?;
        check_successor(&order.package.agent_id, &stored.reference.agent_id, request.allow_downgrade)?;
        let market = self.market_of(self.owner_key(owner)?, &deployment)?;
        let wanted = self.want(&market, deployment, &stored, AskedTerms::of(&order.view)).await?;
        self.answered_elsewhere(&order, &market, node, wanted, VERB).await
    }

    /// Waits for what another node answers on the market.
    pub(super) async fn answered_elsewhere(
        &self,
        order: &Order,
        market: &Market,
        node: Address,
        wanted: Wanted,
        verb: &str,
    ) -> Result<AgentStatus, NodeError> {
        let Wanted { publication, config_hash, revision } = wanted;
        let (deployment, name) = (order.deployment, &order.package.agent_id.name);
        let pending = |view: &DeploymentView| view.update.is_some_and(|(next, _)| next <= revision);
        let answered = tokio::time::timeout(UPDATE.within, async {
            loop {
                match market.deployment(deployment.number).await {
                    // What a lease that ended was to be is not answered any more.
                    Ok(view) if !has_node(view.state) || !pending(&view) => return view,
                    // A chain that does not answer now may do so later.
                    _ => tokio::time::sleep(LOOK_PAUSE).await,
                }
            }
        });
        let view = answered.await.map_err(|_| UPDATE.not_yet(deployment))?;
        if !has_node(view.state) {
            let text = format!("failed to {verb} {name}: its lease ended before {node} had answered");
            return Err(NodeError::new(ErrorKind::Conflict, "not_now", text));
        }
        let status = self.agent(&deployment.to_string()).await?;
        let runs = (view.publication, view.package.config_hash);
        if runs == (publication, config_hash) {
            return Ok(status);
        }
        let reason = match view.update {
            Some((next, _)) => format!("update {next} took its place"),
            None => status.update_refused.unwrap_or_else(|| "its node does not say why".to_owned()),
        };
        Err(refused(verb, name, &format!(" on its node {node}"), &reason))
    }

    pub(super) async fn swap_to(
        &self,
        deployment: DeploymentId,
        agent: &Agent,
        stored: Stored,
    ) -> Result<AgentStatus, NodeError> {
        if !agent.life.is_live() {
            return Err(not_now("update", agent));
        }
        let market = self.market_of(self.owner_key(agent.placement.owner)?, &deployment)?;
        let terms = match &agent.assignment {
            Assignment::Home => AskedTerms::home(),
            Assignment::Lease(_) => {
                let view = market.deployment(deployment.number).await;
                AskedTerms::of(&view.map_err(|error| market_error(&error))?)
            }
        };
        let mut milestones = self.core.milestones.subscribe();
        let Wanted { revision, .. } = self.want(&market, deployment, &stored, terms).await?;
        self.until(UPDATE, &mut milestones, deployment, move |agent| agent.revision_done >= revision).await?;
        let status = self.here(deployment).await?;
        match &status.update_refused {
            None => Ok(status),
            Some(reason) => Err(refused(VERB, &agent.placement.package.agent_id.name, "", reason)),
        }
    }

    /// Says on the market which package is to run.
    async fn want(
        &self,
        market: &Market,
        deployment: DeploymentId,
        stored: &Stored,
        terms: AskedTerms,
    ) -> Result<Wanted, NodeError> {
        let publication = self.publish(market, stored, terms).await?;
        let (intent, config_hash) = (self.core.fresh_name("update"), stored.reference.config_hash);
        let revision = market.update(&intent, deployment.number, publication, Some(config_hash), None).await;
        Ok(Wanted { publication, config_hash, revision: revision.map_err(|error| market_error(&error))? })
    }
}

/// An update that the market holds.
pub(super) struct Wanted {
    pub(super) publication: u64,
    pub(super) config_hash: Hash256,
    pub(super) revision: u32,
}

/// An update that its node answered with a refusal; `place` says which node, where it is another.
fn refused(verb: &str, name: &AgentName, place: &str, reason: &str) -> NodeError {
    let text = format!("failed to {verb} {name}{place}: {reason}; the old package goes on");
    let hint = format!("`nisse logs {name}` shows what it said; mend it, then `nisse update {name} DIR` again");
    NodeError::new(ErrorKind::Refused, "update_refused", text).with_hint(hint)
}

/// Whether one package may follow another.
fn check_successor(old: &AgentId, new: &AgentId, allow_downgrade: bool) -> Result<(), NodeError> {
    if old.name != new.name {
        let text = format!("failed to update {} to {}: another agent's package", old.name, new.name);
        return Err(NodeError::new(ErrorKind::Refused, "agent_other", text)
            .with_hint("`nisse deploy DIR` runs it as an agent of its own".to_owned()));
    }
    if new.version < old.version && !allow_downgrade {
        let text = format!("failed to update {} from {} to {}: a lower version", old.name, old.version, new.version);
        return Err(NodeError::new(ErrorKind::Refused, "downgrade", text)
            .with_hint("add --allow-downgrade if it is meant".to_owned()));
    }
    Ok(())
}
