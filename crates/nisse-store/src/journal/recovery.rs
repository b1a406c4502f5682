//! Reading a journal back: what is sound is handed out, a torn tail is cut, damage is an error.
//!
//! Records are handed out only once they are known to survive the next power cut: the last batch may have been read
//! from a page cache that never reached the disk, so it is written and synced once more first.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::frame::{self, Frame, FrameKind, HeaderFault, SEGMENT_HEADER_LENGTH, SegmentHeader};
use super::{JournalError, Position, SEGMENT_BYTES_MAX};
use crate::{Disk, DiskFile, Entropy, FileMode};

const SEGMENT_SUFFIX: &str = ".journal";

/// Where writing goes on.
pub(super) struct Recovered {
    pub(super) file: Box<dyn DiskFile>,
    /// First positions of all segments, the oldest first; never empty.
    pub(super) segments: Vec<Position>,
    /// Bytes in the last segment.
    pub(super) length: u64,
    pub(super) next: Position,
    pub(super) chain: u32,
    pub(super) salt: u64,
    /// Whether the last frame is a mark.
    pub(super) marked: bool,
}

/// The file of the segment that begins with the record at `first`.
pub(super) fn segment_path(folder: &Path, first: Position) -> PathBuf {
    folder.join(format!("{:020}{SEGMENT_SUFFIX}", first.0))
}

