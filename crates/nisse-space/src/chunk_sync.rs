//! What two peers of nisse say to each other of a space: which chunks each of them lacks, and the chunks.
//!
//! The one that begins says [`Frame::Hello`] with one fingerprint of all that it holds; where the other holds the same, its
//! `Hello` says so, and that is all. Else ranges go to and fro ([`answer`]) until both know what they lack; each asks for
//! that ([`Frame::Want`]) and is sent it in portions, one for each time that it asks, so that no more is under way than there is room for. Afterwards each sends what it
//! takes as it takes it.

mod codec;
mod reconcile;

pub use codec::{Frame, FrameError, Wanted};
pub use reconcile::{
    Answer, Bound, ITEMS_MAX, Item, Items, LISTED_MAX, PARTS, Part, RANGES_MAX, Range, RangesError, ReconcileError,
    answer, begin,
};
