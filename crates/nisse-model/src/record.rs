//! Invocation record v1: what one run of a handler did, hash-chained from the first (DESIGN §5.4).
//!
//! The stored form (`record/codec.rs`) is deterministic CBOR with a version; its SHA-256 is what a receipt signs and
//! what the next record names as its predecessor.

mod chain;
mod codec;
mod message;

pub use chain::{ChainError, RecordChain};
pub use codec::DecodeRecordError;
pub use message::MessageHasher;

use crate::{DeploymentId, Fuel, Hash256, Timestamp};

/// What one invocation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvocationRecord {
    /// Whose agent ran, and under which order.
    pub deployment: DeploymentId,
    /// Position in the deployment's chain, from 1.
    pub seq: u64,
    /// When the invocation began, by the node's clock.
    pub time: Timestamp,
    /// SHA-256 of the artifact.
    pub artifact: Hash256,
    /// SHA-256 of the merged configuration.
    pub config: Hash256,
    /// SHA-256 that names engine version and settings: the same fuel and results are promised under the same one.
    pub engine: Hash256,
    /// Which live instance ran it; a replay starts at its birth.
    pub instance: InstanceId,
    /// Position within the instance's life, from 0.
    pub index: u32,
    /// SHA-256 of the invocation as the handler saw it ([`crate::Invocation::input_hash`], [`MessageHasher::request`]).
    pub input: Hash256,
    /// SHA-256 of what the handler answered ([`crate::Outcome::output_hash`], [`crate::Failure::output_hash`],
    /// [`MessageHasher::response`]); of no bytes after a trap. Of an answer that was streamed and did not come to its
    /// end: of what had been handed on by then.
    pub output: Hash256,
    /// Every host call, in order.
    pub host_calls: Vec<HostCallRecord>,
    /// Fuel burnt.
    pub fuel: Fuel,
    /// Root of the agent's state before.
    pub state_before: Hash256,
    /// Root of the agent's state after; equal to `state_before` after a failure or a trap, unless the answer was
    /// streamed: what it changed was committed with its head.
    pub state_after: Hash256,
    /// How it ended.
    pub outcome: RecordOutcome,
    /// Hash of the record before this one; [`Hash256::ZERO`] for the first.
    pub previous: Hash256,
}

impl InvocationRecord {
    /// Most host calls of one invocation.
    pub const HOST_CALLS_MAX: usize = 4096;
    /// Longest stored form, in bytes: all host calls with the longest inline results fit.
    pub const LENGTH_MAX: usize = 5 << 20;

    /// The stored form. The same record always gives the same bytes.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Adds the stored form to a buffer.
    pub fn encode_into(&self, buffer: &mut Vec<u8>) {
        codec::encode_into(self, buffer);
    }

    /// The position that a stored form names, without reading the rest of it.
    pub fn seq_of(bytes: &[u8]) -> Option<u64> {
        codec::seq_of(bytes)
    }

    /// Reads a stored form, and only the one that [`InvocationRecord::encode`] writes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeRecordError> {
        codec::decode(bytes)
    }

    /// SHA-256 of the stored form: what receipts sign.
    pub fn hash(&self) -> Hash256 {
        Hash256::of(&self.encode())
    }
}

/// A live instance's name: 16 bytes of chance given at its birth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(pub [u8; 16]);

/// One host call, as it was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostCallRecord {
    /// `interface.function`, such as `state.get`; at most [`HostCallRecord::FUNCTION_LENGTH_MAX`] bytes.
    pub function: String,
    /// SHA-256 of the arguments in their wire form.
    pub arguments: Hash256,
    /// What the guest was given.
    pub result: HostCallResult,
}

impl HostCallRecord {
    /// Longest function name, in bytes.
    pub const FUNCTION_LENGTH_MAX: usize = 64;
}

/// What a guest was given: the bytes themselves where they are short, else their hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostCallResult {
    /// At most [`HostCallResult::INLINE_LENGTH_MAX`] bytes in wire form.
    Bytes(Vec<u8>),
    /// SHA-256 of a longer result; a replay needs the bytes from elsewhere.
    Hash(Hash256),
}

impl HostCallResult {
    /// Longest result that stands in the record itself, in bytes.
    pub const INLINE_LENGTH_MAX: usize = 1024;

    /// Records `result` itself or, where it is longer than the limit, its hash.
    pub fn of(result: &[u8]) -> Self {
        if result.len() <= Self::INLINE_LENGTH_MAX {
            Self::Bytes(result.to_vec())
        } else {
            Self::Hash(Hash256::of(result))
        }
    }
}

/// How an invocation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordOutcome {
    /// The handler answered.
    Ok,
    /// The handler said that it failed.
    Failure,
    /// The guest was stopped.
    Trap(TrapKind),
    /// A streamed answer did not come to its end, and that was not the guest's doing.
    Cut(CutKind),
}

/// Why a streamed answer did not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CutKind {
    /// The client went away.
    Gone,
    /// The client took nothing for too long.
    Stalled,
    /// The node went down, or stopped the agent. Output, fuel and host calls are those of the head; what followed is not
    /// known.
    Interrupted,
}

impl CutKind {
    /// All kinds; a kind's number in the stored form is its position here and never changes.
    pub const ALL: [Self; 3] = [Self::Gone, Self::Stalled, Self::Interrupted];

    /// One word for logs, APIs and the command line; never changes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Stalled => "stalled",
            Self::Interrupted => "interrupted",
        }
    }
}

/// Why a guest was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TrapKind {
    /// An `unreachable` instruction: a panic in most languages.
    Unreachable,
    /// Memory or a table was read or written out of its bounds.
    OutOfBounds,
    /// Integer division by zero or overflow, or a bad conversion to an integer.
    Arithmetic,
    /// A call through a null or wrongly typed function reference.
    IndirectCall,
    /// The stack's limit; its depth differs between machines, so this is not held against anyone.
    StackOverflow,
    /// The per-call cap on fuel.
    OutOfFuel,
    /// The memory limit, where the guest could not go on without it.
    OutOfMemory,
    /// The invocation's deadline.
    Deadline,
    /// The guest broke the rules of an interface (a bad handle, a result never set).
    Protocol,
    /// The node stopped it: shutdown, stop or update.
    Stopped,
    /// Anything else.
    Other,
}

impl TrapKind {
    /// All kinds; a kind's number in the stored form is its position here and never changes.
    pub const ALL: [Self; 11] = [
        Self::Unreachable,
        Self::OutOfBounds,
        Self::Arithmetic,
        Self::IndirectCall,
        Self::StackOverflow,
        Self::OutOfFuel,
        Self::OutOfMemory,
        Self::Deadline,
        Self::Protocol,
        Self::Stopped,
        Self::Other,
    ];

    /// One word for logs, APIs and the command line; never changes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::OutOfBounds => "out-of-bounds",
            Self::Arithmetic => "arithmetic",
            Self::IndirectCall => "indirect-call",
            Self::StackOverflow => "stack-overflow",
            Self::OutOfFuel => "out-of-fuel",
            Self::OutOfMemory => "out-of-memory",
            Self::Deadline => "deadline",
            Self::Protocol => "protocol",
            Self::Stopped => "stopped",
            Self::Other => "other",
        }
    }

    /// Whether a replay on another machine must end the same way; only such an outcome can be disputed.
    pub fn is_deterministic(self) -> bool {
        !matches!(
            self,
            Self::StackOverflow | Self::OutOfMemory | Self::Deadline | Self::Stopped | Self::Protocol | Self::Other
        )
    }
}
