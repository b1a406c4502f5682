//! The node's jobs: the machine that decides, driven with real time, journal and agents.
//!
//! One task owns [`Jobs`]. What reaches it in one moment becomes one record of the journal, or a few; once that is durable the rows
//! are written, whoever waits is told, and what is to be run begins.

mod run;
pub(crate) mod table;
mod watching;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use nisse_model::{InvocationId, Timestamp};
use nisse_orchestrator::{
    AgentKey, Answer, Attempt, AttemptEnd, Job, JobAction, JobChange, JobEffects, JobEnd, JobLimits, JobRefusal, Jobs,
    Up,
};
use nisse_store::JournalError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep;

use crate::core::Core;
use crate::driver::{Fate, fate};
use crate::entry::Entry;
use crate::error::{ErrorKind, NodeError, chain};
use crate::supervisor::Stop;
use crate::unapplied::Held;
use table::JobRow;
use watching::Watching;
pub(crate) use watching::query_of;

/// Messages that wait for the task.
const QUEUE_MAX: usize = 4_096;
/// Messages that are decided on together at most.
const BATCH_MAX: usize = 128;
/// Bytes of events and answers in one record, if more than one are in it.
const RECORD_BYTES_MAX: usize = 2 << 20;
/// Longest rest: a clock that is set is noticed after it.
const REST_MAX: Duration = Duration::from_secs(20);
/// Rest before a record that the disk refused goes out again.
const REFUSED_PAUSE: Duration = Duration::from_millis(500);
/// Ended jobs of all agents after which the oldest are removed.
const PRUNE_AFTER: usize = 256;

/// Agents that take jobs, by whose they are.
pub(crate) type AllUp = BTreeMap<AgentKey, Up>;

/// Speaks to the task.
pub(crate) struct JobsHandle {
    sender: mpsc::Sender<Message>,
    up: watch::Sender<AllUp>,
}

/// The task's ears.
pub(crate) struct JobsInbox {
    receiver: mpsc::Receiver<Message>,
    up: watch::Receiver<AllUp>,
}

enum Message {
    Asked(Asked),
    Ended { agent: Arc<AgentKey>, id: InvocationId, end: AttemptEnd, attempt: Attempt, held: Option<Held> },
}

type Asked = Box<dyn FnOnce(&mut Jobs, Timestamp, &mut JobEffects) -> Reply + Send>;
/// Tells whoever asked, once what was decided is durable.
type Reply = Box<dyn FnOnce() + Send>;

impl JobsHandle {
    pub(crate) fn new() -> (Self, JobsInbox) {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let (up, seen) = watch::channel(AllUp::new());
        (Self { sender, up }, JobsInbox { receiver, up: seen })
    }

    /// Says which agents take jobs now.
    pub(crate) fn set_up(&self, all: AllUp) {
        self.up.send_if_modified(|before| {
            let is_other = *before != all;
            if is_other {
                *before = all;
            }
            is_other
        });
    }

    /// Asks for a decision, and waits until it is durable.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut Jobs, Timestamp, &mut JobEffects) -> T + Send + 'static,
    ) -> Result<T, NodeError> {
        let (reply, answer) = oneshot::channel();
        let asked: Asked = Box::new(move |jobs, now, effects| {
            let said = ask(jobs, now, effects);
            Box::new(move || drop(reply.send(said)))
        });
        let stopping =
            || NodeError::new(ErrorKind::Busy, "stopping", "failed to decide: the node is stopping".to_owned());
        self.sender.send(Message::Asked(asked)).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())
    }

    /// Takes an event as a job, durable when this returns. `false`: it was here already.
    pub(crate) async fn add(&self, core: &Core, job: Job) -> Result<bool, NodeError> {
        let database = Arc::clone(&core.database);
        // What ended is known to the rows alone; and they are as they are until this is decided.
        let added = self.ask(move |jobs, now, effects| match table::job(&database, &job.agent, job.id) {
            Ok(None) => jobs.add(job, now, effects).map_err(|error| refused(&error)),
            Ok(Some(_)) => Ok(false),
            Err(error) => Err(failed(&error)),
        });
        added.await?
    }

    /// Has a job handled again that failed or was called off. Gives how it stands where it did neither.
    pub(crate) async fn again(
        &self,
        core: &Core,
        agent: AgentKey,
        id: InvocationId,
    ) -> Result<Option<JobRow>, NodeError> {
        let database = Arc::clone(&core.database);
        let asked = self.ask(move |jobs, now, effects| match table::job(&database, &agent, id) {
            Ok(Some(row)) if matches!(row.end, Some((JobEnd::Failed(_) | JobEnd::Cancelled, _))) => {
                jobs.again(agent, row.waiting, now, effects);
                Ok(None)
            }
            Ok(row) => Ok(row),
            Err(error) => Err(failed(&error)),
        });
        asked.await?
    }

    async fn tell(&self, message: Message) {
        // A node that goes down reads from the journal how it ended.
        let _ = self.sender.send(message).await;
    }
}

