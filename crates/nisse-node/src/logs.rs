//! Each agent's last log lines, in memory, numbered so that a gap shows.
//!
//! A guest's flood is bounded three times: the sandbox cuts lines and counts them per call, a bucket here bounds the
//! rate, and the ring bounds what is kept. A slow reader of a followed log loses lines, never the node's memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nisse_model::Timestamp;
use tokio::sync::broadcast;

use crate::control::LogLine;

/// Lines kept for each agent.
const LINES_KEPT_MAX: usize = 1_000;
/// Lines of one agent taken in one second; the rest is counted and dropped.
const LINES_PER_SECOND_MAX: u32 = 200;
/// Lines that a follower may lag behind.
const FOLLOW_LAG_MAX: usize = 256;

/// All agents' logs.
#[derive(Default)]
pub(crate) struct Logs {
    agents: Mutex<BTreeMap<String, Arc<AgentLog>>>,
}

/// One agent's log.
pub(crate) struct AgentLog {
    ring: Mutex<Ring>,
    followers: broadcast::Sender<LogLine>,
}

#[derive(Default)]
struct Ring {
    lines: VecDeque<LogLine>,
    next_number: u64,
    second: u64,
    in_second: u32,
    dropped: u64,
}

impl Logs {
    /// The log of an agent, made when there is none.
    pub(crate) fn of(&self, agent: &str) -> Arc<AgentLog> {
        let mut agents = lock(&self.agents);
        Arc::clone(agents.entry(agent.to_owned()).or_default())
    }

    /// Lets the log of an agent go that nothing is known of any more.
    pub(crate) fn forget(&self, agent: &str) {
        lock(&self.agents).remove(agent);
    }
}

impl Default for AgentLog {
    fn default() -> Self {
        Self { ring: Mutex::default(), followers: broadcast::Sender::new(FOLLOW_LAG_MAX) }
    }
}

impl AgentLog {
    /// Takes a line, or counts it as dropped when there are too many in this second.
    pub(crate) fn write(&self, now: Timestamp, level: &str, text: &str) {
        let mut ring = lock(&self.ring);
        if ring.second != now.seconds() {
            let dropped = std::mem::take(&mut ring.dropped);
            ring.second = now.seconds();
            ring.in_second = 0;
            if dropped > 0 {
                let text = format!("{dropped} lines were dropped: at most {LINES_PER_SECOND_MAX} per second are kept");
                self.keep(&mut ring, now, "warn", text);
            }
        }
        ring.in_second += 1;
        if ring.in_second > LINES_PER_SECOND_MAX {
            ring.dropped += 1;
            ring.next_number += 1;
            return;
        }
        let text = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        self.keep(&mut ring, now, level, text);
    }

    fn keep(&self, ring: &mut Ring, now: Timestamp, level: &str, text: String) {
        ring.next_number += 1;
        let line = LogLine { number: ring.next_number, time: now.0, level: level.to_owned(), text };
        if ring.lines.len() == LINES_KEPT_MAX {
            ring.lines.pop_front();
        }
        ring.lines.push_back(line.clone());
        // Nobody following is no error.
        let _ = self.followers.send(line);
    }

    /// The last `count` lines, oldest first.
    pub(crate) fn last(&self, count: usize) -> Vec<LogLine> {
        let ring = lock(&self.ring);
        ring.lines.iter().skip(ring.lines.len().saturating_sub(count)).cloned().collect()
    }

    /// Lines from now on.
    pub(crate) fn follow(&self) -> broadcast::Receiver<LogLine> {
        self.followers.subscribe()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_counted_and_said() {
        let log = AgentLog::default();
        for _ in 0..5_000 {
            log.write(Timestamp(1_000), "info", "flood");
        }
        log.write(Timestamp(2_000), "info", "after");
        let lines = log.last(2);
        assert_eq!(lines[0].text, "4800 lines were dropped: at most 200 per second are kept");
        assert_eq!((lines[1].text.as_str(), lines[1].number), ("after", 5_002), "numbers show the gap");
        assert_eq!(log.last(usize::MAX).len(), 202);
    }

    #[test]
    fn control_characters_never_reach_a_terminal() {
        let log = AgentLog::default();
        log.write(Timestamp(0), "info", "\u{1b}[2Jgone\r\nforged");
        assert_eq!(log.last(1)[0].text, "\u{fffd}[2Jgone\u{fffd}\u{fffd}forged");
    }
}
