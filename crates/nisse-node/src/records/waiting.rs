//! Entries that wait a moment for the journal, so that many answers share one write and one sync.

use nisse_model::DeploymentId;
use nisse_store::{Commit, Journal, JournalError, Position};

use super::places::Places;

/// Encoded entries, back to back.
#[derive(Default)]
pub(super) struct Waiting {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// Which of them get a mark, by their place here.
    marks: Vec<(usize, DeploymentId, u64)>,
}

impl Waiting {
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Adds one entry.
    pub(super) fn push(&mut self, write: impl FnOnce(&mut Vec<u8>), mark: Option<(DeploymentId, u64)>) {
        if let Some((deployment, seq)) = mark {
            self.marks.push((self.ends.len(), deployment, seq));
        }
        write(&mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    /// Takes the last entry back.
    pub(super) fn pop(&mut self) {
        self.ends.pop();
        self.bytes.truncate(self.ends.last().copied().unwrap_or(0));
        while self.marks.last().is_some_and(|(index, _, _)| *index >= self.ends.len()) {
            self.marks.pop();
        }
    }

    /// Hands everything to the journal, in order and in one batch. On an error everything waits on.
    pub(super) fn append(&mut self, journal: &Journal, places: &mut Places) -> Result<Commit, JournalError> {
        let mut begin = 0;
        let mut entries = Vec::with_capacity(self.ends.len());
        for &end in &self.ends {
            entries.push(&self.bytes[begin..end]);
            begin = end;
        }
        let commit = journal.append_batch(&entries)?;
        // The commit names the last one's position, and none stands between them.
        let next = commit.position().0 + 1;
        for (index, deployment, seq) in self.marks.drain(..) {
            places.mark(deployment, seq, Position(next - (self.ends.len() - index) as u64));
        }
        self.bytes.clear();
        self.ends.clear();
        Ok(commit)
    }
}
