//! Where in a log it is said what about whom.

use std::collections::HashMap;

use super::super::{Claim, Credential, CredentialId, Did};

/// Places of credentials, by what they are about.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// What admits a key, by identity and key.
    pub(super) admissions: HashMap<(Did, Did), Vec<usize>>,
    /// What cuts a key off.
    pub(super) device_revocations: HashMap<(Did, Did), Vec<usize>>,
    /// What gives an identity a role in a space.
    pub(super) memberships: HashMap<(CredentialId, Did), Vec<usize>>,
    /// What takes it.
    pub(super) member_revocations: HashMap<(CredentialId, Did), Vec<usize>>,
    /// What takes a credential back.
    pub(super) withdrawals: HashMap<CredentialId, Vec<usize>>,
    /// What takes an invitation.
    pub(super) joins: HashMap<CredentialId, Vec<usize>>,
}

impl Index {
    /// How many there are already of what a credential adds to.
    pub(super) fn crowd(&self, credential: &Credential, space: Option<CredentialId>) -> usize {
        let subject = credential.statement().subject;
        let length = |places: Option<&Vec<usize>>| places.map_or(0, Vec::len);
        match credential.claim() {
            Claim::IdentityGenesis { device, .. }
            | Claim::DeviceAdd { device, .. }
            | Claim::AgentDelegation { agent: device, .. } => length(self.admissions.get(&(subject, *device))),
            Claim::DeviceRevoke { device, .. } => length(self.device_revocations.get(&(subject, *device))),
            Claim::Member { space, member, .. } => length(self.memberships.get(&(*space, *member))),
            Claim::MemberRevoke { space, member } => length(self.member_revocations.get(&(*space, *member))),
            Claim::Join { member, .. } => space.map_or(0, |space| length(self.memberships.get(&(space, *member)))),
            Claim::Withdraw { credential } => length(self.withdrawals.get(credential)),
            Claim::SpaceGenesis
            | Claim::DeviceRename { .. }
            | Claim::WalletBinding { .. }
            | Claim::Capability { .. }
            | Claim::Invitation { .. } => 0,
        }
    }

    /// Notes a credential. `space` is the space of the invitation that it takes, if it takes one.
    pub(super) fn insert(&mut self, place: usize, credential: &Credential, space: Option<CredentialId>) {
        let subject = credential.statement().subject;
        match credential.claim() {
            Claim::IdentityGenesis { device, .. }
            | Claim::DeviceAdd { device, .. }
            | Claim::AgentDelegation { agent: device, .. } => {
                self.admissions.entry((subject, *device)).or_default().push(place);
            }
            Claim::DeviceRevoke { device, .. } => {
                self.device_revocations.entry((subject, *device)).or_default().push(place);
            }
            Claim::SpaceGenesis => self.memberships.entry((credential.id(), subject)).or_default().push(place),
            Claim::Member { space, member, .. } => {
                self.memberships.entry((*space, *member)).or_default().push(place);
            }
            Claim::MemberRevoke { space, member } => {
                self.member_revocations.entry((*space, *member)).or_default().push(place);
            }
            Claim::Join { invitation, member } => {
                self.joins.entry(*invitation).or_default().push(place);
                if let Some(space) = space {
                    self.memberships.entry((space, *member)).or_default().push(place);
                }
            }
            Claim::Withdraw { credential } => self.withdrawals.entry(*credential).or_default().push(place),
            Claim::DeviceRename { .. }
            | Claim::WalletBinding { .. }
            | Claim::Capability { .. }
            | Claim::Invitation { .. } => {}
        }
    }
}
