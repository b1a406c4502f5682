//! What pins are called: a kind, and a name of its own behind it.
//!
//! The kind decides who may read what a pin keeps. It is asked of every kind in one `match`, so that a new one is private
//! until somebody says otherwise here; a name of a kind that is not known is private as well.

use std::fmt;

/// What content is kept for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PinKind {
    /// A file that its owner added for everybody.
    Added,
    /// The manifest and the artifact of an agent.
    Package,
    /// A configuration of an agent at home, merged with what its owner set.
    Config,
    /// The same of an order on the market: whichever node takes it fetches it, so anybody may.
    Ordered,
    /// An agent's state as an update found it.
    State,
    /// The last state of an agent that was destroyed.
    Destroyed,
}

impl PinKind {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Added, Self::Package, Self::Config, Self::Ordered, Self::State, Self::Destroyed];

    /// What stands before the slash.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Package => "package",
            Self::Config => "config",
            Self::Ordered => "ordered",
            Self::State => "state",
            Self::Destroyed => "destroyed",
        }
    }

    /// Whether anybody who knows a CID may read what such a pin reaches: strangers through the gateway, and agents.
    pub fn is_public(self) -> bool {
        match self {
            Self::Added | Self::Package | Self::Ordered => true,
            Self::Config | Self::State | Self::Destroyed => false,
        }
    }

    /// The kind that a pin's whole name begins with, if it is known.
    pub fn of(name: &str) -> Option<Self> {
        let (prefix, _) = name.split_once('/')?;
        Self::ALL.into_iter().find(|kind| kind.prefix() == prefix)
    }

    /// The name of a pin of this kind.
    pub fn name(self, rest: impl fmt::Display) -> PinName {
        PinName { kind: self, text: format!("{}/{rest}", self.prefix()) }
    }
}

/// A pin's whole name, of a kind that is known.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PinName {
    kind: PinKind,
    text: String,
}

impl PinName {
    /// Reads a whole name; `None` where its kind is not known.
    pub fn parse(text: &str) -> Option<Self> {
        Some(Self { kind: PinKind::of(text)?, text: text.to_owned() })
    }

    /// What it keeps content for.
    pub fn kind(&self) -> PinKind {
        self.kind
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What stands behind the slash.
    pub fn rest(&self) -> &str {
        &self.text[self.kind.prefix().len() + 1..]
    }
}

impl fmt::Display for PinName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_public_is_written_down_kind_by_kind() {
        let public: Vec<&str> = PinKind::ALL.into_iter().filter(|kind| kind.is_public()).map(PinKind::prefix).collect();
        assert_eq!(public, ["added", "package", "ordered"]);
    }

    #[test]
    fn a_name_is_read_back_as_it_was_made() {
        for kind in PinKind::ALL {
            let name = kind.name("a/1");
            assert_eq!(PinName::parse(name.as_str()), Some(name.clone()));
            assert_eq!((name.kind(), name.rest()), (kind, "a/1"));
        }
        for text in ["", "added", "Added/a", "addedd/a", "/added/a", "other/a"] {
            assert_eq!(PinName::parse(text), None, "{text}");
        }
    }
}
