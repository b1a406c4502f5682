//! Each agent's log: its last lines in memory, more of them in files of the home, numbered so that a gap shows.
//!
//! A guest's flood is bounded: the sandbox cuts lines and counts them per call, a bucket here bounds the rate, the ring
//! bounds what is held in memory and `writer.rs` what stands on disk. A slow reader of a followed log loses lines, never
//! the node's memory; a slow or full disk loses lines, never the agent's time.

mod folder;
mod follow;
mod queue;
mod stored;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nisse_model::Timestamp;
use nisse_sandbox::limits::LOG_LINE_BYTES_MAX;
use nisse_store::Disk;
use tokio::sync::watch;

use crate::control::LogLine;
use crate::supervisor::Stop;
use folder::{FILE_BYTES_MAX, Folder, TAIL_BYTES};
pub(crate) use follow::FollowedLog;
use queue::{Queue, Source};
use writer::{Limits, Writer};

/// Where the files lie in a home.
pub(crate) const FOLDER: &str = "logs/agents";
/// Lines kept in memory for each agent.
const LINES_KEPT_MAX: usize = 1_000;
/// Lines of one agent taken in one second; the rest is counted and dropped.
const LINES_PER_SECOND_MAX: u32 = 200;
/// Lines that are copied at once for whoever follows.
const FOLLOW_LINES_MAX: usize = 16;
/// Longest text of a line: what the sandbox lets through, each control character replaced by three bytes.
const TEXT_BYTES_MAX: usize = 3 * LOG_LINE_BYTES_MAX;

// As JSON a text is twice as long at most, and its number, time and level come besides.
const _: () = assert!((2 * TEXT_BYTES_MAX + 256) as u64 <= TAIL_BYTES && TAIL_BYTES <= FILE_BYTES_MAX);

/// All agents' logs.
pub(crate) struct Logs {
    agents: Mutex<Agents>,
    folder: Folder,
    queue: Arc<Queue>,
    writer: Arc<Mutex<Writer>>,
}

#[derive(Default)]
struct Agents {
    logs: BTreeMap<String, Arc<AgentLog>>,
    /// The last number of every agent that was known when the node came up; 0 for one without lines.
    earlier: BTreeMap<String, u64>,
}

/// One agent's log.
pub(crate) struct AgentLog {
    ring: Arc<Mutex<Ring>>,
    /// The last line's number: whoever follows waits for it to change.
    newest: watch::Sender<u64>,
    source: Arc<Source>,
    queue: Arc<Queue>,
    /// Lines up to this number are of an earlier life of the node: they stand in files alone.
    earlier: u64,
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
    /// Finds what stands in `folder` of the agents that are `known`, and removes the rest. A disk that refuses this
    /// refuses lines later, and no more than that.
    pub(crate) fn open(disk: Arc<dyn Disk>, folder: PathBuf, known: &BTreeSet<String>) -> Self {
        Self::open_with(disk, folder, known, Limits::default())
    }

    fn open_with(disk: Arc<dyn Disk>, folder: PathBuf, known: &BTreeSet<String>, limits: Limits) -> Self {
        let folder = Folder::new(disk, folder);
        let found = folder.begin(known).unwrap_or_else(|error| {
            tracing::error!(%error, "what agents logged before is not read");
            known.iter().map(|label| (label.clone(), folder::Found::default())).collect()
        });
        let writer = Arc::new(Mutex::new(Writer::new(folder.clone(), limits, &found)));
        let earlier = found.into_iter().map(|(label, found)| (label, found.last_number)).collect();
        let agents = Mutex::new(Agents { logs: BTreeMap::new(), earlier });
        Self { agents, folder, queue: Arc::default(), writer }
    }

    /// The log of an agent, made when there is none.
    pub(crate) fn of(&self, agent: &str) -> Arc<AgentLog> {
        lock(&self.agents).of(agent, &self.queue)
    }

    /// The log of an agent, unless nothing is known of it any more.
    pub(crate) fn find(&self, agent: &str) -> Option<Arc<AgentLog>> {
        let mut agents = lock(&self.agents);
        let known = agents.logs.contains_key(agent) || agents.earlier.contains_key(agent);
        known.then(|| agents.of(agent, &self.queue))
    }

    /// Lets the log of an agent go that nothing is known of any more, its files too.
    pub(crate) fn forget(&self, agent: &str) {
        let mut agents = lock(&self.agents);
        let log = agents.of(agent, &self.queue);
        agents.logs.remove(agent);
        agents.earlier.remove(agent);
        self.queue.forget(Arc::clone(&log.source));
    }

    /// The last lines of an agent that an earlier life of the node wrote, oldest first. Waits for the disk.
    pub(crate) fn earlier(&self, agent: &str, count: usize) -> Vec<LogLine> {
        let up_to = self.of(agent).earlier;
        if up_to == 0 {
            return Vec::new();
        }
        self.folder.read(agent, up_to, count).unwrap_or_else(|error| {
            tracing::warn!(agent, %error, "what an agent logged before is not read");
            Vec::new()
        })
    }

