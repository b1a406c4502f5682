//! Why a journal can't be opened or does not take a record.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Position, QUEUE_BYTES_MAX, RECORD_BYTES_MAX};

/// Why a journal can't be opened or does not take a record. Each text completes "failed to …".
///
/// An error from an append means that the record's fate is unknown until the journal is opened again: it may stand
/// or not, but never in part.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// The record is longer than [`RECORD_BYTES_MAX`].
    #[error("append a record of {length} bytes to the journal: at most {RECORD_BYTES_MAX} are taken")]
    TooLong {
        /// The record's bytes.
        length: usize,
    },
    /// More than [`QUEUE_BYTES_MAX`] wait for the disk already.
    #[error("append to the journal: {QUEUE_BYTES_MAX} bytes already wait for the disk")]
    QueueFull,
    /// The disk did not take a write, for want of space as a rule. The journal stays usable: the records that failed
    /// are not in it, and later ones are taken as soon as the disk takes them.
    #[error("write to the journal")]
    Refused(#[source] Arc<io::Error>),
    /// A sync failed, or a failed write could not be undone. What reached the disk is unknown, so nothing is taken
    /// any more until the journal is opened again.
    #[error("use the journal after its disk failed")]
    Poisoned(#[source] Arc<io::Error>),
    /// The journal was closed.
    #[error("append to a journal that was closed")]
    Closed,
    /// An operation of the disk failed while the journal was opened.
    #[error("{action} {}", path.display())]
    Disk {
        /// What was tried: `read`, `write`, `create`.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the disk said.
        #[source]
        source: Arc<io::Error>,
    },
    /// Bytes that had been durable have changed: no torn write, and nothing to skip silently.
    #[error("read the journal: {} is damaged at byte {offset}, where record {position} should be", path.display())]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where the first unsound byte range begins.
        offset: u64,
        /// The record that should begin there.
        position: Position,
    },
    /// Segments do not follow each other: one was removed or belongs to another journal.
    #[error("read the journal: {} does not continue at record {expected}", path.display())]
    Gap {
        /// The segment found instead.
        path: PathBuf,
        /// The record that should come next.
        expected: Position,
    },
    /// A newer program wrote it.
    #[error("read the journal: {} was written by a newer nisse (format {version})", path.display())]
    Newer {
        /// The segment.
        path: PathBuf,
        /// Its format.
        version: u16,
    },
}

impl JournalError {
    pub(super) fn disk(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Disk { action, path: path.to_owned(), source: Arc::new(source) }
    }

    /// Whether a file is not there.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Disk { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}
