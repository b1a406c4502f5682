//! A host on the owner's own network, which may have a single label or be an address.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::normal::{normalised, shortened};
use super::{HostName, HostNameError};

/// A host on the owner's own network: an address, or a name of one or more labels.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LocalHost {
    /// An address as it stands; IPv6 is written in brackets.
    Ip(IpAddr),
    /// A name that the network's own resolver knows.
    Name(LocalName),
}

/// A normalised name that may have a single label, such as `nas` or `localhost`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalName(String);

impl LocalName {
    /// The normalised name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LocalHost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V4(ip)) => write!(formatter, "{ip}"),
            Self::Ip(IpAddr::V6(ip)) => write!(formatter, "[{ip}]"),
            Self::Name(name) => formatter.write_str(&name.0),
        }
    }
}

impl From<HostName> for LocalHost {
    fn from(name: HostName) -> Self {
        Self::Name(LocalName(name.0))
    }
}

impl FromStr for LocalHost {
    type Err = HostNameError;

    /// Reads `192.168.1.20`, `[fd00::20]`, `nas` or `nas.home.arpa`. An IPv4 address inside IPv6 is refused: write it
    /// as IPv4.
    fn from_str(text: &str) -> Result<Self, HostNameError> {
        let bracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let ip = match bracketed {
            Some(inside) => inside.parse().ok().map(IpAddr::V6),
            None => text.parse().ok().map(IpAddr::V4),
        };
        match ip {
            Some(ip) if ip.to_canonical() != ip => Err(HostNameError::Address(shortened(text))),
            Some(ip) => Ok(Self::Ip(ip)),
            None => normalised(text).map(|name| Self::Name(LocalName(name))),
        }
    }
}
