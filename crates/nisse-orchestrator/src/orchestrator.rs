//! The state machine: one `handle`, one `apply`.

mod apply;
mod ended;
mod handle;
#[cfg(test)]
mod tests;

pub use handle::alarms::ALARM_DISTANCE_MIN_MS;
pub(crate) use handle::alarms::AlarmPace;
pub(crate) use handle::asking::Asking;

use std::collections::BTreeMap;

use nisse_model::{Address, AgentName, AmountPerHour, ByteSize, Cpu, DeploymentId, Resources, Timestamp};

use crate::action::{Action, Effects};
use crate::agent::{Agent, Assignment, Life, Placement};
use crate::decision::Decision;
use crate::event::Order;
use crate::policy::Policy;
use crate::reason::Refusal;

/// How many refused orders are remembered for `market ls`.
const REFUSED_ORDERS_MAX: usize = 1_000;

/// Decides what this node does with orders and agents.
#[derive(Debug)]
pub struct Orchestrator {
    policy: Policy,
    draining: bool,
    agents: BTreeMap<DeploymentId, Agent>,
    bids: BTreeMap<DeploymentId, OpenBid>,
    refused: BTreeMap<DeploymentId, Refusal>,
}

/// An order that this node looks at or has bid on. Its room is held from the bid on.
#[derive(Debug, Clone)]
struct OpenBid {
    order: Order,
    /// This node has attested the artifact, and waits for others to do so.
    attested: bool,
    rate: Option<AmountPerHour>,
    /// The market is asked to choose.
    assigning: Asking,
}

/// Why a command is not possible now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// No such deployment here.
    #[error("find {0} on this node")]
    Unknown(DeploymentId),
    /// The agent's life does not allow it.
    #[error("{verb} an agent that is {life}")]
    NotNow {
        /// What was asked.
        verb: &'static str,
        /// Where it stands.
        life: &'static str,
    },
    /// It has to be answered first.
    #[error("roll back an agent whose update is on its way")]
    Updating,
}

impl Orchestrator {
    /// An orchestrator without agents.
    pub fn new(policy: Policy) -> Self {
        Self { policy, draining: false, agents: BTreeMap::new(), bids: BTreeMap::new(), refused: BTreeMap::new() }
    }

    /// The agents by deployment, ended ones included.
    pub fn agents(&self) -> &BTreeMap<DeploymentId, Agent> {
        &self.agents
    }

    /// One agent.
    pub fn agent(&self, deployment: &DeploymentId) -> Option<&Agent> {
        self.agents.get(deployment)
    }

    /// The newest deployment of an agent, a live one before ended ones.
    pub fn find(&self, owner: Option<Address>, name: &AgentName) -> Option<(&DeploymentId, &Agent)> {
        self.agents
            .iter()
            .filter(|(_, agent)| agent.placement.package.agent_id.name == *name)
            .filter(|(_, agent)| owner.is_none_or(|owner| agent.placement.owner == owner))
            .max_by_key(|(deployment, agent)| (agent.life.is_live(), deployment.number))
    }

    /// Orders that this node looks at, and whether it has bid on them.
    pub fn orders(&self) -> impl Iterator<Item = (DeploymentId, bool)> {
        self.bids.iter().map(|(deployment, bid)| (*deployment, bid.rate.is_some()))
    }

    /// In which round this node bids on an order, once it does, and what it asks for an hour.
    pub fn bid(&self, deployment: &DeploymentId) -> Option<(u64, AmountPerHour)> {
        let bid = self.bids.get(deployment)?;
        Some((bid.order.round, bid.rate?))
    }

    /// Whether a live agent or an order here is of this market.
    pub fn holds(&self, contract: Address) -> bool {
        let live = self.agents.iter().filter(|(_, agent)| agent.life.is_live()).map(|(deployment, _)| *deployment);
        live.chain(self.bids.keys().copied()).any(|deployment| deployment.contract == contract)
    }

    /// Orders that were refused, and why.
    pub fn refused(&self) -> &BTreeMap<DeploymentId, Refusal> {
        &self.refused
    }

    /// Whether the node takes no new work.
    pub fn is_draining(&self) -> bool {
        self.draining
    }

    /// What live agents and open bids hold together.
    pub fn used(&self) -> Resources {
        self.sum(None)
    }

