//! Invocation records: on their way into the journal, and found again in it.
//!
//! The journal is the truth. What changes nothing waits here for a moment, so that many answers share one group commit
//! (DESIGN §5.2); memory knows where each stretch of records begins, and the index takes over the newest of those that
//! the journal is about to let go.

mod places;
mod reading;
mod table;
#[cfg(test)]
mod tests;
mod waiting;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nisse_model::{DeploymentId, Hash256, InvocationRecord};
use nisse_store::{Commit, Database, DatabaseError, Journal, JournalError, Position};
use tokio::sync::Notify;

pub(crate) use places::{Places, is_marked};

use crate::entry::Entry;
use crate::error::chain;
use crate::supervisor::Stop;
use reading::Stretch;
use waiting::{Note, Waiting};

/// How long an answer that changes nothing waits for others before its record goes to the journal.
const WAIT_MAX: Duration = Duration::from_millis(25);
/// Bytes that wait at most before they go to the journal at once.
const WAITING_BYTES_MAX: usize = 1 << 20;
/// How long to wait for a journal whose queue is full.
const QUEUE_PAUSE: Duration = Duration::from_millis(2);
/// How long to leave a disk alone that has refused a write.
const REFUSED_PAUSE: Duration = Duration::from_millis(500);
/// Records that are put into the index at once.
const KEPT_AT_ONCE: usize = 1_024;

/// All records of the node.
pub(crate) struct Records {
    journal: Arc<Journal>,
    database: Arc<Database>,
    waiting: Mutex<Waiting>,
    places: Mutex<Places>,
    /// The stretch that was read last: whoever walks a chain of records asks for its neighbours next.
    read: Mutex<Stretch>,
    wake: Notify,
}

/// Why no record is taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AddError {
    /// The journal does not take it.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Something went wrong that only a new start mends.
    #[error("go on before the node is started again: it failed to {0}")]
    Ended(String),
}

