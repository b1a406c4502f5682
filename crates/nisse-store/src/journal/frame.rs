//! How records stand in a segment, format 1: a header per segment, then frames back to back.
//!
//! All numbers are little-endian. A segment's header is 40 bytes:
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | `NISSEJNL` |
//! | 8..10 | format version |
//! | 10..12 | zero |
//! | 12..20 | position of the segment's first record |
//! | 20..28 | salt, drawn once for the whole journal |
//! | 28..32 | checksum of the frame before this segment, zero for none |
//! | 32..36 | zero |
//! | 36..40 | CRC-32C of the 36 bytes before |
//!
//! A frame is 36 bytes and its payload:
//!
//! | bytes | what |
//! |---|---|
//! | 0..4 | `nJfr` |
//! | 4 | kind: 1 record, 2 mark |
//! | 5 | frame version |
//! | 6..8 | zero |
//! | 8..12 | payload length |
//! | 12..16 | checksum of the frame before |
//! | 16..24 | position (of a mark: of the record that will follow) |
//! | 24..32 | first position of the batch that this frame was written with |
//! | 32..36 | CRC-32C of salt, the 32 bytes before and the payload |
//!
//! A batch is written only after the one before it was synced. So a frame whose batch began at B proves that every
//! record before B was durable, and damage before B can't be a torn write. The salt keeps a record's payload from
//! posing as such a proof.

use super::Position;

/// Bytes before a segment's first frame.
pub(super) const SEGMENT_HEADER_LENGTH: usize = 40;
/// Bytes before a frame's payload.
pub(super) const FRAME_HEADER_LENGTH: usize = 36;
/// The format that this program writes.
pub(super) const FORMAT_VERSION: u16 = 1;

const SEGMENT_MAGIC: [u8; 8] = *b"NISSEJNL";
const FRAME_MAGIC: [u8; 4] = *b"nJfr";
const FRAME_VERSION: u8 = 1;
const KIND_RECORD: u8 = 1;
const KIND_MARK: u8 = 2;

/// What stands at the start of each segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) first: Position,
    pub(super) salt: u64,
    pub(super) previous: u32,
}

/// Why bytes are no segment header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderFault {
    Invalid,
    Newer(u16),
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> [u8; SEGMENT_HEADER_LENGTH] {
        let mut bytes = [0; SEGMENT_HEADER_LENGTH];
        bytes[..8].copy_from_slice(&SEGMENT_MAGIC);
        bytes[8..10].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.first.0.to_le_bytes());
        bytes[20..28].copy_from_slice(&self.salt.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.previous.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..36]);
        bytes[36..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, HeaderFault> {
        let bytes = bytes.get(..SEGMENT_HEADER_LENGTH).ok_or(HeaderFault::Invalid)?;
        let sound = bytes[..8] == SEGMENT_MAGIC && read_u32(bytes, 36) == crc32c::crc32c(&bytes[..36]);
        if !sound {
            return Err(HeaderFault::Invalid);
        }
        let version = u16::from_le_bytes([bytes[8], bytes[9]]);
        if version != FORMAT_VERSION {
            return Err(HeaderFault::Newer(version));
        }
        Ok(Self { first: Position(read_u64(bytes, 12)), salt: read_u64(bytes, 20), previous: read_u32(bytes, 28) })
    }
}

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FrameKind {
    /// A record.
    Record,
    /// Nothing: it proves that all before it was synced.
    Mark,
    /// Written by a newer program; sound, but not ours to read.
    Unknown,
}

/// One sound frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'bytes> {
    pub(super) kind: FrameKind,
    pub(super) position: Position,
    pub(super) batch: Position,
    pub(super) previous: u32,
    pub(super) checksum: u32,
    pub(super) payload: &'bytes [u8],
}

impl<'bytes> Frame<'bytes> {
    /// Bytes that the frame takes in its segment.
    pub(super) fn length(&self) -> usize {
        FRAME_HEADER_LENGTH + self.payload.len()
    }

    /// The frame that begins at the start of `bytes`, if one does and its checksum holds.
    pub(super) fn decode(bytes: &'bytes [u8], salt: u64) -> Option<Self> {
        let header = bytes.get(..FRAME_HEADER_LENGTH)?;
        if header[..4] != FRAME_MAGIC {
            return None;
        }
        let length = usize::try_from(read_u32(header, 8)).ok()?;
        let payload = bytes.get(FRAME_HEADER_LENGTH..FRAME_HEADER_LENGTH.checked_add(length)?)?;
        let checksum = read_u32(header, 32);
        if checksum != frame_checksum(salt, &header[..32], payload) {
            return None;
        }
        let kind = match (header[4], header[5]) {
            (KIND_RECORD, FRAME_VERSION) => FrameKind::Record,
            (KIND_MARK, FRAME_VERSION) => FrameKind::Mark,
            _ => FrameKind::Unknown,
        };
        Some(Self {
            kind,
            position: Position(read_u64(header, 16)),
            batch: Position(read_u64(header, 24)),
            previous: read_u32(header, 12),
            checksum,
            payload,
        })
    }
}

/// Appends a record's frame to `buffer` and returns its checksum, the link for the next frame.
pub(super) fn encode_record(
    buffer: &mut Vec<u8>,
    salt: u64,
    previous: u32,
    position: Position,
    batch: Position,
    payload: &[u8],
) -> u32 {
    encode(buffer, salt, KIND_RECORD, previous, position, batch, payload)
}

/// Appends a mark, which proves that every record before `next` is durable.
pub(super) fn encode_mark(buffer: &mut Vec<u8>, salt: u64, previous: u32, next: Position) -> u32 {
    encode(buffer, salt, KIND_MARK, previous, next, next, &[])
}

fn encode(
    buffer: &mut Vec<u8>,
    salt: u64,
    kind: u8,
    previous: u32,
    position: Position,
    batch: Position,
    payload: &[u8],
) -> u32 {
    let length = u32::try_from(payload.len()).expect("a record's length was checked against its limit");
    let mut header = [0; FRAME_HEADER_LENGTH];
    header[..4].copy_from_slice(&FRAME_MAGIC);
    header[4] = kind;
    header[5] = FRAME_VERSION;
    header[8..12].copy_from_slice(&length.to_le_bytes());
    header[12..16].copy_from_slice(&previous.to_le_bytes());
    header[16..24].copy_from_slice(&position.0.to_le_bytes());
    header[24..32].copy_from_slice(&batch.0.to_le_bytes());
    let checksum = frame_checksum(salt, &header[..32], payload);
    header[32..].copy_from_slice(&checksum.to_le_bytes());
    buffer.extend_from_slice(&header);
    buffer.extend_from_slice(payload);
    checksum
}

/// Whether any sound frame in `bytes`, at whatever offset, proves that the record at `lost` had been durable.
pub(super) fn proves_durable(bytes: &[u8], salt: u64, lost: Position) -> bool {
    let starts = bytes.windows(FRAME_MAGIC.len()).enumerate().filter(|(_, window)| *window == FRAME_MAGIC);
    starts.filter_map(|(offset, _)| Frame::decode(&bytes[offset..], salt)).any(|frame| frame.batch > lost)
}

fn frame_checksum(salt: u64, header: &[u8], payload: &[u8]) -> u32 {
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&salt.to_le_bytes()), header);
    crc32c::crc32c_append(checksum, payload)
}

fn read_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn read_u64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
