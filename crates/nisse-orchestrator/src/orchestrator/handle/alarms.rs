//! When an agent is woken, and what its waking came to.
//!
//! Each alarm costs the journal and the agent's turn, so one agent's alarms keep a distance whatever times it asks for,
//! and one that finds no agent rests before it is raised again.

use nisse_model::{DeploymentId, Timestamp};

use crate::action::{Action, Effects};
use crate::agent::{Agent, Alarm, Life};
use crate::decision::Decision;
use crate::event::AlarmEnd;
use crate::orchestrator::Orchestrator;

/// The least time between two alarms of one agent. One that is due earlier waits.
pub const ALARM_DISTANCE_MIN_MS: u64 = 100;
/// The first rest of an alarm whose agent was not up; it doubles until the agent comes up.
const NOT_UP_REST_FIRST_MS: u64 = 50;
/// The longest such rest.
const NOT_UP_REST_MAX_MS: u64 = 5_000;
/// The first pause before a failed alarm is raised again; it doubles from try to try.
const ALARM_RETRY_FIRST_MS: u64 = 2_000;
/// The longest such pause.
const ALARM_RETRY_MAX_MS: u64 = 300_000;
/// After this many tries an alarm is given up.
const ALARM_ATTEMPTS_MAX: u32 = 10;

/// How often an agent was woken of late. Not kept: a start of the node takes longer than any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct AlarmPace {
    /// When its last alarm was raised.
    raised: Option<Timestamp>,
    /// How often in a row nobody was there.
    missed: u32,
    /// No alarm before this: nobody was there.
    rests_until: Option<Timestamp>,
}

impl AlarmPace {
    /// The agent is there.
    pub(crate) fn came_up(&mut self) {
        (self.missed, self.rests_until) = (0, None);
    }

    fn missed(&mut self, now: Timestamp) {
        let factor = 1u64 << self.missed.min(16);
        self.missed = self.missed.saturating_add(1);
        self.rests_until = Some(now.plus_ms(NOT_UP_REST_FIRST_MS.saturating_mul(factor).min(NOT_UP_REST_MAX_MS)));
    }

    /// The first moment for the next alarm.
    fn next(&self) -> Option<Timestamp> {
        self.raised.map(|raised| raised.plus_ms(ALARM_DISTANCE_MIN_MS))
    }
}

impl Agent {
    /// When its alarm is raised next, if it waits for its time.
    pub(crate) fn wakes_at(&self) -> Option<Timestamp> {
        let alarm = self.alarm.filter(|_| matches!(self.life, Life::Running { .. }) && !self.alarm_in_flight)?;
        Some(self.alarm_pace.rests_until.map_or(alarm.due, |rest| rest.max(alarm.due)))
    }

    /// What a handler's word about its alarm comes to. A time that has passed means now, so that two alarms for "at
    /// once" are still two.
    pub(super) fn alarm_decision(
        &self,
        deployment: DeploymentId,
        completion: u64,
        at: Option<Timestamp>,
        on_trial: bool,
        now: Timestamp,
    ) -> Decision {
        let completion = Some(completion);
        let Some(at) = at.map(|at| at.max(now)) else {
            return Decision::AlarmCleared { deployment, completion, on_trial };
        };
        let due = self.alarm_pace.next().map_or(at, |next| next.max(at));
        Decision::AlarmSet { deployment, at, due, attempt: 1, number: self.alarms + 1, completion, on_trial }
    }

    pub(super) fn raise_due_alarm(&mut self, deployment: DeploymentId, now: Timestamp, effects: &mut Effects) {
        if self.wakes_at().is_none_or(|at| at > now) {
            return;
        }
        let Some(alarm) = self.alarm else { return };
        self.alarm_in_flight = true;
        self.alarm_pace.raised = Some(now);
        effects.actions.push(Action::RaiseAlarm { deployment, alarm });
    }
}

impl Orchestrator {
    pub(super) fn alarm_handled(
        &mut self,
        deployment: DeploymentId,
        number: u64,
        end: AlarmEnd,
        now: Timestamp,
        effects: &mut Effects,
    ) {
        let Some(agent) = self.agents.get_mut(&deployment) else { return };
        agent.alarm_in_flight = false;
        match end {
            AlarmEnd::NotUp => agent.alarm_pace.missed(now),
            AlarmEnd::Done | AlarmEnd::Retry | AlarmEnd::GiveUp => agent.alarm_pace.came_up(),
        }
        // The handler, or a request meanwhile, may have set another alarm in the place of the one that was raised.
        let Some(alarm) = agent.alarm.filter(|alarm| alarm.number == number) else { return };
        let decision = match end {
            AlarmEnd::NotUp => return,
            AlarmEnd::Retry if alarm.attempt < ALARM_ATTEMPTS_MAX => tried_again(deployment, &alarm, now),
            AlarmEnd::Done | AlarmEnd::Retry | AlarmEnd::GiveUp => {
                Decision::AlarmCleared { deployment, completion: None, on_trial: false }
            }
        };
        self.decide(effects, decision);
    }
}

fn tried_again(deployment: DeploymentId, alarm: &Alarm, now: Timestamp) -> Decision {
    let factor = 1u64 << (alarm.attempt - 1).min(16);
    let pause_ms = ALARM_RETRY_FIRST_MS.saturating_mul(factor).min(ALARM_RETRY_MAX_MS);
    let (due, attempt) = (now.plus_ms(pause_ms), alarm.attempt + 1);
    let (at, number) = (alarm.at, alarm.number);
    Decision::AlarmSet { deployment, at, due, attempt, number, completion: None, on_trial: false }
}
