//! Jobs: what is to be run, in which order, and again if it fails.
//!
//! An event is a job, and a job is in the journal before its source is told. [`Jobs`] decides and never does: each of its
//! methods takes the time and adds to [`JobEffects`] what the node is to make durable, and what it is to do after that. An
//! agent runs one job at a time; agents take turns.

mod change;
mod queue;
mod raise;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use nisse_model::{DeploymentId, FailureKind, Function, Hash256, InvocationId, Timestamp, Trigger, TriggerName};
use serde_json::Value;

pub use change::{AgentKey, Answer, Attempt, Cursor, Job, JobChange, JobEnd, WaitingJob};
use queue::Queue;

/// How long an agent that did not come to a job is left alone.
const AWAY_PAUSE_MS: u64 = 1_000;

/// What an agent's package declares.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Declared {
    /// Its functions, without `main`.
    pub functions: Vec<Function>,
    /// Its triggers.
    pub triggers: Vec<Trigger>,
}

/// An agent that takes jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Up {
    /// As what it runs.
    pub deployment: DeploymentId,
    /// Which start of the deployment.
    pub incarnation: u32,
    /// What it declares.
    pub declared: Arc<Declared>,
}

/// What the node does once the changes are durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobAction {
    /// Runs a job, and says how that ended by [`Jobs::ended`].
    Run {
        /// Whose.
        agent: Arc<AgentKey>,
        /// As what the agent runs.
        deployment: DeploymentId,
        /// Which start of the deployment.
        incarnation: u32,
        /// Which job.
        id: InvocationId,
        /// By which function.
        function: Function,
        /// 1 for the first try.
        attempt: u32,
        /// Whether somebody waits for the answer.
        keeps_answer: bool,
    },
}

/// What follows from what happened.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct JobEffects {
    /// To be made durable first. Where only the first of them are, the rest comes again of itself; but an end never stands
    /// without what is before it.
    pub changes: Vec<JobChange>,
    /// To be done after that.
    pub actions: Vec<JobAction>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptEnd {
    /// The handler answered.
    Completed(Answer),
    /// The handler could not, or was stopped.
    Failed {
        /// Whether trying again could help.
        kind: FailureKind,
        /// In words.
        reason: String,
    },
    /// It never began: the agent was away or had no room. This is no attempt.
    Away,
}

/// Something that a source found to be another than it has told.
#[derive(Debug, Clone, PartialEq)]
pub struct News {
    /// What, by a name of the source's own.
    pub item: String,
    /// How it is now; `None`: it is no more.
    pub mark: Option<Hash256>,
    /// What makes the event another than one of the same item before.
    pub event: String,
    /// The event's type, and its data; `None`: nothing is raised.
    pub raises: Option<(String, Value)>,
}

/// Why a job is not taken. Each text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobRefusal {
    /// Too many wait.
    #[error("take the event: {max} jobs of the agent wait already")]
    Full {
        /// How many may.
        max: usize,
    },
    /// Nothing of this name.
    #[error("find the trigger `{0}`: the agent declares none of that name, or is not up")]
    NoTrigger(TriggerName),
    /// It ended, or never was.
    #[error("find the job {0} among those that wait")]
    NotWaiting(InvocationId),
    /// It cannot be called off any more.
    #[error("cancel {0}: it runs now")]
    Runs(InvocationId),
}

/// How much is taken at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobLimits {
    /// Jobs that run at the same time on the node.
    pub running_max: usize,
    /// Jobs of one agent that have not ended.
    pub open_max: usize,
}

impl Default for JobLimits {
    fn default() -> Self {
        Self { running_max: 64, open_max: 10_000 }
    }
}

/// All jobs of a node that have not ended, and its triggers.
#[derive(Debug)]
pub struct Jobs {
    limits: JobLimits,
    queues: BTreeMap<Arc<AgentKey>, Queue>,
    /// When each queue is to be looked at next.
    wakes: BTreeSet<(Timestamp, Arc<AgentKey>)>,
    /// Agents with a job that is due, in the order of their turns.
    ready: VecDeque<Arc<AgentKey>>,
    running: usize,
}

