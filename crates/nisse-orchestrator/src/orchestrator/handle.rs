//! Events in, effects out. What actions came to is in `results.rs`, what alarms are in `alarms.rs`, and how the market is
//! asked for something more than once in `asking.rs`.

pub(super) mod alarms;
pub(super) mod asking;
mod results;

use nisse_model::{Address, AmountPerHour, DeploymentId, Resources, Timestamp};

use super::{CommandError, OpenBid, Orchestrator};
use crate::action::{Action, Effects};
use crate::agent::{Assignment, Life, NextPackage, Placement};
use crate::decision::Decision;
use crate::event::{Command, Event, Order};
use crate::reason::{CloseReason, FailureStage, Refusal, bounded};

/// Refused orders that are looked at again at once: each is a question to the chain, and may be a package to fetch.
pub(super) const LOOKED_AT_AGAIN_MAX: usize = 4;
/// The same once there is more stake: it comes seldom, and carries all of them.
const STAKE_LOOKED_AT_MAX: usize = 64;

/// How an order is known to be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// Once or again.
    ByTheLog,
    /// It was refused, and somebody looked whether it stands.
    LookedUp,
}

impl Orchestrator {
    /// Decides. `now` is the node's clock.
    pub fn handle(&mut self, event: Event, now: Timestamp) -> Effects {
        let mut effects = Effects::default();
        let again = matches!(event, Event::HeldAgain { .. });
        match event {
            Event::OrderOpened(order) => self.order_opened(order, Told::ByTheLog, &mut effects),
            Event::OrderStands(order) => self.order_opened(order, Told::LookedUp, &mut effects),
            Event::Assigned { deployment, placement, assignment, began, gas_budget }
            | Event::HeldAgain { deployment, placement, assignment, began, gas_budget } => {
                let comes = match self.life(deployment) {
                    None => !again,
                    Some(life) if again => matches!(life, Life::Stopped { .. }),
                    Some(life) => may_come_back(life),
                };
                if comes {
                    let verdict = self.judge_assigned(deployment, &placement, &assignment, gas_budget);
                    self.decide(&mut effects, Decision::Assigned { deployment, placement, assignment, began });
                    match verdict {
                        Ok(()) => self.bring_up(deployment, &mut effects),
                        Err(refusal) => {
                            self.fail(deployment, FailureStage::Node, refusal.to_string(), now, &mut effects);
                        }
                    }
                }
            }
            Event::AssignedElsewhere { deployment } => {
                if self.bids.contains_key(&deployment) {
                    self.decide(&mut effects, Decision::BidLost { deployment });
                }
            }
            Event::OrderGone { deployment } => {
                if self.refused.contains_key(&deployment) {
                    self.decide(&mut effects, Decision::BidLost { deployment });
                }
            }
            Event::Reopened { deployment, round } => {
                // Who had a package then may be reached now. What was found to be bad stays bad.
                if self.bids.get(&deployment).is_some_and(|bid| bid.order.round < round)
                    || self.refused.get(&deployment).is_some_and(Refusal::is_unfetched)
                {
                    self.decide(&mut effects, Decision::BidLost { deployment });
                }
            }
            Event::Acknowledged { deployment, at } => self.acknowledged(deployment, at, &mut effects),
            Event::Funded { deployment, deposited } => {
                if self.agents.contains_key(&deployment) {
                    self.decide(&mut effects, Decision::Funded { deployment, deposited });
                }
            }
            Event::UpdateRequested { deployment, next } => self.update_requested(deployment, next, &mut effects),
            Event::Closed { deployment, reason } => {
                if self.bids.contains_key(&deployment) {
                    self.decide(&mut effects, Decision::BidLost { deployment });
                }
                if self.life(deployment).is_some_and(Life::is_live) {
                    self.decide(&mut effects, Decision::Stopped { deployment, reason, at: now });
                    effects.actions.push(Action::Halt { deployment });
                }
            }
            Event::StakeLaid => self.look_for_stake(&mut effects),
            Event::Finished { deployment, result } => self.finished(deployment, result, now, &mut effects),
            Event::AlarmChanged { deployment, completion, at, on_trial } => {
                if let Some(agent) = self.agents.get(&deployment) {
                    let decision = agent.alarm_decision(deployment, completion, at, on_trial, now);
                    self.decide(&mut effects, decision);
                }
            }
            Event::Tick { chain } => self.tick(chain, now, &mut effects),
        }
        let ends = |decision: &Decision| matches!(decision, Decision::Failed { .. } | Decision::Stopped { .. });
        let has_ended = effects.decisions.iter().any(ends);
        if has_ended {
            self.forget_ended(&mut effects);
        }
        // A package that is found to be bad frees its name, a refused update the room that was held for it. Other refusals
        // after a look free nothing that was held.
        let frees = |decision: &Decision| {
            matches!(
                decision,
                Decision::BidLost { .. }
                    | Decision::UpdateRefused { .. }
                    | Decision::OrderRefused { refusal: Refusal::Package { .. }, .. }
            )
        };
        if has_ended || effects.decisions.iter().any(frees) {
            self.look_again(&mut effects);
        }
        effects
    }

