//! `agent_id`: a dotted lower-case ASCII name, `@v`, and a semantic version (DESIGN §5.7).

use std::fmt;
use std::str::FromStr;

use semver::Version;

/// Longest whole `agent_id`, in bytes.
const AGENT_ID_LENGTH_MAX: usize = 128;
/// Longest name, in bytes: with `--` and eight hex digits of its owner behind it, it still fits into one DNS label of
/// 63, also where an alias for wildcard TLS writes its dots as dashes.
const AGENT_NAME_LENGTH_MAX: usize = 53;

/// An agent's name: `agent_id` without its version. Labels of `[a-z0-9-]`, dots between.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentName(String);

impl AgentName {
    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AgentName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A name and a version, as `agent.yaml` declares them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentId {
    /// What stays the same across versions.
    pub name: AgentName,
    /// The semantic version behind `@v`.
    pub version: Version,
}

impl fmt::Display for AgentId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}@v{}", self.name, self.version)
    }
}

/// Why a text is not an agent's name or id. Each text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseAgentIdError {
    /// Longer than the limit.
    #[error("use an id of {length} bytes: at most {max} are allowed")]
    TooLong {
        /// Bytes found.
        length: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// No `@v` in it.
    #[error("find a version in `{0}`: expected NAME@vMAJOR.MINOR.PATCH")]
    NoVersion(String),
    /// The part behind `@v` is not a semantic version.
    #[error("read `{0}` as a semantic version: expected MAJOR.MINOR.PATCH, such as 1.2.0")]
    Version(String),
    /// A character that no name may hold.
    #[error("use `{found}` in an agent's name: only a-z, 0-9, `-` and `.` are allowed")]
    Character {
        /// The first one met.
        found: char,
    },
    /// An empty label, or one that begins or ends with a dash.
    #[error("use the label `{0}` in an agent's name: labels are not empty and do not begin or end with `-`")]
    Label(String),
    /// `--` is what joins a name to its owner in a host name.
    #[error("use `--` in an agent's name: it separates a name from its owner in host names")]
    DoubleDash,
}

impl FromStr for AgentName {
    type Err = ParseAgentIdError;

    fn from_str(text: &str) -> Result<Self, ParseAgentIdError> {
        if text.len() > AGENT_NAME_LENGTH_MAX {
            return Err(ParseAgentIdError::TooLong { length: text.len(), max: AGENT_NAME_LENGTH_MAX });
        }
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        if let Some(found) = text.chars().find(|c| !allowed(*c)) {
            return Err(ParseAgentIdError::Character { found });
        }
        if text.contains("--") {
            return Err(ParseAgentIdError::DoubleDash);
        }
        for label in text.split('.') {
            if label.is_empty() || label.starts_with('-') || label.ends_with('-') {
                return Err(ParseAgentIdError::Label(label.to_owned()));
            }
        }
        Ok(Self(text.to_owned()))
    }
}

impl FromStr for AgentId {
    type Err = ParseAgentIdError;

    fn from_str(text: &str) -> Result<Self, ParseAgentIdError> {
        if text.len() > AGENT_ID_LENGTH_MAX {
            return Err(ParseAgentIdError::TooLong { length: text.len(), max: AGENT_ID_LENGTH_MAX });
        }
        let (name, version) = text.split_once("@v").ok_or_else(|| ParseAgentIdError::NoVersion(text.to_owned()))?;
        Ok(Self {
            name: name.parse()?,
            version: Version::parse(version).map_err(|_| ParseAgentIdError::Version(version.to_owned()))?,
        })
    }
}
