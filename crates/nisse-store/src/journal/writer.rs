//! The thread that owns the file: takes what waits, writes it, syncs it, reports it.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use super::frame::{self, SegmentHeader};
use super::queue::{Command, Shared, State, Work};
use super::recovery::Recovered;
use super::segment::{self, SegmentFault};
use super::{JournalError, JournalOptions, Position};
use crate::{Disk, DiskFile};

/// Idle time after which a mark is written, so that later damage to the last batch can be told from a torn write.
const MARK_AFTER: Duration = Duration::from_secs(1);
/// The part of the last sync's duration for which a batch waits for those whose records went with the batch before:
/// they have only just been told, and would miss the next sync by microseconds.
const GATHER_SYNC_PART: u32 = 16;
/// Longest such wait.
const GATHER_MAX: Duration = Duration::from_millis(1);

/// The thread's own: the file and where it ends.
pub(super) struct Writer {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    segment_bytes: u64,
    file: Box<dyn DiskFile>,
    segments: VecDeque<Position>,
    length: u64,
    next: Position,
    chain: u32,
    salt: u64,
    /// Whether the last frame proves all before it.
    marked: bool,
    shared: Arc<Shared>,
    commits_last: usize,
    sync_last: Duration,
}

impl Writer {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        folder: &Path,
        options: JournalOptions,
        recovered: Recovered,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            disk,
            folder: folder.to_owned(),
            segment_bytes: options.segment_bytes,
            file: recovered.file,
            segments: recovered.segments.into(),
            length: recovered.length,
            next: recovered.next,
            chain: recovered.chain,
            salt: recovered.salt,
            marked: recovered.marked,
            shared,
            commits_last: 0,
            sync_last: Duration::ZERO,
        }
    }

    pub(super) fn run(mut self) {
        let shared = self.shared.clone();
        loop {
            let mut state = shared.lock();
            while state.idle() {
                let (woken, timeout) =
                    shared.wake.wait_timeout(state, MARK_AFTER).unwrap_or_else(std::sync::PoisonError::into_inner);
                state = woken;
                if timeout.timed_out() && !self.marked && state.idle() {
                    break;
                }
            }
            if state.has_failed() {
                // Nothing is queued any more: only the end is left to wait for.
                if state.closed {
                    return;
                }
            } else if state.commits > 0 {
                state = self.gather(state);
                let work = state.take();
                drop(state);
                self.commit(work, true);
                self.heed();
            } else if !state.commands.is_empty() {
                drop(state);
                self.heed();
            } else {
                let closed = state.closed;
                if !self.marked {
                    let mark = self.mark(&mut state);
                    drop(state);
                    self.commit(mark, closed);
                    self.marked = true;
                }
                if closed {
                    return;
                }
            }
        }
    }

    /// Does one thing besides writing. Appenders on each other's heels leave no moment in which nothing waits, so one
    /// comes behind each batch.
    fn heed(&mut self) {
        let command = self.shared.lock().commands.pop_front();
        if let Some(Command::Truncate { before, done }) = command {
            done.finish(self.truncate(before));
        }
    }

    /// Waits a moment for those who were told a moment ago.
    fn gather<'state>(&self, mut state: MutexGuard<'state, State>) -> MutexGuard<'state, State> {
        let wait = (self.sync_last / GATHER_SYNC_PART).min(GATHER_MAX);
        let start = Instant::now();
        while state.commits < self.commits_last && !state.closed {
            let Some(left) = wait.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) else { break };
            let (woken, _) =
                self.shared.wake.wait_timeout(state, left).unwrap_or_else(std::sync::PoisonError::into_inner);
            state = woken;
        }
        state
    }

    /// A batch of one mark. The lock is held, so that the next record's frame links to it.
    fn mark(&self, state: &mut State) -> Work {
        let mut work = state.take();
        work.chain = frame::encode_mark(&mut work.bytes, self.salt, self.chain, self.next);
        state.link_to(work.chain);
        work
    }

    fn commit(&mut self, work: Work, sync: bool) {
        match self.write(&work, sync) {
            Ok(()) => {
                self.length += work.bytes.len() as u64;
                (self.next, self.chain, self.commits_last, self.marked) = (work.next, work.chain, work.commits, false);
                self.settle(work.bytes);
                work.batch.finish(Ok(None));
            }
            Err(failure) => {
                tracing::error!(%failure, "the journal's disk failed");
                self.shared.lock().fail(&work.batch, &failure, self.next, self.chain);
            }
        }
    }

    fn write(&mut self, work: &Work, sync: bool) -> Result<(), JournalError> {
        let length = work.bytes.len() as u64;
        if self.length + length > self.segment_bytes && self.next > *self.segments.back().expect("one is always open") {
            self.rotate()?;
        }
        if !work.bytes.is_empty()
            && let Err(error) = self.file.write_all_at(&work.bytes, self.length)
        {
            return Err(self.undo(error));
        }
        if sync && !work.bytes.is_empty() {
            let start = Instant::now();
            self.file.sync_data().map_err(poisoned)?;
            self.sync_last = start.elapsed();
        }
        Ok(())
    }

    /// Cuts what a refused write may have left, durably, before anything else is written in its place.
    fn undo(&self, error: io::Error) -> JournalError {
        match self.file.set_len(self.length).and_then(|()| self.file.sync_data()) {
            Ok(()) => JournalError::Refused(Arc::new(error)),
            Err(second) => {
                tracing::error!(%error, %second, "a refused write could not be undone");
                poisoned(error)
            }
        }
    }

    fn rotate(&mut self) -> Result<(), JournalError> {
        // Only a mark can be unsynced here. A segment that has a follower must be sound to its last byte.
        self.file.sync_data().map_err(poisoned)?;
        let header = SegmentHeader { first: self.next, salt: self.salt, previous: self.chain };
        self.file = segment::create(&*self.disk, &self.folder, header).map_err(|fault| match fault {
            SegmentFault::Refused(error) => JournalError::Refused(Arc::new(error)),
            SegmentFault::Poisoned(error) => poisoned(error),
        })?;
        self.segments.push_back(header.first);
        self.show_segments();
        self.length = frame::SEGMENT_HEADER_LENGTH as u64;
        Ok(())
    }

    /// Removes segments oldest first, each durably before the next, so that no gap can appear.
    fn truncate(&mut self, before: Position) -> Result<Option<Position>, JournalError> {
        while self.segments.get(1).is_some_and(|second| *second <= before) {
            let path = segment::path(&self.folder, self.segments[0]);
            let removed = match self.disk.remove_file(&path) {
                // Removed by a try whose sync failed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                removed => removed,
            };
            removed
                .and_then(|()| self.disk.sync_dir(&self.folder))
                .map_err(|error| JournalError::disk("remove", &path, error))?;
            self.segments.pop_front();
            self.show_segments();
        }
        Ok(Some(self.segments[0]))
    }

    fn show_segments(&self) {
        let mut state = self.shared.lock();
        (state.first, state.second) = (self.segments[0], self.segments.get(1).copied());
    }

    /// Tells readers what is durable now, and gives the buffer back.
    fn settle(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        self.shared.lock().settle(self.next, buffer);
    }
}

fn poisoned(error: io::Error) -> JournalError {
    JournalError::Poisoned(Arc::new(error))
}