/// Creates a segment with its header, durable by content and by name. On failure nothing of it is left, or the
/// second error says that this could not be had.
pub(super) fn create_segment(
    disk: &dyn Disk,
    folder: &Path,
    header: SegmentHeader,
) -> Result<Box<dyn DiskFile>, SegmentFault> {
    let path = segment_path(folder, header.first);
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

/// Opens the journal in `folder`, creating it when there is none, and hands each record to `each` in order.
pub(super) fn recover<E: From<JournalError>>(
    disk: &dyn Disk,
    entropy: &dyn Entropy,
    folder: &Path,
    mut each: impl FnMut(Position, &[u8]) -> Result<(), E>,
) -> Result<Recovered, E> {
    disk.create_dir_durable(folder).map_err(|error| JournalError::disk("create", folder, error))?;
    let mut segments = list_segments(disk, folder)?;
    drop_unborn_segment(disk, folder, &mut segments)?;
    let Some((&last, whole)) = segments.split_last() else {
        return Ok(create(disk, entropy, folder)?);
    };
    let mut reading = None;
    for &first in whole {
        let (segment, bytes) = Segment::read(disk, folder, first, reading)?;
        if segment.end != bytes.len() {
            return Err(segment.damage(folder).into());
        }
        segment.hand_out(&bytes, &mut each)?;
        reading = Some(segment.link());
    }
    let (segment, bytes) = Segment::read(disk, folder, last, reading)?;
    if frame::proves_durable(&bytes[segment.end..], segment.salt, segment.next) {
        return Err(segment.damage(folder).into());
    }
    let file = segment.settle(disk, folder, &bytes)?;
    segment.hand_out(&bytes, &mut each)?;
    Ok(Recovered {
        file,
        length: segment.end as u64,
        next: segment.next,
        chain: segment.chain,
        salt: segment.salt,
        marked: segment.marked,
        segments,
    })
}

/// Hands the records in `range`, all of them durable, to `each` until it says `false`.
pub(super) fn read<E: From<JournalError>>(
    disk: &dyn Disk,
    folder: &Path,
    range: Range<Position>,
    mut each: impl FnMut(Position, &[u8]) -> Result<bool, E>,
) -> Result<(), E> {
    let mut segments = list_segments(disk, folder)?;
    let skipped = segments.partition_point(|first| *first <= range.start).saturating_sub(1);
    let mut link = None;
    for first in segments.drain(skipped..).take_while(|first| *first < range.end) {
        let (segment, bytes) = Segment::read(disk, folder, first, link)?;
        link = Some(segment.link());
        for (position, place) in &segment.records {
            if range.contains(position) && !each(*position, &bytes[place.clone()])? {
                return Ok(());
            }
        }
        // Behind its end is what is being written just now, or another segment.
        if segment.next < range.end && segment.end != bytes.len() {
            return Err(segment.damage(folder).into());
        }
    }
    Ok(())
}

fn create(disk: &dyn Disk, entropy: &dyn Entropy, folder: &Path) -> Result<Recovered, JournalError> {
    let header = SegmentHeader { first: Position(0), salt: entropy.next_u64(), previous: 0 };
    let file = create_segment(disk, folder, header)
        .map_err(|fault| JournalError::disk("create", &segment_path(folder, header.first), fault.into()))?;
    Ok(Recovered {
        file,
        segments: vec![header.first],
        length: SEGMENT_HEADER_LENGTH as u64,
        next: header.first,
        chain: header.previous,
        salt: header.salt,
        marked: true,
    })
}

/// First positions of all segments, the oldest first, by file name.
fn list_segments(disk: &dyn Disk, folder: &Path) -> Result<Vec<Position>, JournalError> {
    let paths = disk.read_dir(folder).map_err(|error| JournalError::disk("list", folder, error))?;
    let first = |path: &PathBuf| {
        let digits = path.file_name()?.to_str()?.strip_suffix(SEGMENT_SUFFIX)?;
        digits.parse().ok().map(Position).filter(|first| segment_path(folder, *first) == *path)
    };
    let mut segments: Vec<Position> = paths.iter().filter_map(first).collect();
    segments.sort_unstable();
    Ok(segments)
}

/// Removes a last segment whose creation a power cut interrupted: its header is torn and no batch can be in it, since
/// batches are written only after the header was synced.
fn drop_unborn_segment(disk: &dyn Disk, folder: &Path, segments: &mut Vec<Position>) -> Result<(), JournalError> {
    let Some(&last) = segments.last() else { return Ok(()) };
    let path = segment_path(folder, last);
    let length = disk.open(&path, FileMode::Read).and_then(|file| file.len());
    if length.map_err(|error| JournalError::disk("read", &path, error))? > SEGMENT_HEADER_LENGTH as u64 {
        return Ok(());
    }
    let torn = SegmentHeader::decode(&read_segment(disk, &path)?) == Err(HeaderFault::Invalid);
    let follows = segments.len() > 1 || last == Position(0);
    if torn && follows {
        disk.remove_file(&path).map_err(|error| JournalError::disk("remove", &path, error))?;
        disk.sync_dir(folder).map_err(|error| JournalError::disk("sync", folder, error))?;
        segments.pop();
    }
    Ok(())
}

fn read_segment(disk: &dyn Disk, path: &Path) -> Result<Vec<u8>, JournalError> {
    disk.read(path, SEGMENT_BYTES_MAX).map_err(|error| JournalError::disk("read", path, error))
}

/// What one segment hands to the next.
#[derive(Clone, Copy)]
struct Link {
    next: Position,
    chain: u32,
    salt: u64,
}

/// One segment, read as far as it is sound.
struct Segment {
    first: Position,
    salt: u64,
    records: Vec<(Position, Range<usize>)>,
    /// Where soundness ends.
    end: usize,
    next: Position,
    chain: u32,
    /// Bytes that no later frame proves durable: the last batch or mark, a mark before the last batch, or the header.
    unproven: Range<usize>,
    /// Whether no record stands behind the last mark.
    marked: bool,
}

impl Segment {
    fn read(
        disk: &dyn Disk,
        folder: &Path,
        first: Position,
        link: Option<Link>,
    ) -> Result<(Self, Vec<u8>), JournalError> {
        let path = segment_path(folder, first);
        let bytes = read_segment(disk, &path)?;
        let header = match SegmentHeader::decode(&bytes) {
            Ok(header) if header.first == first => header,
            Ok(_) | Err(HeaderFault::Invalid) => {
                return Err(JournalError::Damaged { path, offset: 0, position: first });
            }
            Err(HeaderFault::Newer(version)) => return Err(JournalError::Newer { path, version }),
        };
        let own = Link { next: first, chain: header.previous, salt: header.salt };
        let link = link.unwrap_or(own);
        if (link.next, link.chain, link.salt) != (own.next, own.chain, own.salt) {
            return Err(JournalError::Gap { path, expected: link.next });
        }
        let mut segment = Self {
            first,
            salt: header.salt,
            records: Vec::new(),
            end: SEGMENT_HEADER_LENGTH,
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

    fn link(&self) -> Link {
        Link { next: self.next, chain: self.chain, salt: self.salt }
    }

    fn damage(&self, folder: &Path) -> JournalError {
        let path = segment_path(folder, self.first);
        JournalError::Damaged { path, offset: self.end as u64, position: self.next }
    }

    /// Cuts the torn tail and makes what stays durable. The last batch is written again: after a failed sync its pages
    /// may count as clean without ever having reached the disk.
    fn settle(&self, disk: &dyn Disk, folder: &Path, bytes: &[u8]) -> Result<Box<dyn DiskFile>, JournalError> {
        let path = segment_path(folder, self.first);
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

    fn hand_out<E>(&self, bytes: &[u8], each: &mut impl FnMut(Position, &[u8]) -> Result<(), E>) -> Result<(), E> {
        self.records.iter().try_for_each(|(position, range)| each(*position, &bytes[range.clone()]))
    }
}
