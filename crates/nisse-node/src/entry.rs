//! What the node's one journal holds: decisions of the orchestrator, completions of invocations, and snapshots that
//! let old segments go.
//!
//! A completion carries every effect of its invocation; its fsync is the only commit (DESIGN §5.1).

mod writer;

use minicbor::{Decode, Encode};
use nisse_model::{Address, AgentName, AssetName, ContentId, DeploymentId, Effect, Timestamp};
use nisse_orchestrator::Decision;
pub(crate) use writer::{CompletionParts, CompletionWriter};

const KIND_DECISION: u8 = 1;
const KIND_COMPLETION: u8 = 2;
const KIND_SNAPSHOT: u8 = 3;
const KIND_STATE: u8 = 4;
const STATE_VERSION: u8 = 1;
const KIND_INTENT: u8 = 5;
const COMPLETION_VERSION: u8 = 1;
const KIND_OPENING: u8 = 6;
const KIND_CLOSING: u8 = 7;
const CLOSING_VERSION: u8 = 1;

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
    /// A completion of a version that this nisse does not know.
    #[error("read a completion of version {0}: this nisse knows version {COMPLETION_VERSION}")]
    Version(u8),
    /// A completion that does not decode.
    #[error("read a completion in the journal")]
    Completion(#[source] minicbor::decode::Error),
    /// Text inside a completion that is not what it should be.
    #[error("read `{0}` in a completion")]
    Text(String),
}

/// The stored form of a completion; a field keeps its number for ever.
#[derive(Encode, Decode)]
struct StoredCompletion {
    #[n(0)]
    chain: u64,
    #[n(1)]
    at_ms: u64,
    #[cbor(n(2), with = "minicbor::bytes")]
    invocation: [u8; 16],
    #[n(3)]
    succeeded: bool,
    #[n(4)]
    effects: Vec<StoredEffect>,
    #[cbor(n(5), with = "minicbor::bytes")]
    record: Vec<u8>,
    #[cbor(n(6), with = "minicbor::bytes")]
    owner: [u8; 20],
    #[n(7)]
    agent: String,
    #[cbor(n(8), with = "minicbor::bytes")]
    contract: [u8; 20],
    #[n(9)]
    number: u64,
}

/// The stored form of a closing; a field keeps its number for ever.
#[derive(Encode, Decode)]
struct StoredClosing {
    #[n(0)]
    chain: u64,
    #[cbor(n(1), with = "minicbor::bytes")]
    contract: [u8; 20],
    #[n(2)]
    number: u64,
    #[cbor(n(3), with = "minicbor::bytes")]
    record: Vec<u8>,
}

impl From<&Closing> for StoredClosing {
    fn from(closing: &Closing) -> Self {
        let DeploymentId { chain, contract, number } = closing.deployment;
        Self { chain, contract: contract.0, number, record: closing.record.clone() }
    }
}

impl From<StoredClosing> for Closing {
    fn from(stored: StoredClosing) -> Self {
        let StoredClosing { chain, contract, number, record } = stored;
        Self { deployment: DeploymentId { chain, contract: Address(contract), number }, record }
    }
}

#[derive(Encode, Decode)]
enum StoredEffect {
    #[n(0)]
    StatePut {
        #[n(0)]
        key: String,
        #[cbor(n(1), with = "minicbor::bytes")]
        value: Vec<u8>,
    },
    #[n(1)]
    StateDelete {
        #[n(0)]
        key: String,
    },
    #[n(2)]
    AlarmSet {
        #[n(0)]
        at_ms: u64,
    },
    #[n(3)]
    AlarmClear,
    #[n(4)]
    PublishToChain {
        #[n(0)]
        asset: String,
        #[n(1)]
        value: i64,
        #[n(2)]
        decimals: u8,
    },
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
                let mut bytes = vec![KIND_SNAPSHOT];
                for decision in decisions {
                    let one = nisse_orchestrator::encode(decision);
                    bytes.extend(u32::try_from(one.len()).expect("a decision is far below 4 GiB").to_be_bytes());
                    bytes.extend(one);
                }
                bytes
            }
            Self::Intent(text) => {
                let mut bytes = vec![KIND_INTENT];
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
            [KIND_COMPLETION | KIND_OPENING | KIND_CLOSING, version, ..] => Err(DecodeEntryError::Version(*version)),
            [KIND_STATE, STATE_VERSION, rest @ ..] => decode_state(rest).map(Self::State),
            [KIND_INTENT, rest @ ..] => Ok(Self::Intent(String::from_utf8_lossy(rest).into_owned())),
            [KIND_SNAPSHOT, rest @ ..] => decode_snapshot(rest).map(Self::Snapshot),
            other => Err(DecodeEntryError::Kind(other.first().copied())),
        }
    }
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

