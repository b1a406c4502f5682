//! `entry_point`: the artifact's path inside the package's folder, and never outside of it.

use std::fmt;
use std::str::FromStr;

/// A relative path of plain ASCII segments joined by `/`: no `.`, no `..`, no backslash, no drive, no leading slash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryPoint(String);

impl EntryPoint {
    /// Longest path, in bytes.
    pub const LENGTH_MAX: usize = 255;

    /// The path as written; joined to the package's folder it stays inside of it, symbolic links aside.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EntryPoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Why a text is not an entry point. Each text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseEntryPointError {
    /// Empty, or an empty segment (`a//b`, `a/`).
    #[error("use an empty path segment in `{0}`")]
    Empty(String),
    /// Longer than [`EntryPoint::LENGTH_MAX`].
    #[error("use a path of {length} bytes: at most {max} are allowed", max = EntryPoint::LENGTH_MAX)]
    TooLong {
        /// Bytes found.
        length: usize,
    },
    /// Begins at the root or names a drive.
    #[error("use the absolute path `{0}`: the artifact stands inside the package's folder")]
    Absolute(String),
    /// `..` somewhere.
    #[error("use `..` in `{0}`: the artifact may not leave the package's folder")]
    Leaves(String),
    /// `.` as a segment.
    #[error("use `.` as a segment of `{0}`: a path has one spelling")]
    Dot(String),
    /// A backslash.
    #[error("use a backslash in `{0}`: segments are joined by `/`")]
    Backslash(String),
    /// Anything but letters, digits, `.`, `_` and `-`.
    #[error("use {found:?} in a path: only ASCII letters, digits, `.`, `_`, `-` and `/` are allowed")]
    Character {
        /// The first one met.
        found: char,
    },
}

impl ParseEntryPointError {
    /// What to write instead, where that can be told.
    pub fn hint(&self) -> Option<String> {
        let path = match self {
            Self::Absolute(path) => path.rsplit(['/', '\\']).next()?.to_owned(),
            Self::Leaves(path) => path.rsplit('/').next()?.to_owned(),
            Self::Dot(path) => path.split('/').filter(|segment| *segment != ".").collect::<Vec<_>>().join("/"),
            Self::Backslash(path) => path.replace('\\', "/"),
            Self::Empty(_) | Self::TooLong { .. } | Self::Character { .. } => return None,
        };
        let path = path.parse::<EntryPoint>().ok()?;
        Some(match self {
            Self::Dot(_) | Self::Backslash(_) => format!("write `{path}`"),
            _ => format!("put the artifact beside agent.yaml and write `{path}`"),
        })
    }
}

impl FromStr for EntryPoint {
    type Err = ParseEntryPointError;

    fn from_str(text: &str) -> Result<Self, ParseEntryPointError> {
        if text.len() > Self::LENGTH_MAX {
            return Err(ParseEntryPointError::TooLong { length: text.len() });
        }
        let owned = || text.to_owned();
        let drive = text.as_bytes().get(1) == Some(&b':') && text.as_bytes()[0].is_ascii_alphabetic();
        if text.starts_with(['/', '~']) || text.starts_with("\\\\") || drive {
            return Err(ParseEntryPointError::Absolute(owned()));
        }
        if text.split(['/', '\\']).any(|segment| segment == "..") {
            return Err(ParseEntryPointError::Leaves(owned()));
        }
        if text.contains('\\') {
            return Err(ParseEntryPointError::Backslash(owned()));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
        if let Some(found) = text.chars().find(|c| !allowed(*c)) {
            return Err(ParseEntryPointError::Character { found });
        }
        if text.split('/').any(str::is_empty) {
            return Err(ParseEntryPointError::Empty(owned()));
        }
        if text.split('/').any(|segment| segment == ".") {
            return Err(ParseEntryPointError::Dot(owned()));
        }
        Ok(Self(owned()))
    }
}
