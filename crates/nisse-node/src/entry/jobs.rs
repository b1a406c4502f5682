//! The stored form of what becomes of jobs, apart from what the orchestrator works with. A field keeps its number for ever.

use minicbor::{Decode, Encode};
use nisse_model::{Address, Event, Fuel, Hash256, InvocationId, Outcome, Timestamp};
use nisse_orchestrator::{AgentKey, Answer, Attempt, Cursor, Job, JobChange, JobEnd};

use super::DecodeEntryError;

#[derive(Encode, Decode)]
pub(crate) struct StoredAgent {
    #[cbor(n(0), with = "minicbor::bytes")]
    owner: [u8; 20],
    #[n(1)]
    name: String,
}

#[derive(Encode, Decode)]
pub(crate) struct StoredEvent {
    #[n(0)]
    id: String,
    #[n(1)]
    source: String,
    #[n(2)]
    kind: String,
    #[n(3)]
    time_ms: u64,
    #[n(4)]
    content_type: String,
    #[cbor(n(5), with = "minicbor::bytes")]
    data: Vec<u8>,
}

#[derive(Encode, Decode)]
pub(crate) struct StoredAnswer {
    #[n(0)]
    content_type: String,
    #[cbor(n(1), with = "minicbor::bytes")]
    data: Vec<u8>,
}

#[derive(Debug, Clone, Copy, Encode, Decode)]
pub(crate) struct StoredAttempt {
    #[n(0)]
    began_ms: u64,
    #[n(1)]
    ended_ms: u64,
    #[n(2)]
    seq: Option<u64>,
    #[n(3)]
    fuel: u64,
}

/// How a job ended. 0: completed, 1: failed, 2: cancelled.
#[derive(Encode, Decode)]
pub(crate) struct StoredEnd {
    #[n(0)]
    kind: u8,
    #[n(1)]
    reason: Option<String>,
    #[n(2)]
    answer: Option<StoredAnswer>,
}

#[derive(Encode, Decode)]
pub(super) enum StoredChange {
    #[n(0)]
    Added {
        #[cbor(n(0), with = "minicbor::bytes")]
        id: [u8; 16],
        #[n(1)]
        agent: StoredAgent,
        #[n(2)]
        function: String,
        #[n(3)]
        trigger: Option<String>,
        #[n(4)]
        event: StoredEvent,
        #[n(5)]
        depth: u16,
        #[n(6)]
        due_ms: u64,
    },
    #[n(1)]
    Retried {
        #[n(0)]
        agent: StoredAgent,
        #[cbor(n(1), with = "minicbor::bytes")]
        id: [u8; 16],
        #[n(2)]
        attempts: u32,
        #[n(3)]
        due_ms: u64,
        #[n(4)]
        reason: Option<String>,
        #[n(5)]
        attempt: Option<StoredAttempt>,
    },
    #[n(2)]
    Handled {
        #[n(0)]
        agent: StoredAgent,
        #[cbor(n(1), with = "minicbor::bytes")]
        id: [u8; 16],
        #[n(2)]
        answer: Option<StoredAnswer>,
    },
    #[n(3)]
    Ended {
        #[n(0)]
        agent: StoredAgent,
        #[cbor(n(1), with = "minicbor::bytes")]
        id: [u8; 16],
        #[n(2)]
        attempts: u32,
        #[n(3)]
        end: StoredEnd,
        #[n(4)]
        at_ms: u64,
        #[n(5)]
        attempt: Option<StoredAttempt>,
    },
    #[n(4)]
    Moved {
        #[n(0)]
        agent: StoredAgent,
        #[n(1)]
        trigger: String,
        #[n(2)]
        at_ms: u64,
        #[n(3)]
        count: u64,
        #[n(4)]
        is_paused: bool,
    },
    #[n(6)]
    Seen {
        #[n(0)]
        agent: StoredAgent,
        #[n(1)]
        trigger: String,
        #[n(2)]
        item: String,
        #[cbor(n(3), with = "minicbor::bytes")]
        mark: Option<[u8; 32]>,
    },
    #[n(5)]
    Forgotten {
        #[n(0)]
        agent: StoredAgent,
    },
}

impl From<&AgentKey> for StoredAgent {
    fn from(agent: &AgentKey) -> Self {
        Self { owner: agent.owner.0, name: agent.name.to_string() }
    }
}

impl TryFrom<StoredAgent> for AgentKey {
    type Error = DecodeEntryError;

    fn try_from(stored: StoredAgent) -> Result<Self, DecodeEntryError> {
        Ok(Self { owner: Address(stored.owner), name: parsed(stored.name)? })
    }
}

impl From<&Event> for StoredEvent {
    fn from(event: &Event) -> Self {
        let Event { id, source, kind, time, content_type, data } = event.clone();
        Self { id, source, kind, time_ms: time.0, content_type, data }
    }
}

impl From<StoredEvent> for Event {
    fn from(stored: StoredEvent) -> Self {
        let StoredEvent { id, source, kind, time_ms, content_type, data } = stored;
        Self { id, source, kind, time: Timestamp(time_ms), content_type, data }
    }
}

impl From<&Outcome> for StoredAnswer {
    fn from(outcome: &Outcome) -> Self {
        Self { content_type: outcome.content_type.clone(), data: outcome.data.clone() }
    }
}

impl From<StoredAnswer> for Outcome {
    fn from(stored: StoredAnswer) -> Self {
        Self { content_type: stored.content_type, data: stored.data }
    }
}

