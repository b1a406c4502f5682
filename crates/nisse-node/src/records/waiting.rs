//! Entries on their way into the journal, batch by batch: each is kept until it is durable, so that a write that the
//! disk refuses leaves no hole in a chain of records. What was refused goes out again, before anything that follows it.

use std::collections::VecDeque;

use nisse_model::DeploymentId;
use nisse_store::{Commit, Journal, JournalError, Position};

use super::AddError;
use super::places::Places;

/// A batch that holds as much takes no further entry: some of them fit into the journal's queue at once.
pub(super) const BATCH_BYTES_MAX: usize = 4 << 20;
/// What is held at most before whoever adds something has to wait, but for the last one's own entry.
pub(super) const HELD_BYTES_MAX: usize = 32 << 20;

/// What the rest of the node is to know of an entry.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Note {
    /// The record that it brings, where that is one that gets a mark.
    pub(super) mark: Option<(DeploymentId, u64)>,
    /// Whether its record takes the place of an opening's.
    pub(super) closes: bool,
}

/// All that is not durable yet.
#[derive(Default)]
pub(super) struct Waiting {
    /// Oldest first.
    batches: VecDeque<Batch>,
    /// How many of them the journal has taken.
    sent: usize,
    bytes: usize,
    /// Where an entry is written before it is added: one whose writing panics is no entry.
    scratch: Vec<u8>,
    /// The journal's count of refusals, by which it knows what we know.
    refusals: u64,
    /// Why nothing becomes durable now.
    trouble: Option<JournalError>,
    /// Why nothing is taken until the node is started again.
    ended: Option<String>,
}

/// Encoded entries, back to back.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// Which of them get a mark, by their place here.
    marks: Vec<(usize, DeploymentId, u64)>,
    /// Streamed answers that come to their end with it.
    closes: Vec<(DeploymentId, u64)>,
    /// Whether the last entry's maker waits for it, and forgets it when it is refused.
    awaited: bool,
    commit: Option<Commit>,
}

impl Waiting {
    /// Bytes that the journal has not taken yet.
    pub(super) fn unsent_bytes(&self) -> usize {
        self.batches.range(self.sent..).map(|batch| batch.bytes.len()).sum()
    }

    /// Whether the journal has taken everything.
    pub(super) fn is_sent(&self) -> bool {
        self.sent == self.batches.len()
    }

    /// Whether another entry is taken. An error when none will be for now: the disk takes nothing of what is there.
    pub(super) fn has_room(&self) -> Result<bool, AddError> {
        self.check_end()?;
        let full = self.bytes >= HELD_BYTES_MAX;
        match &self.trouble {
            Some(trouble) if full => Err(trouble.clone().into()),
            _ => Ok(!full),
        }
    }

    /// Why what waits does not become durable now.
    pub(super) fn trouble(&self) -> Option<JournalError> {
        self.trouble.clone().filter(|_| !self.batches.is_empty())
    }

    /// Takes nothing more.
    pub(super) fn end(&mut self, reason: String) {
        self.ended.get_or_insert(reason);
    }

    pub(super) fn check_end(&self) -> Result<(), AddError> {
        self.ended.clone().map_or(Ok(()), |reason| Err(AddError::Ended(reason)))
    }

    /// Adds one entry.
    pub(super) fn push(&mut self, note: Note, write: impl FnOnce(&mut Vec<u8>)) {
        self.scratch.clear();
        write(&mut self.scratch);
        if self.is_sent() || self.batches.back().is_none_or(|batch| batch.bytes.len() >= BATCH_BYTES_MAX) {
            self.batches.push_back(Batch::default());
        }
        let batch = self.batches.back_mut().expect("one was just seen to");
        batch.push(note, &self.scratch);
        self.bytes += self.scratch.len();
    }

    /// Takes the last entry back; the journal has not taken it.
    pub(super) fn pop(&mut self) {
        let Some(batch) = self.batches.back_mut() else { return };
        self.bytes -= batch.pop();
        if batch.ends.is_empty() {
            self.batches.pop_back();
        }
    }

