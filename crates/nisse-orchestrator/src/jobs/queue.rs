//! The jobs and triggers of one agent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nisse_model::{Function, FunctionName, InvocationId, Timestamp, Trigger, TriggerName};

use super::{AgentKey, Attempt, Cursor, Declared, Job, JobAction, JobChange, JobEffects, JobEnd, Up, WaitingJob};

#[derive(Debug, Default)]
pub(super) struct Queue {
    /// While it takes jobs.
    pub(super) up: Option<Up>,
    /// What it declared when it did last.
    pub(super) declared: Option<Arc<Declared>>,
    pub(super) open: BTreeMap<InvocationId, WaitingJob>,
    /// Those of them that do not run.
    order: BTreeSet<(Timestamp, InvocationId)>,
    pub(super) running: Option<InvocationId>,
    pub(super) cursors: BTreeMap<TriggerName, Cursor>,
    /// When each timer fires next, by its place among the triggers.
    pub(super) timers: BTreeMap<usize, Timestamp>,
    /// Whether it stands in the line of those whose turn comes.
    pub(super) is_ready: bool,
    /// As it is noted with all others'.
    pub(super) wake: Option<Timestamp>,
}

impl Queue {
    pub(super) fn come_up(&mut self, up: Up) {
        self.declared = Some(Arc::clone(&up.declared));
        self.up = Some(up);
    }

    pub(super) fn trigger(&self, name: &TriggerName) -> Option<&Trigger> {
        self.declared.as_ref()?.triggers.iter().find(|trigger| trigger.name == *name)
    }

    /// A function that is declared, or `main`.
    pub(super) fn function(&self, name: &FunctionName) -> Option<Function> {
        let declared = self.declared.as_ref()?;
        let found = declared.functions.iter().find(|function| function.name == *name).cloned();
        found.or_else(|| (*name == FunctionName::main()).then(Function::main))
    }

    pub(super) fn put(&mut self, job: WaitingJob) {
        self.order.insert((job.due, job.id));
        self.open.insert(job.id, job);
    }

    pub(super) fn take(&mut self, id: InvocationId) -> Option<WaitingJob> {
        let job = self.open.remove(&id)?;
        self.order.remove(&(job.due, job.id));
        Some(job)
    }

    pub(super) fn add(&mut self, job: Job, effects: &mut JobEffects) {
        self.put(job.waiting());
        effects.changes.push(JobChange::Added(job));
    }

    /// Ends a job that was taken out, and raises what follows it. What follows comes first: where only that is durable, it is
    /// raised again under the same name once this ends.
    pub(super) fn end(
        &mut self,
        key: &Arc<AgentKey>,
        job: &WaitingJob,
        (end, attempt): (JobEnd, Option<Attempt>),
        at: Timestamp,
        effects: &mut JobEffects,
    ) {
        self.raise_followers(key, job, &end, at, effects);
        let (agent, attempts) = ((**key).clone(), job.attempts);
        effects.changes.push(JobChange::Ended { agent, id: job.id, attempts, end, at, attempt });
    }

    /// Whether the agent could begin a job now.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.up.is_some() && self.running.is_none() && self.order.first().is_some_and(|(due, _)| *due <= now)
    }

    /// When something is to be done for it next.
    pub(super) fn wakes_at(&self) -> Option<Timestamp> {
        self.up.as_ref()?;
        let timer = self.timers.values().min().copied();
        let is_free = self.running.is_none() && !self.is_ready;
        let job = self.order.first().map(|(due, _)| *due).filter(|_| is_free);
        timer.into_iter().chain(job).min()
    }

    /// Begins the job that is due first.
    pub(super) fn begin(&mut self, key: &Arc<AgentKey>, now: Timestamp, effects: &mut JobEffects) -> Option<JobAction> {
        while self.is_due(now) {
            let (due, id) = self.order.first().copied()?;
            let WaitingJob { function: name, handled, .. } = self.open[&id].clone();
            if let Some(answer) = handled {
                let job = self.take(id)?;
                self.end(key, &job, (JobEnd::Completed(answer), None), now, effects);
                continue;
            }
            let Some(function) = self.function(&name) else {
                let job = self.take(id)?;
                let reason = format!("the package has no function `{name}` any more");
                self.end(key, &job, (JobEnd::Failed(reason), None), now, effects);
                continue;
            };
            self.order.remove(&(due, id));
            self.running = Some(id);
            let up = self.up.as_ref()?;
            return Some(JobAction::Run {
                agent: Arc::clone(key),
                deployment: up.deployment,
                incarnation: up.incarnation,
                id,
                attempt: self.open[&id].attempts.saturating_add(1),
                keeps_answer: self.is_followed(&function.name),
                function,
            });
        }
        None
    }
}
