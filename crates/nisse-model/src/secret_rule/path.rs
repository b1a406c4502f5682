//! The paths that a secret may be bound to.
//!
//! A server may read a path otherwise than it is written: it drops dot segments, joins slashes, undoes escapes. What it
//! could read as another path is never covered, so a prefix holds whatever the server does.

use std::fmt;
use std::str::FromStr;

use super::SecretRuleError;
use crate::host_name::shortened;

/// A path as it begins: `/v1` stands for itself and what lies below it, `/v1/` only for what lies below.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathPrefix(String);

impl PathPrefix {
    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the path of a request, as it is sent and without its query, is this one or lies below it. A path that
    /// a server could read as another one never does.
    pub fn covers(&self, path: &str) -> bool {
        let Some(rest) = path.strip_prefix(&self.0) else { return false };
        (rest.is_empty() || rest.starts_with('/') || self.0.ends_with('/')) && has_one_reading(path)
    }
}

/// Whether servers that drop dot segments, join slashes, cut path parameters or undo escapes, even twice, still read
/// this very path.
fn has_one_reading(path: &str) -> bool {
    let Some(plain) = unescaped(path) else { return false };
    // Some servers also drop spaces around dots, and dots beyond two.
    let dots = |segment: &str| {
        let segment = segment.trim();
        !segment.is_empty() && segment.bytes().all(|byte| byte == b'.')
    };
    !path.contains("//") && !path.contains(['\\', ';']) && !plain.split('/').any(dots)
}

/// The path with its escapes undone; `None` where one is broken or hides what could change the path's meaning.
fn unescaped(path: &str) -> Option<String> {
    let mut plain = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            plain.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
        let byte = high << 4 | low;
        if byte.is_ascii_control() || b"./\\%;?#".contains(&byte) {
            return None;
        }
        plain.push(byte);
    }
    // Overlong forms of `.` and `/` are no UTF-8.
    String::from_utf8(plain).ok()
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for PathPrefix {
    type Err = SecretRuleError;

    fn from_str(text: &str) -> Result<Self, SecretRuleError> {
        let refused = |why| Err(SecretRuleError::Path { path: shortened(text), why });
        if !text.starts_with('/') {
            return refused("it does not begin with `/`");
        }
        // RFC 3986 §3.3, without escapes and `;`.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,=:@".contains(&byte);
        if !text.bytes().all(plain) {
            return refused("it holds a character that a path has only escaped, or that ends a path");
        }
        if !has_one_reading(text) {
            return refused("it holds `//`, or a segment `.` or `..`, which servers read in different ways");
        }
        Ok(Self(text.to_owned()))
    }
}
