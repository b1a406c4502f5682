//! What follows when the contract is read again: at a start, and some seconds after a reorganisation. No chain is asked
//! here.
//!
//! Events of the new blocks are told like any others. What they cannot tell is what is missing: an assignment, a bid or
//! an acknowledgement that stood in a block that is gone. Most of it comes back in another block at once.

use nisse_market::{DeploymentState, DeploymentView, MarketCall};
use nisse_model::{DeploymentId, Timestamp};
use nisse_orchestrator::{Agent, Assignment, CloseReason, Event, Life};

use super::Standing;
use super::meaning::{Reader, assigned, held, is_held, reopened};
use crate::driver::shortened;

/// A reorganisation reaches no further back than this.
const ENDED_LATELY_MS: u64 = 3_600_000;

impl Reader {
    /// What an agent is told of that lives, or ended lately. `view`: what the contract says of its deployment; `None` where there is none.
    pub fn agent_again(&self, deployment: DeploymentId, agent: &Agent, view: Option<&DeploymentView>) -> Vec<Event> {
        if !agent.life.is_live() {
            return view.map(|view| self.held_again(deployment, agent, view)).unwrap_or_default();
        }
        let undone = Event::Closed { deployment, reason: CloseReason::Undone };
        let Some(view) = view else { return vec![undone] };
        let name = view.package.agent_id.split('@').next().unwrap_or_default();
        if view.owner != agent.placement.owner || name != agent.placement.package.agent_id.name.as_str() {
            // The number was given to another order: this one is gone, and the other may be this node's as well, and run
            // already: the acknowledgement named the number.
            let mut events = vec![undone];
            events.extend(assigned(view, deployment, self.operator));
            let held = is_held(view, self.operator);
            events.extend(running(view).filter(|_| held).map(|at| Event::Acknowledged { deployment, at }));
            return events;
        }
        if !is_held(view, self.operator) {
            let reason = match view.state {
                DeploymentState::Stopped => CloseReason::Owner,
                DeploymentState::Expired => CloseReason::Expired,
                _ => CloseReason::Undone,
            };
            return vec![Event::Closed { deployment, reason }];
        }
        let paid = matches!(&agent.assignment, Assignment::Lease(lease) if lease.deposited != view.deposited);
        let funded = paid.then_some(Event::Funded { deployment, deposited: view.deposited });
        funded.into_iter().chain(running(view).map(|at| Event::Acknowledged { deployment, at })).collect()
    }

    /// What has ended here and is this node's still, as if it had not: without the agent its owner would pay for nothing,
    /// and the node would be found silent.
    fn held_again(&self, deployment: DeploymentId, agent: &Agent, view: &DeploymentView) -> Vec<Event> {
        let began = view.incarnation;
        let stopped = matches!(agent.life, Life::Stopped { .. });
        let held = held(view, self.operator).filter(|_| stopped);
        let gas_budget = view.gas_budget;
        let again = |(placement, assignment)| Event::HeldAgain { deployment, placement, assignment, began, gas_budget };
        let again = held.map(again);
        let started = again.is_some().then_some(view.started).flatten();
        again.into_iter().chain(started.map(|at| Event::Acknowledged { deployment, at })).collect()
    }

    /// What the chain had taken of an agent and has not any more: it goes out under a name of its own, since the old one
    /// has its outcome.
    pub fn said_again(&self, deployment: DeploymentId, agent: &Agent, view: &DeploymentView) -> Option<MarketCall> {
        if !is_held(view, self.operator) {
            return None;
        }
        let number = deployment.number;
        if let Life::Failed { stage, reason, .. } = &agent.life {
            return Some(match view.state {
                DeploymentState::Running => MarketCall::Stop { deployment: number },
                _ => MarketCall::Reject { deployment: number, reason: shortened(&format!("{stage}: {reason}")) },
            })
            .filter(|_| agent.assignment != Assignment::Home);
        }
        let started = matches!(agent.life, Life::Running { .. } | Life::Paused { .. });
        let (answered, incarnation) = (agent.revision_done, agent.incarnation);
        if view.state == DeploymentState::Assigned && started {
            return Some(MarketCall::AckStart { deployment: number, incarnation });
        }
        view.update.filter(|(revision, _)| *revision == answered)?;
        Some(match &agent.update_refused {
            Some(reason) => {
                MarketCall::RejectUpdate { deployment: number, revision: answered, reason: shortened(reason) }
            }
            None => MarketCall::AckUpdate { deployment: number, revision: answered, incarnation },
        })
    }

