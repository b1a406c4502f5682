//! Back to the package before the last update, and to the state that it left behind. The later state is kept as an
//! export.
//!
//! The node that runs the agent notes durably that its owner goes back, and only then is the market asked for the update
//! that does it: a crash between the two forgets nothing.

use nisse_market::{Market, MarketEvent, OrderView};
use nisse_model::{AgentName, DeploymentId, PackageRef};
use nisse_orchestrator::{Agent, Command};

use super::update::Wanted;
use crate::control::{AgentStatus, RollbackNoted};
use crate::error::{ErrorKind, NodeError};
use crate::life::kept_name;
use crate::node::find::Found;
use crate::node::orders::Order;
use crate::node::{Node, market_error};
use crate::packages::Stored;

const VERB: &str = "roll back";

impl Node {
    /// Goes back to the package before the last update, here or on the node that runs the agent.
    pub async fn rollback(&self, text: &str) -> Result<AgentStatus, NodeError> {
        let (deployment, agent) = match self.find_running(text).await? {
            (deployment, Found::Agent(agent)) => (deployment, agent),
            (_, Found::Order(order)) => return self.rollback_elsewhere(*order).await,
        };
        let previous = self.previous(deployment, &agent)?;
        let manifest = self.manifest_of(&previous).await?;
        self.carry_out(deployment, Command::Rollback).await?;
        self.swap_to(deployment, &agent, Stored::held(&self.core, manifest, previous)).await
    }

    /// Notes that an owner who is elsewhere goes back. The update that does it comes by the market.
    pub async fn note_rollback(&self, text: &str) -> Result<RollbackNoted, NodeError> {
        let (deployment, agent) = self.find_here(text, VERB).await?;
        let previous = self.previous(deployment, &agent)?;
        self.carry_out(deployment, Command::Rollback).await?;
        Ok(RollbackNoted::to(&previous))
    }

    /// The package before the last update, whose state is still there.
    fn previous(&self, deployment: DeploymentId, agent: &Agent) -> Result<PackageRef, NodeError> {
        let name = &agent.placement.package.agent_id.name;
        let previous = agent.previous.clone().ok_or_else(|| never_updated(name))?;
        if self.core.pinned(kept_name(deployment, agent.previous_revision).as_str()).is_none() {
            let text =
                format!("failed to {VERB} {name}: the state before the update is not in the content store any more");
            return Err(NodeError::new(ErrorKind::NotFound, "state_gone", text));
        }
        Ok(previous)
    }

    /// Has the node that runs an order of this home note it, then asks the market for the update back. Which package that
    /// is the market says, and the node must mean the same.
    async fn rollback_elsewhere(&self, order: Order) -> Result<AgentStatus, NodeError> {
        let Some(node) = order.runs_on() else { return Err(order.not_here(VERB)) };
        let (deployment, name) = (order.deployment, order.package.agent_id.name.clone());
        let market = self.market_of(self.owner_key(order.view.owner)?, &deployment)?;
        let Some(before) = self.ran_before(&market, deployment.number).await? else {
            return Err(never_updated(&name));
        };
        let listed = &before.package;
        let package =
            listed.reference().map_err(|error| NodeError::caused(ErrorKind::Failed, "market_misspoke", &error))?;
        let noted = self.elsewhere(order.clone(), VERB)?.note_rollback().await?;
        if noted != RollbackNoted::to(&package) {
            let text = format!(
                "failed to {VERB} {name} on its node {node}: that one would go to {}, and by the market {} ran before",
                noted.agent_id, package.agent_id
            );
            return Err(NodeError::new(ErrorKind::Refused, "previous_other", text)
                .with_hint(format!("`nisse update {name} DIR` asks it for a package by name")));
        }
        let intent = self.core.fresh_name("rollback");
        let (config, artifact) = (Some(listed.config_hash), Some(listed.artifact_cid));
        let revision = market.update(&intent, deployment.number, before.publication, config, artifact).await;
        let revision = revision.map_err(|error| market_error(&error))?;
        let wanted = Wanted { publication: before.publication, config_hash: listed.config_hash, revision };
        self.answered_elsewhere(&order, &market, node, wanted).await
    }

