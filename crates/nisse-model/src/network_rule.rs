//! `network_outbound:` and `network_local:`: where an agent may connect to.
//!
//! `HOST[:PORT]` means https and port 443; plain http must be written out. A rule never opens a private address:
//! whatever its name resolves to is checked at each request (`nisse-egress`). [`LocalService`] is the one exception,
//! for services on the owner's own network.

use std::fmt;
use std::str::FromStr;

use crate::host_name::{HostName, HostNameError, HostPattern, LocalHost, shortened};

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
pub(crate) fn split_port(text: &str) -> Result<(&str, Option<u16>), NetworkRuleError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_prints_in_its_shortest_form() {
        for (text, printed) in [
            ("api.coingecko.com", "api.coingecko.com"),
            ("api.coingecko.com:443", "api.coingecko.com"),
            ("API.coingecko.com:8443", "api.coingecko.com:8443"),
            ("http://example.org", "http://example.org"),
            ("http://example.org:80", "http://example.org"),
            ("http://example.org:443", "http://example.org:443"),
            ("*.example.org", "*.example.org"),
        ] {
            let rule: NetworkRule = text.parse().expect(text);
            assert_eq!(rule.to_string(), printed);
            assert_eq!(printed.parse::<NetworkRule>(), Ok(rule));
        }
    }

    #[test]
    fn a_rule_matches_its_scheme_host_and_port_alone() {
        let rule: NetworkRule = "api.example.org".parse().expect("a rule");
        let host = |text: &str| text.parse::<HostName>().expect("a name");
        assert!(rule.matches(NetworkScheme::Https, &host("api.example.org"), 443));
        assert!(!rule.matches(NetworkScheme::Http, &host("api.example.org"), 443));
        assert!(!rule.matches(NetworkScheme::Https, &host("api.example.org"), 8443));
        assert!(!rule.matches(NetworkScheme::Https, &host("example.org"), 443));
    }

    #[test]
    fn ports_are_plain_numbers() {
        for port in ["0", "65536", "", "-1", "+1", "01", "1e3", "443:80", " 443", "99999999999999999999"] {
            assert!(format!("example.org:{port}").parse::<NetworkRule>().is_err(), "{port:?}");
        }
        assert_eq!(parse_port("65535"), Some(65535));
    }

    fn said(error: &NetworkRuleError) -> String {
        let hint = error.hint().map(|hint| format!("  hint: {hint}\n")).unwrap_or_default();
        format!("failed to {error}\n{hint}")
    }

    #[test]
    fn a_refusal_says_what_to_write() {
        let mut texts = String::new();
        for text in [
            "https://api.example.org",
            "ftp://example.org",
            "api.example.org/v1",
            "example.org.",
            "192.168.1.20",
            "nas",
            "*.co.uk",
            "example.org:0",
            "\u{430}pi.example.org",
            "api\u{3002}example.org",
        ] {
            texts.push_str(&said(&text.parse::<NetworkRule>().expect_err(text)));
        }
        for text in ["nas", "http://nas:80/x", "nas:80:90"] {
            texts.push_str(&said(&text.parse::<LocalService>().expect_err(text)));
        }
        insta::assert_snapshot!(texts, @r"
        failed to use `https://api.example.org`: a rule without a scheme already means https
          hint: write `api.example.org`
        failed to use the scheme `ftp`: agents speak https, or http where the rule says so
          hint: write `HOST`, `HOST:PORT` or `http://HOST`
        failed to use `api.example.org/v1` as a rule: `/v1` does not belong to a host
          hint: write only the host: `api.example.org`
        failed to use `example.org.` as a host: it ends with a dot
          hint: write `example.org`
        failed to use `192.168.1.20` as a host: it is an IP address
          hint: for a service on your own network, use `network_local:192.168.1.20:PORT`
        failed to use `nas` as a public host: it has a single label
          hint: write the full public name, or `network_local:nas:PORT` for a service on your own network
        failed to use `*.co.uk`: anyone can register a name below `co.uk`
          hint: name each host, or use `*.` in front of a domain of one owner, such as `*.example.org`
        failed to read `0` as a port: a number from 1 to 65535 is expected
        failed to use `xn--pi-6kc.example.org` as a host: its label `аpi` mixes scripts
          hint: check who owns `xn--pi-6kc.example.org`, and write the name in plain letters
        failed to use `api。example.org` as a host: it holds characters that stand for others
          hint: check who owns `api.example.org`, and write the name in plain letters
        failed to find a port in `nas`: a local service is named as HOST:PORT
          hint: write `nas:PORT`
        failed to use `http://nas:80/x` as a local service: it is named as HOST:PORT, without a scheme
          hint: write `nas:80`
        failed to read `80:90` as a port: a number from 1 to 65535 is expected
        ");
    }
}
