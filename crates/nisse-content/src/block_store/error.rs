//! What can go wrong with the store, and what to do about it.

use std::io;
use std::path::PathBuf;

use nisse_model::{ByteSize, ContentId};

use crate::VerifyError;

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk failed.
    #[error("{action} {}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// Other bytes are on disk than were written. They are not given out.
    #[error("read block {cid}: the bytes at {offset} of {} are damaged", .path.display())]
    Damaged {
        /// Which block.
        cid: ContentId,
        /// In which pack.
        path: PathBuf,
        /// Where its record starts.
        offset: u64,
    },
    /// The bytes offered are not the block that was named.
    #[error(transparent)]
    Refused(#[from] VerifyError),
    /// No room.
    #[error("keep {needed} bytes more: {stored} of {quota} are used")]
    Quota {
        /// Bytes to be added.
        needed: u64,
        /// What is used, in bytes.
        stored: u64,
        /// The limit.
        quota: ByteSize,
    },
    /// A sync failed before; nothing is written until the store is opened again.
    #[error("write to the store: an earlier sync failed, and what is on disk is unknown")]
    Stopped,
}

impl StoreError {
    /// Whether the disk, or a limit to what this process may write on it, is full.
    pub(crate) fn is_no_room(&self) -> bool {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), StorageFull | QuotaExceeded | FileTooLarge))
    }

    /// What to do about it, if there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Io { .. } if self.is_no_room() => {
                Some("free some space on the disk, or run `nisse content gc`".to_owned())
            }
            Self::Damaged { .. } => {
                Some("add or fetch the same content again: the block is then written anew".to_owned())
            }
            Self::Quota { .. } => {
                Some("unpin what is not needed and run `nisse content gc`, or raise the content quota".to_owned())
            }
            Self::Stopped => Some("check the disk, then start the node again".to_owned()),
            Self::Io { .. } | Self::Refused(_) => None,
        }
    }
}

/// Why a file could not be added.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// The stream failed.
    #[error("read what is to be added")]
    Read(#[source] io::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AddError {
    /// What to do about it, if there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Read(_) => None,
            Self::Store(error) => error.hint(),
        }
    }
}
