//! What follows from the credentials of a home, as it was when they last changed.

use std::collections::{BTreeMap, BTreeSet};

use nisse_model::{Address, CredentialId, Device, Did, Log, Role, Scope, Standing, Timestamp};

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
    /// Each space that there is: the role of each member, and of this identity's devices if it is one.
    spaces: BTreeMap<CredentialId, BTreeMap<Did, Role>>,
}

impl Known {
    pub(crate) fn of(log: &Log, own: Option<Did>, now: Timestamp) -> Self {
        let identity = log.iter().next().map(|credential| credential.statement().subject);
        let state = log.state();
        let devices = identity.map(|identity| state.devices(identity, now)).unwrap_or_default();
        let wallets = identity.map(|identity| state.wallets(identity)).unwrap_or_default();
        let own_keys: Vec<_> = devices.iter().filter(|device| device.standing == Standing::Device).collect();
        let roles = |space| roles(state.members(space), identity, &own_keys);
        let spaces = state.spaces().into_iter().map(|space| (space, roles(space))).collect();
        let devices = devices.into_iter().map(|device| (device.did, device)).collect();
        Self { own, identity, wallets, devices, spaces }
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

    /// Whether there is a space of this name.
    pub(crate) fn has_space(&self, space: &CredentialId) -> bool {
        self.spaces.contains_key(space)
    }

    /// What a key may do in a space: as a member, or as a device of one.
    pub(crate) fn role(&self, space: &CredentialId, key: &Did) -> Option<Role> {
        self.spaces.get(space)?.get(key).copied()
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

/// Who is what in a space. Of the members' devices the log tells those of the home's own identity; agents of it have what
/// their delegations say, and no role.
fn roles(mut members: BTreeMap<Did, Role>, identity: Option<Did>, devices: &[&Device]) -> BTreeMap<Did, Role> {
    if let Some(role) = identity.and_then(|identity| members.get(&identity).copied()) {
        for device in devices {
            let has = members.entry(device.did).or_insert(role);
            *has = role.max(*has);
        }
    }
    members
}
