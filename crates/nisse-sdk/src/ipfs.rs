//! Content by CID. Needs the permission `read_ipfs`.
use crate::Failure;
use crate::bindings::nisse::agent::ipfs as host;
use std::fmt;

/// Why content could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadError {
    /// Not a CID that nisse takes.
    Malformed(String),
    /// Not held by the node, and no provider answered in time.
    NotFound,
    /// A file larger than a node reads for an agent.
    TooLarge {
        /// Its size in bytes.
        bytes: u64,
    },
    /// The permission is missing or the budget is spent.
    Denied(String),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) => write!(f, "read content: malformed CID: {why}"),
            Self::NotFound => f.write_str("read content: no provider has it"),
            Self::TooLarge { bytes } => write!(f, "read content: {bytes} bytes are too many"),
            Self::Denied(why) => write!(f, "read content: {why}"),
        }
    }
}

impl std::error::Error for ReadError {}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NotFound => Failure::retryable(error.to_string()),
            _ => Failure::permanent(error.to_string()),
        }
    }
}

/// A whole file; every block has been checked against its CID.
pub fn read(cid: &str) -> Result<Vec<u8>, ReadError> {
    host::read(cid).map_err(|error| match error {
        host::IpfsError::Malformed(why) => ReadError::Malformed(why),
        host::IpfsError::NotFound => ReadError::NotFound,
        host::IpfsError::TooLarge(bytes) => ReadError::TooLarge { bytes },
        host::IpfsError::Denied(why) => ReadError::Denied(why),
    })
}
