//! The header that carries a secret.

use std::fmt;
use std::str::FromStr;

use super::SecretRuleError;
use crate::host_name::shortened;

/// Headers that frame a message or belong to one hop (RFC 9110 §7.6.1, RFC 9112 §6), and those that nisse writes
/// itself; `proxy-*` besides.
const REFUSED: [&str; 14] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "if-range",
    "keep-alive",
    "range",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
];

/// A header's name in lower case, such as `authorization`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretHeader(String);

impl SecretHeader {
    /// Bytes of the longest.
    pub const LENGTH_MAX: usize = 64;

    /// In lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn is_authorization(&self) -> bool {
        self.0 == "authorization"
    }
}

impl Default for SecretHeader {
    fn default() -> Self {
        Self("authorization".to_owned())
    }
}

impl fmt::Display for SecretHeader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for SecretHeader {
    type Err = SecretRuleError;

    fn from_str(text: &str) -> Result<Self, SecretRuleError> {
        let refused = |why| Err(SecretRuleError::Header { name: shortened(text), why });
        // RFC 9110 §5.6.2.
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if text.is_empty() || !text.bytes().all(token) {
            return refused("a header's name of letters, digits and `-` is expected");
        }
        if text.len() > Self::LENGTH_MAX {
            return refused("it is longer than 64 bytes");
        }
        let name = text.to_ascii_lowercase();
        if REFUSED.contains(&name.as_str()) || name.starts_with("proxy-") {
            return refused("nisse writes this header itself, or sends none of it beside a secret");
        }
        Ok(Self(name))
    }
}
