//! Rows of jobs: what is open, what ended and how, and how far triggers have come.
//!
//! The journal holds each change first. Rows are written without a sync and say how it is, so that reading the journal
//! again from anywhere before comes to the same.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};
use nisse_model::{Address, AgentName, Event, Hash256, InvocationId, Outcome, Timestamp, TriggerName};
use nisse_orchestrator::{AgentKey, Attempt, Cursor, Job, JobChange, JobEnd, WaitingJob};
use nisse_store::{Database, DatabaseError, Rows as _, Table, WriteTransaction};

use crate::entry::{StoredAnswer, StoredAttempt, StoredEnd, StoredEvent, parsed};

/// Each job without its event.
const JOBS: Table = Table::new("jobs");
/// The event of each.
const EVENTS: Table = Table::new("job_events");
/// The names of those that have not ended.
const OPEN: Table = Table::new("jobs_open");
/// How far each trigger has come.
const CURSORS: Table = Table::new("job_cursors");
/// What each trigger has told of.
const SEEN: Table = Table::new("job_seen");

/// Jobs of one agent that are kept once they ended otherwise than badly, and those that did.
pub(super) const ENDED_MAX: usize = 1_000;
pub(super) const FAILED_MAX: usize = 1_000;

/// A job, as its row has it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JobRow {
    pub(crate) waiting: WaitingJob,
    /// What happened.
    pub(crate) event_id: String,
    pub(crate) event_source: String,
    pub(crate) event_kind: String,
    pub(crate) event_time: Timestamp,
    /// Why the last attempt failed.
    pub(crate) reason: Option<String>,
    /// How the last attempt went.
    pub(crate) attempt: Option<Attempt>,
    /// How it ended, and when.
    pub(crate) end: Option<(JobEnd, Timestamp)>,
}

/// Its stored form; a field keeps its number for ever.
#[derive(Encode, Decode)]
struct StoredJob {
    #[n(0)]
    function: String,
    #[n(1)]
    trigger: Option<String>,
    #[n(2)]
    attempts: u32,
    #[n(3)]
    depth: u16,
    #[n(4)]
    due_ms: u64,
    #[n(5)]
    event_id: String,
    #[n(6)]
    event_source: String,
    #[n(7)]
    event_kind: String,
    #[n(8)]
    event_time_ms: u64,
    #[n(9)]
    reason: Option<String>,
    #[n(10)]
    attempt: Option<StoredAttempt>,
    #[n(11)]
    end: Option<StoredEnd>,
    #[n(12)]
    ended_ms: u64,
    /// Whether its handler completed before the node went down, and what it answered.
    #[n(13)]
    is_handled: bool,
    #[n(14)]
    handled: Option<StoredAnswer>,
}

#[derive(Encode, Decode)]
struct StoredCursor {
    #[n(0)]
    at_ms: u64,
    #[n(1)]
    count: u64,
    #[n(2)]
    is_paused: bool,
}

/// Makes rows of changes, in order.
pub(crate) fn apply(database: &Database, changes: &[JobChange]) -> Result<(), DatabaseError> {
    database.write_lazily(|rows| changes.iter().try_for_each(|change| apply_one(rows, change)))
}

fn apply_one(rows: &mut WriteTransaction, change: &JobChange) -> Result<(), DatabaseError> {
    match change {
        JobChange::Added(job) => add(rows, job),
        JobChange::Retried { agent, id, attempts, due, reason, attempt } => change_row(rows, agent, *id, |job| {
            (job.attempts, job.due_ms, job.end, job.ended_ms) = (*attempts, due.0, None, 0);
            job.reason.clone_from(reason);
            job.attempt = attempt.map(Into::into);
        }),
        JobChange::Handled { agent, id, answer } => change_row(rows, agent, *id, |job| {
            (job.is_handled, job.handled) = (true, answer.as_ref().map(Into::into));
        }),
        JobChange::Ended { agent, id, attempts, end, at, attempt } => change_row(rows, agent, *id, |job| {
            (job.attempts, job.end, job.ended_ms) = (*attempts, Some(end.into()), at.0);
            (job.is_handled, job.handled) = (false, None);
            if attempt.is_some() {
                job.attempt = attempt.map(Into::into);
            }
        }),
        JobChange::Moved { agent, trigger, cursor: Cursor { at, count, is_paused } } => {
            let stored = StoredCursor { at_ms: at.0, count: *count, is_paused: *is_paused };
            rows.put(CURSORS, &under(agent, trigger.as_str().as_bytes()), &bytes(&stored))
        }
        JobChange::Seen { agent, trigger, item, mark } => {
            let name = seen_name(agent, trigger, item.as_bytes());
            match mark {
                Some(mark) => rows.put(SEEN, &name, &mark.0),
                None => rows.remove(SEEN, &name).map(drop),
            }
        }
        JobChange::Forgotten { agent } => {
            for table in [JOBS, EVENTS, OPEN, CURSORS, SEEN] {
                let mut names = Vec::new();
                rows.with_prefix(table, &under(agent, b""), &mut |name, _| {
                    names.push(name.to_vec());
                    true
                })?;
                for name in names {
                    rows.remove(table, &name)?;
                }
            }
            Ok(())
        }
    }
}

