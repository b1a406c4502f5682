//! Host names: a fully qualified name, a pattern of one, and a name on the owner's own network.
//!
//! A rule of `agent.yaml` and a request of a guest go through the same function, [`normalised`], and are then compared
//! byte by byte. What two parsers could read differently (a trailing dot, other digits than 0-9, a number for a last
//! label, two scripts in one label) is refused instead of repaired.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use unicode_security::MixedScript;

/// Longest name in its ASCII form, in bytes (RFC 1035 §2.3.4, without the root's dot).
const HOST_LENGTH_MAX: usize = 253;
/// Longest text looked at: a name of 253 ASCII bytes is shorter than this in any script.
const TEXT_LENGTH_MAX: usize = 1024;
/// How much of a refused text an error repeats, in characters.
const ERROR_TEXT_MAX: usize = 80;
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

/// The one normal form of a name: lower-case A-labels by UTS 46 (non-transitional), refused where that would guess.
fn normalised(text: &str) -> Result<String, HostNameError> {
    let malformed = || HostNameError::Malformed(shortened(text));
    if text.len() > TEXT_LENGTH_MAX {
        return Err(HostNameError::TooLong { length: text.len() });
    }
    if text.is_empty() {
        return Err(HostNameError::Empty);
    }
    if text.parse::<IpAddr>().is_ok() || text.starts_with('[') {
        return Err(HostNameError::Address(shortened(text)));
    }
    if text.ends_with('.') {
        return Err(HostNameError::TrailingDot(shortened(text)));
    }
    let ascii = Uts46::new()
        .to_ascii(text.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Ignore)
        .map_err(|_| malformed())?
        .into_owned();
    if ascii.len() > HOST_LENGTH_MAX {
        return Err(HostNameError::TooLong { length: ascii.len() });
    }
    if ascii.split('.').any(|label| label.is_empty() || label.len() > 63) {
        return Err(malformed());
    }
    // WHATWG URL, "ends in a number": such a name is an address to some parsers and a name to others.
    let last = ascii.rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    if hexadecimal || last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(HostNameError::Number(shortened(text)));
    }
    let (unicode, valid) = Uts46::new().to_unicode(ascii.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast);
    valid.map_err(|_| malformed())?;
    // A mapping that did more than fold case (full-width letters, circled digits, other dots) guessed a meaning.
    if !text.is_ascii() && !written_plainly(text, &unicode, &ascii) {
        return Err(HostNameError::Mapped { text: shortened(text), plain: ascii });
    }
    if let Some(label) = unicode.split('.').find(|label| !label.is_single_script()) {
        return Err(HostNameError::MixedScript { label: shortened(label), name: ascii });
    }
    Ok(ascii)
}

/// Whether each label was written in one of its two normal forms, letter case aside.
fn written_plainly(text: &str, unicode: &str, ascii: &str) -> bool {
    // U+212A KELVIN SIGN is the capital of an ASCII letter, and looks like one.
    if text.chars().any(|c| !c.is_ascii() && c.to_lowercase().any(|lower| lower.is_ascii())) {
        return false;
    }
    let labels = unicode.split('.').zip(ascii.split('.'));
    text.split('.').count() == labels.clone().count()
        && text.split('.').zip(labels).all(|(label, (unicode, ascii))| {
            let label = label.to_lowercase();
            label == unicode || label == ascii
        })
}

fn shortened(text: &str) -> String {
    text.chars().take(ERROR_TEXT_MAX).collect()
}

/// Why a text is not a host that nisse takes. Each text completes "failed to …"; [`HostNameError::hint`] says what to
/// write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostNameError {
    /// Nothing there.
    #[error("use an empty host")]
    Empty,
    /// Longer than DNS carries.
    #[error("use a host of {length} bytes: at most 253 are allowed")]
    TooLong {
        /// Bytes found.
        length: usize,
    },
    /// Not letters, digits and hyphens in labels of 1 to 63 bytes.
    #[error("read `{0}` as a host name: labels of letters, digits and inner hyphens are expected, with dots between")]
    Malformed(String),
    /// The root's dot.
    #[error("use `{0}` as a host: it ends with a dot")]
    TrailingDot(String),
    /// An IP address, or an IPv4 address inside IPv6.
    #[error("use `{0}` as a host: it is an IP address")]
    Address(String),
    /// The last label is a number: some parsers read an address.
    #[error("use `{0}` as a host: its last label is a number, which some programs read as an IP address")]
    Number(String),
    /// No dot in it.
    #[error("use `{0}` as a public host: it has a single label")]
    OneLabel(String),
    /// An ending that never names a public host.
    #[error("use `{name}` as a public host: names under `{ending}` are not public")]
    SpecialUse {
        /// The name.
        name: String,
        /// Its reserved ending.
        ending: &'static str,
    },
    /// Letters of two writing systems in one label.
    #[error("use `{name}` as a host: its label `{label}` mixes scripts")]
    MixedScript {
        /// The name in ASCII form.
        name: String,
        /// The label as people see it.
        label: String,
    },
    /// Characters that stand for others.
    #[error("use `{text}` as a host: it holds characters that stand for others")]
    Mapped {
        /// The text as written.
        text: String,
        /// What it would have become.
        plain: String,
    },
    /// A star where none may stand.
    #[error("use `{0}` as a host: `*.` is allowed once, in front, for exactly one label")]
    Wildcard(String),
    /// A wildcard over names that belong to many people.
    #[error("use `*.{0}`: anyone can register a name below `{0}`")]
    PublicSuffix(String),
}

