//! The record of a streamed answer: opened when its head leaves, closed after its end (DESIGN §5.2).
//!
//! What the opening brings into the journal is the record that stands if the node goes down before the closing.

use nisse_model::{CutKind, Effect, Hash256, InvocationId, RecordOutcome};
use nisse_sandbox::Trace;

use super::append::Form;
use super::{Committer, Open, Place};
use crate::agent::halt::UnderWay;
use crate::entry::{Closing, Entry};

impl Committer {
    /// Commits what an invocation changes whose answer is about to leave, and gives its record's position. `trace` is
    /// of the head, with the outcome of an interruption.
    pub(crate) async fn open(&mut self, id: InvocationId, effects: Vec<Effect>, trace: Trace) -> Result<u64, String> {
        debug_assert_eq!(trace.outcome, RecordOutcome::Cut(CutKind::Interrupted), "what stands without a closing");
        // To its end, with all that it hands on, whoever halts the agent meanwhile.
        let _opening = self.opening.begin();
        self.unsettle(&effects)?;
        let opened = self.open_unsettled(id, effects, trace).await;
        self.settle();
        opened
    }

    async fn open_unsettled(&mut self, id: InvocationId, effects: Vec<Effect>, trace: Trace) -> Result<u64, String> {
        let (seq, time, state_before) = (self.next_seq, self.now(), self.state_root);
        let deployment = self.parts.deployment;
        // Before it can be found in the journal, so that nobody takes it for the record that will stand.
        self.parts.records.open(deployment, seq);
        let opened = self.append(id, &effects, trace.clone(), true, Form::Opening).await;
        let (hash, state_after) = opened.inspect_err(|_| self.parts.records.give_up_open(&deployment, seq))?;
        self.open = Some(Open { seq, hash, time, state_before, state_after, trace });
        self.hand_on(id, &effects, time).await;
        Ok(seq)
    }

    /// Whether [`Committer::open`] is under way.
    pub(in crate::agent) fn opening(&self) -> &UnderWay {
        &self.opening
    }

    /// Whether an answer was opened and not closed.
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Completes the record of the open answer. Without the end's trace, the node itself has cut the guest off, and what
    /// the opening said stands. Durable with a group commit soon.
    pub(crate) async fn close(&mut self, trace: Option<Trace>) -> Result<u64, String> {
        self.unsettle(&[])?;
        let closed = self.close_unsettled(trace).await;
        self.settle();
        closed
    }

    async fn close_unsettled(&mut self, trace: Option<Trace>) -> Result<u64, String> {
        let Some(Open { seq, hash: hash_of_opening, time, state_before, state_after, trace: head }) = self.open.take()
        else {
            return Err("no answer is open".to_owned());
        };
        let trace = trace.unwrap_or(head);
        self.parts.stats.count(trace.fuel, matches!(trace.outcome, RecordOutcome::Trap(_)));
        let deployment = self.parts.deployment;
        let hash: Hash256 = self.make_record(Place { seq, time, state_before, state_after }, trace);
        let entry = Entry::Closing(Closing { deployment, record: self.record.clone() }).encode();
        let records = &self.parts.records;
        let written = records.close_later(deployment, seq, |buffer| buffer.extend_from_slice(&entry)).await;
        match written {
            Ok(()) => {
                self.advance(seq, hash);
                Ok(seq)
            }
            // The place is taken all the same: the opening stands, and what follows names it.
            Err(error) => {
                records.give_up_open(&deployment, seq);
                self.advance(seq, hash_of_opening);
                Err(crate::error::chain(&error))
            }
        }
    }
}
