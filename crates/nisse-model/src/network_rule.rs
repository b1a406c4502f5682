//! `network_outbound:` and `network_local:`: where an agent may connect to.
//!
//! `HOST[:PORT]` means https and port 443; plain http must be written out. A rule never opens a private address:
//! whatever its name resolves to is checked at each request (`nisse-egress`). [`LocalService`] is the one exception,
//! for services on the owner's own network.

use std::fmt;
use std::str::FromStr;

use crate::host_name::{HostName, HostNameError, HostPattern, LocalHost};

/// The two schemes that an agent's requests may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NetworkScheme {
    /// TLS, port 443 unless written.
    Https,
    /// No encryption, port 80 unless written.
    Http,
}

impl NetworkScheme {
    /// The port that stands when none is written.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http => 80,
        }
    }

    /// `https` or `http`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }
}

impl fmt::Display for NetworkScheme {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The argument of `network_outbound:`. Printed in its shortest form: `api.example.org`, `*.example.org:8443`,
/// `http://example.org`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkRule {
    /// With or without TLS.
    pub scheme: NetworkScheme,
    /// One host, or one label below a host.
    pub host: HostPattern,
    /// Never 0.
    pub port: u16,
}

impl NetworkRule {
    /// Whether a request may go there under this rule.
    pub fn matches(&self, scheme: NetworkScheme, host: &HostName, port: u16) -> bool {
        self.scheme == scheme && self.port == port && self.host.matches(host)
    }
}

impl fmt::Display for NetworkRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.scheme == NetworkScheme::Http {
            formatter.write_str("http://")?;
        }
        fmt::Display::fmt(&self.host, formatter)?;
        if self.port != self.scheme.default_port() {
            write!(formatter, ":{}", self.port)?;
        }
        Ok(())
    }
}

impl FromStr for NetworkRule {
    type Err = NetworkRuleError;

    fn from_str(text: &str) -> Result<Self, NetworkRuleError> {
        let (scheme, rest) = match text.split_once("://") {
            None => (NetworkScheme::Https, text),
            Some(("http", rest)) => (NetworkScheme::Http, rest),
            Some(("https", rest)) => return Err(NetworkRuleError::HttpsWritten(shortened(rest))),
            Some((other, _)) => return Err(NetworkRuleError::Scheme(shortened(other))),
        };
        let (host, port) = split_port(rest)?;
        let host = host.parse().map_err(NetworkRuleError::Host)?;
        Ok(Self { scheme, host, port: port.unwrap_or(scheme.default_port()) })
    }
}

/// The argument of `network_local:`: one service on the owner's own network, always with its port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalService {
    /// An address or a name.
    pub host: LocalHost,
    /// Never 0.
    pub port: u16,
}

impl fmt::Display for LocalService {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.host, self.port)
    }
}

impl FromStr for LocalService {
    type Err = NetworkRuleError;

    fn from_str(text: &str) -> Result<Self, NetworkRuleError> {
        if text.contains("://") {
            return Err(NetworkRuleError::LocalScheme(shortened(text)));
        }
        let (host, port) = split_port(text)?;
        let port = port.ok_or_else(|| NetworkRuleError::NoPort(shortened(text)))?;
        Ok(Self { host: host.parse().map_err(NetworkRuleError::Host)?, port })
    }
}

/// Parts `HOST[:PORT]`; a bracketed IPv6 address keeps its colons. Refuses what belongs to a URL and not to a rule.
fn split_port(text: &str) -> Result<(&str, Option<u16>), NetworkRuleError> {
    if let Some(at) = text.find(['/', '?', '#', '@', '\\']) {
        return Err(NetworkRuleError::NotAHost { text: shortened(text), part: shortened(&text[at..]) });
    }
    let after_brackets = if text.starts_with('[') { text.find(']').map_or(0, |end| end + 1) } else { 0 };
    match text[after_brackets..].find(':') {
        None => Ok((text, None)),
        Some(colon) => {
            let (host, port) = (&text[..after_brackets + colon], &text[after_brackets + colon + 1..]);
            parse_port(port).map(|port| (host, Some(port))).ok_or_else(|| NetworkRuleError::Port(shortened(port)))
        }
    }
}

/// A port in plain decimal: no sign, no leading zero, 1 to 65535.
pub fn parse_port(text: &str) -> Option<u16> {
    if text.starts_with('0') || text.len() > 5 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Why a text is not a rule. Each text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkRuleError {
    /// The host is refused.
    #[error(transparent)]
    Host(HostNameError),
    /// Not a port.
    #[error("read `{0}` as a port: a number from 1 to 65535 is expected")]
    Port(String),
    /// A local service without its port.
    #[error("find a port in `{0}`: a local service is named as HOST:PORT")]
    NoPort(String),
    /// `https://` is what a bare host means.
    #[error("use `https://{0}`: a rule without a scheme already means https")]
    HttpsWritten(String),
    /// Another scheme than http.
    #[error("use the scheme `{0}`: agents speak https, or http where the rule says so")]
    Scheme(String),
    /// A local service takes no scheme.
    #[error("use `{0}` as a local service: it is named as HOST:PORT, without a scheme")]
    LocalScheme(String),
    /// A path, query, user name or the like.
    #[error("use `{text}` as a rule: `{part}` does not belong to a host")]
    NotAHost {
        /// The text as written.
        text: String,
        /// From the first character that is too much.
        part: String,
    },
}

impl NetworkRuleError {
    /// What to write instead, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Host(error) => error.hint(),
            Self::HttpsWritten(rest) => Some(format!("write `{rest}`")),
            Self::NoPort(text) => Some(format!("write `{text}:PORT`")),
            Self::LocalScheme(text) => {
                let host = text.split_once("://").map_or("", |(_, rest)| rest);
                Some(format!("write `{}`", host.split('/').next().unwrap_or_default()))
            }
            Self::NotAHost { text, part } => {
                Some(format!("write only the host: `{}`", text.strip_suffix(part.as_str()).unwrap_or(text)))
            }
            Self::Scheme(_) => Some("write `HOST`, `HOST:PORT` or `http://HOST`".into()),
            Self::Port(_) => None,
        }
    }
}
