//! Why a state is not read or changed.

use super::{OVERLAY_BYTES_MAX, SNAPSHOT_BYTES_MAX, STATE_KEY_BYTES_MAX, STATE_VALUE_BYTES_MAX};
use crate::DatabaseError;

/// Why a state is not read or changed. Each text completes "failed to …".
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// An empty key, or one over the limit.
    #[error("use a key of {length} bytes in a state: 1 to {STATE_KEY_BYTES_MAX} are allowed")]
    Key {
        /// Its bytes.
        length: usize,
    },
    /// A value over the limit.
    #[error("keep a value of {length} bytes in a state: at most {STATE_VALUE_BYTES_MAX} are allowed")]
    Value {
        /// Its bytes.
        length: usize,
    },
    /// The agent's quota.
    #[error("keep {needed} bytes in a state: its quota is {quota}")]
    Quota {
        /// What the state would hold.
        needed: u64,
        /// What it may hold.
        quota: u64,
    },
    /// One invocation writes too much.
    #[error("write more than {OVERLAY_BYTES_MAX} bytes to a state in one invocation")]
    TooManyWrites,
    /// The state does not fit into one export.
    #[error("export a state of {length} bytes: at most {SNAPSHOT_BYTES_MAX} are allowed")]
    ExportTooLong {
        /// Bytes that the export would have.
        length: u64,
    },
    /// Bytes that are no export of a state.
    #[error("read a state's export: {reason}")]
    Snapshot {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A newer program made the export.
    #[error("read a state's export: it was made by a newer nisse (format {version})")]
    NewerSnapshot {
        /// Its format.
        version: u16,
    },
    /// The database below.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}
