//! Why an intent does not become a transaction, in words that say what to do.

use alloy::transports::{RpcError, TransportError};
use nisse_model::Address;
use nisse_store::JournalError;

use super::record::TxRecordError;
use crate::revert;
use crate::signer::SignError;

/// A contract's refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Revert {
    /// The contract's name for it, such as `NotBetter`; empty when it gave none.
    pub name: String,
    /// One sentence.
    pub text: String,
}

/// Why the queue does not take an intent, or cannot go on. Each text completes "failed to …".
#[derive(Debug, Clone, thiserror::Error)]
pub enum QueueError {
    /// The chain runs the call and refuses it. Nothing was sent; the same intent may be tried again.
    #[error("send a transaction that the contract refuses")]
    Refused(#[source] Revert),
    /// The node refuses the transaction itself: no money for gas, too much gas. Nothing was sent.
    #[error("send a transaction that the chain does not take: {0}")]
    NotTaken(String),
    /// The chain does not answer. Nothing new was sent.
    #[error("reach the chain: {0}")]
    Unreachable(String),
    /// The chain at the other end is not the one that was configured.
    #[error("use chain {found}: {expected} was configured")]
    WrongChain {
        /// The configured id.
        expected: u64,
        /// The id that the chain gives.
        found: u64,
    },
    /// The key's nonce moved without this queue: somebody else signs with it.
    #[error("send with {key}: it has sent {chain} transactions, of which this node knows {known}; one key, one node")]
    ForeignTransactions {
        /// The key.
        key: Address,
        /// Its nonce on chain.
        chain: u64,
        /// Its next nonce by the journal.
        known: u64,
    },
    /// The journal is another key's or another chain's.
    #[error("use this queue's journal: it belongs to key {key} on chain {chain}")]
    OtherJournal {
        /// Whose it is.
        key: Address,
        /// Where.
        chain: u64,
    },
    /// The same name came with another content.
    #[error("send `{0}`: this intent was journalled with another content")]
    IntentDiffers(String),
    /// Of intents that stand together only some were journalled, by a program that took them one by one.
    #[error("go on with a batch of intents: the journal holds a part of it, without {0}")]
    HalfKnown(String),
    /// No such intent was ever journalled.
    #[error("find the intent `{0}`")]
    UnknownIntent(String),
    /// The intent's name is empty or too long.
    #[error("take an intent with a name of {length} bytes: 1 to {max} are allowed")]
    IntentName {
        /// Bytes found.
        length: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// Too many transactions wait to be mined.
    #[error("take another transaction: {0} wait to be mined")]
    Full(usize),
    /// The disk does not take the journal's record now. Nothing was sent; the same intent may be tried again.
    #[error("journal a transaction while the disk refuses it: {0}")]
    Disk(String),
    /// The journal failed; nothing is sent any more until a restart.
    #[error("journal a transaction: {0}")]
    Journal(String),
    /// What the journal holds is damaged.
    #[error("use the journal of transactions: {0}")]
    Damaged(String),
    /// The key did not sign.
    #[error("sign a transaction: {0}")]
    Sign(String),
    /// The queue's driver has ended.
    #[error("reach the transaction queue: it has ended")]
    Ended,
}

impl QueueError {
    /// What a failed call of the chain means for a transaction that was not sent yet.
    pub(crate) fn from_call(error: TransportError) -> Self {
        match error {
            RpcError::ErrorResp(payload) => match payload.as_revert_data() {
                Some(data) => Self::Refused(revert::decode(&data)),
                None if payload.message.contains("execution reverted") => Self::Refused(revert::decode(&[])),
                None => Self::NotTaken(payload.message.into_owned()),
            },
            other => Self::Unreachable(other.to_string()),
        }
    }

    /// What a failed question means.
    pub(crate) fn from_question(error: TransportError) -> Self {
        Self::Unreachable(error.to_string())
    }
}

impl From<JournalError> for QueueError {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Refused(cause) => Self::Disk(cause.to_string()),
            JournalError::QueueFull => Self::Disk(error.to_string()),
            JournalError::Damaged { .. } | JournalError::Gap { .. } => Self::Damaged(error.to_string()),
            _ => Self::Journal(error.to_string()),
        }
    }
}

impl From<TxRecordError> for QueueError {
    fn from(error: TxRecordError) -> Self {
        match error {
            TxRecordError::Malformed => Self::Damaged(error.to_string()),
            TxRecordError::Version(_) => Self::Journal(error.to_string()),
        }
    }
}

impl From<SignError> for QueueError {
    fn from(error: SignError) -> Self {
        Self::Sign(error.reason)
    }
}
