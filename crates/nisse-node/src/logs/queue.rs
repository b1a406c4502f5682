//! Lines on their way to the disk: a bounded queue, so that no agent ever waits for it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::control::LogLine;

/// Lines of all agents that may wait for the disk.
pub(super) const LINES_WAITING_MAX: usize = 4_096;
/// Bytes of text among them, beside the line that reaches it.
const BYTES_WAITING_MAX: usize = 4 << 20;

/// Whose lines they are, and what became of those that are in no file.
#[derive(Debug, Default)]
pub(super) struct Source {
    label: String,
    /// Lines that were lost on their way, and that the agent's log has yet to tell of.
    untold: AtomicU64,
    /// Nothing is known of the agent any more, so nothing is written that would bring its files back.
    forgotten: AtomicBool,
}

impl Source {
    pub(super) fn new(label: &str) -> Arc<Self> {
        Arc::new(Self { label: label.to_owned(), ..Self::default() })
    }

    /// Names the agent.
    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// So many lines are in no file.
    pub(super) fn lose(&self, lines: u64) {
        self.untold.fetch_add(lines, Ordering::Relaxed);
    }

    /// How many were lost since the last time.
    pub(super) fn take_untold(&self) -> u64 {
        self.untold.swap(0, Ordering::Relaxed)
    }
}

/// What the writer is to do, in this order.
#[derive(Debug)]
pub(super) enum Job {
    /// Puts a line behind the others of its agent.
    Write(Arc<Source>, LogLine),
    /// Removes the files of an agent.
    Forget(Arc<Source>),
}

impl Job {
    fn label(&self) -> &str {
        let (Self::Write(source, _) | Self::Forget(source)) = self;
        source.label()
    }
}

/// All that waits.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    jobs: Vec<Job>,
    lines: usize,
    bytes: usize,
}

impl Queue {
    /// Takes a line, or counts it as lost when too much waits.
    pub(super) fn push(&self, source: &Arc<Source>, line: &LogLine) {
        let mut waiting = lock(&self.waiting);
        if source.forgotten.load(Ordering::Relaxed) {
            return;
        }
        if !waiting.has_room() {
            return source.lose(1);
        }
        waiting.lines += 1;
        waiting.bytes += line.text.len();
        waiting.jobs.push(Job::Write(Arc::clone(source), line.clone()));
        self.wake.notify_one();
    }

    /// Whether a line would be taken now.
    pub(super) fn has_room(&self) -> bool {
        lock(&self.waiting).has_room()
    }

    /// Has the files of an agent removed; what waits of it goes at once, and nothing of it is taken any more.
    pub(super) fn forget(&self, source: Arc<Source>) {
        let mut waiting = lock(&self.waiting);
        source.forgotten.store(true, Ordering::Relaxed);
        waiting.jobs.retain(|job| job.label() != source.label());
        waiting.jobs.push(Job::Forget(source));
        waiting.count();
        self.wake.notify_one();
    }

    /// All that waits, in order.
    pub(super) fn take(&self) -> Vec<Job> {
        std::mem::take(&mut *lock(&self.waiting)).jobs
    }

    /// Returns once something waits.
    pub(super) async fn filled(&self) {
        self.wake.notified().await;
    }
}

impl Waiting {
    fn has_room(&self) -> bool {
        self.lines < LINES_WAITING_MAX && self.bytes < BYTES_WAITING_MAX
    }

    fn count(&mut self) {
        let lines = self.jobs.iter().filter_map(|job| match job {
            Job::Write(_, line) => Some(line.text.len()),
            Job::Forget(_) => None,
        });
        (self.lines, self.bytes) = lines.fold((0, 0), |(lines, bytes), length| (lines + 1, bytes + length));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