    /// The last entry, which the journal has just taken, is not to go out again when it is refused.
    pub(super) fn await_last(&mut self) {
        if let Some(batch) = self.batches.back_mut() {
            batch.awaited = true;
        }
    }

    /// Hands everything to the journal, in order; the commit is that of the last entry. On an error what it has not
    /// taken waits on.
    pub(super) fn send(&mut self, journal: &Journal, places: &mut Places) -> Result<Commit, JournalError> {
        self.let_go(places);
        loop {
            if journal.refusals() != self.refusals {
                self.take_back(journal, places);
            }
            let next = self.batches.get(self.sent);
            let entries = next.map(Batch::entries).unwrap_or_default();
            let last = self.batches.back().and_then(|batch| batch.commit.clone());
            let taken = match last {
                Some(commit) => return Ok(commit),
                None => journal.append_batch_unless_refused(self.refusals, &entries),
            };
            match taken {
                Ok(Some(commit)) => match self.batches.get_mut(self.sent) {
                    Some(batch) => {
                        batch.taken(commit, places);
                        self.sent += 1;
                    }
                    // Nothing is held: this one stands behind all that was.
                    None => return Ok(commit),
                },
                Ok(None) => {}
                Err(error) => {
                    // A journal that takes nothing any more; these two say nothing of the next entry.
                    if !matches!(error, JournalError::QueueFull | JournalError::TooLong { .. }) {
                        self.trouble = Some(error.clone());
                    }
                    return Err(error);
                }
            }
        }
    }

    /// Lets go of what is durable.
    pub(super) fn let_go(&mut self, places: &mut Places) {
        while let Some(Ok(_)) = self.batches.front().and_then(|batch| batch.commit.as_ref()?.outcome()) {
            let batch = self.batches.pop_front().expect("it was just looked at");
            self.sent -= 1;
            self.bytes -= batch.bytes.len();
            self.trouble.take_if(|trouble| matches!(trouble, JournalError::Refused(_)));
            batch.closes.iter().for_each(|(deployment, seq)| places.close(deployment, *seq));
        }
    }

    /// The disk has refused what the journal had taken: all of it waits again, but for what was given up.
    fn take_back(&mut self, journal: &Journal, places: &mut Places) {
        self.refusals = journal.refusals();
        self.let_go(places);
        for batch in self.batches.iter_mut().take(self.sent) {
            if let Some(Err(refused)) = batch.commit.take().and_then(|commit| commit.outcome()) {
                self.trouble = Some(refused);
            }
            if std::mem::take(&mut batch.awaited) {
                self.bytes -= batch.pop();
            }
        }
        self.sent = 0;
        self.batches.retain(|batch| !batch.ends.is_empty());
    }
}

impl Batch {
    fn push(&mut self, note: Note, entry: &[u8]) {
        if let Some((deployment, seq)) = note.mark {
            self.marks.push((self.ends.len(), deployment, seq));
        }
        self.closes.extend(note.mark.filter(|_| note.closes));
        self.bytes.extend_from_slice(entry);
        self.ends.push(self.bytes.len());
    }

    /// Takes the last entry back and gives its length. It is none that closes.
    fn pop(&mut self) -> usize {
        let before = self.bytes.len();
        self.ends.pop();
        self.bytes.truncate(self.ends.last().copied().unwrap_or(0));
        self.marks.pop_if(|(index, _, _)| *index >= self.ends.len());
        before - self.bytes.len()
    }

    fn entries(&self) -> Vec<&[u8]> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        begins.zip(&self.ends).map(|(begin, &end)| &self.bytes[begin..end]).collect()
    }

    /// The journal has taken it.
    fn taken(&mut self, commit: Commit, places: &mut Places) {
        // The commit names the last one's position, and none stands between them.
        let next = commit.position().0 + 1;
        for (index, deployment, seq) in &self.marks {
            places.mark(*deployment, *seq, Position(next - (self.ends.len() - index) as u64));
        }
        self.commit = Some(commit);
    }
}