impl Jobs {
    /// Without any.
    pub fn new(limits: JobLimits) -> Self {
        Self { limits, queues: BTreeMap::new(), wakes: BTreeSet::new(), ready: VecDeque::new(), running: 0 }
    }

    /// Takes a job that had not ended when the node went down. Used at start only.
    pub fn restore_job(&mut self, agent: AgentKey, job: WaitingJob) {
        let key = self.key(agent);
        self.queue(&key).put(job);
    }

    /// Takes how far a trigger had come. Used at start only.
    pub fn restore_cursor(&mut self, agent: AgentKey, trigger: TriggerName, cursor: Cursor) {
        let key = self.key(agent);
        self.queue(&key).cursors.insert(trigger, cursor);
    }

    /// The journal says that a job's handler completed before the node went down. Used at start only. `false`: no such job.
    pub fn handled(&mut self, agent: &AgentKey, id: InvocationId, answer: Answer, effects: &mut JobEffects) -> bool {
        let Some(queue) = self.queues.get_mut(agent) else { return false };
        let Some(job) = queue.open.get_mut(&id).filter(|job| job.handled.is_none()) else { return false };
        job.handled = Some(answer.clone());
        effects.changes.push(JobChange::Handled { agent: agent.clone(), id, answer });
        true
    }

    /// Jobs that have not ended, by whose they are.
    pub fn all_open(&self) -> impl Iterator<Item = (&AgentKey, &WaitingJob)> {
        self.queues.iter().flat_map(|(key, queue)| queue.open.values().map(|job| (&**key, job)))
    }

