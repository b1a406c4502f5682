//! Events in, effects out.

use nisse_model::{DeploymentId, Timestamp};

use super::{CommandError, OpenBid, Orchestrator};
use crate::action::{Action, Effects};
use crate::agent::{Agent, Alarm, Assignment, Life, NextPackage, Placement, Setback};
use crate::decision::Decision;
use crate::event::{ActionResult, AlarmEnd, Command, Event, Order, PrepareError};
use crate::reason::{CloseReason, FailureStage, Refusal};

/// The first pause before a failed alarm is raised again; it doubles from try to try.
const ALARM_RETRY_FIRST_MS: u64 = 2_000;
/// The longest such pause.
const ALARM_RETRY_MAX_MS: u64 = 300_000;
/// After this many tries an alarm is given up.
const ALARM_ATTEMPTS_MAX: u32 = 10;

/// How often an agent that had been running is brought up before it is given up.
const BRING_UP_TRIES_MAX: u32 = 7;
/// The first pause between two such tries; it doubles, two minutes in all.
const BRING_UP_RETRY_FIRST_MS: u64 = 2_000;

impl Orchestrator {
    /// Decides. `now` is the node's clock.
    pub fn handle(&mut self, event: Event, now: Timestamp) -> Effects {
        let mut effects = Effects::default();
        match event {
            Event::OrderOpened(order) => self.order_opened(order, &mut effects),
            Event::Assigned { deployment, placement, assignment } => {
                self.assigned(deployment, placement, assignment, now, &mut effects);
            }
            Event::AssignedElsewhere { deployment } => {
                if self.bids.contains_key(&deployment) {
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
            Event::Finished { deployment, result } => self.finished(deployment, result, now, &mut effects),
            Event::AlarmChanged { deployment, at } => {
                if let Some(agent) = self.agents.get(&deployment) {
                    let decision = alarm_decision(deployment, at, agent.alarms + 1, now);
                    self.decide(&mut effects, decision);
                }
            }
            Event::Tick { chain } => self.tick(chain, now, &mut effects),
        }
        effects
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
                self.prepare(deployment, &mut effects);
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
        self.decide(&mut effects, Decision::Forgotten { deployment });
        Ok(effects)
    }

    fn life(&self, deployment: DeploymentId) -> Option<&Life> {
        self.agents.get(&deployment).map(|agent| &agent.life)
    }

    fn order_opened(&mut self, order: Order, effects: &mut Effects) {
        let deployment = order.deployment;
        // The log is read at least once: an order that is known in any way is not looked at again, but for one that
        // came back to the market after this node gave it up, which stays refused.
        let known = self.bids.contains_key(&deployment)
            || self.refused.contains_key(&deployment)
            || self.agents.contains_key(&deployment);
        if known {
            return;
        }
        if let Err(refusal) = self.judge(&order) {
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
            },
        );
        effects.actions.push(Action::Inspect { deployment, placement });
    }

    fn judge(&self, order: &Order) -> Result<nisse_model::AmountPerHour, Refusal> {
        if self.draining {
            return Err(Refusal::Draining);
        }
        if self.is_taken(order.deployment, &order.placement) {
            return Err(Refusal::Taken);
        }
        self.policy.bid(order, self.used())
    }

    fn assigned(
        &mut self,
        deployment: DeploymentId,
        placement: Placement,
        assignment: Assignment,
        now: Timestamp,
        effects: &mut Effects,
    ) {
        // What a reorganisation took away it may bring back; any other end is for good.
        let undone = |life: &Life| matches!(life, Life::Stopped { reason: CloseReason::Undone, .. });
        if self.life(deployment).is_some_and(|life| !undone(life)) {
            return;
        }
        let taken = self.is_taken(deployment, &placement);
        // The room of this node's own bid becomes the agent's; a home lease has made no bid and must fit by itself.
        let bid_for = self.bids.contains_key(&deployment);
        let refusal = if taken {
            Some(Refusal::Taken)
        } else if bid_for {
            None
        } else {
            self.policy.room(placement.resources, self.used()).err()
        };
        self.decide(effects, Decision::Assigned { deployment, placement, assignment });
        match refusal {
            Some(refusal) => self.fail(deployment, FailureStage::Node, refusal.to_string(), now, effects),
            None => self.prepare(deployment, effects),
        }
    }

    fn acknowledged(&mut self, deployment: DeploymentId, at: Timestamp, effects: &mut Effects) {
        let news = match self.life(deployment) {
            // After a reorganisation the start may stand in another block, and money runs from that one's time.
            Some(Life::Running { acknowledged, .. } | Life::Paused { acknowledged, .. }) => *acknowledged != Some(at),
            _ => false,
        };
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
        let (busy, running) = (agent.next.is_some(), matches!(agent.life, Life::Running { .. }));
        let refusal = self.policy.room(next.placement.resources, self.used_without(deployment)).err();
        self.decide(effects, Decision::UpdateBegan { deployment, next });
        if busy {
            return;
        }
        match refusal {
            Some(refusal) => self.refuse_update(deployment, revision, refusal.to_string(), effects),
            None if running => self.continue_update(deployment, effects),
            None => {}
        }
    }

    fn refuse_update(&mut self, deployment: DeploymentId, revision: u32, reason: String, effects: &mut Effects) {
        self.decide(effects, Decision::UpdateRefused { deployment, reason: reason.clone() });
        effects.actions.push(Action::RefuseUpdate { deployment, revision, reason });
        self.continue_update(deployment, effects);
    }

    fn finished(&mut self, deployment: DeploymentId, result: ActionResult, now: Timestamp, effects: &mut Effects) {
        match result {
            ActionResult::Inspected(result) => self.inspected(deployment, result, effects),
            ActionResult::Prepared(result) => self.prepared(deployment, result, now, effects),
            ActionResult::Started(result) => self.started(deployment, result, now, effects),
            ActionResult::Swapped { revision, result } => self.swapped(deployment, revision, result, now, effects),
            ActionResult::AlarmHandled { number, end } => self.alarm_handled(deployment, number, end, now, effects),
        }
    }

    fn inspected(&mut self, deployment: DeploymentId, result: Result<(), PrepareError>, effects: &mut Effects) {
        let Some(bid) = self.bids.get(&deployment).filter(|bid| bid.rate.is_none()) else { return };
        let order = bid.order.clone();
        let verdict = match result {
            Ok(()) => self.judge(&order),
            Err(PrepareError { stage, reason }) => Err(Refusal::Package { stage, reason }),
        };
        match verdict {
            Ok(rate) => {
                self.decide(effects, Decision::BidMade { deployment, rate });
                effects.actions.push(Action::Bid { deployment, round: order.round, rate });
            }
            Err(refusal) => self.decide(effects, Decision::OrderRefused { deployment, refusal }),
        }
    }

    fn prepared(
        &mut self,
        deployment: DeploymentId,
        result: Result<(), PrepareError>,
        now: Timestamp,
        effects: &mut Effects,
    ) {
        let Some(agent) = self.agents.get(&deployment).filter(|agent| agent.life.is_live()) else { return };
        let (incarnation, life) = (agent.incarnation, agent.life.clone());
        match (result, life) {
            (Err(error), Life::Running { .. }) => self.set_back(deployment, error, now, effects),
            (Err(PrepareError { stage, reason }), _) => self.fail(deployment, stage, reason, now, effects),
            (Ok(()), Life::Preparing) => {
                self.decide(effects, Decision::Prepared { deployment });
                effects.actions.push(Action::Start { deployment, incarnation, raise_started: true });
            }
            (Ok(()), Life::Starting) => {
                effects.actions.push(Action::Start { deployment, incarnation, raise_started: true });
            }
            (Ok(()), Life::Running { .. }) => {
                effects.actions.push(Action::Start { deployment, incarnation, raise_started: false });
            }
            // A paused agent is prepared again when it is resumed.
            (Ok(()), _) => {}
        }
    }

    fn started(&mut self, deployment: DeploymentId, result: Result<(), String>, now: Timestamp, effects: &mut Effects) {
        let Some(agent) = self.agents.get_mut(&deployment) else { return };
        let incarnation = agent.incarnation;
        if result.is_ok() {
            agent.setback = None;
        }
        match (result, agent.life.clone()) {
            (Err(reason), Life::Running { .. }) => {
                self.set_back(deployment, PrepareError { stage: FailureStage::Start, reason }, now, effects);
            }
            (Err(reason), life) if life.is_live() => self.fail(deployment, FailureStage::Start, reason, now, effects),
            (Ok(()), Life::Starting) => {
                self.decide(effects, Decision::Started { deployment, at: now });
                effects.actions.push(Action::Acknowledge { deployment, incarnation });
                self.continue_update(deployment, effects);
            }
            (Ok(()), Life::Running { acknowledged, .. }) => {
                if acknowledged.is_none() {
                    effects.actions.push(Action::Acknowledge { deployment, incarnation });
                }
                self.continue_update(deployment, effects);
            }
            _ => {}
        }
    }

    fn continue_update(&self, deployment: DeploymentId, effects: &mut Effects) {
        effects.actions.extend(self.agents.get(&deployment).and_then(|agent| agent.swap(deployment)));
    }

    fn swapped(
        &mut self,
        deployment: DeploymentId,
        revision: u32,
        result: Result<(), PrepareError>,
        now: Timestamp,
        effects: &mut Effects,
    ) {
        let Some(agent) = self.agents.get(&deployment).filter(|agent| agent.life.is_live()) else { return };
        if agent.next.as_ref().is_none_or(|next| next.revision != revision) {
            return;
        }
        let incarnation = agent.incarnation + 1;
        match result {
            Ok(()) => {
                self.decide(effects, Decision::Updated { deployment, at: now });
                effects.actions.push(Action::AcknowledgeUpdate { deployment, revision, incarnation });
                self.continue_update(deployment, effects);
            }
            Err(PrepareError { stage, reason }) => {
                self.refuse_update(deployment, revision, format!("{stage}: {reason}"), effects);
            }
        }
    }

    fn alarm_handled(
        &mut self,
        deployment: DeploymentId,
        number: u64,
        end: AlarmEnd,
        now: Timestamp,
        effects: &mut Effects,
    ) {
        let Some(agent) = self.agents.get_mut(&deployment) else { return };
        agent.alarm_in_flight = false;
        // The handler, or a request meanwhile, may have set another alarm in the place of the one that was raised.
        let Some(alarm) = agent.alarm.filter(|alarm| alarm.number == number) else { return };
        let decision = match end {
            AlarmEnd::NotUp => return,
            AlarmEnd::Retry if alarm.attempt < ALARM_ATTEMPTS_MAX => {
                let factor = 1u64 << (alarm.attempt - 1).min(16);
                let pause_ms = ALARM_RETRY_FIRST_MS.saturating_mul(factor).min(ALARM_RETRY_MAX_MS);
                let (due, attempt) = (now.plus_ms(pause_ms), alarm.attempt + 1);
                Decision::AlarmSet { deployment, at: alarm.at, due, attempt, number }
            }
            AlarmEnd::Done | AlarmEnd::Retry | AlarmEnd::GiveUp => Decision::AlarmCleared { deployment },
        };
        self.decide(effects, decision);
    }

    fn tick(&mut self, chain: Timestamp, now: Timestamp, effects: &mut Effects) {
        for (deployment, agent) in &mut self.agents {
            raise_due_alarm(*deployment, agent, now, effects);
            bring_up_again(*deployment, agent, now, effects);
            let ended = agent.ends_at().is_some_and(|end| end <= chain);
            if ended && !agent.expiry_sent {
                agent.expiry_sent = true;
                effects.actions.push(Action::Expire { deployment: *deployment });
            }
        }
        for (deployment, bid) in &mut self.bids {
            let OpenBid { order, rate: Some(_), assign_sent } = bid else { continue };
            if !*assign_sent && order.bids_until.is_some_and(|until| until < chain) {
                *assign_sent = true;
                effects.actions.push(Action::Assign { deployment: *deployment });
            }
        }
    }

    /// An agent that had been running did not come up. What is broken may mend: it is tried again a while later, and
    /// its lease is given back only when that has not helped.
    fn set_back(&mut self, deployment: DeploymentId, error: PrepareError, now: Timestamp, effects: &mut Effects) {
        let Some(agent) = self.agents.get_mut(&deployment) else { return };
        let PrepareError { stage, reason } = error;
        let tries = agent.setback.as_ref().map_or(0, |setback| setback.tries) + 1;
        if tries >= BRING_UP_TRIES_MAX {
            agent.setback = None;
            return self.fail(deployment, stage, format!("{reason}; tried {tries} times"), now, effects);
        }
        let pause_ms = BRING_UP_RETRY_FIRST_MS << (tries - 1);
        agent.setback = Some(Setback { tries, due: Some(now.plus_ms(pause_ms)), stage, reason });
    }

    fn prepare(&mut self, deployment: DeploymentId, effects: &mut Effects) {
        let placement = self.agents[&deployment].placement.clone();
        effects.actions.push(Action::Prepare { deployment, placement });
    }

    fn fail(
        &mut self,
        deployment: DeploymentId,
        stage: FailureStage,
        reason: String,
        now: Timestamp,
        effects: &mut Effects,
    ) {
        let home = self.agents[&deployment].assignment == Assignment::Home;
        self.decide(effects, Decision::Failed { deployment, stage, reason: reason.clone(), at: now });
        effects.actions.push(Action::Halt { deployment });
        // A home lease pays nothing and has no other node to go to; a paid one goes back to the market.
        if !home {
            effects.actions.push(Action::Reject { deployment, reason: format!("{stage}: {reason}") });
        }
    }
}

fn bring_up_again(deployment: DeploymentId, agent: &mut Agent, now: Timestamp, effects: &mut Effects) {
    let Some(setback) = agent.setback.as_mut().filter(|setback| setback.due.is_some_and(|due| due <= now)) else {
        return;
    };
    setback.due = None;
    // One that its owner paused meanwhile is prepared when it is resumed.
    if matches!(agent.life, Life::Running { .. }) {
        effects.actions.push(Action::Prepare { deployment, placement: agent.placement.clone() });
    }
}

/// A time that has passed means now, so that two alarms for "at once" are still two.
fn alarm_decision(deployment: DeploymentId, at: Option<Timestamp>, number: u64, now: Timestamp) -> Decision {
    match at.map(|at| at.max(now)) {
        Some(at) => Decision::AlarmSet { deployment, at, due: at, attempt: 1, number },
        None => Decision::AlarmCleared { deployment },
    }
}

fn raise_due_alarm(deployment: DeploymentId, agent: &mut Agent, now: Timestamp, effects: &mut Effects) {
    let Some(alarm @ Alarm { due, .. }) = agent.alarm else { return };
    let running = matches!(agent.life, Life::Running { .. });
    if running && !agent.alarm_in_flight && due <= now {
        agent.alarm_in_flight = true;
        effects.actions.push(Action::RaiseAlarm { deployment, alarm });
    }
}
