//! Somebody who is connected.

use std::collections::BTreeMap;

use automerge::sync::State;

use super::Rights;
use crate::document_id::DocumentId;
use crate::repo_protocol::PeerName;

/// A connection, from our side.
pub(super) struct Peer {
    pub(super) rights: Rights,
    /// What they call themselves, once they did. It says nothing of who they are.
    pub(super) name: Option<PeerName>,
    pub(super) followed: BTreeMap<DocumentId, Followed>,
}

/// A document that they sync.
pub(super) struct Followed {
    pub(super) state: State,
    /// Whether they were told that their changes are not taken.
    pub(super) told: bool,
}

impl Peer {
    pub(super) fn new(rights: Rights) -> Self {
        Self { rights, name: None, followed: BTreeMap::new() }
    }
}

impl Followed {
    pub(super) fn new(writes: bool) -> Self {
        let state = if writes { State::new() } else { State::new_read_only() };
        Self { state, told: false }
    }
}
