//! What an invocation is given besides its event, and how it ended.

use nisse_model::{CutKind, Effect, Fuel, Hash256, HostCallRecord, InstanceId, MessageHasher, RecordOutcome};

use crate::trap::Trap;

/// What the node knows about an invocation besides its event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallContext {
    /// Bytes of the agent's committed state, which its quota is counted against.
    pub state_bytes: u64,
    /// Why nothing may be published on chain (a spent gas budget), when nothing may.
    pub publish_refused: Option<String>,
}

/// How one invocation ended, and everything that its completion record needs.
#[derive(Debug)]
pub struct InvocationEnd<T> {
    /// The guest's answer, or why it was stopped.
    pub result: Result<T, Trap>,
    /// What it changed, to be committed as one; empty after a failure or a trap.
    pub effects: Vec<Effect>,
    /// The parts of the invocation record that the sandbox knows.
    pub trace: Trace,
    /// Whether the guest was entered at all. A call that never began is no invocation: it has no place in the chain of
    /// records.
    pub began: bool,
}

/// The parts of an invocation record that the sandbox knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// Which instance ran it.
    pub instance: InstanceId,
    /// Position within the instance's life, from 0.
    pub index: u32,
    /// SHA-256 of what the handler was given. Zero when nothing is recorded.
    pub input: Hash256,
    /// SHA-256 of what it answered; of nothing after a trap; of what had left, where a streamed answer did not come to
    /// its end.
    pub output: Hash256,
    /// Every host call, in order.
    pub host_calls: Vec<HostCallRecord>,
    /// Fuel burnt.
    pub fuel: Fuel,
    /// How it ended.
    pub outcome: RecordOutcome,
    /// Log lines that were dropped because there were too many.
    pub log_lines_dropped: u32,
}

/// What has left of an answer that is streamed.
pub(super) struct Streamed {
    pub(super) hasher: MessageHasher,
    /// Why it did not come to its end, where that was not the guest's doing.
    pub(super) cut: Option<CutKind>,
}
