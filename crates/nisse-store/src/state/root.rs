//! The root hash of a state: a radix tree over the hashes of its keys, kept up write by write.
//!
//! [`state_root`] tells the rules and computes the same from a whole set of entries.

use nisse_model::Hash256;

use crate::DatabaseError;

/// What stands below one nibble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Slot {
    #[default]
    Empty,
    Leaf {
        /// SHA-256 of the key.
        key: Hash256,
        /// The leaf's hash.
        hash: Hash256,
    },
    Branch(Hash256),
}

impl Slot {
    pub(super) fn hash(&self) -> Hash256 {
        match self {
            Self::Empty => Hash256::ZERO,
            Self::Leaf { hash, .. } | Self::Branch(hash) => *hash,
        }
    }

    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Empty => bytes.push(0),
            Self::Leaf { key, hash } => {
                bytes.push(1);
                bytes.extend_from_slice(&key.0);
                bytes.extend_from_slice(&hash.0);
            }
            Self::Branch(hash) => {
                bytes.push(2);
                bytes.extend_from_slice(&hash.0);
            }
        }
    }

    /// Takes one slot off the front of `bytes`.
    pub(super) fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let (tag, mut rest) = bytes.split_first()?;
        let mut hash = || {
            let (hash, behind) = rest.split_first_chunk::<32>()?;
            rest = behind;
            Some(Hash256(*hash))
        };
        let slot = match tag {
            0 => Self::Empty,
            1 => Self::Leaf { key: hash()?, hash: hash()? },
            2 => Self::Branch(hash()?),
            _ => return None,
        };
        *bytes = rest;
        Some(slot)
    }
}

pub(super) fn encode_node(slots: &[Slot; 16]) -> Vec<u8> {
    let mut bytes = Vec::new();
    slots.iter().for_each(|slot| slot.encode(&mut bytes));
    bytes
}

pub(super) fn decode_node(mut bytes: &[u8]) -> Option<[Slot; 16]> {
    let mut slots = [Slot::Empty; 16];
    for slot in &mut slots {
        *slot = Slot::decode(&mut bytes)?;
    }
    bytes.is_empty().then_some(slots)
}

/// Where branches are kept, by path.
pub(super) trait Nodes {
    fn load(&self, path: &[u8]) -> Result<[Slot; 16], DatabaseError>;
    /// `None` removes the branch.
    fn store(&mut self, path: &[u8], slots: Option<&[Slot; 16]>) -> Result<(), DatabaseError>;
}

/// The hash of one entry's leaf.
pub(super) fn leaf(key: &str, value: &[u8]) -> Hash256 {
    let mut bytes = [0; 65];
    bytes[1..33].copy_from_slice(&Hash256::of(key.as_bytes()).0);
    bytes[33..].copy_from_slice(&Hash256::of(value).0);
    Hash256::of(&bytes)
}

fn branch(slots: &[Slot; 16]) -> Hash256 {
    let mut bytes = [0; 1 + 16 * 32];
    bytes[0] = 1;
    for (place, slot) in bytes[1..].chunks_exact_mut(32).zip(slots) {
        place.copy_from_slice(&slot.hash().0);
    }
    Hash256::of(&bytes)
}

fn nibble(key: &Hash256, depth: usize) -> u8 {
    let byte = key.0[depth / 2];
    if depth.is_multiple_of(2) { byte >> 4 } else { byte & 15 }
}

/// Changes leaves below `path`, where `slot` stands, and returns what stands there then. The changes are in the order
/// of their keys' hashes, each key once; `None` removes.
pub(super) fn update<N: Nodes>(
    nodes: &mut N,
    path: &mut Vec<u8>,
    slot: Slot,
    changes: &[(Hash256, Option<Hash256>)],
) -> Result<Slot, DatabaseError> {
    let mut with_present;
    let (mut slots, mut changes) = (None, changes);
    match slot {
        _ if changes.is_empty() => return Ok(slot),
        Slot::Branch(_) => slots = Some(nodes.load(path)?),
        Slot::Leaf { key, hash } => {
            // The leaf moves down beside those that come; one that is itself changed does not stay.
            if let Err(place) = changes.binary_search_by_key(&key, |(changed, _)| *changed) {
                with_present = changes.to_vec();
                with_present.insert(place, (key, Some(hash)));
                changes = &with_present;
            }
        }
        Slot::Empty => {}
    }
    let was_branch = slots.is_some();
    if !was_branch {
        let mut added = changes.iter().filter_map(|(key, hash)| hash.map(|hash| Slot::Leaf { key: *key, hash }));
        let first = added.next().unwrap_or_default();
        if added.next().is_none() {
            return Ok(first);
        }
    }
    let mut slots = slots.unwrap_or_default();
    let depth = path.len();
    for group in changes.chunk_by(|(left, _), (right, _)| nibble(left, depth) == nibble(right, depth)) {
        let nibble = nibble(&group[0].0, depth);
        path.push(nibble);
        let place = &mut slots[usize::from(nibble)];
        *place = update(nodes, path, *place, group)?;
        path.pop();
    }
    let mut present = slots.iter().filter(|slot| **slot != Slot::Empty);
    let alone = match (present.next(), present.next()) {
        (None, _) => Some(Slot::Empty),
        (Some(only @ Slot::Leaf { .. }), None) => Some(*only),
        _ => None,
    };
    if let Some(alone) = alone {
        if was_branch {
            nodes.store(path, None)?;
        }
        return Ok(alone);
    }
    nodes.store(path, Some(&slots))?;
    Ok(Slot::Branch(branch(&slots)))
}

/// The root hash of a whole set of entries.
///
/// It depends on the entries alone and not on their history, so anyone who holds them can compute it. With `‖` for
/// concatenation:
///
/// - A key's path is the 64 nibbles of SHA-256(key), the high nibble of each byte first.
/// - The hash of a leaf is SHA-256(`00` ‖ SHA-256(key) ‖ SHA-256(value)).
/// - The hash of a branch is SHA-256(`01` ‖ h0 ‖ h1 ‖ … ‖ h15): the hashes of the sets into which the next nibble parts
///   its entries.
/// - The hash of an empty set is 32 zero bytes, that of a set of one entry is its leaf's hash at whatever depth, and
///   that of a larger set is its branch's.
/// - The root is the hash of the set of all entries.
pub fn state_root<'a>(entries: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Hash256 {
    fn hash(set: &[(Hash256, Hash256)], depth: usize) -> Hash256 {
        match set {
            [] => Hash256::ZERO,
            [(_, leaf)] => *leaf,
            _ => {
                let mut bytes = vec![1];
                for nibble_here in 0..16 {
                    let start = set.partition_point(|(key, _)| nibble(key, depth) < nibble_here);
                    let end = set.partition_point(|(key, _)| nibble(key, depth) <= nibble_here);
                    bytes.extend_from_slice(&hash(&set[start..end], depth + 1).0);
                }
                Hash256::of(&bytes)
            }
        }
    }
    let mut set: Vec<_> =
        entries.into_iter().map(|(key, value)| (Hash256::of(key.as_bytes()), leaf(key, value))).collect();
    set.sort_unstable();
    hash(&set, 0)
}
