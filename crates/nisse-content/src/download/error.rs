//! Why a file could not be had from anybody.

use std::time::Duration;

use nisse_model::ContentId;

use crate::unixfs::NodeError;

/// A provider that did not help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// As it was offered.
    pub provider: String,
    /// What it did, to stand behind its name.
    pub why: String,
}

/// Why a download failed. Each text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DownloadError {
    /// Everybody who was known has been asked.
    #[error("fetch {cid}: {}", nobody(tried))]
    NobodyLeft {
        /// What was wanted.
        cid: ContentId,
        /// Who was asked.
        tried: Vec<Tried>,
    },
    /// It took too long.
    #[error("fetch {cid} within {} s: {}", deadline.as_secs(), nobody(tried))]
    Deadline {
        /// What was wanted.
        cid: ContentId,
        /// How long it could take.
        deadline: Duration,
        /// Who was asked.
        tried: Vec<Tried>,
    },
    /// More than is taken.
    #[error("fetch {cid}: it is larger than {bytes_max} bytes")]
    TooLarge {
        /// What was wanted.
        cid: ContentId,
        /// The limit.
        bytes_max: u64,
    },
    /// More blocks than a file of that size has.
    #[error("fetch {cid}: it has more than {blocks_max} blocks")]
    TooManyBlocks {
        /// What was wanted.
        cid: ContentId,
        /// The limit.
        blocks_max: usize,
    },
    /// A node of it is what its id names, and is not UnixFS.
    #[error("read node {cid}")]
    Node {
        /// Which.
        cid: ContentId,
        /// What is wrong with it.
        source: NodeError,
    },
}

impl DownloadError {
    /// Whether it is about what the id names, which nobody can mend, and not about who was asked.
    pub fn is_of_the_content(&self) -> bool {
        matches!(self, Self::TooLarge { .. } | Self::TooManyBlocks { .. } | Self::Node { .. })
    }

    /// The same without who was asked: for strangers, who may not learn what this side is configured with.
    pub fn outline(&self) -> String {
        match self {
            Self::NobodyLeft { cid, tried } => {
                format!("fetch {cid}: none of the {} who were asked gave it", tried.len())
            }
            Self::Deadline { cid, deadline, .. } => format!("fetch {cid} within {} s", deadline.as_secs()),
            Self::TooLarge { .. } | Self::TooManyBlocks { .. } => self.to_string(),
            Self::Node { cid, source } => format!("read node {cid}: {source}"),
        }
    }
}

fn nobody(tried: &[Tried]) -> String {
    if tried.is_empty() {
        return "nobody is known who holds it".to_owned();
    }
    let tried: Vec<String> = tried.iter().map(|tried| format!("{} {}", tried.provider, tried.why)).collect();
    tried.join("; ")
}
