//! A log of credentials: what follows from a set of them, in whatever order they arrived.
//!
//! **The rules.** A credential is valid if its issuer had the right to make it *at its place*, that is by what stands
//! before it (its parents, and all before them):
//! 1. An identity's root key may do everything; so may the devices that it or another device admitted. An agent may do
//!    what its delegation says until it expires, by the agent's own clock.
//! 2. Who is a member of a space, its admins say. An invitation's key admits as many as it says, the first by distance and
//!    name; it admits nobody of whom something was said since the invitation.
//! 3. A revocation cuts off everything of its target that it had not seen: what came after it and what was concurrent with
//!    it. What it had seen stays. An admission that had seen the revocation admits anew. A lower role revokes the higher
//!    one. Who leaves by itself is gone from there on, and nothing before or beside it changes.
//! 4. A device and a membership, once given, outlast who gave them. What an agent hands on, an invitation and a capability
//!    last as long as whoever gave them has the right to.
//! 5. Where revocations cut each other off, in a circle, those by the latest comer have no effect: by the distance of its
//!    issuer's admission from the beginning, then by that one's name, the lower first. Then the rest is looked at again.
//!
//! Rights that a revocation does not take but an expiry does are bounded by claims of time: whoever must be shut out for
//! certain is revoked.
//!
//! **Who fills it.** A log takes only what is said for the identities that it follows, each of them up to a share, agents
//! and invitations less; the last places are for those who take rights away. Two logs that were told the same are the same
//! as long as neither is full.

mod ancestors;
mod door;
mod index;
mod rules;
mod settle;
mod state;
mod token;
mod verdict;
mod waiting;

use std::collections::{BTreeMap, BTreeSet, HashMap};

pub use door::{InsertError, Inserted};
pub use state::{Device, Standing, State};
pub use token::TokenError;

use self::ancestors::Ancestors;
use self::index::Index;
use self::rules::At;
use self::waiting::Waiting;
use super::{Claim, Credential, CredentialId, Did, Role, Statement};

/// One credential with what the log knows of it.
#[derive(Debug)]
struct Entry {
    credential: Credential,
    /// Steps of the longest way from a credential without parents.
    distance: u32,
    ancestors: Ancestors,
    /// Delegations between this one and a device of the identity.
    handed_on: u32,
}

/// What orders credentials alike everywhere, each behind its ancestors.
type Rank = (u32, CredentialId);

/// A set of credentials, each behind its parents.
#[derive(Debug, Default)]
pub struct Log {
    entries: Vec<Entry>,
    places: HashMap<CredentialId, usize>,
    index: Index,
    heads: BTreeSet<CredentialId>,
    followed: BTreeMap<Did, Share>,
    bytes: usize,
    waiting: Waiting,
}

/// What one identity's credentials take.
#[derive(Debug, Default)]
struct Share {
    count: usize,
    /// Those of each key that is none of its devices.
    of_others: BTreeMap<Did, usize>,
}

impl Log {
    /// Credentials of one log.
    pub const LENGTH_MAX: usize = 16_384;
    /// Their bytes.
    pub const BYTES_MAX: usize = 32 * 1024 * 1024;
    /// Credentials of one identity.
    pub const SHARE_MAX: usize = 12_288;
    /// Credentials of one agent, or of one invitation's key.
    pub const OTHERS_MAX: usize = 512;
    /// Places, of the log and of each share, that are only for devices and root keys that take rights away.
    pub const RESERVED: usize = 256;
    /// Identities of one log.
    pub const FOLLOWED_MAX: usize = 4_096;
    /// Agents that hand on to one another.
    pub const HANDED_ON_MAX: u32 = 8;

    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many there are, without those that wait.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes what is said for an identity from now on; `false` if it follows as many as it may.
    pub fn follow(&mut self, identity: Did) -> bool {
        let may = self.followed.len() < Self::FOLLOWED_MAX || self.followed.contains_key(&identity);
        if may {
            self.followed.entry(identity).or_default();
        }
        may
    }

    /// Those that no other one names as a parent.
    pub fn heads(&self) -> &BTreeSet<CredentialId> {
        &self.heads
    }

    /// The parents of the next credential: all heads, or as many of the newest as it may name.
    pub fn parents(&self) -> Vec<CredentialId> {
        let rank = |id: &CredentialId| self.rank(self.places[id]);
        let mut parents: Vec<_> = self.heads.iter().copied().collect();
        parents.sort_by_key(|id| std::cmp::Reverse(rank(id)));
        parents.truncate(Statement::PARENTS_MAX);
        parents.sort();
        parents
    }

    /// What is waited for, and not here.
    pub fn missing(&self) -> impl Iterator<Item = CredentialId> + '_ {
        self.waiting.missing()
    }

    /// One of them.
    pub fn get(&self, id: &CredentialId) -> Option<&Credential> {
        self.place_of(id).map(|place| &self.entries[place].credential)
    }

    /// All, each behind its parents.
    pub fn iter(&self) -> impl Iterator<Item = &Credential> {
        self.entries.iter().map(|entry| &entry.credential)
    }

    fn place_of(&self, id: &CredentialId) -> Option<usize> {
        self.places.get(id).copied()
    }

    /// Its place, if it is seen from there.
    fn place_seen(&self, id: &CredentialId, at: At<'_>) -> Option<usize> {
        self.place_of(id).filter(|place| at.sees(*place))
    }

    /// These and all before them, if they are all here.
    fn ancestors_of(&self, parents: &[CredentialId]) -> Option<Ancestors> {
        let mut ancestors = Ancestors::default();
        for parent in parents {
            let place = self.place_of(parent)?;
            ancestors.extend(&self.entries[place].ancestors);
            ancestors.insert(place);
        }
        Some(ancestors)
    }

    fn rank(&self, place: usize) -> Rank {
        (self.entries[place].distance, self.entries[place].credential.id())
    }

    /// The role that a membership gives.
    fn role_given(&self, place: usize) -> Role {
        match self.entries[place].credential.claim() {
            Claim::Member { role, .. } => *role,
            Claim::Join { invitation, .. } => match self.get(invitation).map(Credential::claim) {
                Some(Claim::Invitation { role, .. }) => *role,
                _ => unreachable!("a join behind its invitation"),
            },
            _ => Role::Admin,
        }
    }
}
