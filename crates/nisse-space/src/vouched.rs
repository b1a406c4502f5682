//! Who vouches for which change of a document.

use std::collections::BTreeMap;

use automerge::{Automerge, Change, ChangeHash};
use nisse_model::Did;

use crate::chunk::Chunk;
use crate::document_id::DocumentId;
use crate::gauge::guarded;
use crate::store::{Store, StoreError};

/// By the change's hash.
pub type Vouched = BTreeMap<ChangeHash, Voucher>;

/// Whoever vouches for a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Voucher {
    /// The device that signed it.
    pub author: Did,
    /// The identity that it acts for.
    pub identity: Did,
    /// Whose change it is, if the device only let it in.
    pub subject: Option<Did>,
}

/// What the chunks of a document say. Whoever signed a change first vouches for it.
pub(crate) fn of(store: &Store, document: DocumentId) -> Result<Vouched, StoreError> {
    let mut vouched = Vouched::new();
    store.chunks(document, |stored| {
        if let Ok(changes) = Chunk::decode_own(stored) {
            let voucher = Voucher { author: changes.author, identity: changes.identity, subject: changes.subject };
            for change in changes_in(&changes.bytes).unwrap_or_default() {
                vouched.entry(change.hash()).or_insert(voucher);
            }
        }
        true
    })?;
    Ok(vouched)
}

/// The changes in what automerge loads; none if it is not that. What a stranger sent is measured before.
pub(crate) fn changes_in(bytes: &[u8]) -> Option<Vec<Change>> {
    let mut changes = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (chunk, behind) = rest.split_at(chunk_length(rest)?);
        let one = guarded(|| Change::from_bytes(chunk.to_vec()));
        match one {
            Ok(Ok(change)) => changes.push(change),
            // A whole document.
            _ => {
                let all = guarded(|| Automerge::load(chunk).map(|loaded| loaded.get_changes(&[])));
                changes.extend(all.ok()?.ok()?);
            }
        }
        rest = behind;
    }
    Some(changes)
}

/// Bytes of the chunk that something begins with: magic, check sum, type, and an unsigned LEB128 of what follows.
fn chunk_length(bytes: &[u8]) -> Option<usize> {
    let (mut length, mut place) = (0_usize, 9);
    loop {
        let byte = *bytes.get(place)?;
        let shift = 7 * (place - 9);
        if shift > 28 {
            return None;
        }
        length |= usize::from(byte & 0x7f) << shift;
        place += 1;
        if byte < 0x80 {
            break;
        }
    }
    (place + length <= bytes.len()).then_some(place + length)
}
