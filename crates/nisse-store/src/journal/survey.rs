//! Looking a journal through as it lies there: nothing is cut, written or begun.

use std::path::Path;

use super::{Journal, JournalError, Position, recovery, segment};
use crate::Disk;

/// What a journal holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JournalSurvey {
    /// The oldest record.
    pub first: Position,
    /// The position behind the newest.
    pub next: Position,
    /// Files; none where no journal was begun.
    pub segments: usize,
    /// Bytes behind the newest record: of a write that nobody was told of. [`Journal::open`] cuts them off.
    pub torn_bytes: u64,
}

impl JournalSurvey {
    /// Records that are held.
    pub fn records(&self) -> u64 {
        self.next.0 - self.first.0
    }
}

impl Journal {
    /// Hands each record to `each`, the same ones as [`Journal::open`] would, and changes nothing on the disk. Whoever
    /// asks sees to it that nobody writes meanwhile.
    pub fn survey<E: From<JournalError>>(
        disk: &dyn Disk,
        folder: &Path,
        mut each: impl FnMut(Position, &[u8]) -> Result<(), E>,
    ) -> Result<JournalSurvey, E> {
        if !disk.exists(folder) {
            return Ok(JournalSurvey::default());
        }
        let mut segments = segment::list(disk, folder)?;
        let unborn = recovery::unborn_segment(disk, folder, &segments)?;
        if unborn.is_some() {
            segments.pop();
        }
        let mut torn_bytes = unborn.map_or(0, |unborn| unborn.length);
        let Some((last, bytes)) = recovery::read_to_the_last(disk, folder, &segments, &mut each)? else {
            return Ok(JournalSurvey { torn_bytes, ..JournalSurvey::default() });
        };
        last.hand_out(&bytes, &mut each)?;
        torn_bytes += last.torn_bytes();
        let first = segments.first().copied().unwrap_or_default();
        Ok(JournalSurvey { first, next: last.next, segments: segments.len(), torn_bytes })
    }
}
