//! The name of one invocation.

use std::fmt;
use std::str::FromStr;

use crate::Timestamp;

/// The name of one invocation: six bytes of time, ten of chance, so that names sort by the time they were given.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InvocationId(pub [u8; 16]);

impl InvocationId {
    /// A new name. `chance` comes from the node's entropy.
    pub fn new(now: Timestamp, chance: [u8; 10]) -> Self {
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&now.0.to_be_bytes()[2..]);
        bytes[6..].copy_from_slice(&chance);
        Self(bytes)
    }
}

impl fmt::Display for InvocationId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for InvocationId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Why a text is not an invocation id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read `{0}` as an invocation: expected 32 lower-case hex digits")]
pub struct ParseInvocationIdError(pub String);

impl FromStr for InvocationId {
    type Err = ParseInvocationIdError;

    fn from_str(text: &str) -> Result<Self, ParseInvocationIdError> {
        let refused = || ParseInvocationIdError(text.chars().take(60).collect());
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(refused());
        }
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| refused())?;
        Ok(Self(bytes))
    }
}
