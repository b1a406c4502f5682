//! Writes the lines of all agents into their files, within limits.
//!
//! Nothing is synced: a power cut may take lines, an end of the process takes none that were written. A disk that
//! refuses them loses them, which is said, and nothing else follows from it.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use nisse_store::DiskFile;

use super::folder::{FILE_BYTES_MAX, Folder, Found};
use super::queue::{Job, Source};
use super::stored;
use crate::control::LogLine;

/// What the logs of all agents may hold; the one that was written to longest ago goes first.
const ALL_BYTES_MAX: u64 = 256 << 20;

/// How much is kept; the default suits all but tests.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Of one file; an agent has two.
    pub(super) file_bytes_max: u64,
    pub(super) all_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { file_bytes_max: FILE_BYTES_MAX, all_bytes_max: ALL_BYTES_MAX }
    }
}

/// Owns the files.
pub(super) struct Writer {
    folder: Folder,
    limits: Limits,
    held: BTreeMap<String, Held>,
    /// Counts batches.
    turn: u64,
    /// Lines that the disk refused, of agents of which it has taken none since.
    refused: BTreeMap<String, u64>,
    /// Whether that was said since anything was last taken.
    said: bool,
}

/// What stands on disk of one agent.
#[derive(Debug, Default)]
struct Held {
    newer_bytes: u64,
    older_bytes: u64,
    /// Its last batch.
    turn: u64,
}

/// The end of an agent's newer file, and what is to stand behind it.
struct End {
    file: Box<dyn DiskFile>,
    length: u64,
    waiting: Vec<u8>,
}

impl Writer {
    /// `found` is what stands in the folder.
    pub(super) fn new(folder: Folder, limits: Limits, found: &BTreeMap<String, Found>) -> Self {
        let held = |(label, found): (&String, &Found)| {
            let [newer_bytes, older_bytes] = found.bytes;
            (label.clone(), Held { newer_bytes, older_bytes, turn: 0 })
        };
        let held = found.iter().map(held).collect();
        Self { folder, limits, held, turn: 0, refused: BTreeMap::new(), said: false }
    }

    /// Does what waits. The lines of one agent go out together.
    pub(super) fn work(&mut self, jobs: Vec<Job>) {
        let mut batches: BTreeMap<String, (Arc<Source>, Vec<LogLine>)> = BTreeMap::new();
        for job in jobs {
            match job {
                Job::Write(source, line) => {
                    let batch = batches.entry(source.label().to_owned()).or_insert_with(|| (source, Vec::new()));
                    batch.1.push(line);
                }
                Job::Forget(source) => {
                    batches.remove(source.label());
                    self.remove(source.label());
                }
            }
        }
        for (source, lines) in batches.values() {
            self.write(source, lines);
            self.make_room();
        }
    }

    fn write(&mut self, source: &Source, lines: &[LogLine]) {
        let label = source.label();
        self.turn += 1;
        let mut held = self.held.remove(label).unwrap_or_default();
        held.turn = self.turn;
        let mut taken = 0;
        let written = self.append(label, lines, &mut held, &mut taken);
        self.held.insert(label.to_owned(), held);
        match written {
            Ok(()) => self.taken(source),
            Err(error) => self.refused(label, lines.len() - taken, &error),
        }
    }

    /// Puts lines behind what stands there, and counts those that came as far.
    fn append(&self, label: &str, lines: &[LogLine], held: &mut Held, taken: &mut usize) -> io::Result<()> {
        let mut end = End::open(&self.folder, label)?;
        for (index, line) in lines.iter().enumerate() {
            let bytes = stored::encode(line);
            if end.length + (end.waiting.len() + bytes.len()) as u64 > self.limits.file_bytes_max {
                held.newer_bytes = end.write()?;
                *taken = index;
                self.folder.turn(label)?;
                (held.newer_bytes, held.older_bytes) = (0, held.newer_bytes);
                end = End::open(&self.folder, label)?;
            }
            end.waiting.extend(bytes);
        }
        held.newer_bytes = end.write()?;
        *taken = lines.len();
        Ok(())
    }

    /// The disk takes lines of this agent. Those that it refused before are told of in the agent's own log.
    fn taken(&mut self, source: &Source) {
        self.said = false;
        if let Some(lines) = self.refused.remove(source.label()) {
            tracing::info!(agent = source.label(), lines, "an agent's log reaches the disk again");
            source.lose(lines);
        }
    }

    fn refused(&mut self, label: &str, lines: usize, error: &io::Error) {
        let again = self.refused.contains_key(label);
        *self.refused.entry(label.to_owned()).or_default() += lines as u64;
        if !again && !self.said {
            self.said = true;
            tracing::error!(agent = label, %error, "agents' logs do not reach the disk: lines are lost until they do");
        }
    }

    fn remove(&mut self, label: &str) {
        self.held.remove(label);
        self.refused.remove(label);
        self.folder.remove(label);
    }

    /// Lets whole logs go until the others are within their limit.
    fn make_room(&mut self) {
        let bytes = |held: &Held| held.newer_bytes + held.older_bytes;
        while self.held.values().map(bytes).sum::<u64>() > self.limits.all_bytes_max {
            let old = self.held.iter().filter(|(_, held)| bytes(held) > 0).min_by_key(|(_, held)| held.turn);
            let Some(label) = old.map(|(label, _)| label.clone()) else { return };
            tracing::warn!(agent = label, "the logs of all agents are too long: that of this agent goes");
            self.remove(&label);
        }
    }
}

impl End {
    fn open(folder: &Folder, label: &str) -> io::Result<Self> {
        let file = folder.open_newer(label)?;
        let length = file.len()?;
        let mut last = *b"\n";
        if length > 0 {
            file.read_exact_at(&mut last, length - 1)?;
        }
        // What a power cut tore must not tear the next line.
        let waiting = if last == *b"\n" { Vec::new() } else { vec![b'\n'] };
        Ok(Self { file, length, waiting })
    }

    /// Writes what waits, and gives the length then.
    fn write(&mut self) -> io::Result<u64> {
        if let Err(error) = self.file.write_all_at(&self.waiting, self.length) {
            // Half a batch would count as none, and stand there.
            let _ = self.file.set_len(self.length);
            return Err(error);
        }
        self.length += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(self.length)
    }
}
