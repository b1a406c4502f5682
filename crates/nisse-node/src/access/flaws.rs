//! Why a rule does not admit a request, as the agent's owner reads it.

use std::fmt;

/// Why a rule does not admit a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flaw {
    pub(crate) kind: FlawKind,
    /// What exactly is wrong with what was shown; it may hold what a stranger wrote.
    detail: Option<String>,
}

/// Of which kind it is: this much is counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FlawKind {
    Path,
    Method,
    NoProof,
    Proof,
    Key,
    Device,
    Elsewhere,
    Space,
    Member,
    Role,
    Capability,
    Rate,
    Body,
}

impl FlawKind {
    /// With what exactly is wrong.
    pub(crate) fn with(self, detail: String) -> Flaw {
        Flaw { kind: self, detail: Some(detail) }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Path => "it is about other paths",
            Self::Method => "it is about other methods",
            Self::NoProof => "the request does not prove who asks",
            Self::Proof => "the request's proof of who asks does not count",
            Self::Key => "the key is none of its own",
            Self::Device => "the key is no device of the owner's identity",
            Self::Elsewhere => "the identity of the agent's owner is not known on this node",
            Self::Space => "the space is not known on this node",
            Self::Member => "the key is no member's",
            Self::Role => "the member's role is a lower one",
            Self::Capability => "the key has no capability that counts",
            Self::Rate => "too many requests",
            Self::Body => "the body is too large",
        }
    }
}

impl From<FlawKind> for Flaw {
    fn from(kind: FlawKind) -> Self {
        Self { kind, detail: None }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.kind.text())?;
        self.detail.as_ref().map_or(Ok(()), |detail| write!(formatter, " ({detail})"))
    }
}
