//! Why a database can't be opened, read or changed.

use std::io;
use std::path::{Path, PathBuf};

use super::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use crate::Position;

/// Why a database can't be opened, read or changed. Each text completes "failed to …".
///
/// After a [`DatabaseError::Failed`] whose cause is the disk, changes are refused until the database is opened again.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// An operation of the disk failed around the database file.
    #[error("{action} the database {}", path.display())]
    Disk {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
    /// The file is no sound database.
    #[error("open the database {}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A newer program wrote it.
    #[error("open the database {}: it was written by a newer nisse (format {version})", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        version: u32,
    },
    /// The database failed while it was used.
    #[error("{action} in the database")]
    Failed {
        /// What was tried.
        action: &'static str,
        /// What redb said.
        #[source]
        source: Box<redb::Error>,
    },
    /// A key over the limit.
    #[error("use a key of {length} bytes in a database: at most {KEY_BYTES_MAX} are allowed")]
    KeyTooLong {
        /// Its bytes.
        length: usize,
    },
    /// A value over the limit.
    #[error("keep a value of {length} bytes in a database: at most {VALUE_BYTES_MAX} are allowed")]
    ValueTooLong {
        /// Its bytes.
        length: usize,
    },
    /// A row that only this program writes does not read as it was written.
    #[error("read {what}: the database holds something else")]
    Inconsistent {
        /// Which row.
        what: &'static str,
    },
    /// What was applied stays applied.
    #[error("move the mark `{name}` back from record {from} to {to}")]
    MarkWentBack {
        /// The mark's name.
        name: String,
        /// Where it stands.
        from: Position,
        /// Where it was to go.
        to: Position,
    },
}

impl DatabaseError {
    pub(super) fn disk(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Disk { action, path: path.to_owned(), source }
    }

    pub(super) fn failed(action: &'static str, error: impl Into<redb::Error>) -> Self {
        Self::Failed { action, source: Box::new(error.into()) }
    }

    pub(super) fn open(path: &Path, error: redb::DatabaseError) -> Self {
        match error {
            redb::DatabaseError::Storage(redb::StorageError::Io(source))
                if source.kind() != io::ErrorKind::InvalidData =>
            {
                Self::disk("open", path, source)
            }
            error => Self::Damaged { path: path.to_owned(), reason: error.to_string() },
        }
    }
}
