//! What an invocation changes in the world, committed with it.
//!
//! An [`Effect`] is not done when it is made: it stands in the completion record, whose fsync is the only commit, and
//! is applied after it by (invocation id, effect index) (DESIGN §5.1).

use std::fmt;
use std::str::FromStr;

use crate::{CredentialId, Outcome, Timestamp};

/// Longest key of an agent's state, in bytes.
pub const STATE_KEY_LENGTH_MAX: usize = 512;
/// Longest value of an agent's state, in bytes.
pub const STATE_VALUE_LENGTH_MAX: usize = 1 << 20;
/// Most effects of one invocation.
pub const EFFECTS_MAX: usize = 4096;

/// Most changes of objects in spaces that one invocation makes.
pub const SPACE_WRITES_MAX: usize = 1_000;
/// Bytes of JSON that those may have together.
pub const SPACE_WRITES_BYTES_MAX: usize = 4 << 20;

/// What is done with an object of a space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpaceWrite {
    /// It becomes what the JSON says.
    Put(String),
    /// The JSON is a merge patch (RFC 7396) of it.
    Patch(String),
    /// It is marked as deleted.
    Delete,
}

impl SpaceWrite {
    /// Bytes of its JSON.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Put(json) | Self::Patch(json) => json.len(),
            Self::Delete => 0,
        }
    }
}

/// The name of an OracleFeed: 1 to 31 printable ASCII characters, such as `ETH/USD`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssetName(String);

impl AssetName {
    /// Longest name: what fits into one EVM word with its length.
    pub const LENGTH_MAX: usize = 31;

    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AssetName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Why a text is not the name of an asset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("use {0:?} as an asset: expected 1 to 31 printable ASCII characters without spaces, such as ETH/USD")]
pub struct ParseAssetNameError(pub String);

impl FromStr for AssetName {
    type Err = ParseAssetNameError;

    fn from_str(text: &str) -> Result<Self, ParseAssetNameError> {
        if text.is_empty() || text.len() > Self::LENGTH_MAX || text.bytes().any(|byte| !byte.is_ascii_graphic()) {
            return Err(ParseAssetNameError(text.chars().take(40).collect()));
        }
        Ok(Self(text.to_owned()))
    }
}

/// What an invocation changes, committed with it and applied after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Writes one key of the agent's state.
    StatePut {
        /// 1 to [`STATE_KEY_LENGTH_MAX`] bytes.
        key: String,
        /// At most [`STATE_VALUE_LENGTH_MAX`] bytes.
        value: Vec<u8>,
    },
    /// Removes one key of the agent's state; a key that is not there is no error.
    StateDelete {
        /// 1 to [`STATE_KEY_LENGTH_MAX`] bytes.
        key: String,
    },
    /// Replaces the agent's one alarm.
    AlarmSet {
        /// When it goes off; a time that has passed means at once.
        at: Timestamp,
    },
    /// Removes the agent's alarm.
    AlarmClear,
    /// Sends `value` × 10^-`decimals` to the deployment's OracleFeed of `asset`.
    PublishToChain {
        /// The feed's name.
        asset: AssetName,
        /// The answer without its decimal point.
        value: i64,
        /// Digits behind the decimal point.
        decimals: u8,
    },
    /// Changes an object of a space.
    Space {
        /// The space.
        space: CredentialId,
        /// The object's id: a ULID.
        object: String,
        /// What becomes of it.
        write: SpaceWrite,
    },
    /// What the handler answered, where something follows from it.
    Answer(Outcome),
}
