//! Durable state: the seams to disk, clock and randomness, the journal, and redb behind it.
//!
//! Nothing else in nisse opens a file, reads the time or draws randomness: everything goes through [`Disk`],
//! [`Clock`] and [`Entropy`], so that a simulated world can lose, tear and reorder what was not synced.
#![forbid(unsafe_code)]

mod clock;
mod disk;
mod entropy;
mod journal;

pub use clock::{Clock, SystemClock};
pub use disk::{Disk, DiskFile, DiskLock, FileMode, SystemDisk};
pub use entropy::{Entropy, SystemEntropy};
pub use journal::{
    Commit, Journal, JournalError, JournalOptions, Position, QUEUE_BYTES_MAX, RECORD_BYTES_MAX, SEGMENT_BYTES_MAX,
};