    /// What an order comes to that this node looks at, or has `bid` on, after a reorganisation. Its block is another one
    /// then, so a bid on it is another round: that of the block `head`.
    pub fn order_again(
        &self,
        deployment: DeploymentId,
        bid: bool,
        view: Option<&DeploymentView>,
        head: u64,
    ) -> Vec<Event> {
        let open = view.filter(|view| view.state == DeploymentState::Open);
        if open.is_some_and(|view| !bid || view.node == Some(self.operator)) {
            return Vec::new();
        }
        let open = open.filter(|_| self.standing == Standing::Newest);
        let order = open.and_then(|view| reopened(view, deployment, view.deadline, head));
        [Event::AssignedElsewhere { deployment }].into_iter().chain(order.map(Event::OrderOpened)).collect()
    }
}

/// Since when a lease is paid for that runs.
fn running(view: &DeploymentView) -> Option<Timestamp> {
    view.started.filter(|_| view.state == DeploymentState::Running)
}

/// Whether an agent is read again at this time of the node's clock: each that lives, and after a reorganisation those that
/// ended within reach of it.
pub fn is_read_again(agent: &Agent, reorganised: bool, now: Timestamp) -> bool {
    match &agent.life {
        Life::Stopped { reason: CloseReason::Destroyed | CloseReason::Superseded, .. } => false,
        Life::Stopped { at, .. } | Life::Failed { at, .. } => reorganised && now.since_ms(*at) < ENDED_LATELY_MS,
        _ => true,
    }
}

/// Whether an agent seems to be gone, or to be back, for the first time. The chain in this process has one word only.
pub fn is_doubtful(events: &[Event], doubted_before: bool, embedded: bool) -> bool {
    let turned =
        |event: &Event| matches!(event, Event::Closed { reason: CloseReason::Undone, .. } | Event::HeldAgain { .. });
    !embedded && !doubted_before && events.iter().any(turned)
}

#[cfg(test)]
mod tests {
    use nisse_model::Address;

    use super::*;
    use crate::fixtures::{open_order, running as running_agent};

    #[test]
    fn a_number_that_another_order_was_given_is_this_node_s_lease_as_far_as_the_contract_says() {
        let all = running_agent();
        let (deployment, agent) = all.agents().iter().next().expect("it runs one");
        let reader = Reader { operator: Address([9; 20]), standing: Standing::Newest };
        let other = DeploymentView { number: deployment.number, ..open_order(Timestamp(9_000)) };
        assert_ne!(other.owner, agent.placement.owner);
        let told = |view: &DeploymentView| reader.agent_again(*deployment, agent, Some(view));
        let undone = Event::Closed { deployment: *deployment, reason: CloseReason::Undone };
        assert_eq!(told(&other), std::slice::from_ref(&undone));
        let held = DeploymentView { state: DeploymentState::Assigned, node: Some(reader.operator), ..other };
        let events = told(&held);
        assert!(matches!(&events[..], [first, Event::Assigned { .. }] if *first == undone), "{events:?}");
        let started = Some(Timestamp(7_000));
        let runs = DeploymentView { state: DeploymentState::Running, started, ..held };
        let last = Event::Acknowledged { deployment: *deployment, at: Timestamp(7_000) };
        assert_eq!(told(&runs), [&events[..], &[last]].concat(), "it is paid for already");
    }

    #[test]
    fn an_agent_of_another_chain_is_stopped_as_undone_at_the_second_word_only() {
        let deployment = DeploymentId { chain: 1, contract: Address([2; 20]), number: 3 };
        let undone = [Event::Closed { deployment, reason: CloseReason::Undone }];
        assert!(is_doubtful(&undone, false, false), "an endpoint may lag");
        assert!(!is_doubtful(&undone, true, false), "it says so again");
        assert!(!is_doubtful(&undone, false, true), "the chain in this process does not lag");
        let ended = [Event::Closed { deployment, reason: CloseReason::Owner }];
        assert!(!is_doubtful(&ended, false, false), "an end that the contract tells is not doubted");
    }
}
