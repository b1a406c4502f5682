//! What the node's one journal holds: decisions of the orchestrator, completions of invocations, and snapshots that
//! let old segments go.
//!
//! A completion carries every effect of its invocation; its fsync is the only commit (DESIGN §5.1).

mod jobs;
mod stored;
mod writer;

use jobs::StoredChange;
pub(crate) use jobs::{StoredAnswer, StoredAttempt, StoredEnd, StoredEvent, parsed};
use nisse_model::{Address, AgentName, ContentId, DeploymentId, Effect, Timestamp};
use nisse_orchestrator::{Decision, JobChange};
use stored::{StoredClosing, StoredCompletion, StoredEffect};
pub(crate) use writer::{CompletionParts, CompletionWriter};

const KIND_DECISION: u8 = 1;
const KIND_COMPLETION: u8 = 2;
const KIND_SNAPSHOT: u8 = 3;
const SNAPSHOT_VERSION: u8 = 1;
const KIND_STATE: u8 = 4;
const STATE_VERSION: u8 = 1;
const KIND_INTENT: u8 = 5;
const INTENT_VERSION: u8 = 1;
const COMPLETION_VERSION: u8 = 1;
const KIND_OPENING: u8 = 6;
const KIND_CLOSING: u8 = 7;
const CLOSING_VERSION: u8 = 1;
const KIND_JOBS: u8 = 8;
const JOBS_VERSION: u8 = 1;

/// One record of the journal.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Entry {
    /// What the orchestrator decided.
    Decision(Decision),
    /// How an invocation ended.
    Completion(Completion),
    /// What an invocation changed whose answer is streamed, before the answer's head left (DESIGN §5.2). Its record is
    /// the one that stands if no closing follows: cut by an interruption.
    Opening(Completion),
    /// How a streamed answer ended: its record takes the place of the opening's.
    Closing(Closing),
    /// Decisions that stand for all before this entry.
    Snapshot(Vec<Decision>),
    /// An agent's whole state was replaced or destroyed.
    State(StateChange),
    /// A request that changes the world is about to leave: made durable before it does (DESIGN §5.1). The text names
    /// the invocation, the call's place in it, the method and the authority.
    Intent(String),
    /// What became of jobs and triggers.
    Jobs(Vec<JobChange>),
}

/// A change of a whole state: rollback, a refused update, destruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StateChange {
    pub(crate) owner: Address,
    pub(crate) agent: AgentName,
    /// The export that takes its place; `None` removes everything.
    pub(crate) snapshot: Option<ContentId>,
}

/// The end of a streamed answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Closing {
    /// Which deployment's agent.
    pub(crate) deployment: DeploymentId,
    /// The invocation record, encoded.
    pub(crate) record: Vec<u8>,
}

/// One invocation's end, with all its effects.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Completion {
    /// Which deployment's agent.
    pub(crate) deployment: DeploymentId,
    /// Whose state the effects are for: with the name, so that recovery needs nothing else.
    pub(crate) owner: Address,
    pub(crate) agent: AgentName,
    /// The node's clock.
    pub(crate) at: Timestamp,
    /// The invocation's id.
    pub(crate) invocation: [u8; 16],
    /// Whether the handler answered.
    pub(crate) succeeded: bool,
    /// What it changes, in order. Empty for a failed one.
    pub(crate) effects: Vec<Effect>,
    /// The invocation record, encoded.
    pub(crate) record: Vec<u8>,
}

