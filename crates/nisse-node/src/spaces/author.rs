//! This device, as it signs what a space admits.

use std::sync::Arc;

use nisse_model::{CredentialId, Did, Role, Timestamp, Word};
use nisse_space::{Author, Made};

use crate::core::Core;
use crate::identity::device::DeviceKey;

/// The device of one turn.
pub(super) struct ThisDevice {
    core: Arc<Core>,
    space: CredentialId,
    names: (Did, Did),
    key: Option<Arc<DeviceKey>>,
    seen: Vec<CredentialId>,
    now: Timestamp,
}

impl ThisDevice {
    /// As it is now; none while this home belongs to nobody.
    pub(super) fn now(core: &Arc<Core>, space: CredentialId) -> Option<Self> {
        let known = core.identity.known();
        let (own, identity) = (known.own?, known.identity?);
        let now = core.clock.now();
        let key = core.identity.device().ok().filter(|_| known.is_admitted(now));
        let seen = core.identity.seen_of(space);
        Some(Self { core: Arc::clone(core), space, names: (own, identity), key, seen, now })
    }
}

impl Author for ThisDevice {
    fn names(&self) -> (Did, Did) {
        self.names
    }

    fn seen(&self) -> Vec<CredentialId> {
        self.seen.clone()
    }

    fn word(&self, by: Made<'_>) -> Word {
        let Made { author, identity, subject, seen, signed } = by;
        let word = |key, identity| self.core.identity.word((key, identity), (self.space, Role::Edit), seen, signed);
        match (word(author, identity), subject) {
            // Who let them in vouches for who they were; whether they may write is for the space's members to say.
            (Word::Counts, Some(subject)) => word(subject, subject),
            (word, _) => word,
        }
    }

    fn now(&self) -> Timestamp {
        self.now
    }

    fn can_sign(&self) -> bool {
        self.key.is_some()
    }

    fn sign(&self, context: &str, bytes: &[u8]) -> Option<[u8; 64]> {
        Some(self.key.as_ref()?.key.sign(context, bytes))
    }
}
