//! How the market is asked for something until it takes it.
//!
//! A write may be refused although it is called for: an endpoint that lags behind the one that told the news does not
//! know of it yet, a clock is a second behind. What is called for is asked for again, later and later, as long as this
//! node's own view of the market says so.

use nisse_model::{DeploymentId, Timestamp};

use crate::action::{Action, Effects};
use crate::agent::{Agent, Life};
use crate::decision::Decision;
use crate::event::MarketStep;
use crate::orchestrator::Orchestrator;

/// The first pause after a write that was not taken; it doubles.
const AGAIN_FIRST_MS: u64 = 2_000;
/// The longest such pause: a lease whose start is not acknowledged goes back to the market after a minute.
const AGAIN_MAX_MS: u64 = 60_000;

/// How far one write is. Not kept: a node that comes up asks anew, and names make sure that nothing goes out twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Asking {
    attempt: u32,
    under_way: bool,
    /// Not before this: it was refused.
    due: Option<Timestamp>,
}

impl Asking {
    /// Counts another attempt, unless one is under way or was refused a moment ago.
    pub(crate) fn begin(&mut self, now: Timestamp) -> Option<u32> {
        if self.under_way || self.due.is_some_and(|due| due > now) {
            return None;
        }
        *self = Self { attempt: self.attempt.saturating_add(1), under_way: true, due: None };
        Some(self.attempt)
    }

    fn refused(&mut self, now: Timestamp) {
        let factor = 1u64 << self.attempt.saturating_sub(1).min(16);
        self.under_way = false;
        self.due = Some(now.plus_ms(AGAIN_FIRST_MS.saturating_mul(factor).min(AGAIN_MAX_MS)));
    }
}

impl Agent {
    /// Whether the chain has yet to take its start.
    fn is_unacknowledged(&self) -> bool {
        matches!(self.life, Life::Running { acknowledged: None, .. } | Life::Paused { acknowledged: None, .. })
    }

    fn acknowledge(&mut self, deployment: DeploymentId, now: Timestamp, effects: &mut Effects) {
        if self.is_unacknowledged()
            && let Some(attempt) = self.acknowledging.begin(now)
        {
            effects.actions.push(Action::Acknowledge { deployment, incarnation: self.incarnation, attempt });
        }
    }

    /// Where the market refused it before: the first time is when the agent is up.
    pub(super) fn acknowledge_again(&mut self, deployment: DeploymentId, now: Timestamp, effects: &mut Effects) {
        if self.acknowledging.due.is_some() {
            self.acknowledge(deployment, now, effects);
        }
    }
}

impl Orchestrator {
    pub(super) fn acknowledge(&mut self, deployment: DeploymentId, now: Timestamp, effects: &mut Effects) {
        if let Some(agent) = self.agents.get_mut(&deployment) {
            agent.acknowledge(deployment, now, effects);
        }
    }

    /// The window has passed and nobody's bid stands: this node's does not count, or was never shown.
    pub(super) fn bid_again(&mut self, deployment: DeploymentId, round: u64, now: Timestamp, effects: &mut Effects) {
        let Some(bid) = self.bids.get_mut(&deployment).filter(|bid| bid.order.round == round) else { return };
        bid.assigning.refused(now);
        effects.actions.extend(bid.rate.map(|rate| Action::Bid { deployment, round, rate }));
    }

    pub(super) fn not_taken(
        &mut self,
        deployment: DeploymentId,
        step: MarketStep,
        now: Timestamp,
        effects: &mut Effects,
    ) {
        let bid = |round: u64| move |bid: &&mut super::OpenBid| bid.order.round == round;
        match step {
            // An answer to a bid of an earlier round says nothing about this one.
            MarketStep::Bid { round } => {
                if self.bids.get_mut(&deployment).filter(bid(round)).is_some() {
                    self.decide(effects, Decision::BidLost { deployment });
                }
            }
            MarketStep::Assign { round } => {
                if let Some(bid) = self.bids.get_mut(&deployment).filter(bid(round)) {
                    bid.assigning.refused(now);
                }
            }
            MarketStep::Acknowledge => {
                if let Some(agent) = self.agents.get_mut(&deployment) {
                    agent.acknowledging.refused(now);
                }
            }
            MarketStep::Expire => {
                if let Some(agent) = self.agents.get_mut(&deployment) {
                    agent.expiring.refused(now);
                }
            }
        }
    }
}
