//! What somebody must hold to judge everything about a space.

use std::collections::{BTreeSet, HashSet};

use super::Log;
use crate::credential::{Claim, Credential, CredentialId, Did};

impl Log {
    /// Identities that anything about a space is said for or of: whoever reads the space follows these.
    pub fn identities_of(&self, space: CredentialId) -> BTreeSet<Did> {
        let about = self.entries.iter().filter(|entry| entry.space == Some(space));
        let named = about.flat_map(|entry| {
            let statement = entry.credential.statement();
            let other = match &statement.claim {
                Claim::Member { member, .. } | Claim::MemberRevoke { member, .. } | Claim::Join { member, .. } => {
                    Some(*member)
                }
                Claim::Invitation { invitee, .. } => *invitee,
                _ => None,
            };
            [Some(statement.subject), other]
        });
        named.flatten().collect()
    }

    /// What an identity says of itself, each behind its parents.
    pub fn of_identity(&self, identity: Did) -> Vec<&Credential> {
        let is_its = |entry: &&super::Entry| entry.space.is_none() && entry.credential.statement().subject == identity;
        self.entries.iter().filter(is_its).map(|entry| &entry.credential).collect()
    }

    /// All that is said about a space, and what those that it is said for or of say of themselves, each behind its parents:
    /// who holds this judges the space as this log does. Left out is what names anything else as a parent, with all that has
    /// seen it; nobody could take it in, and no log gives such parents (see [`Log::parents`]).
    pub fn about(&self, space: CredentialId) -> Vec<&Credential> {
        let identities = self.identities_of(space);
        let mut held = HashSet::new();
        let mut about = Vec::new();
        for entry in &self.entries {
            let statement = entry.credential.statement();
            // An identity's capabilities are nobody else's affair, but they stand among the parents of what it says next
            // (see `Log::parents`): without them all that would be left out.
            let belongs = match entry.space {
                None => identities.contains(&statement.subject),
                of => of == Some(space),
            };
            if belongs && statement.parents.iter().all(|parent| held.contains(parent)) {
                held.insert(entry.credential.id());
                about.push(&entry.credential);
            }
        }
        about
    }
}