    /// There is room that was not there: the newest orders that found none may find some. Each that is gone makes way for
    /// the next.
    pub(super) fn look_again(&self, effects: &mut Effects) {
        let passing = self.refused.iter().rev().filter(|(_, refusal)| self.policy.may_pass(refusal));
        let again = passing.map(|(deployment, _)| Action::LookAgain { deployment: *deployment });
        effects.actions.extend(again.take(LOOKED_AT_AGAIN_MAX));
    }

    /// There is stake that was not there: the newest orders that lacked it may be carried now.
    fn look_for_stake(&self, effects: &mut Effects) {
        let lacking = self.refused.iter().rev().filter(|(_, refusal)| matches!(refusal, Refusal::Stake { .. }));
        let again = lacking.map(|(deployment, _)| Action::LookAgain { deployment: *deployment });
        effects.actions.extend(again.take(STAKE_LOOKED_AT_MAX));
    }

    /// What the owner asks. Refused where the agent's life does not allow it.
    pub fn command(
        &mut self,
        deployment: DeploymentId,
        command: Command,
        now: Timestamp,
    ) -> Result<Effects, CommandError> {
        let mut effects = Effects::default();
        let life = self.life(deployment).ok_or(CommandError::Unknown(deployment))?;
        match (command, life) {
            (Command::Pause, Life::Running { .. }) => {
                self.decide(&mut effects, Decision::Paused { deployment, at: now });
                effects.actions.push(Action::Halt { deployment });
            }
            (Command::Resume, Life::Paused { .. }) => {
                self.decide(&mut effects, Decision::Resumed { deployment, at: now });
                self.bring_up(deployment, &mut effects);
            }
            // What ends that update would end the word of the rollback with it.
            (Command::Rollback, Life::Running { .. }) if self.is_updating(&deployment) => {
                return Err(CommandError::Updating);
            }
            (Command::Rollback, Life::Running { .. }) => {
                self.decide(&mut effects, Decision::RollbackAsked { deployment });
            }
            (command, life) => {
                let verb = match command {
                    Command::Pause => "pause",
                    Command::Resume => "resume",
                    Command::Rollback => "roll back",
                };
                return Err(CommandError::NotNow { verb, life: life.word() });
            }
        }
        Ok(effects)
    }

    /// Takes no new work, or takes it again.
    pub fn drain(&mut self, draining: bool) -> Effects {
        let mut effects = Effects::default();
        if self.draining != draining {
            self.decide(&mut effects, Decision::Draining { draining });
            if !draining {
                self.look_again(&mut effects);
            }
        }
        effects
    }

    /// Forgets an ended deployment.
    pub fn forget(&mut self, deployment: DeploymentId) -> Result<Effects, CommandError> {
        let life = self.life(deployment).ok_or(CommandError::Unknown(deployment))?;
        if life.is_live() {
            return Err(CommandError::NotNow { verb: "forget", life: life.word() });
        }
        let mut effects = Effects::default();
        self.let_go(deployment, &mut effects);
        Ok(effects)
    }

    fn is_updating(&self, deployment: &DeploymentId) -> bool {
        self.agents.get(deployment).is_some_and(|agent| agent.next.is_some())
    }

    fn life(&self, deployment: DeploymentId) -> Option<&Life> {
        self.agents.get(&deployment).map(|agent| &agent.life)
    }

    fn order_opened(&mut self, order: Order, told: Told, effects: &mut Effects) {
        let deployment = order.deployment;
        // The log is read at least once: an order that is known in any way is not looked at again, but for one whose
        // refusal may have passed, or, where somebody looked, one whose package may be had by now. One that came back to
        // the market after this node gave it up stays refused.
        let stays =
            |refusal: &Refusal| !(self.policy.may_pass(refusal) || told == Told::LookedUp && refusal.is_unfetched());
        let known = self.bids.get(&deployment).is_some_and(|bid| !bid.order.unverified || order.unverified)
            || self.refused.get(&deployment).is_some_and(stays)
            || self.life(deployment).is_some_and(|life| !may_come_back(life));
        if known {
            return;
        }
        if let Err(refusal) = self.judge(&order) {
            if self.refused.get(&deployment) == Some(&refusal) {
                return;
            }
            return self.decide(effects, Decision::OrderRefused { deployment, refusal });
        }
        let placement = order.placement.clone();
        self.decide(
            effects,
            Decision::OrderSeen {
                deployment,
                placement: order.placement,
                max_rate: order.max_rate,
                bids_until: order.bids_until.unwrap_or_default(),
                round: order.round,
                gas_budget: order.gas_budget,
                unverified: order.unverified,
            },
        );
        effects.actions.push(Action::Inspect { deployment, placement });
    }

    /// Whether this node would bid on an order now, if its package is what it says.
    pub fn would_bid(&self, order: &Order) -> bool {
        self.judge(order).is_ok()
    }

    fn judge(&self, order: &Order) -> Result<AmountPerHour, Refusal> {
        if self.draining {
            return Err(Refusal::Draining);
        }
        if self.is_taken(order.deployment, &order.placement) {
            return Err(Refusal::Taken);
        }
        self.policy.bid(order, self.used())
    }

