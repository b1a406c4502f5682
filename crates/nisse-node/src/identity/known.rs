//! What follows from the credentials of a home, as it was when they last changed.

use std::collections::{BTreeMap, BTreeSet};

use nisse_model::{Address, Device, Did, Log, Scope, Standing, Timestamp};

/// Who may do what for the identity of a home.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// The key of this device, if it was drawn.
    pub(crate) own: Option<Did>,
    /// Whose home it is: what the first credential is said for.
    pub(crate) identity: Option<Did>,
    /// Its devices and agents.
    devices: BTreeMap<Did, Device>,
    /// Wallets that are bound to it.
    pub(crate) wallets: BTreeSet<Address>,
}

impl Known {
    pub(super) fn of(log: &Log, own: Option<Did>, now: Timestamp) -> Self {
        let identity = log.iter().next().map(|credential| credential.statement().subject);
        let state = log.state();
        let devices = identity.map(|identity| state.devices(identity, now)).unwrap_or_default();
        let wallets = identity.map(|identity| state.wallets(identity)).unwrap_or_default();
        Self { own, identity, wallets, devices: devices.into_iter().map(|device| (device.did, device)).collect() }
    }

    /// Whether this device may act for the identity.
    pub(crate) fn is_admitted(&self, now: Timestamp) -> bool {
        self.own.is_some_and(|own| self.standing(&own, now) != Standing::Nothing)
    }

    /// What a key is for this home's identity.
    pub(crate) fn standing(&self, key: &Did, now: Timestamp) -> Standing {
        match self.devices.get(key).map(|device| &device.standing) {
            _ if self.identity == Some(*key) => Standing::Root,
            Some(Standing::Agent(held)) => {
                let held: Vec<_> = held.iter().filter(|(_, expires)| now < *expires).cloned().collect();
                if held.is_empty() { Standing::Nothing } else { Standing::Agent(held) }
            }
            Some(standing) => standing.clone(),
            None => Standing::Nothing,
        }
    }

    /// Whether a key may do this for this home's identity.
    pub(crate) fn may(&self, key: &Did, scope: &Scope, now: Timestamp) -> bool {
        match self.standing(key, now) {
            Standing::Root | Standing::Device => true,
            Standing::Agent(held) => held.iter().flat_map(|(scopes, _)| scopes).any(|has| has.covers(scope)),
            Standing::Nothing => false,
        }
    }

    /// What a key is called.
    pub(crate) fn name(&self, key: &Did) -> Option<&str> {
        self.devices.get(key).map(|device| device.name.as_str())
    }

    /// All that are something now.
    pub(crate) fn devices(&self, now: Timestamp) -> impl Iterator<Item = Device> {
        let present = move |device: &Device| Device { standing: self.standing(&device.did, now), ..device.clone() };
        self.devices.values().map(present).filter(|device| device.standing != Standing::Nothing)
    }

    /// Whether a key has all that it had.
    pub(crate) fn still_has(&self, key: &Did, had: &Standing, now: Timestamp) -> bool {
        match (had, self.standing(key, now)) {
            (_, Standing::Root | Standing::Device) => true,
            (Standing::Agent(had), Standing::Agent(has)) => had.iter().all(|one| has.contains(one)),
            _ => false,
        }
    }
}
