//! The one place that changes state, and its inverse: decisions that make a state.

use nisse_model::Timestamp;

use super::{AlarmPace, Asking, OpenBid, Orchestrator, REFUSED_ORDERS_MAX};
use crate::agent::{Agent, Alarm, AlarmBefore, Assignment, Life};
use crate::decision::Decision;
use crate::event::Order;

impl Orchestrator {
    /// Applies one decision. A decision about a deployment that is not here changes nothing: it was forgotten.
    pub(super) fn apply(&mut self, decision: &Decision) {
        match decision {
            Decision::Booted { .. } => self.booted(),
            Decision::Draining { draining } => self.draining = *draining,
            Decision::OrderSeen { deployment, placement, max_rate, bids_until, round, gas_budget, unverified } => {
                let bids_until = (*bids_until != Timestamp::default()).then_some(*bids_until);
                let order = Order {
                    deployment: *deployment,
                    placement: placement.clone(),
                    max_rate: *max_rate,
                    gas_budget: *gas_budget,
                    bids_until,
                    round: *round,
                    unverified: *unverified,
                };
                self.refused.remove(deployment);
                let bid = OpenBid { order, attested: false, rate: None, assigning: Asking::default() };
                self.bids.insert(*deployment, bid);
            }
            Decision::Attested { deployment } => {
                if let Some(bid) = self.bids.get_mut(deployment) {
                    bid.attested = true;
                }
            }
            Decision::OrderRefused { deployment, refusal } => {
                self.bids.remove(deployment);
                self.refused.insert(*deployment, refusal.clone());
                if self.refused.len() > REFUSED_ORDERS_MAX {
                    self.refused.pop_first();
                }
            }
            Decision::BidMade { deployment, rate } => {
                if let Some(bid) = self.bids.get_mut(deployment) {
                    bid.rate = Some(*rate);
                }
            }
            Decision::BidLost { deployment } => {
                self.bids.remove(deployment);
                self.refused.remove(deployment);
            }
            Decision::Assigned { deployment, placement, assignment, began } => {
                self.bids.remove(deployment);
                // Another start is another incarnation, on whichever node the last one was.
                let known = self.agents.get(deployment).map_or(0, |before| before.incarnation);
                let incarnation = known.max(*began) + 1;
                let agent = Agent::new(placement.clone(), assignment.clone(), incarnation);
                self.agents.insert(*deployment, agent);
            }
            Decision::Remembered { deployment, agent } => {
                self.agents.insert(*deployment, Agent::clone(agent));
            }
            Decision::Forgotten { deployment } => {
                self.agents.remove(deployment);
            }
            other => {
                let Some(deployment) = other.deployment() else { return };
                if let Some(agent) = self.agents.get_mut(&deployment) {
                    agent.apply(other);
                }
            }
        }
    }

    fn booted(&mut self) {
        for agent in self.agents.values_mut() {
            agent.alarm_in_flight = false;
            agent.alarm_pace = AlarmPace::default();
            agent.swapping = false;
            (agent.acknowledging, agent.expiring) = (Asking::default(), Asking::default());
            agent.setback = None;
            if agent.life.is_live() {
                agent.restarts = agent.restarts.saturating_add(1);
            }
        }
        for bid in self.bids.values_mut() {
            bid.assigning = Asking::default();
        }
    }
}