    /// When [`Jobs::tick`] is wanted next. `None`: nothing is waited for.
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.wakes.first().map(|(at, _)| *at)
    }

    /// Time went by.
    pub fn tick(&mut self, now: Timestamp, effects: &mut JobEffects) {
        self.pump(now, effects);
    }

    /// An agent takes jobs from now on, or another start or package of it does.
    pub fn come_up(&mut self, agent: AgentKey, up: Up, now: Timestamp, effects: &mut JobEffects) {
        let key = self.key(agent);
        let queue = self.queue(&key);
        let before = queue.declared.take();
        queue.come_up(up);
        queue.begin_changed_timers(&key, before.as_deref(), now, effects);
        queue.arm_timers(&key, now, effects);
        self.rearm(&key);
        self.pump(now, effects);
    }

    /// It takes none any more. What waits goes on waiting, and its timers stand still.
    pub fn go_down(&mut self, agent: &AgentKey) {
        if let Some((key, queue)) =
            self.queues.get_key_value(agent).map(|(key, _)| Arc::clone(key)).zip(self.queues.get_mut(agent))
        {
            queue.up = None;
            self.rearm(&key);
        }
    }

    /// Takes an event. `false`: it is here already.
    pub fn add(&mut self, job: Job, now: Timestamp, effects: &mut JobEffects) -> Result<bool, JobRefusal> {
        let max = self.limits.open_max;
        let key = self.key(job.agent.clone());
        let queue = self.queue(&key);
        if queue.open.contains_key(&job.id) {
            return Ok(false);
        }
        if queue.open.len() >= max {
            return Err(JobRefusal::Full { max });
        }
        queue.add(job, effects);
        self.rearm(&key);
        self.pump(now, effects);
        Ok(true)
    }

    /// A source tells what it found. Takes as much of it as there is room for, and says how many that are.
    pub fn tell(
        &mut self,
        agent: &AgentKey,
        trigger: &TriggerName,
        news: Vec<News>,
        now: Timestamp,
        effects: &mut JobEffects,
    ) -> Result<usize, JobRefusal> {
        let max = self.limits.open_max;
        let known = self.queues.get_mut(agent).filter(|queue| queue.trigger(trigger).is_some());
        let Some(queue) = known else { return Err(JobRefusal::NoTrigger(trigger.clone())) };
        let key = Arc::new(agent.clone());
        let told = queue.tell(&key, trigger, (news, max), now, effects);
        self.rearm(&key);
        self.pump(now, effects);
        Ok(told)
    }

    /// Takes a job again that ended otherwise than well. `false`: it waits already.
    pub fn again(&mut self, agent: AgentKey, mut job: WaitingJob, now: Timestamp, effects: &mut JobEffects) -> bool {
        let key = self.key(agent);
        let queue = self.queue(&key);
        if queue.open.contains_key(&job.id) {
            return false;
        }
        (job.attempts, job.due) = (0, now);
        effects.changes.push(JobChange::Retried {
            agent: (*key).clone(),
            id: job.id,
            attempts: 0,
            due: now,
            reason: None,
            attempt: None,
        });
        queue.put(job);
        self.rearm(&key);
        self.pump(now, effects);
        true
    }

    /// Calls a job off that has not begun.
    pub fn cancel(
        &mut self,
        agent: &AgentKey,
        id: InvocationId,
        now: Timestamp,
        effects: &mut JobEffects,
    ) -> Result<(), JobRefusal> {
        let key = self.key(agent.clone());
        let queue = self.queue(&key);
        if queue.running == Some(id) {
            return Err(JobRefusal::Runs(id));
        }
        // One that was handled before the node went down is done, and waits for its agent alone.
        if queue.open.get(&id).is_none_or(|job| job.handled.is_some()) {
            return Err(JobRefusal::NotWaiting(id));
        }
        let job = queue.take(id).ok_or(JobRefusal::NotWaiting(id))?;
        effects.changes.push(JobChange::Ended {
            agent: agent.clone(),
            id,
            attempts: job.attempts,
            end: JobEnd::Cancelled,
            at: now,
            attempt: None,
        });
        self.rearm(&key);
        Ok(())
    }

    /// An attempt ended. `chance` spreads what is tried again.
    pub fn ended(
        &mut self,
        agent: &AgentKey,
        id: InvocationId,
        (end, attempt): (AttemptEnd, Attempt),
        chance: u16,
        effects: &mut JobEffects,
    ) {
        let now = attempt.ended;
        let key = self.key(agent.clone());
        let queue = self.queue(&key);
        if queue.running != Some(id) {
            return;
        }
        queue.running = None;
        if let Some(mut job) = queue.take(id) {
            let retry = queue.function(&job.function).map_or_else(Default::default, |function| function.retry);
            if end != AttemptEnd::Away {
                job.attempts = job.attempts.saturating_add(1);
            }
            match end {
                AttemptEnd::Away => {
                    job.due = now.plus_ms(AWAY_PAUSE_MS);
                    queue.put(job);
                }
                AttemptEnd::Failed { kind: FailureKind::Retryable, reason } if !retry.is_last(job.attempts) => {
                    job.due = now.plus_ms(retry.pause_ms(job.attempts, chance));
                    effects.changes.push(JobChange::Retried {
                        agent: agent.clone(),
                        id,
                        attempts: job.attempts,
                        due: job.due,
                        reason: Some(reason),
                        attempt: Some(attempt),
                    });
                    queue.put(job);
                }
                AttemptEnd::Failed { reason, .. } => {
                    queue.end(&key, &job, (JobEnd::Failed(reason), Some(attempt)), now, effects);
                }
                AttemptEnd::Completed(answer) => {
                    queue.end(&key, &job, (JobEnd::Completed(answer), Some(attempt)), now, effects);
                }
            }
        }
        self.running -= 1;
        self.rearm(&key);
        self.pump(now, effects);
    }

    /// Pauses a trigger or lets it go on: what happened meanwhile is passed over.
    pub fn pause(
        &mut self,
        agent: &AgentKey,
        trigger: &TriggerName,
        is_paused: bool,
        now: Timestamp,
        effects: &mut JobEffects,
    ) -> Result<Cursor, JobRefusal> {
        let known = self.queues.get_mut(agent).filter(|queue| queue.trigger(trigger).is_some());
        let Some(queue) = known else { return Err(JobRefusal::NoTrigger(trigger.clone())) };
        let key = Arc::new(agent.clone());
        let cursor = queue.cursors.entry(trigger.clone()).or_insert(Cursor { at: now, count: 0, is_paused: false });
        if cursor.is_paused != is_paused {
            *cursor = Cursor { at: now.max(cursor.at), is_paused, ..*cursor };
            let cursor = *cursor;
            effects.changes.push(JobChange::Moved { agent: agent.clone(), trigger: trigger.clone(), cursor });
            queue.arm_timers(&key, now, effects);
            self.rearm(&key);
        }
        Ok(self.queues[agent].cursors[trigger])
    }

    /// All of an agent is gone.
    pub fn forget(&mut self, agent: &AgentKey, effects: &mut JobEffects) {
        self.go_down(agent);
        if let Some(queue) = self.queues.remove(agent) {
            self.running -= usize::from(queue.running.is_some());
            self.ready.retain(|key| **key != *agent);
            effects.changes.push(JobChange::Forgotten { agent: agent.clone() });
        }
    }

    /// How far a trigger has come.
    pub fn cursor(&self, agent: &AgentKey, trigger: &TriggerName) -> Option<Cursor> {
        self.queues.get(agent)?.cursors.get(trigger).copied()
    }

    /// Whether an agent takes jobs now.
    pub fn is_up(&self, agent: &AgentKey) -> bool {
        self.queues.get(agent).is_some_and(|queue| queue.up.is_some())
    }

    /// Jobs of an agent that have not ended, and which of them runs.
    pub fn open(&self, agent: &AgentKey) -> (usize, Option<InvocationId>) {
        self.queues.get(agent).map_or((0, None), |queue| (queue.open.len(), queue.running))
    }

    fn key(&mut self, agent: AgentKey) -> Arc<AgentKey> {
        match self.queues.get_key_value(&agent) {
            Some((key, _)) => Arc::clone(key),
            None => {
                let key = Arc::new(agent);
                self.queues.insert(Arc::clone(&key), Queue::default());
                key
            }
        }
    }

    fn queue(&mut self, key: &Arc<AgentKey>) -> &mut Queue {
        self.queues.get_mut(key).expect("whoever has a key has a queue")
    }

    /// Notes anew when a queue is to be looked at.
    fn rearm(&mut self, key: &Arc<AgentKey>) {
        let Some(queue) = self.queues.get_mut(key) else { return };
        let wake = queue.wakes_at();
        let before = std::mem::replace(&mut queue.wake, wake);
        if before != wake {
            if let Some(before) = before {
                self.wakes.remove(&(before, Arc::clone(key)));
            }
            if let Some(wake) = wake {
                self.wakes.insert((wake, Arc::clone(key)));
            }
        }
    }

    /// Fires what is due, and begins what there is room for.
    fn pump(&mut self, now: Timestamp, effects: &mut JobEffects) {
        loop {
            while let Some((_, key)) = self.wakes.first().filter(|(at, _)| *at <= now).cloned() {
                let open_max = self.limits.open_max;
                let queue = self.queue(&key);
                queue.fire_timers(&key, now, open_max, effects);
                if queue.is_due(now) && !queue.is_ready {
                    queue.is_ready = true;
                    self.ready.push_back(Arc::clone(&key));
                }
                self.rearm(&key);
            }
            while self.running < self.limits.running_max {
                let Some(key) = self.ready.pop_front() else { break };
                let queue = self.queue(&key);
                queue.is_ready = false;
                if let Some(action) = queue.begin(&key, now, effects) {
                    effects.actions.push(action);
                    self.running += 1;
                }
                self.rearm(&key);
            }
            // What could not begin for another reason than room may be due again.
            let is_due = self.wakes.first().is_some_and(|(at, _)| *at <= now);
            if !is_due {
                return;
            }
        }
    }
}
