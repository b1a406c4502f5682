//! The names that peers and stores give themselves.

use std::fmt;

use super::{MessageError, PEER_BYTES_MAX, STORAGE_BYTES_MAX};

/// What a peer calls itself: 1 to [`PEER_BYTES_MAX`] bytes. Nothing vouches for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerName(String);

/// What a store calls itself: 1 to [`STORAGE_BYTES_MAX`] bytes. Nothing vouches for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorageName(String);

/// What a peer says about itself when it joins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerMetadata {
    /// The name of its store, where it keeps one.
    pub storage: Option<StorageName>,
    /// Whether it keeps nothing, so that it isn't worth remembering what was sent to it.
    pub is_ephemeral: bool,
}

fn checked(what: &'static str, text: &str, allowed: usize) -> Result<String, MessageError> {
    if text.is_empty() {
        return Err(MessageError::Empty(what));
    }
    if text.len() > allowed {
        return Err(MessageError::TooLong { what, found: text.len() as u64, allowed });
    }
    Ok(text.to_owned())
}

impl PeerName {
    /// Takes a text as the name of a peer.
    ///
    /// # Errors
    /// When it is empty or longer than [`PEER_BYTES_MAX`].
    pub fn new(text: &str) -> Result<Self, MessageError> {
        Self::of("the name of a peer", text)
    }

    pub(super) fn of(what: &'static str, text: &str) -> Result<Self, MessageError> {
        checked(what, text, PEER_BYTES_MAX).map(Self)
    }

    /// The name as it stands in a message.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl StorageName {
    /// Takes a text as the name of a store.
    ///
    /// # Errors
    /// When it is empty or longer than [`STORAGE_BYTES_MAX`].
    pub fn new(text: &str) -> Result<Self, MessageError> {
        checked("the name of a store", text, STORAGE_BYTES_MAX).map(Self)
    }

    /// The name as it stands in a message.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PeerName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Display for StorageName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
