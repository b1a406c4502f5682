//! Pins: names that keep content. A log of records, each synced before the pin is acknowledged, rewritten when most
//! of it is history.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use nisse_model::{ContentId, Hash256};
use nisse_store::{Disk, DiskFile, FileMode};

use super::record::{self, Kind, Record};

/// Names in one store.
pub const PINS_MAX: usize = 65_536;
/// Bytes of a pin's name.
pub const PIN_NAME_BYTES_MAX: usize = 200;
/// Roots of one pin.
pub(super) const PIN_ROOTS_MAX: usize = 16;
/// History that is carried before the log is rewritten.
const LOG_SLACK_BYTES: u64 = 256 * 1024;

/// The log and what it says.
pub(super) struct PinLog {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    end: u64,
    /// What could not be read when it was opened.
    pub(super) damaged_bytes: u64,
    pub(super) live: BTreeMap<String, Vec<ContentId>>,
}

impl PinLog {
    /// Reads the log, or starts an empty one; the folder is synced by the caller.
    pub(super) fn open(disk: &dyn Disk, folder: &Path) -> io::Result<Self> {
        let path = folder.join("pins");
        let mut file = disk.open(&path, FileMode::Write)?;
        let mut live = BTreeMap::new();
        let visit = |record: Record| {
            let body = record::read_body(&*file, record.offset, record.length)?;
            match (record.kind, decode(&body)) {
                (Kind::Pin, Some((name, roots))) => {
                    live.insert(name, roots);
                }
                (Kind::Unpin, Some((name, _))) => {
                    live.remove(&name);
                }
                _ => tracing::warn!(offset = record.offset, "a record of the pin log is not read"),
            }
            Ok(())
        };
        let found = record::scan(&*file, true, visit, |_| {})?;
        if found.damaged_bytes > 0 {
            tracing::warn!(bytes = found.damaged_bytes, "the pin log is damaged; what can be read is kept");
        }
        let mut end = found.end;
        let mut image = Vec::new();
        for (name, roots) in &live {
            append(&mut image, Kind::Pin, &encode(name, roots));
        }
        if end > image.len() as u64 * 4 + LOG_SLACK_BYTES {
            disk.replace(&path, &image)?;
            file = disk.open(&path, FileMode::Write)?;
            end = image.len() as u64;
        } else if found.torn_bytes > 0 {
            file.set_len(end)?;
        }
        // What was read may have been written by a process that died before its sync.
        file.sync_data()?;
        Ok(Self { path, file, end, damaged_bytes: found.damaged_bytes, live })
    }

    /// Where it stands, for error texts.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes one pin and syncs it.
    pub(super) fn pin(&mut self, name: &str, roots: &[ContentId]) -> Result<(), LogError> {
        self.write(Kind::Pin, &encode(name, roots))?;
        self.live.insert(name.to_owned(), roots.to_vec());
        Ok(())
    }

    /// Writes the end of a pin and syncs it.
    pub(super) fn unpin(&mut self, name: &str) -> Result<(), LogError> {
        self.write(Kind::Unpin, &encode(name, &[]))?;
        self.live.remove(name);
        Ok(())
    }

    fn write(&mut self, kind: Kind, body: &[u8]) -> Result<(), LogError> {
        let end = record::write(&*self.file, self.end, kind, Hash256::of(body), body).map_err(LogError::Write)?;
        self.file.sync_data().map_err(LogError::Sync)?;
        self.end = end;
        Ok(())
    }
}

/// Where a change to the log failed.
pub(super) enum LogError {
    /// Nothing of it counts; it may be tried again.
    Write(io::Error),
    /// It may or may not be on disk; the store stops.
    Sync(io::Error),
}

fn append(image: &mut Vec<u8>, kind: Kind, body: &[u8]) {
    record::encode(image, kind, Hash256::of(body), body);
}

/// Name length, name, number of roots, and each root after its length.
fn encode(name: &str, roots: &[ContentId]) -> Vec<u8> {
    let mut body = vec![u8::try_from(name.len()).expect("a pin name has at most 200 bytes")];
    body.extend_from_slice(name.as_bytes());
    body.push(u8::try_from(roots.len()).expect("a pin has at most 16 roots"));
    for root in roots {
        let bytes = root.to_bytes();
        body.push(u8::try_from(bytes.len()).expect("a content id has at most 36 bytes"));
        body.extend_from_slice(&bytes);
    }
    body
}

fn decode(body: &[u8]) -> Option<(String, Vec<ContentId>)> {
    fn part<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
        let (length, after) = rest.split_first()?;
        let (bytes, after) = after.split_at_checked(usize::from(*length))?;
        *rest = after;
        Some(bytes)
    }
    let mut rest = body;
    let name = String::from_utf8(part(&mut rest)?.to_vec()).ok()?;
    let (count, after) = rest.split_first()?;
    rest = after;
    let roots = (0..*count).map(|_| ContentId::from_bytes(part(&mut rest)?).ok()).collect::<Option<Vec<_>>>()?;
    rest.is_empty().then_some((name, roots))
}
