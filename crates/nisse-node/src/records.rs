//! Invocation records: on their way into the journal, and found again in it.
//!
//! The journal is the truth. What changes nothing waits here for a moment, so that many answers share one group commit
//! (DESIGN §5.2); memory knows where each stretch of records begins, and the index takes over the newest of those that
//! the journal is about to let go.

mod places;
mod table;
mod waiting;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nisse_model::{DeploymentId, Hash256, InvocationRecord};
use nisse_store::{Commit, Database, DatabaseError, Journal, JournalError, Position};
use tokio::sync::Notify;

pub(crate) use places::{Places, is_marked};

use crate::entry::Entry;
use crate::supervisor::Stop;
use waiting::Waiting;

/// How long an answer that changes nothing waits for others before its record goes to the journal.
const WAIT_MAX: Duration = Duration::from_millis(25);
/// Bytes that wait at most before they go to the journal at once.
const WAITING_BYTES_MAX: usize = 1 << 20;
/// How long to wait for a journal whose queue is full.
const QUEUE_PAUSE: Duration = Duration::from_millis(2);
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

/// Records of one deployment, as they were read.
#[derive(Default)]
struct Stretch {
    deployment: Option<DeploymentId>,
    records: Vec<(u64, Vec<u8>)>,
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
        Entry::Decision(_) | Entry::Snapshot(_) | Entry::State(_) | Entry::Intent(_) => None,
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

    /// Sends waiting entries to the journal until the node stops.
    pub(crate) async fn run(&self, mut stop: Stop) {
        loop {
            tokio::select! {
                () = self.wake.notified() => tokio::time::sleep(WAIT_MAX).await,
                () = stop.requested() => return,
            }
            if let Err(error) = self.flush().await.map(drop) {
                tracing::error!(error = crate::error::chain(&error), "records did not reach the journal");
            }
        }
    }

    /// Adds an entry that may be lost in a crash: it joins a group commit soon. `mark` names the record that it brings
    /// where that is one that [`is_marked`], or the first of its agent's life.
    pub(crate) async fn later(
        &self,
        mark: Option<(DeploymentId, u64)>,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), JournalError> {
        let (begins, full) = {
            let mut waiting = lock(&self.waiting);
            let begins = waiting.is_empty();
            waiting.push(write, mark);
            (begins, waiting.bytes() >= WAITING_BYTES_MAX)
        };
        if begins {
            self.wake.notify_one();
        }
        if full {
            // Nobody waits for this commit.
            let _ = self.flush().await?;
        }
        Ok(())
    }

    /// Adds an entry, behind everything that waits, and gives its commit.
    pub(crate) async fn now(
        &self,
        mark: Option<(DeploymentId, u64)>,
        write: impl Fn(&mut Vec<u8>),
    ) -> Result<Commit, JournalError> {
        loop {
            {
                let mut waiting = lock(&self.waiting);
                waiting.push(&write, mark);
                match waiting.append(&self.journal, &mut lock(&self.places)) {
                    Err(error) => {
                        waiting.pop();
                        if !matches!(error, JournalError::QueueFull) {
                            return Err(error);
                        }
                    }
                    Ok(commit) => return Ok(commit),
                }
            }
            tokio::time::sleep(QUEUE_PAUSE).await;
        }
    }

    /// Sends what waits to the journal; the commit holds once all of it is durable.
    pub(crate) async fn flush(&self) -> Result<Commit, JournalError> {
        loop {
            match self.append_waiting() {
                Err(JournalError::QueueFull) => tokio::time::sleep(QUEUE_PAUSE).await,
                other => return other,
            }
        }
    }

