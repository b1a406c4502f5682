//! What a connection is for, and who may have one.

use nisse_model::Did;

/// What is spoken on a connection. Both sides agree on it in the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// An owner commands a node.
    Control,
    /// Two who do not know each other yet (see [`crate::pairing`]).
    Pair,
    /// What devices of one identity know of it.
    Sync,
    /// Blocks.
    Content,
    /// Spaces: who is in them, and their documents.
    Space,
    /// Somebody takes an invitation to a space, by its key.
    Invite,
    /// Somebody is given an invitation for a code (see [`crate::pairing`]).
    Offer,
}

impl Protocol {
    pub(crate) const ALL: [Self; 7] =
        [Self::Control, Self::Pair, Self::Sync, Self::Content, Self::Space, Self::Invite, Self::Offer];

    /// Its name in the handshake (ALPN, RFC 7301), with its version.
    pub(crate) const fn name(self) -> &'static [u8] {
        match self {
            Self::Control => b"nisse/control/1",
            Self::Pair => b"nisse/pair/1",
            Self::Sync => b"nisse/sync/1",
            Self::Content => b"nisse/content/1",
            Self::Space => b"nisse/space/1",
            Self::Invite => b"nisse/invite/1",
            Self::Offer => b"nisse/offer/1",
        }
    }

    pub(crate) fn named(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.name() == name)
    }
}

/// Who comes in. It is asked with a key that the peer has proven to have, before anything else of it is looked at; maybe
/// twice for one connection, so it answers from memory.
pub trait Gate: Send + Sync {
    /// Whether this peer may speak this protocol now.
    fn admits(&self, peer: &Did, protocol: Protocol) -> bool;
}