fn add(rows: &mut WriteTransaction, job: &Job) -> Result<(), DatabaseError> {
    let Job { id, agent, function, trigger, event, depth, due } = job;
    let name = under(agent, &id.0);
    let stored = StoredJob {
        function: function.to_string(),
        trigger: trigger.as_ref().map(ToString::to_string),
        attempts: 0,
        depth: *depth,
        due_ms: due.0,
        event_id: event.id.clone(),
        event_source: event.source.clone(),
        event_kind: event.kind.clone(),
        event_time_ms: event.time.0,
        reason: None,
        attempt: None,
        end: None,
        ended_ms: 0,
        is_handled: false,
        handled: None,
    };
    rows.put(JOBS, &name, &bytes(&stored))?;
    rows.put(EVENTS, &name, &bytes(&StoredEvent::from(event)))?;
    rows.put(OPEN, &name, &[])
}

/// Changes a row, which may be gone where the journal is read again.
fn change_row(
    rows: &mut WriteTransaction,
    agent: &AgentKey,
    id: InvocationId,
    change: impl FnOnce(&mut StoredJob),
) -> Result<(), DatabaseError> {
    let name = under(agent, &id.0);
    let Some(mut stored) = rows.get(JOBS, &name)?.and_then(|bytes| minicbor::decode::<StoredJob>(&bytes).ok()) else {
        return Ok(());
    };
    change(&mut stored);
    rows.put(JOBS, &name, &bytes(&stored))?;
    match stored.end {
        Some(_) => rows.remove(OPEN, &name).map(drop),
        None => rows.put(OPEN, &name, &[]),
    }
}

/// All that has not ended, and how far triggers have come.
type Kept = (Vec<(AgentKey, WaitingJob)>, Vec<(AgentKey, TriggerName, Cursor)>);

/// What the machine begins with.
pub(crate) fn all(database: &Database) -> Result<Kept, DatabaseError> {
    database.read(|rows| {
        let mut names = Vec::new();
        rows.with_prefix(OPEN, b"", &mut |name, _| {
            names.push(name.to_vec());
            true
        })?;
        let mut open = Vec::with_capacity(names.len());
        for name in names {
            let row = rows.get(JOBS, &name)?;
            open.extend(
                agent_of(&name).zip(row.and_then(|row| read(&name, &row))).map(|(agent, row)| (agent, row.waiting)),
            );
        }
        let mut cursors = Vec::new();
        rows.with_prefix(CURSORS, b"", &mut |name, stored| {
            let trigger = name.get(21 + usize::from(name[20])..).and_then(|text| std::str::from_utf8(text).ok());
            let trigger = trigger.and_then(|text| text.parse().ok());
            let cursor = minicbor::decode::<StoredCursor>(stored).ok();
            if let (Some(agent), Some(trigger), Some(cursor)) = (agent_of(name), trigger, cursor) {
                let StoredCursor { at_ms, count, is_paused } = cursor;
                cursors.push((agent, trigger, Cursor { at: Timestamp(at_ms), count, is_paused }));
            }
            true
        })?;
        Ok((open, cursors))
    })
}

/// What a trigger has told of, and how that was.
pub(crate) fn seen(
    database: &Database,
    agent: &AgentKey,
    trigger: &TriggerName,
) -> Result<BTreeMap<String, Hash256>, DatabaseError> {
    let prefix = seen_name(agent, trigger, b"");
    let mut seen = BTreeMap::new();
    database.read(|rows| {
        rows.with_prefix(SEEN, &prefix, &mut |name, mark| {
            let item = std::str::from_utf8(&name[prefix.len()..]).ok();
            seen.extend(item.map(str::to_owned).zip(mark.try_into().ok().map(Hash256)));
            true
        })
    })?;
    Ok(seen)
}

/// One job.
pub(crate) fn job(database: &Database, agent: &AgentKey, id: InvocationId) -> Result<Option<JobRow>, DatabaseError> {
    let name = under(agent, &id.0);
    let row = database.read(|rows| rows.get(JOBS, &name))?;
    Ok(row.and_then(|row| read(&name, &row)))
}

