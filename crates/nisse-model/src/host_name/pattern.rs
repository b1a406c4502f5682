//! A host name with or without `*.` in front.

use std::fmt;
use std::str::FromStr;

use super::{HostName, HostNameError};

/// A host name, or `*.HOST`: exactly one label in front of a host that someone has registered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPattern {
    wildcard: bool,
    host: HostName,
}

impl HostPattern {
    /// A pattern that only this name matches.
    pub fn exact(host: HostName) -> Self {
        Self { wildcard: false, host }
    }

    /// Whether the pattern stands for many names.
    pub fn is_wildcard(&self) -> bool {
        self.wildcard
    }

    /// The name without `*.`.
    pub fn host(&self) -> &HostName {
        &self.host
    }

    /// Whether `name` is this host or, for a wildcard, has exactly one label more.
    pub fn matches(&self, name: &HostName) -> bool {
        if !self.wildcard {
            return self.host == *name;
        }
        name.as_str().split_once('.').is_some_and(|(_, parent)| parent == self.host.as_str())
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.wildcard { "*." } else { "" })?;
        fmt::Display::fmt(&self.host, formatter)
    }
}

impl FromStr for HostPattern {
    type Err = HostNameError;

    fn from_str(text: &str) -> Result<Self, HostNameError> {
        let Some(below) = text.strip_prefix("*.") else {
            return text.parse().map(Self::exact);
        };
        let host: HostName = match below.parse() {
            Err(HostNameError::OneLabel(name)) => return Err(HostNameError::PublicSuffix(name)),
            parsed => parsed?,
        };
        if host.is_public_suffix() {
            return Err(HostNameError::PublicSuffix(host.0));
        }
        Ok(Self { wildcard: true, host })
    }
}
