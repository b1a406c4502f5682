//! What waits for the disk: appenders queue records here, the writer's thread takes them by the batch.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use super::commit::{Batch, Commit};
use super::recovery::Recovered;
use super::{JournalError, Position, QUEUE_BYTES_MAX, frame};

/// Capacity of a batch buffer that is kept for reuse.
const BUFFER_BYTES_KEPT_MAX: usize = 1 << 20;

/// What the appenders and the thread share.
pub(super) struct Shared {
    state: Mutex<State>,
    pub(super) wake: Condvar,
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        write!(formatter, "records {} to {}, {} bytes wait", state.first, state.next, state.bytes.len())
    }
}

/// Guarded by one lock that is never held across an operation of the disk.
pub(super) struct State {
    salt: u64,
    chain: u32,
    pub(super) first: Position,
    /// Where the second oldest segment begins: what stands before goes as a whole.
    pub(super) second: Option<Position>,
    pub(super) next: Position,
    /// Every record before this one is durable.
    pub(super) durable: Position,
    /// Encoded frames that wait, the position of the first, how many they are, and who waits for them.
    bytes: Vec<u8>,
    batch_first: Position,
    pub(super) commits: usize,
    batch: Arc<Batch>,
    pub(super) commands: VecDeque<Command>,
    failure: Option<JournalError>,
    /// How often the disk has refused what waited.
    pub(super) refusals: u64,
    pub(super) closed: bool,
}

/// What the thread does besides writing.
pub(super) enum Command {
    /// Drop whole segments before a position.
    Truncate { before: Position, done: Arc<Batch> },
}

impl Shared {
    pub(super) fn new(recovered: &Recovered) -> Self {
        let state = State {
            salt: recovered.salt,
            chain: recovered.chain,
            first: recovered.segments.first().copied().unwrap_or(recovered.next),
            second: recovered.segments.get(1).copied(),
            next: recovered.next,
            durable: recovered.next,
            bytes: Vec::new(),
            batch_first: recovered.next,
            commits: 0,
            batch: Arc::default(),
            commands: VecDeque::new(),
            failure: None,
            refusals: 0,
            closed: false,
        };
        Self { state: Mutex::new(state), wake: Condvar::new() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        super::lock(&self.state)
    }
}

impl State {
    pub(super) fn check(&self) -> Result<(), JournalError> {
        match &self.failure {
            Some(failure) => Err(failure.clone()),
            None if self.closed => Err(JournalError::Closed),
            None => Ok(()),
        }
    }

    pub(super) fn queue(&mut self, records: &[&[u8]]) -> Result<Commit, JournalError> {
        self.check()?;
        let length: usize = records.iter().map(|record| frame::FRAME_HEADER_LENGTH + record.len()).sum();
        if self.bytes.len() + length > QUEUE_BYTES_MAX {
            return Err(JournalError::QueueFull);
        }
        for record in records {
            let (salt, chain, batch) = (self.salt, self.chain, self.batch_first);
            self.chain = frame::encode_record(&mut self.bytes, salt, chain, self.next, batch, record);
            self.next = self.next.next();
        }
        self.commits += 1;
        Ok(Commit::new(self.batch.clone(), Position(self.next.0.saturating_sub(1))))
    }

    /// Whether nothing waits.
    pub(super) fn idle(&self) -> bool {
        self.commits == 0 && self.commands.is_empty() && !self.closed
    }

    pub(super) fn take(&mut self) -> Work {
        let batch = std::mem::take(&mut self.batch);
        let commits = std::mem::take(&mut self.commits);
        self.batch_first = self.next;
        Work { bytes: std::mem::take(&mut self.bytes), next: self.next, chain: self.chain, commits, batch }
    }

    /// Forgets `batch` and what waits, tells all of them, and goes on behind what is durable. Under one lock: who sees
    /// the new count of refusals also sees the outcome of what was refused.
    pub(super) fn fail(&mut self, batch: &Batch, failure: &JournalError, next: Position, chain: u32) {
        batch.finish(Err(failure.clone()));
        self.take().batch.finish(Err(failure.clone()));
        (self.next, self.batch_first, self.chain) = (next, next, chain);
        if matches!(failure, JournalError::Refused(_)) {
            self.refusals += 1;
        } else {
            self.failure = Some(failure.clone());
            for Command::Truncate { done, .. } in self.commands.drain(..) {
                done.finish(Err(failure.clone()));
            }
        }
    }

    /// The next record's frame follows one that was not queued.
    pub(super) fn link_to(&mut self, chain: u32) {
        self.chain = chain;
    }

    /// All before `durable` is on the disk; the batch's buffer can serve again.
    pub(super) fn settle(&mut self, durable: Position, buffer: Vec<u8>) {
        self.durable = durable;
        if self.bytes.capacity() == 0 && buffer.capacity() <= BUFFER_BYTES_KEPT_MAX {
            self.bytes = buffer;
        }
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }
}

/// One batch on its way to the disk, and what holds once it is there.
pub(super) struct Work {
    pub(super) bytes: Vec<u8>,
    pub(super) next: Position,
    pub(super) chain: u32,
    pub(super) commits: usize,
    pub(super) batch: Arc<Batch>,
}
