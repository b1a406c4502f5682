//! What an action came to, and what follows from it.

use nisse_model::{DeploymentId, Timestamp};

use super::{OpenBid, Orchestrator};
use crate::action::{Action, Effects};
use crate::agent::{Agent, Assignment, Life, Setback};
use crate::decision::Decision;
use crate::event::{ActionResult, PrepareError};
use crate::reason::{FailureStage, Refusal, bounded};

/// How often an agent that had been running is brought up before it is given up.
const BRING_UP_TRIES_MAX: u32 = 7;
/// The first pause between two such tries; it doubles, two minutes in all.
const BRING_UP_RETRY_FIRST_MS: u64 = 2_000;

impl Orchestrator {
    pub(super) fn finished(
        &mut self,
        deployment: DeploymentId,
        result: ActionResult,
        now: Timestamp,
        effects: &mut Effects,
    ) {
        match result {
            ActionResult::Inspected(result) => self.inspected(deployment, result, effects),
            ActionResult::Prepared(result) => self.prepared(deployment, result, now, effects),
            ActionResult::Started(result) => self.started(deployment, result, now, effects),
            ActionResult::Swapped { revision, result } => self.swapped(deployment, revision, result, now, effects),
            ActionResult::SwapLost { revision, error } => self.swap_lost(deployment, revision, error, now, effects),
            ActionResult::NotTaken(step) => self.not_taken(deployment, step, now, effects),
            ActionResult::StakeTooLow { round, reason } => {
                if self.bids.get(&deployment).is_some_and(|bid| bid.order.round == round) {
                    let refusal = Refusal::Stake { reason: bounded(&reason) };
                    self.decide(effects, Decision::OrderRefused { deployment, refusal });
                }
            }
            ActionResult::NoBids { round } => self.bid_again(deployment, round, now, effects),
            ActionResult::AlarmHandled { number, end } => self.alarm_handled(deployment, number, end, now, effects),
        }
    }

    fn inspected(&mut self, deployment: DeploymentId, result: Result<(), PrepareError>, effects: &mut Effects) {
        let looked_at = |bid: &&OpenBid| bid.rate.is_none() && !bid.attested;
        let Some(bid) = self.bids.get(&deployment).filter(looked_at) else { return };
        let order = bid.order.clone();
        let verdict = match result {
            Ok(()) => self.judge(&order),
            Err(PrepareError { stage, reason }) => Err(Refusal::Package { stage, reason: bounded(&reason) }),
        };
        match verdict {
            Ok(_) if order.unverified => {
                self.decide(effects, Decision::Attested { deployment });
                effects.actions.push(Action::Attest { deployment, round: order.round });
            }
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
        let Some(agent) = self.agents.get_mut(&deployment).filter(|agent| agent.life.is_live()) else { return };
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
            // An update came meanwhile: behind its swap this would start the old package on the new one's state.
            (Ok(()), Life::Running { .. }) if agent.next.is_some() => {
                if !agent.swapping {
                    effects.actions.push(agent.bring_up(deployment));
                }
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
        if result.is_ok() {
            agent.setback = None;
            agent.alarm_pace.came_up();
        }
        match (result, agent.life.clone()) {
            (Err(reason), Life::Running { .. }) => {
                self.set_back(deployment, PrepareError { stage: FailureStage::Start, reason }, now, effects);
            }
            (Err(reason), life) if life.is_live() => self.fail(deployment, FailureStage::Start, reason, now, effects),
            (Ok(()), Life::Starting) => {
                self.decide(effects, Decision::Started { deployment, at: now });
                self.acknowledge(deployment, now, effects);
                self.continue_update(deployment, effects);
            }
            (Ok(()), Life::Running { .. }) => {
                self.acknowledge(deployment, now, effects);
                self.continue_update(deployment, effects);
            }
            _ => {}
        }
    }

    /// Begins the update that waits, if one does: it is judged when its turn comes. A paused agent is not swapped but
    /// when it is resumed.
    pub(super) fn continue_update(&mut self, deployment: DeploymentId, effects: &mut Effects) {
        let Some(agent) = self.agents.get(&deployment).filter(|agent| !agent.swapping) else { return };
        let Some(next) = agent.next.clone() else { return };
        let running = matches!(agent.life, Life::Running { .. });
        match self.judge_update(deployment, &next) {
            Ok(()) if running => self.bring_up(deployment, effects),
            Ok(()) => {}
            Err(refusal) => self.refuse_update(deployment, next.revision, refusal.to_string(), effects),
        }
    }

    fn swapped(
        &mut self,
        deployment: DeploymentId,
        revision: u32,
        result: Result<(), PrepareError>,
        now: Timestamp,
        effects: &mut Effects,
    ) {
        let Some(agent) = self.agents.get_mut(&deployment).filter(|agent| agent.life.is_live()) else { return };
        if agent.next.as_ref().is_none_or(|next| next.revision != revision) {
            return;
        }
        agent.alarm_pace.came_up();
        (agent.swapping, agent.setback) = (false, None);
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

    /// Neither package runs. The update stays where it is: to try again is to put the state back first.
    fn swap_lost(
        &mut self,
        deployment: DeploymentId,
        revision: u32,
        error: PrepareError,
        now: Timestamp,
        effects: &mut Effects,
    ) {
        let Some(agent) = self.agents.get_mut(&deployment) else { return };
        let running = matches!(agent.life, Life::Running { .. });
        if running && agent.next.as_ref().is_some_and(|next| next.revision == revision) {
            agent.swapping = false;
            self.set_back(deployment, error, now, effects);
        }
    }

    /// An agent that had been running did not come up. What is broken may mend: it is tried again a while later, and
    /// its lease is given back only when that has not helped.
    fn set_back(&mut self, deployment: DeploymentId, error: PrepareError, now: Timestamp, effects: &mut Effects) {
        let Some(agent) = self.agents.get_mut(&deployment) else { return };
        let PrepareError { stage, reason } = error;
        let reason = bounded(&reason);
        let tries = agent.setback.as_ref().map_or(0, |setback| setback.tries) + 1;
        if tries >= BRING_UP_TRIES_MAX {
            agent.setback = None;
            return self.fail(deployment, stage, format!("{reason}; tried {tries} times"), now, effects);
        }
        let pause_ms = BRING_UP_RETRY_FIRST_MS << (tries - 1);
        agent.setback = Some(Setback { tries, due: Some(now.plus_ms(pause_ms)), stage, reason });
    }

    pub(super) fn fail(
        &mut self,
        deployment: DeploymentId,
        stage: FailureStage,
        reason: String,
        now: Timestamp,
        effects: &mut Effects,
    ) {
        let home = self.agents[&deployment].assignment == Assignment::Home;
        let reason = bounded(&reason);
        self.decide(effects, Decision::Failed { deployment, stage, reason: reason.clone(), at: now });
        effects.actions.push(Action::Halt { deployment });
        // A home lease pays nothing and has no other node to go to; a paid one goes back to the market.
        if !home {
            effects.actions.push(Action::Reject { deployment, reason: format!("{stage}: {reason}") });
        }
    }
}

pub(super) fn bring_up_again(deployment: DeploymentId, agent: &mut Agent, now: Timestamp, effects: &mut Effects) {
    let Some(setback) = agent.setback.as_mut().filter(|setback| setback.due.is_some_and(|due| due <= now)) else {
        return;
    };
    setback.due = None;
    // One that its owner paused meanwhile is prepared when it is resumed.
    if matches!(agent.life, Life::Running { .. }) && !agent.swapping {
        effects.actions.push(agent.bring_up(deployment));
    }
}
