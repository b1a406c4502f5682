//! The journal: an append-only file of records whose fsync is the only commit (DESIGN §5.1).
//!
//! Appends queue up in memory; one thread owns the file and makes all that wait durable with one write and one sync
//! (group commit). Records keep their order, and once a sync failed nothing is taken any more.

mod commit;
mod error;
mod frame;
mod queue;
mod recovery;
mod segment;
mod survey;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use commit::Batch;
pub use commit::Commit;
pub use error::JournalError;
use queue::{Command, Shared, State};
pub use survey::JournalSurvey;
use writer::Writer;

use crate::{Disk, Entropy};

/// Longest record.
pub const RECORD_BYTES_MAX: usize = 16 << 20;
/// Longest segment; the journal goes on in a new file behind it.
pub const SEGMENT_BYTES_MAX: u64 = 64 << 20;
/// Bytes that may wait for the disk. What comes on top is refused with [`JournalError::QueueFull`], so that a slow
/// disk is felt by those who write and not by the machine's memory. A batch always fits into one segment.
pub const QUEUE_BYTES_MAX: usize = 32 << 20;

const _: () = assert!(RECORD_BYTES_MAX + frame::FRAME_HEADER_LENGTH <= QUEUE_BYTES_MAX);
const _: () = assert!((QUEUE_BYTES_MAX + frame::SEGMENT_HEADER_LENGTH) as u64 <= SEGMENT_BYTES_MAX);

/// A record's number: the first is 0, and none is ever given twice to durable records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(pub u64);

impl Position {
    /// The position behind this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

/// How a journal is laid out; the default suits all but tests, which want many small segments.
#[derive(Debug, Clone, Copy)]
pub struct JournalOptions {
    /// A batch that would make a segment longer than this starts a new one; at most [`SEGMENT_BYTES_MAX`].
    pub segment_bytes: u64,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self { segment_bytes: SEGMENT_BYTES_MAX }
    }
}

/// An open journal. Dropping it writes and syncs what waits, then ends its thread.
pub struct Journal {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Journal {
    /// Opens the journal in `folder`, creating both when there is none, and hands each record to `each`, oldest first.
    ///
    /// Every record that was acknowledged comes back. One that was not comes back whole or not at all, and only
    /// together with all before it. Reads one segment into memory at a time.
    pub fn open<E: From<JournalError>>(
        disk: Arc<dyn Disk>,
        entropy: &dyn Entropy,
        folder: &Path,
        each: impl FnMut(Position, &[u8]) -> Result<(), E>,
    ) -> Result<Self, E> {
        Self::open_with(disk, entropy, folder, JournalOptions::default(), each)
    }

    /// [`Journal::open`] with another layout.
    pub fn open_with<E: From<JournalError>>(
        disk: Arc<dyn Disk>,
        entropy: &dyn Entropy,
        folder: &Path,
        options: JournalOptions,
        each: impl FnMut(Position, &[u8]) -> Result<(), E>,
    ) -> Result<Self, E> {
        assert!(options.segment_bytes <= SEGMENT_BYTES_MAX, "a segment of {} bytes", options.segment_bytes);
        let recovered = recovery::recover(&*disk, entropy, folder, each)?;
        let shared = Arc::new(Shared::new(&recovered));
        let writer = Writer::new(disk.clone(), folder, options, recovered, shared.clone());
        let thread = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || writer.run())
            .map_err(|error| JournalError::disk("start the thread of", folder, error))?;
        Ok(Self { disk, folder: folder.to_owned(), shared, thread: Some(thread) })
    }

    /// Queues one record. It has its place at once; it is durable when the commit says so. Never blocks on the disk.
    pub fn append(&self, record: &[u8]) -> Result<Commit, JournalError> {
        self.append_batch(&[record])
    }

    /// Queues several records, one behind the other, none between them; the commit is that of the last one. After a
    /// power cut a prefix of them may stand if they were not acknowledged. An empty batch is a barrier: it commits
    /// once all before it did.
    pub fn append_batch(&self, records: &[&[u8]]) -> Result<Commit, JournalError> {
        check_lengths(records)?;
        let commit = self.lock().queue(records)?;
        self.shared.wake.notify_one();
        Ok(commit)
    }

    /// [`Journal::append_batch`], unless the disk has refused records since [`Journal::refusals`] was `refusals`: then
    /// nothing is queued. For records that follow others in more than place: they never stand without those.
    pub fn append_batch_unless_refused(
        &self,
        refusals: u64,
        records: &[&[u8]],
    ) -> Result<Option<Commit>, JournalError> {
        check_lengths(records)?;
        let mut state = self.lock();
        if state.refusals != refusals {
            return Ok(None);
        }
        let commit = state.queue(records)?;
        drop(state);
        self.shared.wake.notify_one();
        Ok(Some(commit))
    }

    /// How often the disk has refused what waited since the journal was opened. With each time the commits that were
    /// under way have failed, and have been told.
    pub fn refusals(&self) -> u64 {
        self.lock().refusals
    }

    /// Hands the durable records from `from` on to `each`, until it says `false` or they end. Reads whole segments from
    /// the disk: for looking back, not for every day. Begins at the oldest record held when `from` is older, and leaves
    /// out what is truncated meanwhile.
    pub fn read<E: From<JournalError>>(
        &self,
        from: Position,
        each: impl FnMut(Position, &[u8]) -> Result<bool, E>,
    ) -> Result<(), E> {
        recovery::read(&*self.disk, &self.folder, from..self.durable(), each)
    }

    /// The position that the next record will get.
    pub fn next(&self) -> Position {
        self.lock().next
    }

    /// The position behind the last durable record: none before it is ever given again.
    pub fn durable(&self) -> Position {
        self.lock().durable
    }

    /// The oldest record still held, or the next one when there is none.
    pub fn first(&self) -> Position {
        self.lock().first
    }

    /// Drops the oldest segments as far as they hold nothing but records before `position`. The commit gives the
    /// oldest position that is still held. The last segment always stays.
    pub fn truncate_before(&self, position: Position) -> Result<Commit, JournalError> {
        let mut state = self.lock();
        state.check()?;
        let batch = Arc::new(Batch::default());
        state.commands.push_back(Command::Truncate { before: position, done: batch.clone() });
        drop(state);
        self.shared.wake.notify_one();
        Ok(Commit::new(batch, position))
    }

    /// Whether [`Journal::truncate_before`] this position would drop anything.
    pub fn can_truncate_before(&self, position: Position) -> bool {
        self.lock().second.is_some_and(|second| second <= position)
    }

    /// Whether a failed sync stopped the journal, and which.
    pub fn failure(&self) -> Option<JournalError> {
        self.lock().check().err()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Journal({}, {:?})", self.folder.display(), self.shared)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.lock().closed = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the journal's thread panicked");
        }
    }
}

fn check_lengths(records: &[&[u8]]) -> Result<(), JournalError> {
    match records.iter().find(|record| record.len() > RECORD_BYTES_MAX) {
        Some(long) => Err(JournalError::TooLong { length: long.len() }),
        None => Ok(()),
    }
}

/// A lock whose holder panicked holds consistent values all the same: each critical section ends with its last write.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