    /// The same without one deployment, whose room the agent or another package of it would take over.
    fn used_without(&self, deployment: DeploymentId) -> Resources {
        self.sum(Some(deployment))
    }

    fn sum(&self, without: Option<DeploymentId>) -> Resources {
        let live = |(id, agent): &(&DeploymentId, &Agent)| agent.life.is_live() && Some(**id) != without;
        let agents = self.agents.iter().filter(live).map(|(_, agent)| agent.held());
        let held = |(id, bid): &(&DeploymentId, &OpenBid)| bid.rate.is_some() && Some(**id) != without;
        let bids = self.bids.iter().filter(held).map(|(_, bid)| bid.order.placement.resources);
        let nothing = Resources { cpu: Cpu::default(), memory: ByteSize::default(), gpu: false };
        agents.chain(bids).fold(nothing, |sum, one| Resources {
            cpu: Cpu { millis: sum.cpu.millis.saturating_add(one.cpu.millis) },
            memory: ByteSize(sum.memory.0.saturating_add(one.memory.0)),
            gpu: sum.gpu || one.gpu,
        })
    }

    /// When `handle` next wants a tick, so that the node can sleep until then. `None`: nothing is waited for.
    pub fn next_alarm(&self) -> Option<Timestamp> {
        self.agents.values().filter_map(Agent::wakes_at).min()
    }

    /// Takes a decision that the journal already holds. Used at start only.
    pub fn restore(&mut self, decision: &Decision) {
        self.apply(decision);
    }

    /// What is to be done after the journal was read: every live agent is prepared again, without the chain.
    pub fn boot(&mut self, now: Timestamp) -> Effects {
        let mut effects = Effects::default();
        self.decide(&mut effects, Decision::Booted { at: now });
        self.forget_ended(&mut effects);
        for (deployment, agent) in &mut self.agents {
            reissue(*deployment, agent, &mut effects.actions);
        }
        for (deployment, bid) in &self.bids {
            let (deployment, round) = (*deployment, bid.order.round);
            effects.actions.push(match bid.rate {
                None if bid.attested => Action::Attest { deployment, round },
                None => Action::Inspect { deployment, placement: bid.order.placement.clone() },
                Some(rate) => Action::Bid { deployment, round, rate },
            });
        }
        // What this node lends, and for how much, may be another than before.
        self.look_again(&mut effects);
        effects
    }

    /// A list of decisions that makes this state from nothing: what a compacted journal begins with.
    pub fn compacted(&self) -> Vec<Decision> {
        apply::compact(self)
    }

    fn decide(&mut self, effects: &mut Effects, decision: Decision) {
        self.apply(&decision);
        effects.decisions.push(decision);
    }

    /// Whether another live agent or open bid holds the host names of this placement.
    fn is_taken(&self, deployment: DeploymentId, placement: &Placement) -> bool {
        let key = placement.host_key();
        let by_agent = |(id, agent): (&DeploymentId, &Agent)| {
            *id != deployment && agent.life.is_live() && agent.placement.host_key() == key
        };
        let by_bid = |(id, bid): (&DeploymentId, &OpenBid)| *id != deployment && bid.order.placement.host_key() == key;
        self.agents.iter().any(by_agent) || self.bids.iter().any(by_bid)
    }
}

/// What a node that came up does again for one agent. Every transaction among it has a name of its own, so what the
/// chain has taken already is not sent twice.
fn reissue(deployment: DeploymentId, agent: &mut Agent, actions: &mut Vec<Action>) {
    let revision = agent.revision_done;
    if revision > 0 {
        actions.push(match &agent.update_refused {
            Some(reason) => Action::RefuseUpdate { deployment, revision, reason: reason.clone() },
            None => Action::AcknowledgeUpdate { deployment, revision, incarnation: agent.incarnation },
        });
    }
    match &agent.life {
        Life::Failed { stage, reason, .. } if agent.assignment != Assignment::Home => {
            actions.push(Action::Reject { deployment, reason: format!("{stage}: {reason}") });
        }
        Life::Running { .. } => actions.push(agent.bring_up(deployment)),
        Life::Preparing | Life::Starting => {
            actions.push(Action::Prepare { deployment, placement: agent.placement.clone() });
        }
        Life::Paused { .. } | Life::Stopped { .. } | Life::Failed { .. } => {}
    }
}