    /// Follows the log of an agent: from the line behind the number `after`, or from now on. Waits for the disk.
    pub(crate) fn follow(&self, agent: &str, after: Option<u64>) -> FollowedLog {
        let log = self.of(agent);
        let missed = after.filter(|after| *after < log.earlier);
        let mut earlier = missed.map_or_else(Vec::new, |_| self.earlier(agent, LINES_KEPT_MAX));
        earlier.retain(|line| missed.is_some_and(|after| line.number > after));
        FollowedLog::new(&log, after, earlier)
    }

    /// Brings what waits to the disk, until the node stops.
    pub(crate) async fn run(&self, mut stop: Stop) {
        loop {
            tokio::select! {
                () = stop.requested() => return,
                () = self.queue.filled() => {}
            }
            self.settle().await;
        }
    }

    /// At the node's end: nothing is left untold, and everything has met the disk.
    pub(crate) async fn end(&self, now: Timestamp) {
        let logs: Vec<Arc<AgentLog>> = lock(&self.agents).logs.values().map(Arc::clone).collect();
        for log in logs {
            log.tell_losses(&mut lock(&log.ring), now);
        }
        self.settle().await;
    }

    /// Returns once everything has met the disk that was written or forgotten before.
    pub(crate) async fn settle(&self) {
        let (queue, writer) = (Arc::clone(&self.queue), Arc::clone(&self.writer));
        let worked = tokio::task::spawn_blocking(move || {
            let mut writer = lock(&writer);
            writer.work(queue.take());
        });
        if worked.await.is_err() {
            tracing::error!("agents' lines were lost on their way to the disk: this is a bug of nisse");
        }
    }
}

impl Ring {
    /// Some of the lines behind a number, oldest first; none only when there is none.
    fn since(&self, number: u64) -> Vec<LogLine> {
        let from = self.lines.partition_point(|line| line.number <= number);
        self.lines.iter().skip(from).take(FOLLOW_LINES_MAX).cloned().collect()
    }
}

impl Agents {
    fn of(&mut self, agent: &str, queue: &Arc<Queue>) -> Arc<AgentLog> {
        let earlier = self.earlier.get(agent).copied().unwrap_or(0);
        let log = self.logs.entry(agent.to_owned());
        Arc::clone(log.or_insert_with(|| Arc::new(AgentLog::new(agent, earlier, Arc::clone(queue)))))
    }
}

impl AgentLog {
    fn new(agent: &str, earlier: u64, queue: Arc<Queue>) -> Self {
        Self {
            ring: Arc::new(Mutex::new(Ring { next_number: earlier, ..Ring::default() })),
            newest: watch::Sender::new(earlier),
            source: Source::new(agent),
            queue,
            earlier,
        }
    }

    /// Takes a line, or counts it as dropped when there are too many in this second.
    pub(crate) fn write(&self, now: Timestamp, level: &str, text: &str) {
        let mut ring = lock(&self.ring);
        if ring.second != now.seconds() {
            (ring.second, ring.in_second) = (now.seconds(), 0);
            self.tell_losses(&mut ring, now);
        }
        ring.in_second += 1;
        if ring.in_second > LINES_PER_SECOND_MAX {
            ring.dropped += 1;
            ring.next_number += 1;
            return;
        }
        let mut text = plain(text);
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        self.keep(&mut ring, now, level, text);
    }

    /// Says what is missing: nowhere, or in the files alone.
    fn tell_losses(&self, ring: &mut Ring, now: Timestamp) {
        let dropped = std::mem::take(&mut ring.dropped);
        if dropped > 0 {
            let text = format!("{dropped} lines were dropped: at most {LINES_PER_SECOND_MAX} per second are kept");
            self.keep(ring, now, "warn", text);
        }
        // Said where it reaches the files as well.
        let lost = if self.queue.has_room() { self.source.take_untold() } else { 0 };
        if lost > 0 {
            let text = format!("{lost} lines did not reach the disk: it was full or too slow");
            self.keep(ring, now, "warn", text);
        }
    }

    fn keep(&self, ring: &mut Ring, now: Timestamp, level: &str, text: String) {
        ring.next_number += 1;
        let line = LogLine { number: ring.next_number, time: now.0, level: level.to_owned(), text };
        if ring.lines.len() == LINES_KEPT_MAX {
            ring.lines.pop_front();
        }
        self.queue.push(&self.source, &line);
        ring.lines.push_back(line);
        self.newest.send_replace(ring.next_number);
    }

    /// The last `count` lines of this life of the node, oldest first.
    pub(crate) fn last(&self, count: usize) -> Vec<LogLine> {
        let ring = lock(&self.ring);
        ring.lines.iter().skip(ring.lines.len().saturating_sub(count)).cloned().collect()
    }
}

#[cfg(test)]
impl Default for AgentLog {
    /// Of an agent whose lines nobody takes to a disk.
    fn default() -> Self {
        Self::new("agent", 0, Arc::default())
    }
}

/// A text that can do nothing to the terminal that shows it: each control character becomes U+FFFD.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
