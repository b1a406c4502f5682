//! Why a text is not a host that nisse takes.

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
