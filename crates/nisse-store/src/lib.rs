//! Durable state: the seams to disk, clock and randomness, the journal, and redb behind it.
//!
//! Nothing else in nisse opens a file, reads the time or draws randomness: everything goes through [`Disk`],
//! [`Clock`] and [`Entropy`], so that a simulated world can lose, tear and reorder what was not synced.
#![forbid(unsafe_code)]

mod clock;
mod copy_on_write;
mod database;
mod disk;
mod entropy;
mod home;
mod journal;
mod state;

pub use clock::{Clock, SystemClock};
pub use copy_on_write::CopyOnWrite;
pub use database::{
    Database, DatabaseError, KEY_BYTES_MAX, ReadTransaction, Rows, Table, VALUE_BYTES_MAX, WriteTransaction,
};
pub use disk::{Access, Disk, DiskFile, DiskLock, FileMode, SystemDisk};
pub use entropy::{Entropy, SystemEntropy};
pub use home::{HOME_FORMAT, Home, HomeError};
pub use journal::{
    Commit, Journal, JournalError, JournalOptions, JournalSurvey, Position, QUEUE_BYTES_MAX, RECORD_BYTES_MAX,
    SEGMENT_BYTES_MAX,
};
pub use state::{
    AgentState, OVERLAY_BYTES_MAX, Overlay, SNAPSHOT_BYTES_MAX, STATE_BYTES_MAX, STATE_KEY_BYTES_MAX,
    STATE_KEYS_LISTED_MAX, STATE_VALUE_BYTES_MAX, Snapshot, StateError, StateStore, StateUsage, StateWrite, state_root,
};
