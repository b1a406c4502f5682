//! The stored forms of completions and closings, apart from what the rest of the node works with.

use minicbor::{Decode, Encode};
use nisse_model::{Address, AssetName, CredentialId, DeploymentId, Effect, Hash256, SpaceWrite, Timestamp};

use super::{Closing, Completion, DecodeEntryError, StoredAnswer};

/// The stored form of a completion; a field keeps its number for ever.
#[derive(Encode, Decode)]
pub(super) struct StoredCompletion {
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
pub(super) struct StoredClosing {
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
pub(super) enum StoredEffect {
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
    #[n(5)]
    Space {
        #[cbor(n(0), with = "minicbor::bytes")]
        space: [u8; 32],
        #[n(1)]
        object: String,
        /// 0: put, 1: patch, 2: delete.
        #[n(2)]
        kind: u8,
        #[n(3)]
        json: String,
    },
    #[n(6)]
    Answer {
        #[n(0)]
        answer: StoredAnswer,
    },
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
            Effect::Space { space, object, write } => {
                let (kind, json) = match write {
                    SpaceWrite::Put(json) => (0, json.clone()),
                    SpaceWrite::Patch(json) => (1, json.clone()),
                    SpaceWrite::Delete => (2, String::new()),
                };
                Self::Space { space: space.0.0, object: object.clone(), kind, json }
            }
            Effect::Answer(outcome) => Self::Answer { answer: outcome.into() },
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
            StoredEffect::Answer { answer } => Self::Answer(answer.into()),
            StoredEffect::Space { space, object, kind, json } => {
                let write = match kind {
                    0 => SpaceWrite::Put(json),
                    1 => SpaceWrite::Patch(json),
                    2 => SpaceWrite::Delete,
                    _ => return Err(DecodeEntryError::Text(format!("a change of the kind {kind}"))),
                };
                Self::Space { space: CredentialId(Hash256(space)), object, write }
            }
        })
    }
}