/// Why journal bytes are not an entry.
#[derive(Debug, thiserror::Error)]
pub enum DecodeEntryError {
    /// A kind that this nisse does not know.
    #[error("read a journal record of kind {0:?}")]
    Kind(Option<u8>),
    /// A decision that does not decode.
    #[error("read a decision in the journal")]
    Decision(#[source] nisse_orchestrator::DecodeError),
    /// A record of a version that this nisse does not know.
    #[error("read a journal record of kind {kind} and version {version}: this nisse knows no such version")]
    Version {
        /// What it is.
        kind: u8,
        /// How it is written.
        version: u8,
    },
    /// A completion that does not decode.
    #[error("read a completion in the journal")]
    Completion(#[source] minicbor::decode::Error),
    /// What became of jobs does not decode.
    #[error("read what became of jobs in the journal")]
    Jobs(#[source] minicbor::decode::Error),
    /// Text inside a completion that is not what it should be.
    #[error("read `{0}` in the journal")]
    Text(String),
}

impl Entry {
    /// The bytes that the journal keeps.
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Decision(decision) => {
                let mut bytes = vec![KIND_DECISION];
                bytes.extend(nisse_orchestrator::encode(decision));
                bytes
            }
            Self::Completion(completion) => {
                let mut bytes = vec![KIND_COMPLETION, COMPLETION_VERSION];
                minicbor::encode(StoredCompletion::from(completion), &mut bytes).expect("memory takes every write");
                bytes
            }
            Self::Opening(completion) => {
                let mut bytes = vec![KIND_OPENING, COMPLETION_VERSION];
                minicbor::encode(StoredCompletion::from(completion), &mut bytes).expect("memory takes every write");
                bytes
            }
            Self::Closing(closing) => {
                let mut bytes = vec![KIND_CLOSING, CLOSING_VERSION];
                minicbor::encode(StoredClosing::from(closing), &mut bytes).expect("memory takes every write");
                bytes
            }
            Self::Snapshot(decisions) => {
                let mut bytes = vec![KIND_SNAPSHOT, SNAPSHOT_VERSION];
                for decision in decisions {
                    let one = nisse_orchestrator::encode(decision);
                    bytes.extend(u32::try_from(one.len()).expect("a decision is far below 4 GiB").to_be_bytes());
                    bytes.extend(one);
                }
                bytes
            }
            Self::Jobs(changes) => {
                let mut bytes = vec![KIND_JOBS, JOBS_VERSION];
                let changes: Vec<StoredChange> = changes.iter().map(Into::into).collect();
                minicbor::encode(changes, &mut bytes).expect("memory takes every write");
                bytes
            }
            Self::Intent(text) => {
                let mut bytes = vec![KIND_INTENT, INTENT_VERSION];
                bytes.extend(text.as_bytes());
                bytes
            }
            Self::State(StateChange { owner, agent, snapshot }) => {
                let snapshot = snapshot.map_or(String::new(), |cid| cid.to_string());
                let mut bytes = vec![KIND_STATE, STATE_VERSION];
                bytes.extend(format!("{owner} {agent} {snapshot}").into_bytes());
                bytes
            }
        }
    }

    /// The entry behind the journal's bytes.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeEntryError> {
        match bytes {
            [KIND_DECISION, rest @ ..] => {
                nisse_orchestrator::decode(rest).map(Self::Decision).map_err(DecodeEntryError::Decision)
            }
            [KIND_COMPLETION, COMPLETION_VERSION, rest @ ..] => {
                let stored: StoredCompletion = minicbor::decode(rest).map_err(DecodeEntryError::Completion)?;
                Completion::try_from(stored).map(Self::Completion)
            }
            [KIND_OPENING, COMPLETION_VERSION, rest @ ..] => {
                let stored: StoredCompletion = minicbor::decode(rest).map_err(DecodeEntryError::Completion)?;
                Completion::try_from(stored).map(Self::Opening)
            }
            [KIND_CLOSING, CLOSING_VERSION, rest @ ..] => {
                let stored: StoredClosing = minicbor::decode(rest).map_err(DecodeEntryError::Completion)?;
                Ok(Self::Closing(stored.into()))
            }
            [KIND_JOBS, JOBS_VERSION, rest @ ..] => {
                let stored: Vec<StoredChange> = minicbor::decode(rest).map_err(DecodeEntryError::Jobs)?;
                stored.into_iter().map(JobChange::try_from).collect::<Result<_, _>>().map(Self::Jobs)
            }
            [KIND_STATE, STATE_VERSION, rest @ ..] => decode_state(rest).map(Self::State),
            [KIND_INTENT, INTENT_VERSION, rest @ ..] => Ok(intent(rest)),
            [KIND_SNAPSHOT, SNAPSHOT_VERSION, rest @ ..] => decode_snapshot(rest).map(Self::Snapshot),
            // The first form had no version: a snapshot began with a decision's length, below 16 MiB, an intent with a digit.
            [KIND_SNAPSHOT] => decode_snapshot(&[]).map(Self::Snapshot),
            [KIND_SNAPSHOT, rest @ ..] if rest[0] == 0 => decode_snapshot(rest).map(Self::Snapshot),
            [KIND_INTENT, rest @ ..] if rest.first().is_some_and(u8::is_ascii_hexdigit) => Ok(intent(rest)),
            [
                KIND_COMPLETION | KIND_OPENING | KIND_CLOSING | KIND_STATE | KIND_INTENT | KIND_SNAPSHOT | KIND_JOBS,
                version,
                ..,
            ] => Err(DecodeEntryError::Version { kind: bytes[0], version: *version }),
            other => Err(DecodeEntryError::Kind(other.first().copied())),
        }
    }
}

