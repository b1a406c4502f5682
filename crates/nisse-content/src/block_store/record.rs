//! The one record format of pack files and the pin log, version 1 (it stands in the magic).
//!
//! Header of 52 bytes: magic `nsk1`, kind, three zeros, body length (u32), CRC-32C of the body, 32 bytes of digest,
//! CRC-32C of the header so far; then the body. Numbers are little-endian. A scan steps over what a power cut tore or
//! a disk spoilt and goes on at the next record, so one bad sector costs one record and not those behind it.

use std::io;

use nisse_model::Hash256;
use nisse_store::DiskFile;

use crate::BLOCK_BYTES_MAX;

/// Bytes before each body.
pub(super) const HEADER_BYTES: u64 = 52;

const MAGIC: [u8; 4] = *b"nsk1";
/// Bytes read at once while looking for the next record behind damage.
const RESYNC_WINDOW_BYTES: usize = 64 * 1024;

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The body is a block; the digest is its SHA-256.
    Block,
    /// The body is a name and its roots.
    Pin,
    /// The body is a name.
    Unpin,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Block, Self::Pin, Self::Unpin].into_iter().find(|kind| *kind as u8 + 1 == byte)
    }
}

/// One record as a scan finds it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    pub(super) kind: Kind,
    pub(super) digest: Hash256,
    /// Where the header starts.
    pub(super) offset: u64,
    /// Bytes of the body.
    pub(super) length: u32,
    body_crc: u32,
}

impl Record {
    fn end(&self) -> u64 {
        self.offset + HEADER_BYTES + u64::from(self.length)
    }
}

/// Writes one record at `offset` and returns where the next one goes. Durable only after `sync_data`.
pub(super) fn write(file: &dyn DiskFile, offset: u64, kind: Kind, digest: Hash256, body: &[u8]) -> io::Result<u64> {
    file.write_all_at(&header(kind, digest, body), offset)?;
    file.write_all_at(body, offset + HEADER_BYTES)?;
    Ok(offset + HEADER_BYTES + body.len() as u64)
}

/// Appends one record to a file image in memory.
pub(super) fn encode(image: &mut Vec<u8>, kind: Kind, digest: Hash256, body: &[u8]) {
    image.extend_from_slice(&header(kind, digest, body));
    image.extend_from_slice(body);
}

fn header(kind: Kind, digest: Hash256, body: &[u8]) -> [u8; HEADER_BYTES as usize] {
    let length = u32::try_from(body.len()).expect("a body has at most 2 MiB");
    let mut header = [0; HEADER_BYTES as usize];
    header[..4].copy_from_slice(&MAGIC);
    header[4] = kind as u8 + 1;
    header[8..12].copy_from_slice(&length.to_le_bytes());
    header[12..16].copy_from_slice(&crc32c::crc32c(body).to_le_bytes());
    header[16..48].copy_from_slice(&digest.0);
    let header_crc = crc32c::crc32c(&header[..48]);
    header[48..].copy_from_slice(&header_crc.to_le_bytes());
    header
}

/// Reads a body that a scan found.
pub(super) fn read_body(file: &dyn DiskFile, offset: u64, length: u32) -> io::Result<Vec<u8>> {
    let mut body = vec![0; length as usize];
    file.read_exact_at(&mut body, offset + HEADER_BYTES)?;
    Ok(body)
}

/// What a scan found besides the records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Scan {
    /// Where the last good record ends; what follows is a torn tail.
    pub(super) end: u64,
    /// Unreadable bytes before `end`.
    pub(super) damaged_bytes: u64,
    /// Unreadable bytes after `end`.
    pub(super) torn_bytes: u64,
}

/// Makes a record's header unreadable, so that no later scan takes it for one.
pub(super) fn erase(file: &dyn DiskFile, offset: u64) -> io::Result<()> {
    file.write_all_at(&[0; MAGIC.len()], offset)
}

/// Visits all records. With `check_bodies` a record whose body does not fit its checksum is damage, and `torn` is told
/// where it starts.
pub(super) fn scan(
    file: &dyn DiskFile,
    check_bodies: bool,
    mut visit: impl FnMut(Record) -> io::Result<()>,
    mut torn: impl FnMut(u64),
) -> io::Result<Scan> {
    let file_end = file.len()?;
    let mut found = Scan::default();
    let mut offset = 0;
    while offset < file_end {
        // Behind damage a body is always checked: a block may hold bytes that look like a header.
        if let Some(record) = header_at(file, offset, file_end)? {
            if !(check_bodies || offset > found.end) || body_fits(file, &record)? {
                visit(record)?;
                found.damaged_bytes += offset - found.end;
                found.end = record.end();
                offset = found.end;
                continue;
            }
            torn(offset);
        }
        match next_magic(file, offset + 1, file_end)? {
            Some(next) => offset = next,
            None => break,
        }
    }
    found.torn_bytes = file_end - found.end;
    Ok(found)
}

fn header_at(file: &dyn DiskFile, offset: u64, file_end: u64) -> io::Result<Option<Record>> {
    if file_end - offset < HEADER_BYTES {
        return Ok(None);
    }
    let mut header = [0; HEADER_BYTES as usize];
    file.read_exact_at(&mut header, offset)?;
    let number = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    if header[..4] != MAGIC || number(48) != crc32c::crc32c(&header[..48]) {
        return Ok(None);
    }
    let Some(kind) = Kind::from_byte(header[4]) else { return Ok(None) };
    let mut digest = Hash256::ZERO;
    digest.0.copy_from_slice(&header[16..48]);
    let record = Record { kind, digest, offset, length: number(8), body_crc: number(12) };
    Ok((record.length as usize <= BLOCK_BYTES_MAX && record.end() <= file_end).then_some(record))
}

fn body_fits(file: &dyn DiskFile, record: &Record) -> io::Result<bool> {
    Ok(crc32c::crc32c(&read_body(file, record.offset, record.length)?) == record.body_crc)
}

fn next_magic(file: &dyn DiskFile, mut from: u64, file_end: u64) -> io::Result<Option<u64>> {
    let mut window = vec![0; RESYNC_WINDOW_BYTES];
    while file_end.saturating_sub(from) >= HEADER_BYTES {
        let take = usize::try_from(file_end - from).map_or(window.len(), |rest| rest.min(window.len()));
        file.read_exact_at(&mut window[..take], from)?;
        if let Some(at) = window[..take].windows(MAGIC.len()).position(|bytes| bytes == MAGIC) {
            return Ok(Some(from + at as u64));
        }
        from += (take - (MAGIC.len() - 1)) as u64;
    }
    Ok(None)
}
