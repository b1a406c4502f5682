//! Host names: a fully qualified name, a pattern of one, and a name on the owner's own network.
//!
//! A rule of `agent.yaml` and a request of a guest go through the same function, [`normalised`], and are then compared
//! byte by byte. What two parsers could read differently (a trailing dot, other digits than 0-9, a number for a last
//! label, two scripts in one label) is refused instead of repaired.

mod error;
mod local;
mod normal;
mod pattern;

use std::fmt;
use std::str::FromStr;

pub use error::HostNameError;
pub use local::{LocalHost, LocalName};
pub use pattern::HostPattern;

use normal::normalised;
pub(crate) use normal::shortened;

/// Endings that never name a public host (RFC 6761, RFC 6762, RFC 7686, RFC 8375, RFC 9476, ICANN's `.internal`).
const SPECIAL_USE: [&str; 8] = ["localhost", "local", "internal", "home.arpa", "arpa", "onion", "invalid", "alt"];

/// A fully qualified public host name in lower-case A-label form: at least two labels, at most 253 bytes, no trailing
/// dot, never an address. Two names are equal when their bytes are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(String);

impl HostName {
    /// The normalised name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part below which this name may be registered by anyone (`co.uk`, `github.io`) is this very name.
    pub fn is_public_suffix(&self) -> bool {
        psl::domain_str(&self.0).is_none()
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for HostName {
    type Err = HostNameError;

    fn from_str(text: &str) -> Result<Self, HostNameError> {
        if text.contains('*') {
            return Err(HostNameError::Wildcard(shortened(text)));
        }
        let name = normalised(text)?;
        let ends_with = |ending: &&&str| name == **ending || name.ends_with(&format!(".{ending}"));
        if let Some(ending) = SPECIAL_USE.iter().find(ends_with) {
            return Err(HostNameError::SpecialUse { name, ending });
        }
        if !name.contains('.') {
            return Err(HostNameError::OneLabel(name));
        }
        Ok(Self(name))
    }
}

#[cfg(test)]
mod tests;
