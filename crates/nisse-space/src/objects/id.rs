//! The name of an object: a ULID, as ECHO has it.

use std::fmt;
use std::str::FromStr;

/// Crockford's base 32: no I, L, O or U.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Digits of a ULID: 26 × 5 bits hold its 128.
const LENGTH: usize = 26;
/// The last millisecond that a ULID's 48 bits can name.
const TIME_MS_MAX: u64 = (1 << 48) - 1;

/// The name of an object: a ULID, written as 26 upper-case digits of Crockford's base 32. Ids sort by their time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(u128);

/// Why a text is no name of an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read `{0}` as an object's id: expected a ULID such as `01HQRS7T4V8WXYZ0123456789A`, 26 digits, upper case")]
pub struct ParseObjectIdError(String);

impl ObjectId {
    /// The id made at `ms` (milliseconds since 1970; later than the year 10889 counts as then) with `random` bytes.
    pub fn new(ms: u64, random: [u8; 10]) -> Self {
        let mut bytes = [0; 16];
        bytes[6..].copy_from_slice(&random);
        Self(u128::from(ms.min(TIME_MS_MAX)) << 80 | u128::from_be_bytes(bytes))
    }

    /// When the id was made, in milliseconds since 1970, as its maker claims.
    pub fn time_ms(self) -> u64 {
        // At most 48 bits are left.
        (self.0 >> 80) as u64
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digit = |place: usize| char::from(DIGITS[(self.0 >> (5 * place)) as usize & 31]);
        formatter.write_str(&(0..LENGTH).rev().map(digit).collect::<String>())
    }
}

impl FromStr for ObjectId {
    type Err = ParseObjectIdError;

    fn from_str(text: &str) -> Result<Self, ParseObjectIdError> {
        let refused = || ParseObjectIdError(text.chars().take(40).collect());
        // The first digit carries three bits: 8 and above would not fit into 128.
        if text.len() != LENGTH || text.as_bytes()[0] > b'7' {
            return Err(refused());
        }
        text.bytes()
            .try_fold(0u128, |sum, byte| {
                let digit = DIGITS.iter().position(|digit| *digit == byte).ok_or_else(refused)?;
                Ok(sum << 5 | digit as u128)
            })
            .map(Self)
    }
}

impl serde::Serialize for ObjectId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for ObjectId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
