//! The name that a person gives to a device or an agent.

use std::fmt;
use std::str::FromStr;

use unicode_security::GeneralSecurityProfile as _;

/// One line of at most [`Label::LENGTH_MAX`] bytes: letters, digits, spaces and signs, nothing that hides or turns text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(String);

impl Label {
    /// Bytes of the longest.
    pub const LENGTH_MAX: usize = 64;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Why a text names nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "read {0:?} as a name: expected 1 to {max} bytes of letters, digits, signs and single spaces inside",
    max = Label::LENGTH_MAX
)]
pub struct ParseLabelError(pub String);

impl FromStr for Label {
    type Err = ParseLabelError;

    fn from_str(text: &str) -> Result<Self, ParseLabelError> {
        let known = |letter: char| letter.is_ascii_graphic() || letter.identifier_allowed();
        let sound = !text.is_empty()
            && text.len() <= Self::LENGTH_MAX
            && text.split(' ').all(|word| !word.is_empty() && word.chars().all(known));
        if sound { Ok(Self(text.to_owned())) } else { Err(ParseLabelError(text.chars().take(80).collect())) }
    }
}
