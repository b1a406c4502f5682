//! Checks that records follow one another: nothing left out, nothing put in, nothing changed.

use super::{CutKind, InstanceId, InvocationRecord, RecordOutcome};
use crate::{DeploymentId, Hash256};

/// The head of one deployment's chain of records; grows by one checked record at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordChain {
    deployment: DeploymentId,
    head: Hash256,
    next_seq: u64,
    last: Option<LastRun>,
}

/// What the next record of the same instance must continue.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LastRun {
    instance: InstanceId,
    index: u32,
    ended: bool,
}

/// Why a record does not continue a chain. Each text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// A record of another deployment.
    #[error("continue the records of deployment {expected} with one of {found}")]
    Deployment {
        /// Whose chain it is.
        expected: DeploymentId,
        /// Whose record came.
        found: DeploymentId,
    },
    /// A record left out, repeated or out of order.
    #[error("continue with record {found}: record {expected} comes next")]
    Seq {
        /// The number that comes next.
        expected: u64,
        /// The number that came.
        found: u64,
    },
    /// The record names another predecessor: one of the two was changed.
    #[error("continue with record {seq}: it names {found} as its predecessor, which is {expected}")]
    Previous {
        /// The record's number.
        seq: u64,
        /// Hash of the record before.
        expected: Hash256,
        /// The hash named.
        found: Hash256,
    },
    /// An instance's calls are not numbered one after the other.
    #[error("continue with record {seq}: call {found} of its instance stands where call {expected} belongs")]
    Index {
        /// The record's number.
        seq: u64,
        /// The call that comes next.
        expected: u64,
        /// The call that came.
        found: u32,
    },
    /// A call of an instance that had trapped, or that had gone down with its node.
    #[error("continue with record {seq}: its instance had ended")]
    InstanceEnded {
        /// The record's number.
        seq: u64,
    },
}

impl RecordChain {
    /// The chain before its first record.
    pub fn start(deployment: DeploymentId) -> Self {
        Self { deployment, head: Hash256::ZERO, next_seq: 1, last: None }
    }

    /// The chain right after `record`, which is taken on trust.
    pub fn after(record: &InvocationRecord) -> Self {
        let mut chain = Self::start(record.deployment);
        chain.advance(record);
        chain
    }

    /// The chain at a known head: `next_seq` is the number of the record that comes next.
    pub fn resume(deployment: DeploymentId, head: Hash256, next_seq: u64) -> Self {
        Self { deployment, head, next_seq, last: None }
    }

    /// Checks that `record` comes next, takes it in and gives its hash. A refused record changes nothing.
    pub fn append(&mut self, record: &InvocationRecord) -> Result<Hash256, ChainError> {
        let seq = record.seq;
        if record.deployment != self.deployment {
            return Err(ChainError::Deployment { expected: self.deployment, found: record.deployment });
        }
        if seq != self.next_seq {
            return Err(ChainError::Seq { expected: self.next_seq, found: seq });
        }
        if record.previous != self.head {
            return Err(ChainError::Previous { seq, expected: self.head, found: record.previous });
        }
        if let Some(last) = self.last.as_ref().filter(|last| last.instance == record.instance) {
            if last.ended {
                return Err(ChainError::InstanceEnded { seq });
            }
            let expected = u64::from(last.index) + 1;
            if u64::from(record.index) != expected {
                return Err(ChainError::Index { seq, expected, found: record.index });
            }
        }
        self.advance(record);
        Ok(self.head)
    }

    /// Checks whole records from the first on and gives the chain's end.
    pub fn verify<'a>(
        deployment: DeploymentId,
        records: impl IntoIterator<Item = &'a InvocationRecord>,
    ) -> Result<Self, ChainError> {
        let mut chain = Self::start(deployment);
        for record in records {
            chain.append(record)?;
        }
        Ok(chain)
    }

    fn advance(&mut self, record: &InvocationRecord) {
        self.head = record.hash();
        self.next_seq = record.seq.saturating_add(1);
        let ended = matches!(record.outcome, RecordOutcome::Trap(_) | RecordOutcome::Cut(CutKind::Interrupted));
        self.last = Some(LastRun { instance: record.instance, index: record.index, ended });
    }

    /// Whose chain it is.
    pub fn deployment(&self) -> DeploymentId {
        self.deployment
    }

    /// Hash of the last record; [`Hash256::ZERO`] before the first.
    pub fn head(&self) -> Hash256 {
        self.head
    }

    /// Number of the record that comes next.
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }
}