impl HostNameError {
    /// What to write instead, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::TrailingDot(text) => Some(format!("write `{}`", text.trim_end_matches('.'))),
            Self::Address(text) | Self::Number(text) => {
                Some(format!("for a service on your own network, use `network_local:{text}:PORT`"))
            }
            Self::OneLabel(name) | Self::SpecialUse { name, .. } => Some(format!(
                "write the full public name, or `network_local:{name}:PORT` for a service on your own network"
            )),
            Self::MixedScript { name, .. } | Self::Mapped { plain: name, .. } => {
                Some(format!("check who owns `{name}`, and write the name in plain letters"))
            }
            Self::Wildcard(_) | Self::PublicSuffix(_) => {
                Some("name each host, or use `*.` in front of a domain of one owner, such as `*.example.org`".into())
            }
            Self::Empty | Self::TooLong { .. } | Self::Malformed(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Result<String, HostNameError> {
        text.parse::<HostName>().map(|host| host.to_string())
    }

    #[test]
    fn letter_case_and_script_have_one_normal_form() {
        for (text, normal) in [
            ("api.example.org", "api.example.org"),
            ("API.Example.ORG", "api.example.org"),
            ("m\u{fc}nchen.de", "xn--mnchen-3ya.de"),
            ("M\u{dc}NCHEN.de", "xn--mnchen-3ya.de"),
            ("xn--mnchen-3ya.de", "xn--mnchen-3ya.de"),
            ("stra\u{df}e.de", "xn--strae-oqa.de"),
            ("r3---sn-4g5e6nz7.googlevideo.com", "r3---sn-4g5e6nz7.googlevideo.com"),
            ("\u{4f8b}\u{3048}.jp", "xn--r8jz45g.jp"),
        ] {
            assert_eq!(host(text).as_deref(), Ok(normal), "{text}");
        }
    }

    #[test]
    fn what_parsers_read_differently_is_refused() {
        for text in [
            "",
            ".",
            "example",
            "example.org.",
            ".example.org",
            "a..b",
            "-a.org",
            "a-.org",
            "a_b.org",
            "a b.org",
            "127.0.0.1",
            "1.2.3",
            "0x7f.1",
            "example.0x1f",
            "example.0x",
            "[::1]",
            "::1",
            "fe80::1%eth0",
            "\u{2460}.example.org",
            "127\u{3002}0\u{3002}0\u{3002}1",
            "api\u{ff0e}example.org",
            "\u{430}pi.example.org",
            "xn--pi-6kc.example.org",
            "xn--a.example.org",
            "xn--.example.org",
            "ex\u{200d}ample.org",
            "ex\u{ad}ample.org",
            "localhost",
            "a.localhost",
            "printer.local",
            "metadata.google.internal",
            "x.onion",
            "1.0.0.127.in-addr.arpa",
            "*.example.org",
            "a@b.org",
            "a:1.org",
            "a/b.org",
            "\u{212a}.example.org",
        ] {
            assert!(host(text).is_err(), "{text:?} became {:?}", host(text));
        }
        assert!(host(&format!("{}.org", "a".repeat(64))).is_err());
        assert!(host(&format!("{}.org", "a".repeat(63))).is_ok());
        let long = ["abcdefg"; 32].join(".");
        assert!(host(&long[..253]).is_ok() && host(&long[..254]).is_err());
    }

    #[test]
    fn a_wildcard_is_one_label_below_a_registered_name() {
        let pattern: HostPattern = "*.example.org".parse().expect("a pattern");
        let matches = |name: &str| pattern.matches(&name.parse().expect("a name"));
        assert!(matches("a.example.org"));
        assert!(!matches("example.org") && !matches("a.b.example.org") && !matches("evil-example.org"));
        for text in ["*", "*.", "*.org", "*.co.uk", "*.github.io", "*.*.example.org", "a.*.org", "a*.example.org"] {
            assert!(text.parse::<HostPattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn local_hosts_are_addresses_or_names_in_one_spelling() {
        for text in ["192.168.1.20", "[fd00::20]", "nas", "localhost", "nas.home.arpa", "mail.local"] {
            let parsed: LocalHost = text.parse().expect(text);
            assert_eq!(parsed.to_string(), text);
        }
        for text in
            ["fd00::20", "[192.168.1.20]", "[::ffff:10.0.0.1]", "192.168.001.20", "1.2", "0x7f000001", "[fe80::1%1]"]
        {
            assert!(text.parse::<LocalHost>().is_err(), "{text}");
        }
    }
}