fn intent(text: &[u8]) -> Entry {
    Entry::Intent(String::from_utf8_lossy(text).into_owned())
}

fn decode_snapshot(mut rest: &[u8]) -> Result<Vec<Decision>, DecodeEntryError> {
    let mut decisions = Vec::new();
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let one = tail.get(..length).ok_or(DecodeEntryError::Kind(Some(KIND_SNAPSHOT)))?;
        decisions.push(nisse_orchestrator::decode(one).map_err(DecodeEntryError::Decision)?);
        rest = &tail[length..];
    }
    Ok(decisions)
}

fn decode_state(rest: &[u8]) -> Result<StateChange, DecodeEntryError> {
    let text = String::from_utf8_lossy(rest).into_owned();
    let refused = || DecodeEntryError::Text(text.clone());
    let mut words = text.split(' ');
    let (Some(owner), Some(agent), Some(snapshot), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(refused());
    };
    let snapshot = match snapshot {
        "" => None,
        cid => Some(cid.parse().map_err(|_| refused())?),
    };
    let (owner, agent) = (owner.parse().map_err(|_| refused())?, agent.parse().map_err(|_| refused())?);
    Ok(StateChange { owner, agent, snapshot })
}

#[cfg(test)]
mod tests {
    use nisse_model::{CredentialId, Hash256, SpaceWrite};
    use nisse_orchestrator::{AgentKey, Attempt, Cursor, Job, JobEnd};

    use super::*;

    fn completion() -> Completion {
        Completion {
            deployment: DeploymentId { chain: 7, contract: Address([1; 20]), number: 3 },
            owner: Address([4; 20]),
            agent: "a.b".parse().expect("a name"),
            at: Timestamp(5),
            invocation: [9; 16],
            succeeded: true,
            effects: vec![
                Effect::StatePut { key: "a".to_owned(), value: vec![0, 255] },
                Effect::StateDelete { key: "b".to_owned() },
                Effect::AlarmSet { at: Timestamp(8) },
                Effect::AlarmClear,
                Effect::PublishToChain { asset: "ETH/USD".parse().expect("an asset"), value: -3, decimals: 8 },
                space(SpaceWrite::Put("{\"a\":1}".to_owned())),
                space(SpaceWrite::Patch("{}".to_owned())),
                space(SpaceWrite::Delete),
                Effect::Answer(nisse_model::Outcome { content_type: "text/plain".to_owned(), data: vec![1, 0] }),
            ],
            record: vec![1, 2, 3],
        }
    }

