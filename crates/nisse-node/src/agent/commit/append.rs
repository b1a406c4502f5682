//! How a record takes its place in its agent's chain.
//!
//! One rule holds: `next_seq` and `previous` name what follows the last record that stands, and a record stands once
//! the journal has it for good or it waits in memory to go there and is never given up. So a number is taken when its
//! record stands, and given again only when the record is known to stand nowhere: the disk has refused it.
//!
//! Between the two nothing is known. A call that breaks off there (a panic, a runtime that ends) leaves the committer
//! unsettled, and an unsettled one takes no further record: the node ends, and its next start reads from the journal
//! what stands and hands on what follows from it.

use nisse_model::{Effect, Hash256, InvocationId, RecordOutcome};
use nisse_sandbox::Trace;
use nisse_store::{Position, StateError, StateWrite};

use super::{Committer, Place};
use crate::agent::Tip;
use crate::agent::outward::state_writes;
use crate::entry::CompletionParts;
use crate::error::chain;
use crate::records;

/// Which of the two entries that carry effects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Completion,
    Opening,
}

impl Committer {
    /// A record with these effects is about to be made. Refused where the last one's fate is unknown.
    pub(super) fn unsettle(&mut self, effects: &[Effect]) -> Result<(), String> {
        self.check_settled()?;
        self.unsettled = true;
        self.held = (!effects.is_empty()).then(|| self.parts.unapplied.hold());
        Ok(())
    }

    /// The record's fate is known, and all that follows from it is done.
    pub(super) fn settle(&mut self) {
        self.unsettled = false;
        if let Some(held) = self.held.take() {
            held.let_go();
        }
    }

    /// An error where the last record's fate is unknown; the node cannot go on then.
    pub(in crate::agent) fn check_settled(&self) -> Result<(), String> {
        if !self.unsettled {
            return Ok(());
        }
        let reason = "learn whether an agent's last record stands: the call that made it broke off".to_owned();
        self.parts.records.end(reason.clone());
        Err(reason)
    }

    /// Brings a completion or an opening into the journal and applies its state: durable when it changes something.
    /// Gives its hash and the state behind it. A completion has its place in the chain when this succeeds; an opening
    /// gets it with its closing.
    pub(super) async fn append(
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
            if form == Form::Completion {
                self.advance(seq, hash);
            }
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
            if let Some(held) = self.held.take() {
                held.leave_to_the_next_start();
            }
            let reason = format!("apply what an agent changed to its state: {}", chain(&error));
            self.parts.records.end(reason.clone());
            return Err(reason);
        }
        if form == Form::Completion {
            self.advance(seq, hash);
        }
        Ok((hash, state_after))
    }

    fn apply(&mut self, position: Position, writes: &[StateWrite]) -> Result<(), StateError> {
        let state = &self.parts.state;
        self.state_root = state.apply(position, writes)?;
        self.state_bytes = state.usage()?.bytes;
        Ok(())
    }

    /// The chain goes on behind this record.
    pub(super) fn advance(&mut self, seq: u64, hash: Hash256) {
        self.next_seq = seq + 1;
        self.previous = hash;
        self.first = false;
        self.parts.stats.set_tip(Tip { seq, record: hash, state: self.state_root });
    }
}

impl Drop for Committer {
    /// Whoever lives next under this deployment goes on from here.
    fn drop(&mut self) {
        // What broke off leaves no end that anybody could go on from.
        if self.check_settled().is_ok() && !self.first {
            self.parts.ledger.set_tip(self.parts.deployment, self.next_seq - 1, self.previous);
        }
    }
}
