//! What a secret is called: in `nisse secret`, in a permission, in an audit line. The name is no secret.

use std::fmt;
use std::str::FromStr;

/// A secret's name: 1 to 64 letters, digits, dots, dashes and underscores of ASCII.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretName(String);

impl SecretName {
    /// Bytes of the longest.
    pub const LENGTH_MAX: usize = 64;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Why a text names no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read {0:?} as a secret's name: expected 1 to 64 letters, digits, dots, dashes or underscores")]
pub struct ParseSecretNameError(String);

impl FromStr for SecretName {
    type Err = ParseSecretNameError;

    fn from_str(text: &str) -> Result<Self, ParseSecretNameError> {
        let sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if (1..=Self::LENGTH_MAX).contains(&text.len()) && text.bytes().all(sound) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseSecretNameError(text.chars().take(80).collect()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_plain_and_not_long() {
        for sound in ["a", "openai", "mail.example_org-2", &"x".repeat(SecretName::LENGTH_MAX)] {
            assert_eq!(sound.parse::<SecretName>().expect(sound).as_str(), sound);
        }
        for refused in ["", "a b", "a@b", "a/b", "ä", "a\0", &"x".repeat(SecretName::LENGTH_MAX + 1)] {
            assert!(refused.parse::<SecretName>().is_err(), "{refused:?}");
        }
    }
}
