//! Back to the package before the last update, and to the state that it left behind. The later state is kept as an
//! export.
//!
//! The node that runs the agent notes durably that its owner goes back, and only then is the market asked for the update
//! that does it: a crash between the two forgets nothing.

use nisse_market::{Market, MarketEvent, OrderView};
use nisse_model::{AgentName, DeploymentId, PackageRef};
use nisse_orchestrator::{Agent, Command};

use super::update::Wanted;
use crate::control::{AgentStatus, RollbackTo};
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

    /// Notes that an owner who is elsewhere goes back to this package. The update that does it comes by the market.
    pub async fn note_rollback(&self, text: &str, to: &RollbackTo) -> Result<(), NodeError> {
        let (deployment, agent) = self.find_here(text, VERB).await?;
        let previous = self.previous(deployment, &agent)?;
        if RollbackTo::package(&previous) != *to {
            let text =
                format!("failed to {VERB} to {}: before the last update {} ran here", to.agent_id, previous.agent_id);
            return Err(NodeError::new(ErrorKind::Conflict, "previous_other", text));
        }
        self.carry_out(deployment, Command::Rollback).await
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
    /// is the market says; a node that means another one notes nothing.
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
        self.elsewhere(order.clone(), VERB)?.note_rollback(&RollbackTo::package(&package)).await?;
        let intent = self.core.fresh_name("rollback");
        let (config, artifact) = (Some(listed.config_hash), Some(listed.artifact_cid));
        let revision = market.update(&intent, deployment.number, before.publication, config, artifact).await;
        let revision = revision.map_err(|error| market_error(&error))?;
        let wanted = Wanted { publication: before.publication, config_hash: listed.config_hash, revision };
        self.answered_elsewhere(&order, &market, node, wanted, VERB).await
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
    asked: Option<(u32, OrderView)>,
    /// The last revision that was answered: what blocks that came instead of others tell again is known.
    done: u32,
}

impl Ran {
    fn hear(&mut self, event: &MarketEvent) {
        match event {
            MarketEvent::Deployed { order, .. } => self.now = Some((**order).clone()),
            MarketEvent::UpdateRequested { revision, order, .. } if *revision > self.done => {
                self.asked = Some((*revision, (**order).clone()));
            }
            MarketEvent::Updated { revision, .. } => {
                if let Some((done, asked)) = self.asked.take_if(|(asked, _)| asked == revision) {
                    self.done = done;
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
    use nisse_model::Address;

    use super::*;
    use crate::fixtures::order;

    #[test]
    fn what_ran_before_is_what_the_last_answered_update_took_the_place_of() {
        let node = Address([1; 20]);
        let asked = |revision, publication| MarketEvent::UpdateRequested {
            deployment: 1,
            node,
            revision,
            order: order(publication),
        };
        let done = |revision| MarketEvent::Updated { deployment: 1, node, revision, publication: 0, incarnation: 2 };
        let refused = MarketEvent::UpdateRejected { deployment: 1, node, revision: 2, reason: String::new() };
        let deployed = MarketEvent::Deployed { deployment: 1, owner: node, order: order(1) };
        let steps = [
            (deployed, None),
            (asked(1, 2), None),
            (done(1), Some(1)),
            // Blocks that came instead of others tell it again.
            (asked(1, 2), Some(1)),
            (done(1), Some(1)),
            (asked(2, 3), Some(1)),
            (refused, Some(1)),
            (asked(3, 4), Some(1)),
            // A newer request takes the place of one that was not answered.
            (asked(4, 5), Some(1)),
            (done(4), Some(2)),
            (asked(5, 2), Some(2)),
            (done(5), Some(5)),
        ];
        let mut ran = Ran::default();
        for (event, before) in steps {
            ran.hear(&event);
            assert_eq!(ran.before.as_ref().map(|order| order.publication), before, "{event:?}");
        }
    }
}
