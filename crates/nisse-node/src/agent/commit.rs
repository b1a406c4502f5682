//! Makes an invocation's end durable, applies it, and hands its effects on.

mod open;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use nisse_model::{
    Address, DeploymentId, Effect, Hash256, InstanceId, InvocationId, InvocationRecord, PackageRef, RecordOutcome,
    Timestamp,
};
use nisse_sandbox::{CallContext, Trace, Trap};
use nisse_store::{AgentState, Clock, Entropy, Position, StateError, StateWrite};
use tokio::sync::mpsc;

use super::chance::Chance;
use super::halt::UnderWay;
use super::outward::{Outward, outward_effects, state_writes};
use crate::entry::{CompletionParts, CompletionWriter};
use crate::error::chain;
use crate::ledger::Ledger;
use crate::logs::AgentLog;
use crate::records::{self, Records};

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
    pub(crate) outward: mpsc::Sender<Outward>,
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
        let writer = CompletionWriter::new(parts.deployment, parts.owner, &parts.package.agent_id.name);
        let chance = Chance::new(Arc::clone(&parts.entropy));
        let (first, position, record, open, opening) = (true, Position(0), Vec::new(), None, UnderWay::default());
        Ok(Self {
            parts,
            writer,
            chance,
            next_seq,
            previous,
            first,
            state_root,
            state_bytes,
            position,
            record,
            open,
            opening,
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
        self.parts.stats.count(trace.fuel, matches!(trace.outcome, RecordOutcome::Trap(_)));
        let (seq, time) = (self.next_seq, self.now());
        let outcome = trace.outcome;
        let (hash, _) = self.append(id, &effects, trace, may_wait, Form::Completion).await?;
        self.advance(seq, hash);
        self.hand_on(id, &effects, time).await;
        debug_assert!(outcome == RecordOutcome::Ok || effects.is_empty(), "only what succeeded changes anything");
        Ok(seq)
    }

    /// Brings a completion or an opening into the journal and applies its state: durable when it changes something.
    async fn append(
        &mut self,
        id: InvocationId,
        effects: &[Effect],
        trace: Trace,
        may_wait: bool,
        form: Form,
    ) -> Result<(Hash256, Hash256), String> {
        let parts = &self.parts;
        let writes = state_writes(effects);
        let state_before = self.state_root;
        let state_after = match writes.is_empty() {
            true => state_before,
            false => parts.state.root_after(&writes).map_err(|error| chain(&error))?,
        };
        let (seq, now) = (self.next_seq, parts.clock.now());
        let succeeded = form == Form::Opening || trace.outcome == RecordOutcome::Ok;
        let hash = self.make_record(Place { seq, time: now, state_before, state_after }, trace);
        let record = self.record.as_slice();
        let entry = CompletionParts { at: now, invocation: id.0, succeeded, effects, record };
        let write = |buffer: &mut Vec<u8>| match form {
            Form::Completion => self.writer.write(&entry, buffer),
            Form::Opening => self.writer.write_opening(&entry, buffer),
        };
        let parts = &self.parts;
        let mark = (self.first || records::is_marked(seq)).then_some((parts.deployment, seq));
        if effects.is_empty() && may_wait {
            parts.records.later(mark, write).await.map_err(|error| chain(&error))?;
            return Ok((hash, state_after));
        }
        let commit = parts.records.now(mark, !effects.is_empty(), write).await.map_err(|error| chain(&error))?;
        let position = commit.position();
        self.position = position;
        if !effects.is_empty() {
            commit.durable().await.map_err(|error| chain(&error))?;
        }
        if !writes.is_empty()
            && let Err(error) = self.apply(position, &writes)
        {
            // The record stands, so its place is taken. What came behind it would be applied without it, for good.
            self.advance(seq, hash);
            let reason = format!("apply what an agent changed to its state: {}", chain(&error));
            self.parts.records.end(reason.clone());
            return Err(reason);
        }
        Ok((hash, state_after))
    }

    fn apply(&mut self, position: Position, writes: &[StateWrite]) -> Result<(), StateError> {
        let state = &self.parts.state;
        self.state_root = state.apply(position, writes)?;
        self.state_bytes = state.usage()?.bytes;
        Ok(())
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

    /// The chain goes on behind this record.
    fn advance(&mut self, seq: u64, hash: Hash256) {
        self.next_seq = seq + 1;
        self.previous = hash;
        self.first = false;
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
        for outward in outward_effects(parts.deployment, id, self.position, effects) {
            if parts.outward.send(outward).await.is_err() {
                // The node is going down; recovery reads the effect from the journal.
                break;
            }
        }
    }
}

/// Which of the two entries that carry effects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Completion,
    Opening,
}

/// Where a record stands.
struct Place {
    seq: u64,
    time: Timestamp,
    state_before: Hash256,
    state_after: Hash256,
}

impl Drop for Committer {
    /// Whoever lives next under this deployment goes on from here.
    fn drop(&mut self) {
        if !self.first {
            self.parts.ledger.set_tip(self.parts.deployment, self.next_seq - 1, self.previous);
        }
    }
}