impl From<Attempt> for StoredAttempt {
    fn from(attempt: Attempt) -> Self {
        let Attempt { began, ended, seq, fuel } = attempt;
        Self { began_ms: began.0, ended_ms: ended.0, seq, fuel: fuel.0 }
    }
}

impl From<StoredAttempt> for Attempt {
    fn from(stored: StoredAttempt) -> Self {
        let StoredAttempt { began_ms, ended_ms, seq, fuel } = stored;
        Self { began: Timestamp(began_ms), ended: Timestamp(ended_ms), seq, fuel: Fuel(fuel) }
    }
}

impl From<&JobEnd> for StoredEnd {
    fn from(end: &JobEnd) -> Self {
        match end {
            JobEnd::Completed(answer) => Self { kind: 0, reason: None, answer: answer.as_ref().map(Into::into) },
            JobEnd::Failed(reason) => Self { kind: 1, reason: Some(reason.clone()), answer: None },
            JobEnd::Cancelled => Self { kind: 2, reason: None, answer: None },
        }
    }
}

impl TryFrom<StoredEnd> for JobEnd {
    type Error = DecodeEntryError;

    fn try_from(stored: StoredEnd) -> Result<Self, DecodeEntryError> {
        match stored.kind {
            0 => Ok(Self::Completed(stored.answer.map(Into::into))),
            1 => Ok(Self::Failed(stored.reason.unwrap_or_default())),
            2 => Ok(Self::Cancelled),
            kind => Err(DecodeEntryError::Text(format!("an end of the kind {kind}"))),
        }
    }
}

impl From<&JobChange> for StoredChange {
    fn from(change: &JobChange) -> Self {
        match change {
            JobChange::Added(Job { id, agent, function, trigger, event, depth, due }) => Self::Added {
                id: id.0,
                agent: agent.into(),
                function: function.to_string(),
                trigger: trigger.as_ref().map(ToString::to_string),
                event: event.into(),
                depth: *depth,
                due_ms: due.0,
            },
            JobChange::Retried { agent, id, attempts, due, reason, attempt } => Self::Retried {
                agent: agent.into(),
                id: id.0,
                attempts: *attempts,
                due_ms: due.0,
                reason: reason.clone(),
                attempt: attempt.map(Into::into),
            },
            JobChange::Handled { agent, id, answer } => {
                Self::Handled { agent: agent.into(), id: id.0, answer: answer.as_ref().map(Into::into) }
            }
            JobChange::Ended { agent, id, attempts, end, at, attempt } => Self::Ended {
                agent: agent.into(),
                id: id.0,
                attempts: *attempts,
                end: end.into(),
                at_ms: at.0,
                attempt: attempt.map(Into::into),
            },
            JobChange::Moved { agent, trigger, cursor: Cursor { at, count, is_paused } } => Self::Moved {
                agent: agent.into(),
                trigger: trigger.to_string(),
                at_ms: at.0,
                count: *count,
                is_paused: *is_paused,
            },
            JobChange::Seen { agent, trigger, item, mark } => Self::Seen {
                agent: agent.into(),
                trigger: trigger.to_string(),
                item: item.clone(),
                mark: mark.map(|mark| mark.0),
            },
            JobChange::Forgotten { agent } => Self::Forgotten { agent: agent.into() },
        }
    }
}

impl TryFrom<StoredChange> for JobChange {
    type Error = DecodeEntryError;

    fn try_from(stored: StoredChange) -> Result<Self, DecodeEntryError> {
        Ok(match stored {
            StoredChange::Added { id, agent, function, trigger, event, depth, due_ms } => Self::Added(Job {
                id: InvocationId(id),
                agent: agent.try_into()?,
                function: parsed(function)?,
                trigger: trigger.map(parsed).transpose()?,
                event: event.into(),
                depth,
                due: Timestamp(due_ms),
            }),
            StoredChange::Retried { agent, id, attempts, due_ms, reason, attempt } => Self::Retried {
                agent: agent.try_into()?,
                id: InvocationId(id),
                attempts,
                due: Timestamp(due_ms),
                reason,
                attempt: attempt.map(Into::into),
            },
            StoredChange::Handled { agent, id, answer } => Self::Handled {
                agent: agent.try_into()?,
                id: InvocationId(id),
                answer: answer.map(Outcome::from) as Answer,
            },
            StoredChange::Ended { agent, id, attempts, end, at_ms, attempt } => Self::Ended {
                agent: agent.try_into()?,
                id: InvocationId(id),
                attempts,
                end: end.try_into()?,
                at: Timestamp(at_ms),
                attempt: attempt.map(Into::into),
            },
            StoredChange::Moved { agent, trigger, at_ms, count, is_paused } => Self::Moved {
                agent: agent.try_into()?,
                trigger: parsed(trigger)?,
                cursor: Cursor { at: Timestamp(at_ms), count, is_paused },
            },
            StoredChange::Seen { agent, trigger, item, mark } => {
                Self::Seen { agent: agent.try_into()?, trigger: parsed(trigger)?, item, mark: mark.map(Hash256) }
            }
            StoredChange::Forgotten { agent } => Self::Forgotten { agent: agent.try_into()? },
        })
    }
}

pub(crate) fn parsed<T: std::str::FromStr>(text: String) -> Result<T, DecodeEntryError> {
    text.parse().map_err(|_| DecodeEntryError::Text(text))
}
