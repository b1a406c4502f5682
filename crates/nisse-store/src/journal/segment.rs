//! One segment's file: its name, its creation, and how far it reads as sound.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::frame::{self, Frame, FrameKind, HeaderFault, SEGMENT_HEADER_LENGTH, SegmentHeader};
use super::{JournalError, Position, SEGMENT_BYTES_MAX};
use crate::{Disk, DiskFile, FileMode};

const SEGMENT_SUFFIX: &str = ".journal";

/// The file of the segment that begins with the record at `first`.
pub(super) fn path(folder: &Path, first: Position) -> PathBuf {
    folder.join(format!("{:020}{SEGMENT_SUFFIX}", first.0))
}

/// Creates a segment with its header, durable by content and by name. On failure nothing of it is left, or the
/// second error says that this could not be had.
pub(super) fn create(disk: &dyn Disk, folder: &Path, header: SegmentHeader) -> Result<Box<dyn DiskFile>, SegmentFault> {
    let path = path(folder, header.first);
    let file = disk.open(&path, FileMode::CreateNew).map_err(SegmentFault::Refused)?;
    if let Err(error) = file.write_all_at(&header.encode(), 0) {
        drop(file);
        let removed = disk.remove_file(&path).and_then(|()| disk.sync_dir(folder));
        return Err(if removed.is_ok() { SegmentFault::Refused(error) } else { SegmentFault::Poisoned(error) });
    }
    file.sync_data().map_err(SegmentFault::Poisoned)?;
    disk.sync_dir(folder).map_err(SegmentFault::Poisoned)?;
    Ok(file)
}

/// Why a segment could not be created.
pub(super) enum SegmentFault {
    /// Nothing of it is left.
    Refused(io::Error),
    /// What is left of it is unknown.
    Poisoned(io::Error),
}

impl From<SegmentFault> for io::Error {
    fn from(fault: SegmentFault) -> Self {
        match fault {
            SegmentFault::Refused(error) | SegmentFault::Poisoned(error) => error,
        }
    }
}

/// First positions of all segments, the oldest first, by file name.
pub(super) fn list(disk: &dyn Disk, folder: &Path) -> Result<Vec<Position>, JournalError> {
    let paths = disk.read_dir(folder).map_err(|error| JournalError::disk("list", folder, error))?;
    let first = |found: &PathBuf| {
        let digits = found.file_name()?.to_str()?.strip_suffix(SEGMENT_SUFFIX)?;
        digits.parse().ok().map(Position).filter(|first| path(folder, *first) == *found)
    };
    let mut segments: Vec<Position> = paths.iter().filter_map(first).collect();
    segments.sort_unstable();
    Ok(segments)
}

pub(super) fn read_bytes(disk: &dyn Disk, path: &Path) -> Result<Vec<u8>, JournalError> {
    disk.read(path, SEGMENT_BYTES_MAX).map_err(|error| JournalError::disk("read", path, error))
}

/// One segment, read as far as it is sound.
pub(super) struct Segment {
    pub(super) first: Position,
    pub(super) salt: u64,
    pub(super) records: Vec<(Position, Range<usize>)>,
    /// Where soundness ends.
    pub(super) end: usize,
    /// Bytes in the file.
    length: usize,
    pub(super) next: Position,
    pub(super) chain: u32,
    /// Bytes that no later frame proves durable: the last batch or mark, a mark before the last batch, or the header.
    unproven: Range<usize>,
    /// Whether no record stands behind the last mark.
    pub(super) marked: bool,
}

impl Segment {
    /// Reads the segment that begins at `first` and follows `before`.
    ///
    /// What stands behind the end of `before` is no damage as long as this one follows that end: a tail that was cut
    /// can come back, where the cut itself met a failing sync.
    pub(super) fn read(
        disk: &dyn Disk,
        folder: &Path,
        first: Position,
        before: Option<&Self>,
    ) -> Result<(Self, Vec<u8>), JournalError> {
        let path = path(folder, first);
        let bytes = read_bytes(disk, &path)?;
        let header = match SegmentHeader::decode(&bytes) {
            Ok(header) if header.first == first => header,
            Ok(_) | Err(HeaderFault::Invalid) => {
                return Err(JournalError::Damaged { path, offset: 0, position: first });
            }
            Err(HeaderFault::Newer(version)) => return Err(JournalError::Newer { path, version }),
        };
        if let Some(before) = before
            && (before.next, before.chain, before.salt) != (first, header.previous, header.salt)
        {
            let cut_short = before.torn_bytes() > 0;
            return Err(if cut_short {
                before.damage(folder)
            } else {
                JournalError::Gap { path, expected: before.next }
            });
        }
        let mut segment = Self {
            first,
            salt: header.salt,
            records: Vec::new(),
            end: SEGMENT_HEADER_LENGTH,
            length: bytes.len(),
            next: first,
            chain: header.previous,
            unproven: 0..SEGMENT_HEADER_LENGTH,
            marked: true,
        };
        while let Some(frame) = Frame::decode(&bytes[segment.end..], segment.salt) {
            if frame.position != segment.next || frame.previous != segment.chain || frame.batch > frame.position {
                break;
            }
            if frame.kind == FrameKind::Unknown {
                return Err(JournalError::Newer { path, version: frame::FORMAT_VERSION });
            }
            segment.take(&frame);
        }
        Ok((segment, bytes))
    }

    fn take(&mut self, frame: &Frame<'_>) {
        let start = self.end;
        self.end += frame.length();
        self.chain = frame.checksum;
        // A new batch proves those before it, but not a mark: that is synced together with the batch that follows it.
        let after_mark = self.marked && start > SEGMENT_HEADER_LENGTH;
        if frame.batch == frame.position && !after_mark {
            self.unproven.start = start;
        }
        self.unproven.end = self.end;
        self.marked = frame.kind != FrameKind::Record;
        if frame.kind == FrameKind::Record {
            self.records.push((frame.position, self.end - frame.payload.len()..self.end));
            self.next = frame.position.next();
        }
    }

    /// Bytes behind the end of what is sound.
    pub(super) fn torn_bytes(&self) -> u64 {
        (self.length - self.end) as u64
    }

    pub(super) fn damage(&self, folder: &Path) -> JournalError {
        let path = path(folder, self.first);
        JournalError::Damaged { path, offset: self.end as u64, position: self.next }
    }

    /// Cuts the torn tail and makes what stays durable. The last batch is written again: after a failed sync its pages
    /// may count as clean without ever having reached the disk.
    pub(super) fn settle(
        &self,
        disk: &dyn Disk,
        folder: &Path,
        bytes: &[u8],
    ) -> Result<Box<dyn DiskFile>, JournalError> {
        let path = path(folder, self.first);
        let write = || -> io::Result<Box<dyn DiskFile>> {
            let file = disk.open(&path, FileMode::Write)?;
            if bytes.len() != self.end {
                file.set_len(self.end as u64)?;
            }
            file.write_all_at(&bytes[self.unproven.clone()], self.unproven.start as u64)?;
            file.sync_data()?;
            disk.sync_dir(folder)?;
            Ok(file)
        };
        write().map_err(|error| JournalError::disk("repair", &path, error))
    }

    pub(super) fn hand_out<E>(
        &self,
        bytes: &[u8],
        each: &mut impl FnMut(Position, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.records.iter().try_for_each(|(position, range)| each(*position, &bytes[range.clone()]))
    }
}