    /// The price of an hour of `resources` for an agent of `owner`, or why this node would not run it now.
    pub fn quote(&self, owner: Address, resources: Resources, gas_budget: u64) -> Result<AmountPerHour, Refusal> {
        if self.draining {
            return Err(Refusal::Draining);
        }
        self.policy.take(owner, resources, gas_budget, self.used())?;
        self.policy.price(resources, self.used(), AmountPerHour(u128::MAX))
    }

    /// Whether what the market gave is run here: held against the node's rules once more, since blocks that left the chain may
    /// have given the number that it bid on to another order, and nothing was ever bid for a home lease or for what was taken
    /// by an offer. The room of this node's own bid becomes the agent's; prices stand as they were said.
    fn judge_assigned(
        &self,
        deployment: DeploymentId,
        placement: &Placement,
        assignment: &Assignment,
        gas_budget: u64,
    ) -> Result<(), Refusal> {
        if self.is_taken(deployment, placement) {
            return Err(Refusal::Taken);
        }
        let (resources, used) = (placement.resources, self.used_without(deployment));
        match assignment {
            Assignment::Home => self.policy.room(resources, used),
            Assignment::Lease(_) => self.policy.take(placement.owner, resources, gas_budget, used),
        }
    }

    fn acknowledged(&mut self, deployment: DeploymentId, at: Timestamp, effects: &mut Effects) {
        // After a reorganisation the start may stand in another block, and money runs from that one's time. A lease that comes
        // back as it had been runs before its agent does.
        let live = self.agents.get(&deployment).filter(|agent| agent.life.is_live());
        let news = live.is_some_and(|agent| agent.paid_since() != Some(at));
        if news {
            self.decide(effects, Decision::Acknowledged { deployment, at });
        }
    }

    fn update_requested(&mut self, deployment: DeploymentId, next: NextPackage, effects: &mut Effects) {
        let Some(agent) = self.agents.get(&deployment) else { return };
        // The log is read at least once: a request that is under way, or was answered, is not begun again.
        let under_way = agent.queued.as_ref().or(agent.next.as_ref()).map_or(0, |known| known.revision);
        let revision = next.revision;
        if !agent.life.is_live() || under_way.max(agent.revision_done) >= revision {
            return;
        }
        let busy = agent.next.is_some();
        self.decide(effects, Decision::UpdateBegan { deployment, next });
        if !busy {
            self.continue_update(deployment, effects);
        }
    }

    /// Whether this node runs the package of an update.
    fn judge_update(&self, deployment: DeploymentId, next: &NextPackage) -> Result<(), Refusal> {
        self.policy.room(next.placement.resources, self.used_without(deployment))?;
        let agent = &self.agents[&deployment];
        match &agent.assignment {
            Assignment::Home => Ok(()),
            Assignment::Lease(lease) => {
                self.policy.gas(next.gas_budget)?;
                let (now, then) = (agent.placement.resources, next.placement.resources);
                // The rate of a lease stands: what takes no more is not asked more for.
                match then.cpu > now.cpu || then.memory > now.memory {
                    true => self.policy.price(then, self.used_without(deployment), lease.rate).map(drop),
                    false => Ok(()),
                }
            }
        }
    }

    fn refuse_update(&mut self, deployment: DeploymentId, revision: u32, reason: String, effects: &mut Effects) {
        let reason = bounded(&reason);
        self.decide(effects, Decision::UpdateRefused { deployment, reason: reason.clone() });
        effects.actions.push(Action::RefuseUpdate { deployment, revision, reason });
        self.continue_update(deployment, effects);
    }

    fn tick(&mut self, chain: Timestamp, now: Timestamp, effects: &mut Effects) {
        for (deployment, agent) in &mut self.agents {
            agent.raise_due_alarm(*deployment, now, effects);
            results::bring_up_again(*deployment, agent, now, effects);
            agent.acknowledge_again(*deployment, now, effects);
            if agent.ends_at().is_some_and(|end| end <= chain) && agent.expiring.begin(now).is_some() {
                effects.actions.push(Action::Expire { deployment: *deployment });
            }
        }
        for (deployment, bid) in &mut self.bids {
            let OpenBid { order, rate: Some(_), assigning, .. } = bid else { continue };
            if order.bids_until.is_some_and(|until| until < chain)
                && let Some(attempt) = assigning.begin(now)
            {
                effects.actions.push(Action::Assign { deployment: *deployment, round: order.round, attempt });
            }
        }
    }

    fn bring_up(&mut self, deployment: DeploymentId, effects: &mut Effects) {
        let agent = self.agents.get_mut(&deployment);
        effects.actions.extend(agent.map(|agent| agent.bring_up(deployment)));
    }
}

/// Whether the market may give it to this node again: what a reorganisation or the node's own silence took away. Any other
/// end is for good.
fn may_come_back(life: &Life) -> bool {
    matches!(life, Life::Stopped { reason: CloseReason::Undone | CloseReason::Silent, .. })
}