/// What the journal says besides the rows: handlers that completed.
pub(crate) type Completed = HashMap<[u8; 16], Answer>;

/// Brings the machine back from the rows, and notes what was handled already.
pub(crate) async fn restore(core: &Core, completed: &Completed) -> Result<Jobs, NodeError> {
    let (open, cursors) = table::all(&core.database).map_err(|error| failed(&error))?;
    let mut jobs = Jobs::new(JobLimits::default());
    let mut effects = JobEffects::default();
    let handled: Vec<_> = open.iter().filter(|(_, job)| completed.contains_key(&job.id.0)).cloned().collect();
    for (agent, job) in open {
        jobs.restore_job(agent, job);
    }
    for (agent, trigger, cursor) in cursors {
        jobs.restore_cursor(agent, trigger, cursor);
    }
    for (agent, job) in handled {
        jobs.handled(&agent, job.id, completed[&job.id.0].clone(), &mut effects);
    }
    if !effects.changes.is_empty() {
        let held = core.unapplied.hold();
        write(core, &effects.changes)
            .await
            .map_err(|reason| NodeError::new(ErrorKind::Failed, "journal_failed", reason))?;
        held.let_go();
    }
    Ok(jobs)
}

/// Decides and does until the node stops.
pub(crate) async fn run(core: Arc<Core>, mut jobs: Jobs, inbox: JobsInbox, mut stop: Stop) {
    let JobsInbox { mut receiver, mut up } = inbox;
    let mut known = AllUp::new();
    let mut watched = BTreeMap::new();
    let mut batch = Vec::new();
    let mut ended = (0, BTreeSet::new());
    loop {
        let rest = jobs
            .next_wake()
            .map_or(REST_MAX, |wake| Duration::from_millis(wake.since_ms(core.clock.now())).min(REST_MAX));
        tokio::select! {
            () = stop.requested() => return,
            _ = receiver.recv_many(&mut batch, BATCH_MAX) => {}
            changed = up.changed() => if changed.is_err() { return },
            () = sleep(rest) => {}
        }
        let now = core.clock.now();
        let mut effects = JobEffects::default();
        let (mut replies, mut holds) = (Vec::new(), Vec::new());
        let all = up.borrow_and_update().clone();
        for (agent, up) in go_up_and_down(&mut jobs, (&known, &all), now, &mut effects) {
            watched.insert(agent.clone(), watch_spaces(&core, agent, up));
        }
        watched.retain(|agent, _| all.contains_key(agent));
        known = all;
        for message in batch.drain(..) {
            match message {
                Message::Asked(asked) => replies.push(asked(&mut jobs, now, &mut effects)),
                Message::Ended { agent, id, end, attempt, held } => {
                    let mut chance = [0; 2];
                    core.entropy.fill(&mut chance);
                    jobs.ended(&agent, id, (end, attempt), u16::from_be_bytes(chance), &mut effects);
                    holds.extend(held);
                }
            }
        }
        jobs.tick(now, &mut effects);
        let JobEffects { changes, actions } = effects;
        if !changes.is_empty() {
            let held = core.unapplied.hold();
            if let Err(reason) = write_patiently(&core, &changes, &mut stop).await {
                if let Some(reason) = reason {
                    core.fail(reason);
                }
                return;
            }
            held.let_go();
        }
        holds.into_iter().for_each(Held::let_go);
        replies.into_iter().for_each(|reply| reply());
        for action in actions {
            begin(&core, action);
        }
        for change in &changes {
            if let JobChange::Ended { agent, .. } = change {
                ended.0 += 1;
                ended.1.insert(agent.clone());
            }
        }
        if ended.0 >= PRUNE_AFTER {
            for agent in std::mem::take(&mut ended).1 {
                if let Err(error) = table::prune(&core.database, &agent) {
                    tracing::warn!(error = chain(&error), "jobs that ended long ago were not removed");
                }
            }
        }
    }
}