    fn changes() -> Vec<JobChange> {
        let agent = AgentKey { owner: Address([3; 20]), name: "a.b".parse().expect("a name") };
        let (id, at) = (nisse_model::InvocationId([7; 16]), Timestamp(6));
        let attempt = Some(Attempt { began: at, ended: Timestamp(8), seq: Some(3), fuel: nisse_model::Fuel(9) });
        let event = nisse_model::Event::manual("x".to_owned(), at, "text/plain".to_owned(), vec![0, 255]);
        let answer = Some(nisse_model::Outcome { content_type: String::new(), data: vec![0] });
        let (trigger, reason) = (Some("tick".parse().expect("a name")), Some("why".to_owned()));
        let ended = |end| JobChange::Ended { agent: agent.clone(), id, attempts: 2, end, at, attempt };
        vec![
            JobChange::Added(Job {
                id,
                agent: agent.clone(),
                function: "one".parse().expect("a name"),
                trigger,
                event,
                depth: 1,
                due: at,
            }),
            JobChange::Retried { agent: agent.clone(), id, attempts: 1, due: at, reason, attempt },
            JobChange::Handled { agent: agent.clone(), id, answer: answer.clone() },
            ended(JobEnd::Completed(answer)),
            ended(JobEnd::Failed("why".to_owned())),
            ended(JobEnd::Cancelled),
            JobChange::Moved {
                agent: agent.clone(),
                trigger: "tick".parse().expect("a name"),
                cursor: Cursor { at, count: 4, is_paused: true },
            },
            JobChange::Seen {
                agent: agent.clone(),
                trigger: "tick".parse().expect("a name"),
                item: "x".to_owned(),
                mark: Some(Hash256::of(b"x")),
            },
            JobChange::Seen {
                agent: agent.clone(),
                trigger: "tick".parse().expect("a name"),
                item: "x".to_owned(),
                mark: None,
            },
            JobChange::Forgotten { agent },
        ]
    }

    fn space(write: SpaceWrite) -> Effect {
        let object = "01HQRS7T4V8WXYZ0123456789A".to_owned();
        Effect::Space { space: CredentialId(Hash256::of(b"space")), object, write }
    }

    fn state(snapshot: Option<ContentId>) -> Entry {
        let agent = "a.b".parse().expect("a name");
        Entry::State(StateChange { owner: Address([3; 20]), agent, snapshot })
    }

    #[test]
    fn every_entry_survives_its_bytes() {
        let decision = Decision::Draining { draining: true };
        let entries = [
            Entry::Decision(decision.clone()),
            Entry::Completion(completion()),
            Entry::Opening(completion()),
            Entry::Closing(Closing { deployment: completion().deployment, record: vec![4, 5] }),
            Entry::Snapshot(vec![decision.clone(), decision]),
            Entry::Snapshot(Vec::new()),
            Entry::Intent("0a:3 POST api.example.org".to_owned()),
            Entry::Jobs(changes()),
            Entry::Jobs(Vec::new()),
            state(None),
            state(Some(ContentId::raw(Hash256::of(b"export")))),
        ];
        for entry in entries {
            assert_eq!(Entry::decode(&entry.encode()).expect("its own bytes"), entry);
        }
    }

    #[test]
    fn an_unknown_kind_or_version_is_refused_by_number() {
        let refused = |bytes: &[u8]| Entry::decode(bytes).expect_err("not an entry").to_string();
        assert_eq!(refused(&[]), "read a journal record of kind None");
        assert_eq!(refused(&[77]), "read a journal record of kind Some(77)");
        let version =
            |kind| format!("read a journal record of kind {kind} and version 9: this nisse knows no such version");
        for kind in 2..=8 {
            assert_eq!(refused(&[kind, 9, 0]), version(kind));
        }
    }

    #[test]
    fn snapshots_and_intents_that_were_written_without_a_version_are_read() {
        let snapshot = Entry::Snapshot(vec![Decision::Draining { draining: true }; 2]);
        for entry in [snapshot, Entry::Snapshot(Vec::new()), Entry::Intent("0a:3 POST api.example.org".to_owned())] {
            let mut bytes = entry.encode();
            bytes.remove(1);
            assert_eq!(Entry::decode(&bytes).expect("its first form"), entry);
        }
    }

    #[test]
    fn cut_bytes_are_refused_and_never_panic() {
        let bytes = Entry::Completion(completion()).encode();
        for length in 0..bytes.len() {
            assert!(Entry::decode(&bytes[..length]).is_err(), "{length} bytes");
        }
    }
}
