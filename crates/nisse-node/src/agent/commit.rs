//! Makes an invocation's end durable, applies it, and hands its effects on.

mod append;
mod open;
#[cfg(test)]
pub(super) mod tests;

use std::sync::Arc;

use nisse_model::{
    Address, DeploymentId, Effect, Hash256, InstanceId, InvocationId, InvocationRecord, PackageRef, RecordOutcome,
    Timestamp,
};
use nisse_sandbox::{CallContext, Trace, Trap};
use nisse_store::{AgentState, Clock, Entropy, Position, StateError};
use tokio::sync::mpsc;

use super::chance::Chance;
use super::halt::UnderWay;
use super::outward::{Outward, outward_effects};
use super::stats::Tip;
use crate::entry::CompletionWriter;
use crate::ledger::Ledger;
use crate::logs::AgentLog;
use crate::records::Records;
use crate::spaces::AgentSpaces;
use crate::unapplied::{Held, Unapplied};
use append::Form;

/// What an agent is made of.
pub(crate) struct AgentParts {
    pub(crate) deployment: DeploymentId,
    pub(crate) owner: Address,
    pub(crate) package: PackageRef,
    pub(crate) engine: Hash256,
    pub(crate) state: AgentState,
    /// Whether it was granted to publish on chain.
    pub(crate) publishes: bool,
    pub(crate) records: Arc<Records>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) unapplied: Arc<Unapplied>,
    pub(crate) outward: mpsc::Sender<Outward>,
    /// Where its changes of spaces go.
    pub(crate) spaces: Option<Arc<AgentSpaces>>,
    pub(crate) log: Arc<AgentLog>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) stats: Arc<super::Stats>,
}

/// Owns the end of the agent's chain of records.
pub(crate) struct Committer {
    pub(crate) parts: AgentParts,
    writer: CompletionWriter,
    chance: Chance,
    /// Position of the next record.
    next_seq: u64,
    /// Hash of the last one.
    previous: Hash256,
    /// Whether no record was made yet in this life.
    first: bool,
    /// Root of the agent's state now.
    state_root: Hash256,
    /// What the state holds now.
    state_bytes: u64,
    /// Where the last record with effects stands in the journal.
    position: Position,
    /// The record that is being made.
    record: Vec<u8>,
    /// The streamed answer whose head has been committed and whose end has not.
    open: Option<Open>,
    /// Whether that head is being committed now.
    opening: UnderWay,
    /// Whether a record is between its making and the end of all that follows from it: see `append.rs`.
    unsettled: bool,
    /// Keeps that record in the journal where it has effects.
    held: Option<Held>,
}

/// What the record of a streamed answer takes from its head.
struct Open {
    seq: u64,
    /// Of the record that stands without a closing.
    hash: Hash256,
    time: Timestamp,
    state_before: Hash256,
    state_after: Hash256,
    /// As it stood at the head.
    trace: Trace,
}

impl Committer {
    /// Goes on behind the record `(seq, hash)`; `None` begins the chain.
    pub(crate) fn new(parts: AgentParts, last: Option<(u64, Hash256)>) -> Result<Self, StateError> {
        let (next_seq, previous) = last.map_or((1, Hash256::ZERO), |(seq, hash)| (seq + 1, hash));
        let (state_root, state_bytes) = (parts.state.root()?, parts.state.usage()?.bytes);
        parts.stats.set_tip(Tip { seq: next_seq - 1, record: previous, state: state_root });
        let writer = CompletionWriter::new(parts.deployment, parts.owner, &parts.package.agent_id.name);
        let chance = Chance::new(Arc::clone(&parts.entropy));
        Ok(Self {
            parts,
            writer,
            chance,
            next_seq,
            previous,
            first: true,
            state_root,
            state_bytes,
            position: Position(0),
            record: Vec::new(),
            open: None,
            opening: UnderWay::default(),
            unsettled: false,
            held: None,
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    pub(crate) fn context(&self) -> CallContext {
        let parts = &self.parts;
        let publish_refused =
            parts.publishes.then(|| parts.ledger.publish_refusal(&parts.deployment, self.now())).flatten();
        CallContext { state_bytes: self.state_bytes, publish_refused }
    }

    pub(crate) fn new_invocation(&mut self) -> InvocationId {
        InvocationId::new(self.now(), self.chance.draw())
    }

    pub(crate) fn new_instance(&mut self) -> InstanceId {
        InstanceId(self.chance.draw())
    }

    /// Says in the agent's own log why it was stopped, with its backtrace.
    pub(crate) fn log_trap(&self, trap: &Trap) {
        for line in trap.report().lines() {
            self.parts.log.write(self.now(), "error", line);
        }
    }

    /// Commits. Returns the record's position in the deployment's chain.
    ///
    /// An invocation that changes something is durable when this returns. One that changes nothing joins a group
    /// commit: its receipt holds once that is done. With `may_wait` it waits a moment for others first.
    pub(crate) async fn commit(
        &mut self,
        id: InvocationId,
        effects: Vec<Effect>,
        trace: Trace,
        may_wait: bool,
    ) -> Result<u64, String> {
        debug_assert!(trace.outcome == RecordOutcome::Ok || effects.is_empty(), "only what succeeded changes anything");
        self.parts.stats.count(trace.fuel, matches!(trace.outcome, RecordOutcome::Trap(_)));
        self.unsettle(&effects)?;
        let (seq, time) = (self.next_seq, self.now());
        let appended = self.append(id, &effects, trace, may_wait, Form::Completion).await;
        if appended.is_ok() {
            self.hand_on(id, &effects, time).await;
        }
        self.settle();
        appended.map(|_| seq)
    }

    /// Encodes a record into its buffer and gives its hash.
    fn make_record(&mut self, place: Place, trace: Trace) -> Hash256 {
        let Place { seq, time, state_before, state_after } = place;
        let parts = &self.parts;
        self.record.clear();
        InvocationRecord {
            deployment: parts.deployment,
            seq,
            time,
            artifact: parts.package.artifact_hash,
            config: parts.package.config_hash,
            engine: parts.engine,
            instance: trace.instance,
            index: trace.index,
            input: trace.input,
            output: trace.output,
            host_calls: trace.host_calls,
            fuel: trace.fuel,
            state_before,
            state_after,
            outcome: trace.outcome,
            previous: self.previous,
        }
        .encode_into(&mut self.record);
        Hash256::of(&self.record)
    }

    /// Sends on what leaves the agent.
    async fn hand_on(&self, id: InvocationId, effects: &[Effect], now: Timestamp) {
        if effects.is_empty() {
            return;
        }
        let parts = &self.parts;
        let publications = effects.iter().filter(|effect| matches!(effect, Effect::PublishToChain { .. })).count();
        if publications > 0 {
            let count = u32::try_from(publications).unwrap_or(u32::MAX);
            parts.ledger.count_publications(parts.deployment, now, count);
        }
        if let Some(spaces) = &parts.spaces {
            spaces.commit(self.position, effects, self.held.as_ref());
        }
        for outward in outward_effects(parts.deployment, id, self.position, effects) {
            if parts.outward.send(outward).await.is_err() {
                // The node is going down; recovery reads the effect from the journal.
                break;
            }
        }
    }
}

/// Where a record stands.
struct Place {
    seq: u64,
    time: Timestamp,
    state_before: Hash256,
    state_after: Hash256,
}
