//! Which chunks two peers do not share, found without listing those that they do: range-based set reconciliation
//! (Aljoscha Meyer, <https://arxiv.org/abs/2212.13567>), the method that negentropy made known.
//!
//! Chunks stand in one order. A message divides it into ranges and says of each what its sender has there; the other
//! skips what agrees, divides what does not, and lists what is small. Nothing is remembered between messages: each is
//! answered from the set and the message alone, so that it may change meanwhile. Who gets a list learns both what it
//! lacks and what the other lacks, and has to say so: the other learns nothing from an answer that skips.

mod answer;
mod division;
mod tally;

#[cfg(test)]
mod tests;

use nisse_model::Hash256;

pub use answer::{Answer, answer};

use crate::chunk::ChunkId;
use crate::document_id::DocumentId;
use tally::Tally;

/// Ranges of one message.
pub const RANGES_MAX: usize = 2_048;
/// Items that all lists of one message hold together, and items of each list that an [`Answer`] has.
pub const ITEMS_MAX: usize = 16_384;
/// Items up to which a range that differs is listed and not divided.
pub const LISTED_MAX: usize = 32;
/// Ranges that one is divided into.
pub const PARTS: usize = 16;

/// A chunk and the document that it changes: what is reconciled, in the order of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Item {
    /// The document.
    pub document: DocumentId,
    /// The chunk.
    pub chunk: ChunkId,
}

impl Item {
    /// Bytes of an item.
    pub const LENGTH: usize = 48;
    /// Nothing stands before it.
    pub const FIRST: Self = Self { document: DocumentId([0; 16]), chunk: ChunkId(Hash256::ZERO) };

    /// The document's name, then the chunk's. They are ordered as the items are.
    pub fn to_bytes(self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[..16].copy_from_slice(&self.document.0);
        bytes[16..].copy_from_slice(&self.chunk.0.0);
        bytes
    }

    /// The item that these are the bytes of.
    pub fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        let (mut document, mut chunk) = ([0; 16], [0; 32]);
        document.copy_from_slice(&bytes[..16]);
        chunk.copy_from_slice(&bytes[16..]);
        Self { document: DocumentId(document), chunk: ChunkId(Hash256(chunk)) }
    }
}

/// Where a range ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bound {
    /// Before this place. No such item need exist: the places that we choose are the shortest prefixes that separate
    /// two neighbours, with zeros behind, which are not sent.
    Before(Item),
    /// Behind everything.
    End,
}

impl Bound {
    /// Whether an item stands before it.
    pub fn is_behind(&self, item: &Item) -> bool {
        Self::Before(*item) < *self
    }
}

/// What a message says of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Nothing: it is the same, or settled by other messages.
    Skip,
    /// The fingerprint of what the sender has there.
    Fingerprint([u8; 16]),
    /// All that the sender has there, in order, each once.
    Items(Vec<Item>),
}

/// A range of a message. It begins where the one before it ends; what is behind the last is skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// Its end.
    pub upto: Bound,
    /// What is said of it.
    pub part: Part,
}

/// A set of items that lies elsewhere.
pub trait Items {
    /// Why it cannot be read.
    type Error: std::error::Error + 'static;

    /// Hands each item from `from` on (with it, if it is one) and before `upto` to `each`, in order, each once.
    /// `from` is always before `upto`.
    fn scan(&self, from: &Item, upto: &Bound, each: &mut dyn FnMut(Item)) -> Result<(), Self::Error>;
}

/// Why ranges are no message. Each text completes "failed to …".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RangesError {
    /// More ranges than [`RANGES_MAX`].
    #[error("take a message of {0} ranges: at most {RANGES_MAX} are allowed")]
    TooMany(usize),
    /// More items than [`ITEMS_MAX`].
    #[error("take a message that lists {0} items: at most {ITEMS_MAX} are allowed")]
    TooManyItems(usize),
    /// A range does not end behind the one before it.
    #[error("take a message whose ranges are not in order")]
    Bounds,
    /// Items are not in order, or one stands twice.
    #[error("take a message whose items are not in order, each once")]
    Order,
    /// An item is listed in a range that it does not stand in.
    #[error("take a message with an item that is outside its range")]
    Outside,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError<E: std::error::Error + 'static> {
    /// The message is none.
    #[error(transparent)]
    Ranges(#[from] RangesError),
    /// Our own set cannot be read.
    #[error(transparent)]
    Items(E),
}

/// The first message: one fingerprint of everything, or the list of nothing.
pub fn begin<I: Items + ?Sized>(items: &I) -> Result<Vec<Range>, I::Error> {
    let mut all = Tally::default();
    items.scan(&Item::FIRST, &Bound::End, &mut |item| all.add(&item))?;
    let part = if all.count() == 0 { Part::Items(Vec::new()) } else { Part::Fingerprint(all.fingerprint()) };
    Ok(vec![Range { upto: Bound::End, part }])
}

/// Refuses what is no message, whoever sends it.
pub(super) fn check(ranges: &[Range]) -> Result<(), RangesError> {
    if ranges.len() > RANGES_MAX {
        return Err(RangesError::TooMany(ranges.len()));
    }
    let (mut from, mut listed) = (Bound::Before(Item::FIRST), 0);
    for Range { upto, part } in ranges {
        if *upto <= from {
            return Err(RangesError::Bounds);
        }
        if let Part::Items(items) = part {
            listed += items.len();
            if !items.is_sorted_by(|one, next| one < next) {
                return Err(RangesError::Order);
            }
            let inside = |item: &Item| from <= Bound::Before(*item) && upto.is_behind(item);
            // They are in order: with the first and the last, all are inside.
            if !items.first().is_none_or(inside) || !items.last().is_none_or(inside) {
                return Err(RangesError::Outside);
            }
        }
        from = *upto;
    }
    if listed > ITEMS_MAX { Err(RangesError::TooManyItems(listed)) } else { Ok(()) }
}
