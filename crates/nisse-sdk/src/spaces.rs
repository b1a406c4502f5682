//! Objects of the owner's spaces. Needs a permission `space:NAME:read` or `space:NAME:edit`.
//!
//! Objects and queries are JSON in the form of DXOS's ECHO. What is written is kept when the invocation succeeds and dropped
//! when it fails; this invocation sees it at once, and others once it is kept.
use crate::Failure;
use crate::bindings::nisse::agent::spaces as host;
use std::fmt;

pub use host::Space;

/// Why a call was refused; nothing was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpaceError {
    /// No object, no patch, no query or no id.
    Malformed(String),
    /// No permission covers it, or the agent's right in the space was taken back.
    Denied(String),
    /// There is no such space or object.
    NotFound(String),
    /// More than one invocation may change or read.
    TooLarge(String),
    /// The response head has left.
    Closed,
    /// The node can't read or sign now.
    Unavailable(String),
}

impl fmt::Display for SpaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why)
            | Self::Denied(why)
            | Self::NotFound(why)
            | Self::TooLarge(why)
            | Self::Unavailable(why) => {
                write!(f, "use a space: {why}")
            }
            Self::Closed => f.write_str("use a space: the answer has left"),
        }
    }
}

impl std::error::Error for SpaceError {}

impl From<SpaceError> for Failure {
    fn from(error: SpaceError) -> Self {
        match error {
            SpaceError::Unavailable(_) => Failure::retryable(error.to_string()),
            _ => Failure::permanent(error.to_string()),
        }
    }
}

impl From<host::SpaceError> for SpaceError {
    fn from(error: host::SpaceError) -> Self {
        match error {
            host::SpaceError::Malformed(why) => Self::Malformed(why),
            host::SpaceError::Denied(why) => Self::Denied(why),
            host::SpaceError::NotFound(why) => Self::NotFound(why),
            host::SpaceError::TooLarge(why) => Self::TooLarge(why),
            host::SpaceError::Closed => Self::Closed,
            host::SpaceError::Unavailable(why) => Self::Unavailable(why),
        }
    }
}

/// The spaces that the agent reaches now, by name.
pub fn list() -> Result<Vec<Space>, SpaceError> {
    Ok(host::list()?)
}

/// One object as JSON; a deleted one has `@deleted`.
pub fn get(space: &str, id: &str) -> Result<Option<String>, SpaceError> {
    Ok(host::get(space, id)?)
}

/// What a query finds, in its order: at most 1,000 objects.
pub fn query(space: &str, query: &str) -> Result<Vec<String>, SpaceError> {
    Ok(host::query(space, query)?)
}

/// Makes an object what the JSON says, and gives it as it will be. Without an `id` in it, it is a new one.
pub fn put(space: &str, object: &str) -> Result<String, SpaceError> {
    Ok(host::put(space, object)?)
}

/// Changes an object by a merge patch (RFC 7396), and gives it as it will be.
pub fn patch(space: &str, id: &str, patch: &str) -> Result<String, SpaceError> {
    Ok(host::patch(space, id, patch)?)
}

/// Marks an object as deleted; its history stays.
pub fn delete(space: &str, id: &str) -> Result<(), SpaceError> {
    Ok(host::delete(space, id)?)
}
