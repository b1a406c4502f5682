//! The rules: what anybody may do at a place, and what cuts it off. What makes a credential valid is in `judge.rs`.
//!
//! A rule asks whether other credentials are valid; `is_valid` answers, so that the same rules decide a log, tell at its
//! door what could never be valid, and answer for the present.

use super::super::{Claim, Credential, CredentialId, Did, Role, Scope};
use super::verdict::{Finding, Verdict};
use super::{Ancestors, Log};
use crate::Timestamp;

/// To say who is a member of a space.
pub(super) const SPACE_ADMIN: &str = "/space/admin";
/// To write in it.
const SPACE_EDIT: &str = "/space/edit";
/// To read it.
const SPACE_READ: &str = "/space/read";
/// To store it and pass it on.
const SPACE_RELAY: &str = "/space/relay";
/// The condition that names a space.
pub(super) const SPACE: &str = "space";

/// From where the rules are looked at.
#[derive(Clone, Copy)]
pub(super) enum At<'l> {
    /// A credential, with what it had seen.
    Place { place: usize, ancestors: &'l Ancestors },
    /// A statement outside the log: with what it had seen, and behind every revocation.
    Outside { ancestors: &'l Ancestors },
    /// A statement outside the log that stands where it was made: with what it had seen, and cut off by what it had not, if
    /// that is looked at.
    Beside { ancestors: &'l Ancestors, with_unseen: bool },
    /// Behind all that the log holds.
    End,
}

impl At<'_> {
    pub(super) fn sees(&self, place: usize) -> bool {
        match self {
            At::Place { ancestors, .. } | At::Outside { ancestors } | At::Beside { ancestors, .. } => {
                ancestors.contains(place)
            }
            At::End => true,
        }
    }
}

/// What somebody wants to do.
#[derive(Clone, Copy)]
pub(super) enum Need<'n> {
    /// What the identity's own devices alone may.
    Own,
    /// To be anything at all then: a device, or an agent with some delegation.
    Any(Timestamp),
    /// This, then.
    Scope(&'n Scope, Timestamp),
    /// To give this to somebody else, up to then.
    Give(&'n Scope, Timestamp),
}

/// The rules over one log.
#[derive(Clone, Copy)]
pub(super) struct Rules<'l> {
    pub(super) log: &'l Log,
    pub(super) is_valid: &'l dyn Fn(usize) -> Verdict,
    /// At the door of a log revocations are left out: whoever is refused there could not be valid whatever arrives.
    pub(super) with_revocations: bool,
}

impl<'l> Rules<'l> {
    pub(super) fn credential(&self, place: usize) -> &'l Credential {
        &self.log.entries[place].credential
    }

    pub(super) fn at(&self, place: usize) -> At<'l> {
        At::Place { place, ancestors: &self.log.entries[place].ancestors }
    }

    pub(super) fn valid(&self, place: usize) -> Finding {
        Finding::of_credential(place, (self.is_valid)(place))
    }

    pub(super) fn seen<'p>(
        &self,
        places: Option<&'p Vec<usize>>,
        at: At<'p>,
    ) -> impl Iterator<Item = usize> + Clone + 'p {
        places.map(Vec::as_slice).unwrap_or_default().iter().copied().filter(move |place| at.sees(*place))
    }

    /// Whether what a credential gives holds: it is valid, and no valid revocation among these cuts it off.
    fn stands(&self, given: usize, at: At<'l>, revocations: impl Iterator<Item = usize>) -> Finding {
        let withdrawals = self.log.index.withdrawals.get(&self.credential(given).id());
        // Of what a log holds, only who has seen it takes it back.
        let withdrawals = withdrawals.into_iter().flatten().copied().filter(|withdrawal| {
            self.credential(*withdrawal).statement().subject == self.credential(given).statement().subject
                && self.credential(given).claim().can_be_withdrawn()
                && self.log.entries[*withdrawal].ancestors.contains(given)
        });
        // Those that are void are left out first: there may be many of them, and it costs next to nothing.
        let counting = revocations.chain(withdrawals).filter(|place| (self.is_valid)(*place) != Verdict::No);
        let cuts = counting.filter(|revocation| self.reaches(*revocation, given, at));
        let uncut = cuts.map(|revocation| !self.valid(revocation));
        Finding::all(std::iter::once(self.valid(given)).chain(uncut))
    }

    /// Whether a revocation, if it is valid, cuts off what a credential gives to who stands there. It leaves what it had
    /// seen, and does not reach what had seen it. Who leaves by itself is gone from there on, and changes nothing before.
    fn reaches(&self, revocation: usize, given: usize, at: At<'l>) -> bool {
        if !self.with_revocations || self.log.entries[given].ancestors.contains(revocation) {
            return false;
        }
        match at {
            At::End | At::Outside { .. } => true,
            At::Beside { ancestors, with_unseen } => {
                ancestors.contains(revocation) || with_unseen && !self.is_of_itself(revocation)
            }
            At::Place { place, .. } if place == revocation => false,
            At::Place { ancestors, .. } if self.is_of_itself(revocation) => ancestors.contains(revocation),
            At::Place { place, .. } => !self.log.had_seen(revocation, place),
        }
    }

    /// Whether a device of the identity, or its root key, made a credential.
    pub(super) fn is_own(&self, place: usize) -> bool {
        let statement = self.credential(place).statement();
        self.acts(statement.issuer, statement.subject, Need::Own, self.at(place)).verdict == Verdict::Yes
    }

    pub(super) fn is_of_itself(&self, revocation: usize) -> bool {
        let statement = self.credential(revocation).statement();
        match &statement.claim {
            Claim::DeviceRevoke { device, .. } => *device == statement.issuer,
            Claim::MemberRevoke { member, .. } | Claim::Member { member, .. } => *member == statement.subject,
            _ => false,
        }
    }

    /// Whether what stands for itself, and is of no key and no membership, was not taken back.
    pub(super) fn holds(&self, given: usize, at: At<'l>) -> Finding {
        self.stands(given, at, std::iter::empty())
    }

    /// Whether a key acts for an identity, and may do this.
    pub(super) fn acts(&self, key: Did, identity: Did, need: Need<'_>, at: At<'l>) -> Finding {
        if key == identity {
            return Finding::of(true);
        }
        let admissions = self.seen(self.log.index.admissions.get(&(identity, key)), at);
        let giving = admissions.filter(|admission| gives(self.credential(*admission).claim(), need));
        Finding::any(giving.map(|admission| self.admission_holds(admission, at)))
    }

    /// What an agent hands on lasts as long as the agent has it; what a device of the identity gives outlasts the device.
    pub(super) fn admission_holds(&self, admission: usize, at: At<'l>) -> Finding {
        let statement = self.credential(admission).statement();
        let (key, proof) = match &statement.claim {
            Claim::IdentityGenesis { device, .. } | Claim::DeviceAdd { device, .. } => (*device, None),
            Claim::AgentDelegation { agent, proof, .. } => (*agent, *proof),
            _ => return Finding::of(false),
        };
        let revocations = self.log.index.device_revocations.get(&(statement.subject, key));
        let stands = self.stands(admission, at, revocations.into_iter().flatten().copied());
        match proof.and_then(|proof| self.log.place_of(&proof)) {
            Some(wider) => all_in_turn(stands, || self.admission_holds(wider, at)),
            None => stands,
        }
    }

    /// Whether an identity has this role in a space, or a higher one: by a membership that had seen every lower one, and
    /// every expulsion.
    pub(super) fn has_role(&self, identity: Did, space: CredentialId, role: Role, at: At<'l>) -> Finding {
        let memberships = self.seen(self.log.index.memberships.get(&(space, identity)), at);
        let high = memberships.filter(|place| self.log.role_given(*place) >= role);
        Finding::any(high.map(|membership| self.membership_holds(membership, (space, identity), role, at)))
    }

    pub(super) fn membership_holds(
        &self,
        membership: usize,
        of: (CredentialId, Did),
        role: Role,
        at: At<'l>,
    ) -> Finding {
        let index = &self.log.index;
        let is_low = |place: &usize| match self.credential(*place).claim() {
            Claim::Member { role: given, .. } => *given < role,
            // Who takes an invitation loses nothing by it.
            _ => false,
        };
        let low = index.memberships.get(&of).into_iter().flatten().copied().filter(is_low);
        let expulsions = index.member_revocations.get(&of).into_iter().flatten().copied();
        self.stands(membership, at, low.chain(expulsions))
    }

    /// Whether a key that acts for an identity decides who is a member of a space.
    pub(super) fn administers(
        &self,
        key: Did,
        identity: Did,
        space: CredentialId,
        time: Timestamp,
        at: At<'l>,
    ) -> Finding {
        self.acts_in(key, identity, (space, Role::Admin), time, at)
    }

    /// Whether a key acts for an identity in a space, and may do what a role there allows. An agent may by a scope of that
    /// role, or of a higher one.
    pub(super) fn acts_in(
        &self,
        key: Did,
        identity: Did,
        (space, role): (CredentialId, Role),
        time: Timestamp,
        at: At<'l>,
    ) -> Finding {
        let enough = Role::ALL.into_iter().filter(|held| *held >= role);
        let acts = Finding::any(enough.map(|held| {
            let scope = Scope::about(command(held), SPACE, space.to_string());
            self.acts(key, identity, Need::Scope(&scope, time), at)
        }));
        all_in_turn(acts, || self.has_role(identity, space, role, at))
    }
}

/// The command that lets an agent do what a role allows.
fn command(role: Role) -> &'static str {
    match role {
        Role::Relay => SPACE_RELAY,
        Role::Read => SPACE_READ,
        Role::Edit => SPACE_EDIT,
        Role::Admin => SPACE_ADMIN,
    }
}

/// The second is looked at if the first does not fail.
pub(super) fn all_in_turn(first: Finding, second: impl FnOnce() -> Finding) -> Finding {
    if first.verdict == Verdict::No { first } else { Finding::all([first, second()]) }
}

/// Whether an admission gives what is needed, if it holds.
pub(super) fn gives(claim: &Claim, need: Need<'_>) -> bool {
    let Claim::AgentDelegation { scopes, expires, .. } = claim else { return true };
    let covers = |scope: &Scope| scopes.iter().any(|held| held.covers(scope));
    match need {
        Need::Own => false,
        Need::Any(time) => time < *expires,
        Need::Scope(scope, time) => time < *expires && covers(scope),
        Need::Give(scope, until) => until <= *expires && covers(scope),
    }
}
