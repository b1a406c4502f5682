//! Which rows are one agent's: keys that begin with its owner's address and its name.
//!
//! A scope is the owner's 20 bytes, the length of the name as one byte, and the name: none is the beginning of another.

use nisse_model::{Address, AgentName};

use super::root::{self, Slot};
use super::{META, NODES, StateUsage};
use crate::{DatabaseError, Position, Rows, WriteTransaction};

#[derive(Clone, PartialEq, Eq)]
pub(super) struct Scope(Vec<u8>);

/// What is known of an agent's state besides its entries.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Meta {
    pub(super) applied: Option<Position>,
    pub(super) usage: StateUsage,
    pub(super) root: Slot,
}

impl Scope {
    pub(super) fn new(owner: Address, name: &AgentName) -> Self {
        let length = u8::try_from(name.as_str().len()).expect("an agent's name is shorter than 256 bytes");
        Self([&owner.0[..], &[length], name.as_str().as_bytes()].concat())
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<(Address, AgentName)> {
        let (owner, rest) = bytes.split_first_chunk::<20>()?;
        let name = std::str::from_utf8(rest.get(1..)?).ok()?;
        Some((Address(*owner), name.parse().ok()?))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn entry(&self, key: &str) -> Vec<u8> {
        self.below(key.as_bytes())
    }

    pub(super) fn below(&self, path: &[u8]) -> Vec<u8> {
        [&self.0[..], path].concat()
    }

    pub(super) fn node(&self, rows: &impl Rows, path: &[u8]) -> Result<[Slot; 16], DatabaseError> {
        let bytes = rows.get(NODES, &self.below(path))?;
        bytes.as_deref().and_then(root::decode_node).ok_or(DatabaseError::Inconsistent { what: "a node of a state" })
    }

    pub(super) fn meta(&self, rows: &impl Rows) -> Result<Meta, DatabaseError> {
        let Some(bytes) = rows.get(META, &self.0)? else { return Ok(Meta::default()) };
        Meta::decode(&bytes).ok_or(DatabaseError::Inconsistent { what: "the head of a state" })
    }

    pub(super) fn set_meta(&self, rows: &mut WriteTransaction, meta: &Meta) -> Result<(), DatabaseError> {
        rows.put(META, &self.0, &meta.encode())
    }
}

impl Meta {
    /// The last record applied plus one (0 for none), bytes, keys, the root's slot; numbers little-endian.
    fn encode(&self) -> Vec<u8> {
        let applied = self.applied.map_or(0, |position| position.0 + 1);
        let mut bytes = Vec::new();
        for number in [applied, self.usage.bytes, self.usage.keys] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        self.root.encode(&mut bytes);
        bytes
    }

    fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut number = || {
            let (number, rest) = bytes.split_first_chunk::<8>()?;
            bytes = rest;
            Some(u64::from_le_bytes(*number))
        };
        let applied = number()?.checked_sub(1).map(Position);
        let usage = StateUsage { bytes: number()?, keys: number()? };
        let root = Slot::decode(&mut bytes)?;
        bytes.is_empty().then_some(Self { applied, usage, root })
    }
}
