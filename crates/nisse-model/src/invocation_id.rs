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

    /// The time in it, which it was given with.
    pub fn time(self) -> Timestamp {
        let mut bytes = [0; 8];
        bytes[2..].copy_from_slice(&self.0[..6]);
        Timestamp(u64::from_be_bytes(bytes))
    }

    /// Its text, as it is displayed. Every call is told its name, so this takes no way round by formatting.
    pub fn to_text(self) -> String {
        text(&self.digits()).to_owned()
    }

    fn digits(self) -> [u8; 32] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0; 32];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        digits
    }
}

fn text(digits: &[u8; 32]) -> &str {
    std::str::from_utf8(digits).expect("hex digits are ASCII")
}

impl fmt::Display for InvocationId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(text(&self.digits()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_written_as_two_digits_that_read_back() {
        for first in (0..=255_u8).step_by(16) {
            let id = InvocationId(std::array::from_fn(|place| first + place as u8));
            assert_eq!(id.to_text(), hex::encode(id.0));
            assert_eq!(id.to_string(), id.to_text());
            assert_eq!(id.to_text().parse(), Ok(id));
        }
    }
}
