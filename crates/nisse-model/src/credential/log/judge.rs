//! What makes a credential valid at its place.

use super::super::{Claim, CredentialId, Did, Scope};
use super::rules::{At, Need, Rules, SPACE, SPACE_ADMIN, all_in_turn};
use super::verdict::{Finding, Verdict};

/// To make spaces.
const SPACE_CREATE: &str = "/space/create";

impl<'l> Rules<'l> {
    /// Whether a credential is valid at its place.
    pub(super) fn judge(&self, place: usize) -> Finding {
        let (credential, at) = (self.credential(place), self.at(place));
        let statement = credential.statement();
        let (issuer, subject, time) = (statement.issuer, statement.subject, statement.issued);
        let acts = |need| self.acts(issuer, subject, need, at);
        match &statement.claim {
            // That its issuer is the identity's own key is so in every credential.
            Claim::IdentityGenesis { .. } => Finding::of(true),
            Claim::DeviceAdd { .. } | Claim::DeviceRename { .. } | Claim::WalletBinding { .. } => acts(Need::Own),
            Claim::DeviceRevoke { device, .. } if *device == issuer => acts(Need::Any(time)),
            Claim::DeviceRevoke { .. } => acts(Need::Own),
            Claim::AgentDelegation { proof: Some(proof), .. } => self.narrows(place, proof),
            Claim::AgentDelegation { .. } => acts(Need::Own),
            Claim::SpaceGenesis => {
                let scope = Scope::about(SPACE_CREATE, "identity", subject.to_string());
                acts(Need::Scope(&scope, time))
            }
            Claim::Member { space, .. } | Claim::Invitation { space, .. } => {
                self.administers(issuer, subject, *space, time, at)
            }
            Claim::MemberRevoke { space, member } if *member == subject => {
                let scope = Scope::about(SPACE_ADMIN, SPACE, space.to_string());
                acts(Need::Scope(&scope, time))
            }
            Claim::MemberRevoke { space, .. } => self.administers(issuer, subject, *space, time, at),
            Claim::Capability { proof: Some(_), .. } => Finding::of(false),
            Claim::Capability { scope, expires, .. } => acts(Need::Give(scope, *expires)),
            Claim::Join { invitation, member } => self.judge_join(place, invitation, *member),
            Claim::Withdraw { credential } => match self.log.place_seen(credential, at) {
                Some(given) => self.judge_withdrawal(place, given),
                None => acts(Need::Own),
            },
        }
    }

    fn judge_withdrawal(&self, place: usize, given: usize) -> Finding {
        let (statement, given, at) =
            (self.credential(place).statement(), self.credential(given).statement(), self.at(place));
        let (issuer, subject, time) = (statement.issuer, statement.subject, statement.issued);
        match given.claim {
            _ if given.subject != subject => Finding::of(false),
            Claim::Invitation { space, .. } => self.administers(issuer, subject, space, time, at),
            _ => self.acts(issuer, subject, if given.issuer == issuer { Need::Any(time) } else { Need::Own }, at),
        }
    }

    fn judge_join(&self, place: usize, invitation: &CredentialId, member: Did) -> Finding {
        let (statement, at) = (self.credential(place).statement(), self.at(place));
        let Some(invited) = self.log.place_seen(invitation, at) else { return Finding::of(false) };
        let invitation_statement = self.credential(invited).statement();
        let Claim::Invitation { space, key, expires, uses, invitee, .. } = invitation_statement.claim else {
            return Finding::of(false);
        };
        let fits = statement.issuer == key
            && statement.subject == invitation_statement.subject
            && statement.issued < expires
            && invitee.is_none_or(|invitee| invitee == member);
        if !fits {
            return Finding::of(false);
        }
        let stands = all_in_turn(self.holds(invited, at), || {
            self.administers(invitation_statement.issuer, invitation_statement.subject, space, statement.issued, at)
        });
        let unsaid = all_in_turn(stands, || self.nothing_said_since(invited, (space, member), at));
        all_in_turn(unsaid, || self.has_use_left(place, invitation, uses))
    }

    /// Whether nothing that counts is seen there which was said of a member after an invitation: who was lowered or expelled
    /// since, or is a member already, does not come in by it.
    fn nothing_said_since(&self, invitation: usize, of: (CredentialId, Did), at: At<'l>) -> Finding {
        if !self.with_revocations {
            return Finding::of(true);
        }
        let index = &self.log.index;
        let said = [index.memberships.get(&of), index.member_revocations.get(&of)];
        let before = &self.log.entries[invitation].ancestors;
        let since = said.into_iter().flat_map(|said| self.seen(said, at)).filter(|place| !before.contains(*place));
        Finding::all(since.map(|place| !self.valid(place)))
    }

    /// Of those who take an invitation the first do, by distance from the beginning and by name.
    fn has_use_left(&self, place: usize, invitation: &CredentialId, uses: u32) -> Finding {
        if !self.with_revocations {
            return Finding::of(true);
        }
        let own = self.log.rank(place);
        let joins = self.log.index.joins.get(invitation).into_iter().flatten();
        let earlier: Vec<_> = joins.filter(|join| self.log.rank(**join) < own).map(|join| self.valid(*join)).collect();
        let count = |verdict| earlier.iter().filter(|finding| finding.verdict == verdict).count();
        let (taken, open) = (count(Verdict::Yes), count(Verdict::Unknown));
        let uses = uses as usize;
        if taken >= uses {
            Finding::of(false)
        } else if taken + open < uses {
            Finding::of(true)
        } else {
            let hangs_on = earlier.into_iter().flat_map(|finding| finding.hangs_on).collect();
            Finding { verdict: Verdict::Unknown, hangs_on }
        }
    }

    /// Whether a delegation hands on no more than the one that it names, which its issuer has.
    fn narrows(&self, place: usize, proof: &CredentialId) -> Finding {
        let Claim::AgentDelegation { scopes, expires, .. } = self.credential(place).claim() else {
            return Finding::of(false);
        };
        let (statement, at) = (self.credential(place).statement(), self.at(place));
        let Some(wider) = self.log.place_seen(proof, at) else { return Finding::of(false) };
        let wide = self.credential(wider).statement();
        let fits = match &wide.claim {
            Claim::AgentDelegation { agent, scopes: held, expires: until, .. } => {
                *agent == statement.issuer
                    && wide.subject == statement.subject
                    && expires <= until
                    && statement.issued < *until
                    && scopes.iter().all(|scope| held.iter().any(|held| held.covers(scope)))
            }
            _ => false,
        };
        if fits { self.admission_holds(wider, at) } else { Finding::of(false) }
    }
}
