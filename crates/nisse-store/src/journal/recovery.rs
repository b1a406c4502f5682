//! Reading a journal back: what is sound is handed out, a torn tail is cut, damage is an error.
//!
//! Records are handed out only once they are known to survive the next power cut: the last batch may have been read
//! from a page cache that never reached the disk, so it is written and synced once more first.

use std::ops::Range;
use std::path::Path;

use super::frame::{self, HeaderFault, SEGMENT_HEADER_LENGTH, SegmentHeader};
use super::segment::{self, Segment};
use super::{JournalError, Position};
use crate::{Disk, DiskFile, Entropy, FileMode};

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

/// Opens the journal in `folder`, creating it when there is none, and hands each record to `each` in order.
pub(super) fn recover<E: From<JournalError>>(
    disk: &dyn Disk,
    entropy: &dyn Entropy,
    folder: &Path,
    mut each: impl FnMut(Position, &[u8]) -> Result<(), E>,
) -> Result<Recovered, E> {
    disk.create_dir_durable(folder).map_err(|error| JournalError::disk("create", folder, error))?;
    let mut segments = segment::list(disk, folder)?;
    drop_unborn_segment(disk, folder, &mut segments)?;
    let Some((segment, bytes)) = read_to_the_last(disk, folder, &segments, &mut each)? else {
        return Ok(create(disk, entropy, folder)?);
    };
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

/// Hands out the records of all segments but the last, and reads that one: what is behind its end is a torn tail and no
/// damage. `None` where there is no segment.
pub(super) fn read_to_the_last<E: From<JournalError>>(
    disk: &dyn Disk,
    folder: &Path,
    segments: &[Position],
    each: &mut impl FnMut(Position, &[u8]) -> Result<(), E>,
) -> Result<Option<(Segment, Vec<u8>)>, E> {
    let Some((&last, whole)) = segments.split_last() else { return Ok(None) };
    let mut before: Option<Segment> = None;
    for &first in whole {
        let (segment, bytes) = Segment::read(disk, folder, first, before.as_ref())?;
        segment.hand_out(&bytes, each)?;
        before = Some(segment);
    }
    let (segment, bytes) = Segment::read(disk, folder, last, before.as_ref())?;
    if frame::proves_durable(&bytes[segment.end..], segment.salt, segment.next) {
        return Err(segment.damage(folder).into());
    }
    Ok(Some((segment, bytes)))
}

/// Hands the records in `range`, all of them durable, to `each` until it says `false`.
pub(super) fn read<E: From<JournalError>>(
    disk: &dyn Disk,
    folder: &Path,
    range: Range<Position>,
    mut each: impl FnMut(Position, &[u8]) -> Result<bool, E>,
) -> Result<(), E> {
    let mut segments = segment::list(disk, folder)?;
    let skipped = segments.partition_point(|first| *first <= range.start).saturating_sub(1);
    let mut before: Option<Segment> = None;
    for first in segments.drain(skipped..).take_while(|first| *first < range.end) {
        let (segment, bytes) = match Segment::read(disk, folder, first, before.as_ref()) {
            // The journal has let it go since its folder was read.
            Err(error) if error.is_not_found() && segment::list(disk, folder)?.first() > Some(&first) => {
                before = None;
                continue;
            }
            read => read?,
        };
        for (position, place) in &segment.records {
            if range.contains(position) && !each(*position, &bytes[place.clone()])? {
                return Ok(());
            }
        }
        before = Some(segment);
    }
    // Behind the last one's end is what is being written just now.
    match before.filter(|last| last.next < range.end) {
        Some(last) => Err(last.damage(folder).into()),
        None => Ok(()),
    }
}

fn create(disk: &dyn Disk, entropy: &dyn Entropy, folder: &Path) -> Result<Recovered, JournalError> {
    let header = SegmentHeader { first: Position(0), salt: entropy.next_u64(), previous: 0 };
    let file = segment::create(disk, folder, header)
        .map_err(|fault| JournalError::disk("create", &segment::path(folder, header.first), fault.into()))?;
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

/// Removes a last segment whose creation a power cut interrupted.
fn drop_unborn_segment(disk: &dyn Disk, folder: &Path, segments: &mut Vec<Position>) -> Result<(), JournalError> {
    let Some(unborn) = unborn_segment(disk, folder, segments)? else { return Ok(()) };
    let path = segment::path(folder, unborn.first);
    disk.remove_file(&path).map_err(|error| JournalError::disk("remove", &path, error))?;
    disk.sync_dir(folder).map_err(|error| JournalError::disk("sync", folder, error))?;
    segments.pop();
    Ok(())
}

/// A segment that was never one.
pub(super) struct Unborn {
    first: Position,
    pub(super) length: u64,
}

/// The last segment, if a power cut interrupted its creation: its header is torn and no batch can be in it, since
/// batches are written only after the header was synced.
pub(super) fn unborn_segment(
    disk: &dyn Disk,
    folder: &Path,
    segments: &[Position],
) -> Result<Option<Unborn>, JournalError> {
    let Some(&last) = segments.last() else { return Ok(None) };
    let path = segment::path(folder, last);
    let length = disk.open(&path, FileMode::Read).and_then(|file| file.len());
    let length = length.map_err(|error| JournalError::disk("read", &path, error))?;
    if length > SEGMENT_HEADER_LENGTH as u64 {
        return Ok(None);
    }
    let torn = SegmentHeader::decode(&segment::read_bytes(disk, &path)?) == Err(HeaderFault::Invalid);
    let follows = segments.len() > 1 || last == Position(0);
    Ok((torn && follows).then_some(Unborn { first: last, length }))
}