    /// Makes everything durable that waits: at the node's end.
    pub(crate) async fn settle(&self) {
        let settled = match self.flush().await {
            Ok(commit) => commit.durable().await.map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = settled {
            tracing::error!(error = crate::error::chain(&error), "the last records did not reach the journal");
        }
    }

    fn append_waiting(&self) -> Result<Commit, JournalError> {
        lock(&self.waiting).append(&self.journal, &mut lock(&self.places))
    }

    /// The last record of a deployment that the home knew at start: its position and hash.
    pub(crate) fn last(&self, deployment: &DeploymentId) -> Result<Option<(u64, Hash256)>, DatabaseError> {
        match lock(&self.places).last(deployment) {
            Some(last) => Ok(Some(last)),
            None => table::last(&self.database, deployment),
        }
    }

    /// One durable record's bytes. Reads a segment of the journal: call it where blocking is no harm.
    pub(crate) fn get(&self, deployment: &DeploymentId, seq: u64) -> Result<Option<Vec<u8>>, RecordError> {
        if lock(&self.places).is_open(deployment, seq) {
            return Err(RecordError::Open(seq));
        }
        if let Some(record) = lock(&self.read).find(deployment, seq) {
            return Ok(Some(record));
        }
        let begin = lock(&self.places).begin(deployment, seq);
        if let Some(begin) = begin {
            let stretch = self.read_stretch(*deployment, begin, seq)?;
            let found = stretch.find(deployment, seq);
            *lock(&self.read) = stretch;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(table::get(&self.database, deployment, seq)?)
    }

    /// The records of one deployment from a mark to its next one, or as far as `seq`.
    fn read_stretch(&self, deployment: DeploymentId, begin: Position, seq: u64) -> Result<Stretch, RecordError> {
        let mut stretch = Stretch { deployment: Some(deployment), records: Vec::new() };
        self.journal.read::<RecordError>(begin, |_, bytes| {
            // An entry of a newer nisse holds no record that this one gave.
            let Some((found, number, record)) = Entry::decode(bytes).ok().and_then(record_of) else { return Ok(true) };
            if found == deployment {
                if number > seq {
                    return Ok(false);
                }
                stretch.records.retain(|(known, _)| *known < number);
                stretch.records.push((number, record));
            }
            Ok(true)
        })?;
        Ok(stretch)
    }

    /// Puts the newest of the records before `end` into the index, so that the journal may let them go.
    pub(crate) fn keep_before(&self, end: Position) -> Result<(), RecordError> {
        let Some(begin) = lock(&self.places).keep_from(table::RECORDS_KEPT_MAX, end) else { return Ok(()) };
        let mut batch = Vec::with_capacity(KEPT_AT_ONCE);
        self.journal.read::<RecordError>(begin, |position, bytes| {
            if position >= end {
                return Ok(false);
            }
            batch.extend(Entry::decode(bytes).ok().and_then(record_of));
            if batch.len() >= KEPT_AT_ONCE {
                table::put(&self.database, &batch)?;
                batch.clear();
            }
            Ok(true)
        })?;
        Ok(table::put(&self.database, &batch)?)
    }

    /// A record that is not made yet, though its place is given and may stand in the journal: that of an answer that is
    /// being streamed. `None` when it has come to its end.
    pub(crate) fn set_open(&self, deployment: DeploymentId, seq: Option<u64>) {
        lock(&self.places).set_open(deployment, seq);
    }

    /// Forgets where records stood that the journal has let go.
    pub(crate) fn forget_before(&self, first: Position) {
        lock(&self.places).forget_before(first);
    }
}

impl Stretch {
    fn find(&self, deployment: &DeploymentId, seq: u64) -> Option<Vec<u8>> {
        let known = self.deployment.as_ref() == Some(deployment);
        let place = self.records.binary_search_by_key(&seq, |(seq, _)| *seq).ok().filter(|_| known)?;
        Some(self.records[place].1.clone())
    }
}

/// Every deployment that ever made a record here, as far as the journal has let go of its records.
pub(crate) fn deployments(database: &Database) -> Result<Vec<DeploymentId>, DatabaseError> {
    table::deployments(database)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