impl Agent {
    fn apply(&mut self, decision: &Decision) {
        match decision {
            Decision::Prepared { .. } => self.life = Life::Starting,
            Decision::Started { at, .. } => {
                self.ran = true;
                self.life = Life::Running { since: *at, acknowledged: self.acknowledged_before.take() };
            }
            Decision::Acknowledged { at, .. } => match &mut self.life {
                Life::Running { acknowledged, .. } | Life::Paused { acknowledged, .. } => *acknowledged = Some(*at),
                Life::Preparing | Life::Starting => self.acknowledged_before = Some(*at),
                Life::Stopped { .. } | Life::Failed { .. } => {}
            },
            Decision::Funded { deposited, .. } => {
                if let Assignment::Lease(terms) = &mut self.assignment {
                    terms.deposited = *deposited;
                    self.expiring = Asking::default();
                }
            }
            Decision::Paused { at, .. } => {
                self.swapping = false;
                if let Life::Running { acknowledged, .. } = self.life {
                    self.life = Life::Paused { since: *at, acknowledged };
                }
            }
            Decision::Resumed { at, .. } => {
                if let Life::Paused { acknowledged, .. } = self.life {
                    self.life = Life::Running { since: *at, acknowledged };
                }
            }
            Decision::RollbackAsked { .. } => self.rollback_asked = true,
            Decision::UpdateBegan { next, .. } if self.next.is_some() => self.queued = Some(next.clone()),
            Decision::UpdateBegan { next, .. } => {
                self.next = Some(next.clone());
                self.update_refused = None;
            }
            Decision::Updated { .. } => {
                if let Some(next) = self.next.take() {
                    self.revision_done = next.revision;
                    self.previous_revision = next.revision;
                    self.rollback_asked = false;
                    self.previous = Some(std::mem::replace(&mut self.placement, next.placement).package);
                    self.incarnation += 1;
                    self.alarm_before = None;
                    self.next = self.queued.take();
                }
            }
            Decision::UpdateRefused { reason, .. } => {
                if let Some(next) = self.next.take() {
                    self.revision_done = next.revision;
                    self.next = self.queued.take();
                    self.rollback_asked = false;
                    if let Some(before) = self.alarm_before.take() {
                        self.alarm = before.alarm;
                    }
                }
                self.update_refused = Some(reason.clone());
            }
            Decision::Failed { stage, reason, at, .. } => {
                self.swapping = false;
                self.life = Life::Failed { stage: *stage, reason: reason.clone(), at: *at };
            }
            Decision::Stopped { reason, at, .. } => {
                self.swapping = false;
                self.life = Life::Stopped { reason: *reason, at: *at };
            }
            Decision::AlarmSet { at, due, attempt, number, on_trial, .. } => {
                self.keep_alarm(*on_trial);
                self.alarms = self.alarms.max(*number);
                self.alarm = Some(Alarm { at: *at, due: *due, attempt: *attempt, number: *number });
            }
            Decision::AlarmCleared { on_trial, .. } => {
                self.keep_alarm(*on_trial);
                self.alarm = None;
            }
            _ => {}
        }
    }
}

impl Agent {
    /// Keeps the alarm that an update finds, once: a try that is begun anew finds what the first one left.
    fn keep_alarm(&mut self, on_trial: bool) {
        if on_trial && self.next.is_some() {
            self.alarm_before.get_or_insert(AlarmBefore { alarm: self.alarm });
        }
    }
}

/// Decisions that make the state of `orchestrator` from nothing.
pub(super) fn compact(orchestrator: &Orchestrator) -> Vec<Decision> {
    let mut decisions = vec![Decision::Draining { draining: orchestrator.draining }];
    for (deployment, refusal) in &orchestrator.refused {
        decisions.push(Decision::OrderRefused { deployment: *deployment, refusal: refusal.clone() });
    }
    for (deployment, bid) in &orchestrator.bids {
        decisions.push(Decision::OrderSeen {
            deployment: *deployment,
            placement: bid.order.placement.clone(),
            max_rate: bid.order.max_rate,
            bids_until: bid.order.bids_until.unwrap_or_default(),
            round: bid.order.round,
            gas_budget: bid.order.gas_budget,
            unverified: bid.order.unverified,
        });
        if bid.attested {
            decisions.push(Decision::Attested { deployment: *deployment });
        }
        if let Some(rate) = bid.rate {
            decisions.push(Decision::BidMade { deployment: *deployment, rate });
        }
    }
    for (deployment, agent) in &orchestrator.agents {
        decisions.push(Decision::Remembered { deployment: *deployment, agent: Box::new(agent.clone()) });
    }
    decisions
}
