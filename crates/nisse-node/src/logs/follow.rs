//! A log that is followed: what was kept since a number, then each line as it comes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use super::{AgentLog, Ring, lock};
use crate::control::LogLine;

/// The lines behind a number, in order. A reader that is slower than the agent misses those that are no longer kept,
/// which their numbers show, and never holds the agent up.
pub(crate) struct FollowedLog {
    ring: Arc<Mutex<Ring>>,
    newest: watch::Receiver<u64>,
    waiting: VecDeque<LogLine>,
    /// The last number that was given or is waiting.
    last: u64,
}

impl FollowedLog {
    /// From `after` on, or from now on; `earlier` are the lines before this life of the node that belong to it.
    pub(super) fn new(log: &AgentLog, after: Option<u64>, earlier: Vec<LogLine>) -> Self {
        let ring = lock(&log.ring);
        let newest = log.newest.subscribe();
        // A number that is not given yet is of a log that ended: its agent was destroyed since.
        let asked = after.map_or(ring.next_number, |after| after.min(ring.next_number));
        let last = earlier.last().map_or(asked, |line| line.number);
        Self { ring: Arc::clone(&log.ring), newest, waiting: earlier.into(), last }
    }

    /// The next line; nothing once the agent is destroyed or the node ends.
    pub(crate) async fn next(&mut self) -> Option<LogLine> {
        loop {
            if let Some(line) = self.waiting.pop_front() {
                return Some(line);
            }
            // Both before the look: what comes during it is not slept over.
            let ended = self.newest.has_changed().is_err();
            self.newest.borrow_and_update();
            self.waiting.extend(lock(&self.ring).since(self.last));
            match self.waiting.back() {
                Some(line) => self.last = line.number,
                None if ended => return None,
                // Fails at the log's end, which the next look finds.
                None => drop(self.newest.changed().await),
            }
        }
    }
}
