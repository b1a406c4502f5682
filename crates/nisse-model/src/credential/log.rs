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
//! 5. Where revocations cut each other off, in a circle, its earliest comer wins: those that its own hang on have no effect;
//!    if there is none of others, those of the latest comer. Early is whose admission is near the beginning, then whose has
//!    the lower name. Then the rest is looked at again.
//!
//! Rights that a revocation does not take but an expiry does are bounded by claims of time: whoever must be shut out for
//! certain is revoked.
//!
//! **What is said elsewhere.** The documents of a space are signed outside of its log. They name what of it their author
//! had seen, and are judged as if they stood there: see [`State::word`].
//!
//! **Who fills it.** A log takes only what is said for the identities that it follows, each of them up to a share, agents
//! and invitations less; the last places of a share are for devices that take rights away, and each root key has some of its
//! own. Two logs that were told the same are the same as long as neither is full.

mod about;
mod ancestors;
mod door;
mod index;
mod invitations;
mod judge;
mod rules;
mod seniority;
mod settle;
mod settled;
mod state;
mod token;
mod verdict;
mod waiting;
mod word;

use std::collections::{BTreeMap, BTreeSet, HashMap};

pub use door::{InsertError, Inserted};
pub use invitations::OpenInvitation;
pub use settled::Settled;
pub use state::{Device, Standing, State};
pub use token::TokenError;
pub use word::Word;

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
    /// The space that it is about.
    space: Option<CredentialId>,
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
    bytes: usize,
    /// Those of its root key.
    of_root: usize,
    /// Those of each agent with whomever it handed on to, and of each invitation.
    of_others: BTreeMap<Did, (usize, usize)>,
}

impl Log {
    /// Credentials of one log.
    pub const LENGTH_MAX: usize = 24_576;
    /// Their bytes.
    pub const BYTES_MAX: usize = 64 * 1024 * 1024;
    /// Identities of one log.
    pub const FOLLOWED_MAX: usize = 512;
    /// Credentials that the root key of each may always add.
    pub const ROOT_PLACES: usize = 16;
    /// Credentials of one identity.
    pub const SHARE_MAX: usize = 12_288;
    /// Their bytes.
    pub const SHARE_BYTES_MAX: usize = 16 * 1024 * 1024;
    /// The last places of a share are for its devices, where they take rights away.
    pub const RESERVED: usize = 256;
    /// And so are its last bytes.
    pub const RESERVED_BYTES: usize = 1024 * 1024;
    /// Credentials of one agent with whomever it handed on to, or of one invitation.
    pub const OTHERS_MAX: usize = 512;
    /// Their bytes.
    pub const OTHERS_BYTES_MAX: usize = 256 * 1024;
    /// Admissions, revocations or memberships of one key or member in one space; root keys may add more.
    pub const ABOUT_MAX: usize = 64;
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

    /// Takes what is said for an identity from now on; `false` if there is no room for it. Whoever reads a space follows its
    /// members.
    pub fn follow(&mut self, identity: Did) -> bool {
        if self.followed.contains_key(&identity) {
            return true;
        }
        let promised = self.promised() + Self::ROOT_PLACES;
        let may = self.followed.len() < Self::FOLLOWED_MAX && self.entries.len() + promised <= Self::LENGTH_MAX;
        if may {
            self.followed.insert(identity, Share::default());
        }
        may
    }

    /// Places that are kept for root keys.
    fn promised(&self) -> usize {
        self.followed.values().map(|share| Self::ROOT_PLACES.saturating_sub(share.of_root)).sum()
    }

    /// Those that no other one names as a parent.
    pub fn heads(&self) -> &BTreeSet<CredentialId> {
        &self.heads
    }

    /// The parents of what an identity says next: the newest of what it said of itself, and of the space that it is about.
    /// What others say of themselves, and what is said of other spaces, is left out, since not everybody reads it.
    pub fn parents(&self, subject: Did, claim: &Claim) -> Vec<CredentialId> {
        let space = self.space_of(claim, At::End);
        let mut covered = Ancestors::default();
        let mut parents = Vec::new();
        for (place, entry) in self.entries.iter().enumerate().rev() {
            let is_its = match entry.space {
                None => entry.credential.statement().subject == subject,
                of => of == space,
            };
            if is_its && !covered.contains(place) {
                parents.push(place);
                covered.extend(&entry.ancestors);
            }
        }
        parents.sort_by_key(|place| std::cmp::Reverse(self.rank(*place)));
        parents.truncate(Statement::PARENTS_MAX);
        let mut parents: Vec<_> = parents.into_iter().map(|place| self.entries[place].credential.id()).collect();
        parents.sort();
        parents
    }

    /// The space that a claim is about, as is seen from there; that of a space's beginning is named by the credential itself.
    fn space_of(&self, claim: &Claim, at: At<'_>) -> Option<CredentialId> {
        match claim {
            Claim::Member { space, .. } | Claim::MemberRevoke { space, .. } | Claim::Invitation { space, .. } => {
                Some(*space)
            }
            Claim::Join { invitation: about, .. } | Claim::Withdraw { credential: about } => {
                self.place_seen(about, at).and_then(|place| self.entries[place].space)
            }
            _ => None,
        }
    }

    /// Whether a revocation had seen what stands there, here or elsewhere.
    fn had_seen(&self, revocation: usize, place: usize) -> bool {
        let entry = &self.entries[revocation];
        let elsewhere = match entry.credential.claim() {
            Claim::DeviceRevoke { seen, .. } => seen.as_slice(),
            _ => &[],
        };
        let with = |head: usize| head == place || self.entries[head].ancestors.contains(place);
        entry.ancestors.contains(place) || elsewhere.iter().filter_map(|head| self.place_of(head)).any(with)
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

    /// The space that one of them is about.
    pub fn space(&self, id: &CredentialId) -> Option<CredentialId> {
        self.place_of(id).and_then(|place| self.entries[place].space)
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