/// Why a record cannot be given.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    /// The journal does not read.
    #[error("read the journal")]
    Journal(#[from] JournalError),
    /// Its answer is being streamed.
    #[error("show record {0}: its answer has not come to its end yet")]
    Open(u64),
    /// The index does not read.
    #[error("read the index of records")]
    Index(#[from] DatabaseError),
}

/// The record that an entry brings, if it brings one.
pub(crate) fn record_of(entry: Entry) -> Option<(DeploymentId, u64, Vec<u8>)> {
    match entry {
        Entry::Completion(completion) => {
            let seq = InvocationRecord::seq_of(&completion.record)?;
            Some((completion.deployment, seq, completion.record))
        }
        // A closing that follows an opening has its number, and takes its place.
        Entry::Opening(opening) => {
            let seq = InvocationRecord::seq_of(&opening.record)?;
            Some((opening.deployment, seq, opening.record))
        }
        Entry::Closing(closing) => {
            let seq = InvocationRecord::seq_of(&closing.record)?;
            Some((closing.deployment, seq, closing.record))
        }
        Entry::Decision(_) | Entry::Snapshot(_) | Entry::State(_) | Entry::Intent(_) | Entry::Jobs(_) => None,
    }
}

impl Records {
    /// `places` is what recovery saw.
    pub(crate) fn new(journal: Arc<Journal>, database: Arc<Database>, mut places: Places) -> Self {
        places.restored();
        Self {
            journal,
            database,
            waiting: Mutex::default(),
            places: Mutex::new(places),
            read: Mutex::default(),
            wake: Notify::new(),
        }
    }

    /// Brings what waits into the journal, and again what its disk has refused, until the node stops. An error when it
    /// takes nothing any more, or must not: the node cannot go on.
    pub(crate) async fn run(&self, mut stop: Stop) -> Result<(), AddError> {
        let mut refused = false;
        loop {
            let settled = tokio::select! {
                () = stop.requested() => return Ok(()),
                settled = async {
                    self.wake.notified().await;
                    tokio::time::sleep(WAIT_MAX).await;
                    self.settled().await
                } => settled,
            };
            lock(&self.waiting).check_end()?;
            match settled {
                Ok(()) if refused => {
                    tracing::info!("records reach the journal again");
                    refused = false;
                }
                Ok(()) => {}
                Err(error @ JournalError::Refused(_)) => {
                    if !refused {
                        tracing::error!(error = chain(&error), "records do not reach the journal; they are kept");
                        refused = true;
                    }
                    tokio::select! {
                        () = stop.requested() => return Ok(()),
                        () = tokio::time::sleep(REFUSED_PAUSE) => self.wake.notify_one(),
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes nothing more: what is durable could not be applied, and nothing may follow it before recovery has done so.
    pub(crate) fn end(&self, reason: String) {
        lock(&self.waiting).end(reason);
        self.wake.notify_one();
    }

    /// Adds an entry that may be lost in a crash: it joins a group commit soon. `mark` names the record that it brings
    /// where that is one that [`is_marked`], or the first of its agent's life.
    pub(crate) async fn later(
        &self,
        mark: Option<(DeploymentId, u64)>,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), AddError> {
        self.add(Note { mark, closes: false }, write).await
    }

    /// [`Records::later`] for the entry that ends a streamed answer: the record is there once it is durable.
    pub(crate) async fn close_later(
        &self,
        deployment: DeploymentId,
        seq: u64,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), AddError> {
        self.add(Note { mark: Some((deployment, seq)), closes: true }, write).await
    }

    async fn add(&self, note: Note, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), AddError> {
        let full = loop {
            {
                let mut waiting = lock(&self.waiting);
                if waiting.has_room()? {
                    let begins = waiting.is_sent();
                    waiting.push(note, write);
                    if begins {
                        self.wake.notify_one();
                    }
                    break waiting.unsent_bytes() >= WAITING_BYTES_MAX;
                }
            }
            self.make_room().await;
        };
        if full {
            // Nobody waits for this commit; what the journal does not take now it takes later.
            let _ = self.send();
        }
        Ok(())
    }

    /// Adds an entry, behind everything that waits, and gives its commit. One that is `awaited` is forgotten when the
    /// disk refuses it; any other goes out again.
    pub(crate) async fn now(
        &self,
        mark: Option<(DeploymentId, u64)>,
        awaited: bool,
        write: impl Fn(&mut Vec<u8>),
    ) -> Result<Commit, AddError> {
        loop {
            {
                let mut waiting = lock(&self.waiting);
                if waiting.has_room()? {
                    waiting.push(Note { mark, closes: false }, &write);
                    match waiting.send(&self.journal, &mut lock(&self.places)) {
                        Ok(commit) => {
                            if awaited {
                                waiting.await_last();
                            }
                            self.wake.notify_one();
                            return Ok(commit);
                        }
                        Err(error) => {
                            waiting.pop();
                            if !matches!(error, JournalError::QueueFull) {
                                return Err(error.into());
                            }
                        }
                    }
                }
            }
            self.make_room().await;
        }
    }

    /// Waits a moment for the journal to take what is held.
    async fn make_room(&self) {
        let _ = self.send();
        tokio::time::sleep(QUEUE_PAUSE).await;
    }

    /// Returns once everything is durable that was added before.
    pub(crate) async fn settled(&self) -> Result<(), JournalError> {
        let commit = loop {
            match self.send() {
                Err(JournalError::QueueFull) => tokio::time::sleep(QUEUE_PAUSE).await,
                sent => break sent?,
            }
        };
        let durable = commit.durable().await;
        lock(&self.waiting).let_go(&mut lock(&self.places));
        durable.map(drop)
    }

    /// Makes everything durable that waits: at the node's end.
    pub(crate) async fn settle(&self) {
        if let Err(error) = self.settled().await {
            tracing::error!(error = chain(&error), "the last records did not reach the journal");
        }
    }

    fn send(&self) -> Result<Commit, JournalError> {
        lock(&self.waiting).send(&self.journal, &mut lock(&self.places))
    }

    /// Why no record becomes durable now: the disk refuses them.
    pub(crate) fn trouble(&self) -> Option<String> {
        let trouble = lock(&self.waiting).trouble()?;
        Some(format!("the node's disk refuses its records: failed to {}", chain(&trouble)))
    }

    /// The last record of a deployment that the home knew at start: its position and hash.
    pub(crate) fn last(&self, deployment: &DeploymentId) -> Result<Option<(u64, Hash256)>, DatabaseError> {
        match lock(&self.places).last(deployment) {
            Some(last) => Ok(Some(last)),
            None => table::last(&self.database, deployment),
        }
    }

    /// A record is not made yet, though its place is given and may stand in the journal: its answer is being streamed.
    pub(crate) fn open(&self, deployment: DeploymentId, seq: u64) {
        lock(&self.places).open(deployment, seq);
    }

    /// What stands in the journal for an open record stays: no closing follows.
    pub(crate) fn give_up_open(&self, deployment: &DeploymentId, seq: u64) {
        lock(&self.places).close(deployment, seq);
    }

    /// Forgets where records stood that the journal has let go.
    pub(crate) fn forget_before(&self, first: Position) {
        lock(&self.places).forget_before(first);
    }
}

/// Every deployment that ever made a record here, as far as the journal has let go of its records.
pub(crate) fn deployments(database: &Database) -> Result<Vec<DeploymentId>, DatabaseError> {
    table::deployments(database)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