    /// What a deployment ran before its last update, as the market has it.
    async fn ran_before(&self, market: &Market, number: u64) -> Result<Option<OrderView>, NodeError> {
        let mut ran = Ran::default();
        self.each_event(market, number, |at| ran.hear(&at.event)).await?;
        Ok(ran.before)
    }
}

/// The packages that a deployment ran, read from its events from the first one on.
#[derive(Default)]
struct Ran {
    before: Option<OrderView>,
    now: Option<OrderView>,
    /// The market takes an answer to the newest request alone.
    asked: Option<OrderView>,
}

impl Ran {
    fn hear(&mut self, event: &MarketEvent) {
        match event {
            MarketEvent::Deployed { order, .. } => self.now = Some((**order).clone()),
            MarketEvent::UpdateRequested { order, .. } => self.asked = Some((**order).clone()),
            MarketEvent::Updated { .. } => {
                if let Some(asked) = self.asked.take() {
                    self.before = self.now.replace(asked);
                }
            }
            _ => {}
        }
    }
}

fn never_updated(name: &AgentName) -> NodeError {
    NodeError::new(ErrorKind::Conflict, "never_updated", format!("failed to roll {name} back: it was never updated"))
}

#[cfg(test)]
mod tests {
    use nisse_market::ListedPackage;
    use nisse_model::{Address, Amount, AmountPerHour, ByteSize, ContentId, Cpu, Hash256, Resources};

    use super::*;

    fn order(publication: u64) -> Box<OrderView> {
        let artifact_hash = Hash256::of(&publication.to_be_bytes());
        Box::new(OrderView {
            publication,
            package: ListedPackage {
                agent_id: format!("nisse.test.counter@v1.{publication}.0"),
                manifest_cid: ContentId::raw(artifact_hash),
                artifact_cid: ContentId::raw(artifact_hash),
                artifact_hash,
                config_hash: Hash256::ZERO,
                resources: Resources { cpu: Cpu { millis: 250 }, memory: ByteSize(1 << 20), gpu: false },
            },
            payment: Amount(0),
            max_rate: AmountPerHour(1),
            bid_window_seconds: 0,
            bidding_ends: None,
            gas_budget: 0,
            only_node: None,
            home: false,
            verified: true,
        })
    }

    #[test]
    fn what_ran_before_is_what_the_last_answered_update_took_the_place_of() {
        let node = Address([1; 20]);
        let asked = |publication| {
            let revision = u32::try_from(publication).unwrap_or_default();
            MarketEvent::UpdateRequested { deployment: 1, node, revision, order: order(publication) }
        };
        let done = |publication: u64| {
            let revision = u32::try_from(publication).unwrap_or_default();
            MarketEvent::Updated { deployment: 1, node, revision, publication, incarnation: 2 }
        };
        let refused = MarketEvent::UpdateRejected { deployment: 1, node, revision: 3, reason: String::new() };
        let deployed = MarketEvent::Deployed { deployment: 1, owner: node, order: order(1) };
        let steps = [
            (deployed, None),
            (asked(2), None),
            (done(2), Some(1)),
            (asked(3), Some(1)),
            (refused, Some(1)),
            (asked(4), Some(1)),
            // A newer request takes the place of one that was not answered.
            (asked(5), Some(1)),
            (done(5), Some(2)),
            (asked(2), Some(2)),
            (done(2), Some(5)),
        ];
        let mut ran = Ran::default();
        for (event, before) in steps {
            ran.hear(&event);
            assert_eq!(ran.before.as_ref().map(|order| order.publication), before, "{event:?}");
        }
    }
}