/// Says who came and who went; gives those that came.
fn go_up_and_down<'u>(
    jobs: &mut Jobs,
    (before, after): (&AllUp, &'u AllUp),
    now: Timestamp,
    effects: &mut JobEffects,
) -> Vec<(&'u AgentKey, &'u Up)> {
    for agent in before.keys().filter(|agent| !after.contains_key(*agent)) {
        jobs.go_down(agent);
    }
    let came: Vec<_> = after.iter().filter(|(agent, up)| before.get(*agent) != Some(*up)).collect();
    for (agent, up) in &came {
        jobs.come_up((*agent).clone(), (*up).clone(), now, effects);
    }
    came
}

/// Watches the spaces of an agent's triggers, until what this gives is dropped.
fn watch_spaces(core: &Arc<Core>, agent: &AgentKey, up: &Up) -> watch::Sender<()> {
    let (watched, gone) = watch::channel(());
    let spaces = core.running(&up.deployment).and_then(|running| running.spaces);
    for trigger in watching::of_spaces(&up.declared.triggers) {
        let Some(spaces) = spaces.clone() else { break };
        let (core, agent, trigger) = (Arc::clone(core), agent.clone(), trigger.clone());
        let own = Arc::clone(&core);
        let watching = Watching { core, agent, spaces, trigger, restless: BTreeMap::new() };
        let mut gone = gone.clone();
        own.supervisor.spawn("trigger of a space", |mut stop| async move {
            tokio::select! {
                () = watching.run() => {}
                _ = gone.changed() => {}
                () = stop.requested() => {}
            }
        });
    }
    watched
}

fn begin(core: &Arc<Core>, action: JobAction) {
    let JobAction::Run { ref agent, id, .. } = action;
    let (own, agent) = (Arc::clone(core), Arc::clone(agent));
    core.supervisor.spawn("job", |mut stop| async move {
        tokio::select! {
            ended = run::run(&own, action) => {
                let (end, attempt, held) = ended;
                own.jobs.tell(Message::Ended { agent, id, end, attempt, held }).await;
            }
            // What has begun comes to its commit, and the next start finds that.
            () = stop.requested() => {}
        }
    });
}

/// Makes changes durable, and then rows of them.
async fn write(core: &Core, changes: &[JobChange]) -> Result<(), String> {
    for some in records(changes) {
        append(core, some).await.map_err(|error| chain(&error))?;
    }
    table::apply(&core.database, changes).map_err(|error| chain(&error))
}

/// [`write`], again and again while the disk refuses. `Err(None)`: the node is told to stop.
async fn write_patiently(core: &Core, changes: &[JobChange], stop: &mut Stop) -> Result<(), Option<String>> {
    for some in records(changes) {
        while let Err(error) = append(core, some).await {
            if fate(&error) == Fate::Final {
                return Err(Some(chain(&error)));
            }
            tracing::warn!(error = chain(&error), "jobs are not recorded now: they wait");
            tokio::select! {
                () = stop.requested() => return Err(None),
                () = sleep(REFUSED_PAUSE) => {}
            }
        }
    }
    table::apply(&core.database, changes).map_err(|error| Some(chain(&error)))
}

async fn append(core: &Core, changes: &[JobChange]) -> Result<(), JournalError> {
    let entry = Entry::Jobs(changes.to_vec()).encode();
    Core::append(&core.journal, &[&entry]).await?.durable().await.map(drop)
}

