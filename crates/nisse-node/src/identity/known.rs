//! What follows from the credentials of a home, as it was when they last changed.

use std::collections::{BTreeMap, BTreeSet};

use nisse_model::{
    Address, Claim, Credential, CredentialId, Device, Did, Log, Role, Scope, Standing, State, Timestamp,
};

use crate::spaces::home_nonce;

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
    /// Each space that there is: the role of each member.
    spaces: BTreeMap<CredentialId, BTreeMap<Did, Role>>,
    /// What each device and each agent of a member may do in each space.
    keys: BTreeMap<Did, BTreeMap<CredentialId, Access>>,
    /// Invitations that let somebody in, by their keys.
    invitations: BTreeMap<Did, Invited>,
    /// The home space of this home's identity, and behind it others that were made as such.
    pub(crate) homes: Vec<CredentialId>,
}

/// What a key may do in a space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Access {
    /// The member that it acts for.
    pub(crate) identity: Did,
    pub(crate) role: Role,
    /// The first moment at which it may not, if there is one.
    pub(crate) until: Option<Timestamp>,
}

/// What an invitation gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Invited {
    pub(crate) invitation: CredentialId,
    pub(crate) space: CredentialId,
    pub(crate) role: Role,
    expires: Timestamp,
}

impl Known {
    pub(crate) fn of(log: &Log, own: Option<Did>, now: Timestamp) -> Self {
        let identity = log.iter().next().map(|credential| credential.statement().subject);
        let state = log.state();
        let devices = identity.map(|identity| state.devices(identity, now)).unwrap_or_default();
        let wallets = identity.map(|identity| state.wallets(identity)).unwrap_or_default();
        let spaces: BTreeMap<_, _> = state.spaces().into_iter().map(|space| (space, state.members(space))).collect();
        let keys = keys(&state, &spaces, now);
        let invitations = log.iter().filter_map(|credential| invited(&state, credential, now)).collect();
        let devices = devices.into_iter().map(|device| (device.did, device)).collect();
        let homes = identity.map(|identity| homes(log, &state, identity)).unwrap_or_default();
        Self { own, identity, wallets, devices, spaces, keys, invitations, homes }
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

    /// What a key may do in a space: as a member, or as a device or an agent of one.
    pub(crate) fn role(&self, space: &CredentialId, key: &Did, now: Timestamp) -> Option<Role> {
        let own = self.spaces.get(space)?.get(key).copied();
        own.max(self.access(space, key, now).map(|access| access.role))
    }

    /// What a device or an agent of a member may do in a space.
    pub(crate) fn access(&self, space: &CredentialId, key: &Did, now: Timestamp) -> Option<Access> {
        let access = self.keys.get(key)?.get(space).copied()?;
        access.until.is_none_or(|until| now < until).then_some(access)
    }

    /// The devices and agents of members that may read one of these spaces.
    pub(crate) fn readers(&self, spaces: &BTreeSet<CredentialId>, now: Timestamp) -> BTreeSet<Did> {
        let reads = |key: &Did| {
            spaces.iter().any(|space| self.access(space, key, now).is_some_and(|access| access.role >= Role::Read))
        };
        self.keys.keys().copied().filter(reads).collect()
    }

    /// The spaces that a key may read.
    pub(crate) fn readable(&self, key: &Did, now: Timestamp) -> BTreeSet<CredentialId> {
        let reads =
            |space: &&CredentialId| self.access(space, key, now).is_some_and(|access| access.role >= Role::Read);
        self.spaces.keys().filter(reads).copied().collect()
    }

    /// The spaces that this home's identity is a member of, and may read.
    pub(crate) fn own_spaces(&self) -> BTreeSet<CredentialId> {
        let Some(identity) = self.identity else { return BTreeSet::new() };
        let reads = |members: &BTreeMap<Did, Role>| members.get(&identity).is_some_and(|role| *role >= Role::Read);
        self.spaces.iter().filter(|(_, members)| reads(members)).map(|(space, _)| *space).collect()
    }

    /// Members of a space.
    pub(crate) fn members(&self, space: &CredentialId) -> BTreeMap<Did, Role> {
        self.spaces.get(space).cloned().unwrap_or_default()
    }

    /// The devices and agents of a member of a space.
    pub(crate) fn keys_of<'k>(&'k self, space: &'k CredentialId, member: &'k Did) -> impl Iterator<Item = (Did, Role)> {
        self.keys.iter().filter_map(move |(key, spaces)| {
            let access = spaces.get(space).filter(|access| access.identity == *member)?;
            Some((*key, access.role))
        })
    }

    /// The invitation of a key, while it lets somebody in.
    pub(crate) fn invitation(&self, key: &Did, now: Timestamp) -> Option<Invited> {
        self.invitations.get(key).copied().filter(|invited| now < invited.expires)
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

/// The spaces that an identity began to be its home space, as far as it is a member: the oldest first.
fn homes(log: &Log, state: &State<'_>, identity: Did) -> Vec<CredentialId> {
    let nonce = home_nonce(&identity);
    let mut found = Vec::new();
    for credential in log.iter().filter(|credential| matches!(credential.claim(), Claim::SpaceGenesis)) {
        let (id, statement) = (credential.id(), credential.statement());
        let is_home = statement.subject == identity && statement.nonce == nonce && state.is_valid(&id);
        if is_home && state.role(identity, id).is_some() {
            found.push((statement.issued, id));
        }
    }
    found.sort_unstable();
    found.into_iter().map(|(_, id)| id).collect()
}

/// What members' devices and agents may do: an agent what its delegation says, and no more than its identity may.
fn keys(
    state: &State<'_>,
    spaces: &BTreeMap<CredentialId, BTreeMap<Did, Role>>,
    now: Timestamp,
) -> BTreeMap<Did, BTreeMap<CredentialId, Access>> {
    let members: BTreeSet<Did> = spaces.values().flat_map(BTreeMap::keys).copied().collect();
    let mut keys = BTreeMap::<Did, BTreeMap<CredentialId, Access>>::new();
    for identity in members {
        for device in state.devices(identity, now) {
            for (space, members) in spaces {
                let Some(has) = members.get(&identity).copied() else { continue };
                let (role, until) = match &device.standing {
                    Standing::Agent(held) => {
                        let may = |role: &Role| *role <= has && state.acts_in(device.did, identity, *space, *role, now);
                        let Some(role) = Role::ALL.into_iter().rev().find(may) else { continue };
                        (role, held.iter().map(|(_, until)| *until).max())
                    }
                    _ => (has, None),
                };
                let access = Access { identity, role, until };
                let spaces = keys.entry(device.did).or_default();
                let most = spaces.entry(*space).or_insert(access);
                if most.role < role {
                    *most = access;
                }
            }
        }
    }
    keys
}

fn invited(state: &State<'_>, credential: &Credential, now: Timestamp) -> Option<(Did, Invited)> {
    let Claim::Invitation { key, role, expires, .. } = *credential.claim() else { return None };
    let (invitation, space, ..) = state.invitation(key, now)?;
    (invitation == credential.id()).then_some((key, Invited { invitation, space, role, expires }))
}