impl From<&Completion> for StoredCompletion {
    fn from(completion: &Completion) -> Self {
        Self {
            chain: completion.deployment.chain,
            at_ms: completion.at.0,
            invocation: completion.invocation,
            succeeded: completion.succeeded,
            effects: completion.effects.iter().map(StoredEffect::from).collect(),
            record: completion.record.clone(),
            owner: completion.owner.0,
            agent: completion.agent.to_string(),
            contract: completion.deployment.contract.0,
            number: completion.deployment.number,
        }
    }
}

impl TryFrom<StoredCompletion> for Completion {
    type Error = DecodeEntryError;

    fn try_from(stored: StoredCompletion) -> Result<Self, DecodeEntryError> {
        let (chain, contract, number) = (stored.chain, Address(stored.contract), stored.number);
        let deployment = DeploymentId { chain, contract, number };
        Ok(Self {
            deployment,
            at: Timestamp(stored.at_ms),
            invocation: stored.invocation,
            succeeded: stored.succeeded,
            effects: stored.effects.into_iter().map(Effect::try_from).collect::<Result<_, _>>()?,
            record: stored.record,
            owner: Address(stored.owner),
            agent: stored.agent.parse().map_err(|_| DecodeEntryError::Text(stored.agent))?,
        })
    }
}

impl From<&Effect> for StoredEffect {
    fn from(effect: &Effect) -> Self {
        match effect {
            Effect::StatePut { key, value } => Self::StatePut { key: key.clone(), value: value.clone() },
            Effect::StateDelete { key } => Self::StateDelete { key: key.clone() },
            Effect::AlarmSet { at } => Self::AlarmSet { at_ms: at.0 },
            Effect::AlarmClear => Self::AlarmClear,
            Effect::PublishToChain { asset, value, decimals } => {
                Self::PublishToChain { asset: asset.to_string(), value: *value, decimals: *decimals }
            }
        }
    }
}

impl TryFrom<StoredEffect> for Effect {
    type Error = DecodeEntryError;

    fn try_from(stored: StoredEffect) -> Result<Self, DecodeEntryError> {
        Ok(match stored {
            StoredEffect::StatePut { key, value } => Self::StatePut { key, value },
            StoredEffect::StateDelete { key } => Self::StateDelete { key },
            StoredEffect::AlarmSet { at_ms } => Self::AlarmSet { at: Timestamp(at_ms) },
            StoredEffect::AlarmClear => Self::AlarmClear,
            StoredEffect::PublishToChain { asset, value, decimals } => {
                let asset: AssetName = asset.parse().map_err(|_| DecodeEntryError::Text(asset))?;
                Self::PublishToChain { asset, value, decimals }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use nisse_model::Hash256;

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
            ],
            record: vec![1, 2, 3],
        }
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
        assert_eq!(refused(&[2, 9, 0]), "read a completion of version 9: this nisse knows version 1");
    }

    #[test]
    fn cut_bytes_are_refused_and_never_panic() {
        let bytes = Entry::Completion(completion()).encode();
        for length in 0..bytes.len() {
            assert!(Entry::decode(&bytes[..length]).is_err(), "{length} bytes");
        }
    }
}