/// Changes by records: in order, an end with what stands before it, and what was told with its event.
fn records(changes: &[JobChange]) -> impl Iterator<Item = &[JobChange]> {
    let mut bytes = 0;
    changes.chunk_by(move |before, change| {
        bytes += weight(before);
        let is_bound = match change {
            JobChange::Ended { .. } => true,
            JobChange::Seen { .. } => matches!(before, JobChange::Added(_) | JobChange::Ended { .. }),
            _ => false,
        };
        let goes_on = is_bound || bytes + weight(change) <= RECORD_BYTES_MAX;
        if !goes_on {
            bytes = 0;
        }
        goes_on
    })
}

/// About how many bytes a change takes.
pub(crate) fn weight(change: &JobChange) -> usize {
    /// Names, times and numbers.
    const REST: usize = 512;
    let answer = |answer: &Answer| answer.as_ref().map_or(0, |answer| answer.data.len());
    REST + match change {
        JobChange::Added(job) => job.event.data.len(),
        JobChange::Handled { answer: of, .. } => answer(of),
        JobChange::Ended { end: JobEnd::Completed(of), .. } => answer(of),
        _ => 0,
    }
}

pub(crate) fn failed(error: &dyn std::error::Error) -> NodeError {
    NodeError::caused(ErrorKind::Failed, "jobs_failed", error)
}

pub(crate) fn refused(error: &JobRefusal) -> NodeError {
    let (kind, code) = match error {
        JobRefusal::Full { .. } => (ErrorKind::Busy, "jobs_full"),
        JobRefusal::NoTrigger(_) => (ErrorKind::NotFound, "trigger_unknown"),
        JobRefusal::NotWaiting(_) => (ErrorKind::NotFound, "invocation_unknown"),
        JobRefusal::Runs(_) => (ErrorKind::Conflict, "invocation_runs"),
    };
    NodeError::new(kind, code, format!("failed to {error}"))
}

#[cfg(test)]
mod tests {
    use nisse_model::{Address, Event, Outcome};

    use super::*;

    #[test]
    fn records_stay_small_and_an_end_stays_with_what_it_ends() {
        let agent = AgentKey { owner: Address([1; 20]), name: "a.b".parse().expect("a name") };
        let added = |key: u8, bytes: usize| {
            let event = Event::manual(key.to_string(), Timestamp(1), String::new(), vec![0; bytes]);
            let (id, function) =
                (Job::name(&agent, None, (&event.source, &event.id), event.time), "one".parse().expect("a name"));
            JobChange::Added(Job {
                id,
                agent: agent.clone(),
                function,
                trigger: None,
                event,
                depth: 0,
                due: Timestamp(1),
            })
        };
        let ended = |bytes: usize| {
            let answer = Some(Outcome { content_type: String::new(), data: vec![0; bytes] });
            let (id, end) = (InvocationId([1; 16]), JobEnd::Completed(answer));
            JobChange::Ended { agent: agent.clone(), id, attempts: 1, end, at: Timestamp(1), attempt: None }
        };
        let sizes = |changes: &[JobChange]| records(changes).map(<[JobChange]>::len).collect::<Vec<_>>();
        assert_eq!(sizes(&[]), Vec::<usize>::new());
        let small: Vec<JobChange> = (0..200).map(|key| added(key, 10)).collect();
        assert_eq!(sizes(&small), [200]);
        let large: Vec<JobChange> = (0..5).map(|key| added(key, 1 << 20)).collect();
        assert_eq!(sizes(&large), [1, 1, 1, 1, 1]);
        let half: Vec<JobChange> = (0..5).map(|key| added(key, 600 << 10)).collect();
        assert_eq!(sizes(&half), [3, 2]);
        assert_eq!(sizes(&[added(1, 1 << 20), ended(1 << 20), added(2, 1 << 20)]), [2, 1]);
        let seen = || {
            let (trigger, item) = ("tick".parse().expect("a name"), "x".to_owned());
            JobChange::Seen { agent: agent.clone(), trigger, item, mark: None }
        };
        let told = [added(1, 2 << 20), seen(), added(2, 2 << 20), seen(), seen()];
        assert_eq!(sizes(&told), [2, 2, 1], "an event is there with the word that it was told");
    }
}
