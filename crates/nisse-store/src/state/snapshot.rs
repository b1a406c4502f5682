//! A whole state as bytes, format 1: the same entries give the same bytes, whatever their history.
//!
//! All numbers are little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | `NISSESTA` |
//! | 8..10 | format version |
//! | 10..12 | zero |
//! | 12..20 | number of entries |
//! | 20..52 | root hash |
//!
//! Then the entries in the byte order of their keys, each the key's length (2 bytes), the value's length (4 bytes), the
//! key (UTF-8) and the value; nothing behind the last. Reading checks everything, the root hash included, so a
//! [`Snapshot`] is verified bytes. Owner, name and position are no part of it: a state can move.

use nisse_model::Hash256;

use super::{STATE_BYTES_MAX, STATE_KEY_BYTES_MAX, STATE_VALUE_BYTES_MAX, StateError, StateUsage, state_root};

const MAGIC: [u8; 8] = *b"NISSESTA";
const FORMAT_VERSION: u16 = 1;
const HEADER_LENGTH: usize = 52;
const ENTRY_HEADER_LENGTH: usize = 6;
/// Longest export: a state at its largest, made of middling entries.
pub const SNAPSHOT_BYTES_MAX: u64 = 2 * STATE_BYTES_MAX;

/// A checked export of a state.
#[derive(Clone)]
pub struct Snapshot<'bytes> {
    entries: Vec<(&'bytes str, &'bytes [u8])>,
    root: Hash256,
}

impl std::fmt::Debug for Snapshot<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Snapshot({} entries, {})", self.entries.len(), self.root)
    }
}

impl<'bytes> Snapshot<'bytes> {
    /// Reads and checks an export.
    pub fn read(bytes: &'bytes [u8]) -> Result<Self, StateError> {
        let fault = |reason| StateError::Snapshot { reason };
        if bytes.len() as u64 > SNAPSHOT_BYTES_MAX {
            return Err(fault("it is too long"));
        }
        let (header, mut rest) = bytes.split_at_checked(HEADER_LENGTH).ok_or(fault("it is cut short"))?;
        if header[..8] != MAGIC {
            return Err(fault("it does not begin as one"));
        }
        let version = u16::from_le_bytes([header[8], header[9]]);
        if version != FORMAT_VERSION {
            return Err(StateError::NewerSnapshot { version });
        }
        if header[10..12] != [0, 0] {
            return Err(fault("its reserved bytes are used"));
        }
        let count = u64::from_le_bytes(header[12..20].try_into().expect("eight bytes"));
        let root = Hash256(header[20..].try_into().expect("32 bytes"));
        let mut entries: Vec<(&str, &[u8])> = Vec::new();
        while !rest.is_empty() {
            let (key, value) = entry(&mut rest).ok_or(fault("an entry is malformed"))?;
            if entries.last().is_some_and(|(before, _)| *before >= key) {
                return Err(fault("its keys are out of order"));
            }
            entries.push((key, value));
        }
        if entries.len() as u64 != count {
            return Err(fault("it holds another number of entries than it says"));
        }
        if state_root(entries.iter().copied()) != root {
            return Err(fault("its entries do not have its root hash"));
        }
        Ok(Self { entries, root })
    }

    /// The root hash.
    pub fn root(&self) -> Hash256 {
        self.root
    }

    /// All entries in the byte order of their keys.
    pub fn entries(&self) -> impl Iterator<Item = (&'bytes str, &'bytes [u8])> + '_ {
        self.entries.iter().copied()
    }

    /// How much the state holds.
    pub fn usage(&self) -> StateUsage {
        let bytes = self.entries.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum();
        StateUsage { bytes, keys: self.entries.len() as u64 }
    }
}

/// Takes one entry off the front of `rest`.
fn entry<'bytes>(rest: &mut &'bytes [u8]) -> Option<(&'bytes str, &'bytes [u8])> {
    let (header, behind) = rest.split_first_chunk::<ENTRY_HEADER_LENGTH>()?;
    let key_length = usize::from(u16::from_le_bytes([header[0], header[1]]));
    let value_length = usize::try_from(u32::from_le_bytes([header[2], header[3], header[4], header[5]])).ok()?;
    if key_length == 0 || key_length > STATE_KEY_BYTES_MAX || value_length > STATE_VALUE_BYTES_MAX {
        return None;
    }
    let (key, behind) = behind.split_at_checked(key_length)?;
    let (value, behind) = behind.split_at_checked(value_length)?;
    *rest = behind;
    Some((std::str::from_utf8(key).ok()?, value))
}

/// Writes an export, entry by entry.
pub(super) struct SnapshotWriter(Vec<u8>);

impl SnapshotWriter {
    pub(super) fn new(usage: StateUsage, root: Hash256) -> Result<Self, StateError> {
        let length = HEADER_LENGTH as u64 + usage.bytes + usage.keys * ENTRY_HEADER_LENGTH as u64;
        if length > SNAPSHOT_BYTES_MAX {
            return Err(StateError::ExportTooLong { length });
        }
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(&usage.keys.to_le_bytes());
        bytes.extend_from_slice(&root.0);
        Ok(Self(bytes))
    }

    pub(super) fn entry(&mut self, key: &[u8], value: &[u8]) {
        let key_length = u16::try_from(key.len()).expect("a stored key is within its limit");
        let value_length = u32::try_from(value.len()).expect("a stored value is within its limit");
        self.0.extend_from_slice(&key_length.to_le_bytes());
        self.0.extend_from_slice(&value_length.to_le_bytes());
        self.0.extend_from_slice(key);
        self.0.extend_from_slice(value);
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }
}
