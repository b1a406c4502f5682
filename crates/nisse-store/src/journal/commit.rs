//! Waiting for a record to be durable, from async code or from a thread.

use std::sync::{Arc, Condvar, Mutex};

use tokio::sync::Notify;

use super::{JournalError, Position, lock};

/// The promise that a record will be durable, or an error. Dropping it changes nothing: the record is written.
#[derive(Debug, Clone)]
#[must_use = "a record is durable only once its commit says so"]
pub struct Commit {
    batch: Arc<Batch>,
    position: Position,
}

impl Commit {
    pub(super) fn new(batch: Arc<Batch>, position: Position) -> Self {
        Self { batch, position }
    }

    /// The record's place, known before it is durable.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Waits until the record survives a power cut.
    pub async fn durable(self) -> Result<Position, JournalError> {
        loop {
            // Made before the look at the outcome: a notice between the two is not lost.
            let notified = self.batch.notify.notified();
            if let Some(outcome) = self.outcome() {
                return outcome;
            }
            notified.await;
        }
    }

    /// [`Commit::durable`] for code outside of an async runtime: blocks the thread.
    pub fn wait(self) -> Result<Position, JournalError> {
        let mut outcome = lock(&self.batch.outcome);
        while outcome.is_none() {
            outcome = self.batch.condition.wait(outcome).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        drop(outcome);
        self.outcome().expect("an outcome is never taken back")
    }

    /// Whether the record is durable, or why it is not; `None` while nobody knows.
    pub fn outcome(&self) -> Option<Result<Position, JournalError>> {
        let outcome = lock(&self.batch.outcome);
        outcome.as_ref().map(|outcome| outcome.clone().map(|changed| changed.unwrap_or(self.position)))
    }
}

/// What one group of records shares: their outcome.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Once known: success, with the position to report when it is not the record's own.
    outcome: Mutex<Option<Result<Option<Position>, JournalError>>>,
    condition: Condvar,
    notify: Notify,
}

impl Batch {
    pub(super) fn finish(&self, outcome: Result<Option<Position>, JournalError>) {
        *lock(&self.outcome) = Some(outcome);
        self.condition.notify_all();
        self.notify.notify_waiters();
    }
}
