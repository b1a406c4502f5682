//! What follows from a log: whose devices there are, what they may do, who is a member of what.

use std::collections::{BTreeMap, BTreeSet};

use super::rules::{At, Need, Rules};
use super::settle::settle;
use super::verdict::Verdict;
use super::{Log, Rank};
use crate::credential::{Claim, CredentialId, Did, Label, Role, Scope};
use crate::{Address, Timestamp};

/// What a key is for an identity now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The identity's own key.
    Root,
    /// One of its devices.
    Device,
    /// An agent, with what each of its delegations gives and until when.
    Agent(Vec<(Vec<Scope>, Timestamp)>),
    /// Nothing: never admitted, or cut off.
    Nothing,
}

/// A device or an agent of an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its key.
    pub did: Did,
    /// What it is called.
    pub name: Label,
    /// What it is: a device, or an agent.
    pub standing: Standing,
}

/// The present of a log, as it was when this was made.
#[derive(Debug)]
pub struct State<'l> {
    pub(super) log: &'l Log,
    pub(super) valid: Vec<bool>,
}

impl Log {
    /// What follows from all that is here. Where nobody misuses it, it takes time in proportion to the log.
    pub fn state(&self) -> State<'_> {
        State { log: self, valid: settle(self) }
    }
}

impl<'l> State<'l> {
    pub(super) fn of(log: &'l Log, valid: Vec<bool>) -> Self {
        Self { log, valid }
    }

    pub(super) fn into_valid(self) -> Vec<bool> {
        self.valid
    }
}

impl State<'_> {
    /// Asks a rule about the present.
    pub(super) fn ask(&self, question: impl FnOnce(&Rules<'_>) -> super::verdict::Finding) -> bool {
        let is_valid = |place: usize| Verdict::from(self.valid[place]);
        let rules = Rules { log: self.log, is_valid: &is_valid, with_revocations: true };
        question(&rules).verdict == Verdict::Yes
    }

    /// Whether a credential is in the log, and counts.
    pub fn is_valid(&self, id: &CredentialId) -> bool {
        self.log.place_of(id).is_some_and(|place| self.valid[place])
    }

    /// Whether a key may do this for an identity now.
    pub fn may(&self, key: Did, identity: Did, scope: &Scope, now: Timestamp) -> bool {
        self.ask(|rules| rules.acts(key, identity, Need::Scope(scope, now), At::End))
    }

    /// Whether a key may do for an identity what a role in a space allows, now: the identity has the role, and the key is its
    /// own, one of its devices, or an agent with the scope of that role or of a higher one.
    pub fn acts_in(&self, key: Did, identity: Did, space: CredentialId, role: Role, now: Timestamp) -> bool {
        self.ask(|rules| rules.acts_in(key, identity, (space, role), now, At::End))
    }

    /// What a key is for an identity now. An agent whose delegations have all expired is nothing.
    pub fn standing(&self, key: Did, identity: Did, now: Timestamp) -> Standing {
        if key == identity {
            return Standing::Root;
        }
        if self.ask(|rules| rules.acts(key, identity, Need::Own, At::End)) {
            return Standing::Device;
        }
        let mut held = Vec::new();
        for place in self.log.index.admissions.get(&(identity, key)).into_iter().flatten() {
            if let Claim::AgentDelegation { scopes, expires, .. } = self.log.entries[*place].credential.claim()
                && now < *expires
                && self.ask(|rules| rules.admission_holds(*place, At::End))
            {
                held.push((scopes.clone(), *expires));
            }
        }
        held.sort();
        if held.is_empty() { Standing::Nothing } else { Standing::Agent(held) }
    }

    /// Devices and agents of an identity, by key.
    pub fn devices(&self, identity: Did, now: Timestamp) -> Vec<Device> {
        let admitted: BTreeSet<_> =
            self.log.index.admissions.keys().filter(|(of, _)| *of == identity).map(|(_, key)| *key).collect();
        let names = self.names(identity);
        let device = |did: Did| {
            let standing = self.standing(did, identity, now);
            let name = names.get(&did)?.1.clone();
            (standing != Standing::Nothing).then_some(Device { did, name, standing })
        };
        admitted.into_iter().filter_map(device).collect()
    }

    /// What each key was called last; a delegation names only what is no device.
    fn names(&self, identity: Did) -> BTreeMap<Did, ((bool, Rank), Label)> {
        let mut names = BTreeMap::<Did, ((bool, Rank), Label)>::new();
        for (place, entry) in self.log.entries.iter().enumerate() {
            let (Claim::IdentityGenesis { device, name }
            | Claim::DeviceAdd { device, name }
            | Claim::DeviceRename { device, name }
            | Claim::AgentDelegation { agent: device, name, .. }) = entry.credential.claim()
            else {
                continue;
            };
            if entry.credential.statement().subject == identity && self.valid[place] {
                let by_owner = !matches!(entry.credential.claim(), Claim::AgentDelegation { .. });
                let called = ((by_owner, self.log.rank(place)), name.clone());
                let latest = names.entry(*device).or_insert_with(|| called.clone());
                if latest.0 < called.0 {
                    *latest = called;
                }
            }
        }
        names
    }

    /// Wallets that are bound to an identity.
    pub fn wallets(&self, identity: Did) -> BTreeSet<Address> {
        let bound = |(place, entry): (usize, &super::Entry)| match entry.credential.claim() {
            Claim::WalletBinding { wallet, .. } if entry.credential.statement().subject == identity => {
                self.ask(|rules| rules.holds(place, At::End)).then_some(*wallet)
            }
            _ => None,
        };
        self.log.entries.iter().enumerate().filter_map(bound).collect()
    }

    /// What an identity may do in a space now.
    pub fn role(&self, identity: Did, space: CredentialId) -> Option<Role> {
        let holds = |role: &Role| self.ask(|rules| rules.has_role(identity, space, *role, At::End));
        Role::ALL.into_iter().rev().find(holds)
    }

    /// Members of a space.
    pub fn members(&self, space: CredentialId) -> BTreeMap<Did, Role> {
        let named = self.log.index.memberships.keys().filter(|(of, _)| *of == space).map(|(_, member)| *member);
        named.filter_map(|member| Some((member, self.role(member, space)?))).collect()
    }

    /// Spaces that there are.
    pub fn spaces(&self) -> BTreeSet<CredentialId> {
        let entries = self.log.entries.iter().zip(&self.valid);
        let space = |(entry, valid): (&super::Entry, &bool)| {
            (*valid && matches!(entry.credential.claim(), Claim::SpaceGenesis)).then(|| entry.credential.id())
        };
        entries.filter_map(space).collect()
    }
}
