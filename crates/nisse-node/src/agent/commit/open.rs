//! The record of a streamed answer: opened when its head leaves, closed after its end (DESIGN §5.2).
//!
//! What the opening brings into the journal is the record that stands if the node goes down before the closing.

use nisse_model::{CutKind, Effect, Hash256, InvocationId, RecordOutcome};
use nisse_sandbox::Trace;

use super::{Committer, Form, Open, Place};
use crate::entry::{Closing, Entry};

impl Committer {
    /// Commits what an invocation changes whose answer is about to leave, and gives its record's position. `trace` is
    /// of the head, with the outcome of an interruption.
    pub(crate) async fn open(&mut self, id: InvocationId, effects: Vec<Effect>, trace: Trace) -> Result<u64, String> {
        debug_assert_eq!(trace.outcome, RecordOutcome::Cut(CutKind::Interrupted), "what stands without a closing");
        let (seq, time, state_before) = (self.next_seq, self.now(), self.state_root);
        let (_, state_after) = self.append(id, &effects, trace.clone(), true, Form::Opening).await?;
        self.parts.records.set_open(self.parts.deployment, Some(seq));
        self.open = Some(Open { seq, time, state_before, state_after, trace });
        self.hand_on(id, &effects, time).await;
        Ok(seq)
    }

    /// Whether an answer was opened and not closed.
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Completes the record of the open answer. Without the end's trace, the node itself has cut the guest off, and what
    /// the opening said stands. Durable with a group commit soon.
    pub(crate) async fn close(&mut self, trace: Option<Trace>) -> Result<u64, String> {
        let Some(Open { seq, time, state_before, state_after, trace: head }) = self.open.take() else {
            return Err("no answer is open".to_owned());
        };
        let trace = trace.unwrap_or(head);
        self.parts.stats.count(trace.fuel, matches!(trace.outcome, RecordOutcome::Trap(_)));
        let deployment = self.parts.deployment;
        let hash: Hash256 = self.make_record(Place { seq, time, state_before, state_after }, trace);
        let entry = Entry::Closing(Closing { deployment, record: self.record.clone() }).encode();
        let written = self
            .parts
            .records
            .later(Some((deployment, seq)), |buffer| buffer.extend_from_slice(&entry))
            .await
            .map_err(|error| crate::error::chain(&error));
        // The place is taken either way: the opening stands in the journal.
        self.advance(seq, hash);
        self.parts.records.set_open(deployment, None);
        written.map(|()| seq)
    }
}