/// The event of a job.
pub(crate) fn event(database: &Database, agent: &AgentKey, id: InvocationId) -> Result<Option<Event>, DatabaseError> {
    let row = database.read(|rows| rows.get(EVENTS, &under(agent, &id.0)))?;
    Ok(row.and_then(|row| minicbor::decode::<StoredEvent>(&row).ok()).map(Event::from))
}

/// The jobs of an agent that `wanted` takes, the newest first, at most so many.
pub(crate) fn jobs(
    database: &Database,
    agent: &AgentKey,
    max: usize,
    wanted: &dyn Fn(&JobRow) -> bool,
) -> Result<Vec<JobRow>, DatabaseError> {
    let mut found = Vec::new();
    database.read(|rows| {
        rows.with_prefix(JOBS, &under(agent, b""), &mut |name, row| {
            found.extend(read(name, row).filter(wanted));
            true
        })
    })?;
    // A name does not tell the age of what a person named.
    found.sort_by_key(|row: &JobRow| std::cmp::Reverse((row.event_time, row.waiting.id)));
    found.truncate(max);
    Ok(found)
}

/// Removes the oldest that ended, where an agent has more than are kept.
pub(crate) fn prune(database: &Database, agent: &AgentKey) -> Result<(), DatabaseError> {
    let (mut ended, mut failed) = (Vec::new(), Vec::new());
    database.read(|rows| {
        rows.with_prefix(JOBS, &under(agent, b""), &mut |name, row| {
            let end = read(name, row).and_then(|row| row.end);
            if let Some((end, at)) = end {
                let list = if matches!(end, JobEnd::Failed(_)) { &mut failed } else { &mut ended };
                list.push((at, name.to_vec()));
            }
            true
        })
    })?;
    let mut gone = Vec::new();
    for (list, max) in [(&mut ended, ENDED_MAX), (&mut failed, FAILED_MAX)] {
        list.sort_unstable();
        let surplus = list.len().saturating_sub(max);
        gone.extend(list.drain(..surplus).map(|(_, name)| name));
    }
    if gone.is_empty() {
        return Ok(());
    }
    database.write_lazily(|rows| {
        gone.iter().try_for_each(|name| {
            rows.remove(JOBS, name)?;
            rows.remove(EVENTS, name).map(drop)
        })
    })
}

fn read(name: &[u8], row: &[u8]) -> Option<JobRow> {
    let id = InvocationId(*name.last_chunk::<16>()?);
    let stored: StoredJob = minicbor::decode(row).ok()?;
    let waiting = WaitingJob {
        id,
        function: parsed(stored.function).ok()?,
        trigger: stored.trigger.map(parsed).transpose().ok()?,
        attempts: stored.attempts,
        depth: stored.depth,
        due: Timestamp(stored.due_ms),
        handled: stored.is_handled.then(|| stored.handled.map(Outcome::from)),
    };
    Some(JobRow {
        waiting,
        event_id: stored.event_id,
        event_source: stored.event_source,
        event_kind: stored.event_kind,
        event_time: Timestamp(stored.event_time_ms),
        reason: stored.reason,
        attempt: stored.attempt.map(Into::into),
        end: stored.end.and_then(|end| end.try_into().ok()).map(|end| (end, Timestamp(stored.ended_ms))),
    })
}

/// A row's name: whose it is, then what follows.
fn under(agent: &AgentKey, rest: &[u8]) -> Vec<u8> {
    let name = agent.name.as_str();
    let mut key = Vec::with_capacity(21 + name.len() + rest.len());
    key.extend(agent.owner.0);
    key.push(u8::try_from(name.len()).expect("an agent's name is short"));
    key.extend(name.as_bytes());
    key.extend(rest);
    key
}

fn seen_name(agent: &AgentKey, trigger: &TriggerName, item: &[u8]) -> Vec<u8> {
    let trigger = trigger.as_str().as_bytes();
    let mut rest = vec![u8::try_from(trigger.len()).expect("a trigger's name is short")];
    rest.extend(trigger);
    rest.extend(item);
    under(agent, &rest)
}

fn agent_of(key: &[u8]) -> Option<AgentKey> {
    let owner = Address(*key.first_chunk::<20>()?);
    let name = key.get(21..21 + usize::from(*key.get(20)?))?;
    let name: AgentName = std::str::from_utf8(name).ok()?.parse().ok()?;
    Some(AgentKey { owner, name })
}

fn bytes(stored: &impl Encode<()>) -> Vec<u8> {
    minicbor::to_vec(stored).expect("memory takes every write")
}
