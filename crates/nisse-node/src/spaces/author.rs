//! This device, as it signs what a space admits.

use std::sync::Arc;

use nisse_model::{CredentialId, Did, Timestamp};
use nisse_space::Author;

use crate::core::Core;
use crate::identity::device::DeviceKey;

/// The device of one turn.
pub(super) struct ThisDevice {
    names: (Did, Did),
    key: Option<Arc<DeviceKey>>,
    seen: Vec<CredentialId>,
    now: Timestamp,
}

impl ThisDevice {
    /// As it is now; none while this home belongs to nobody.
    pub(super) fn now(core: &Core, space: CredentialId) -> Option<Self> {
        let known = core.identity.known();
        let (own, identity) = (known.own?, known.identity?);
        let now = core.clock.now();
        let key = core.identity.device().ok().filter(|_| known.is_admitted(now));
        Some(Self { names: (own, identity), key, seen: core.identity.seen_of(space), now })
    }
}

impl Author for ThisDevice {
    fn names(&self) -> (Did, Did) {
        self.names
    }

    fn seen(&self) -> Vec<CredentialId> {
        self.seen.clone()
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
