//! Invitations that let somebody in.

use super::rules::At;
use super::{Entry, Rank, State};
use crate::Timestamp;
use crate::credential::{Claim, CredentialId, Did, Role};

/// An invitation by which somebody new could join now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenInvitation {
    /// The invitation.
    pub invitation: CredentialId,
    /// To where.
    pub space: CredentialId,
    /// The key that it is taken with.
    pub key: Did,
    /// Who made it: a device or an agent.
    pub issuer: Did,
    /// For whom: the identity that invites, which alone takes it back.
    pub inviter: Did,
    /// What whoever takes it may do.
    pub role: Role,
    /// The first moment at which it lets nobody in.
    pub expires: Timestamp,
    /// How many may take it.
    pub uses: u32,
    /// How many of them did not yet.
    pub left: u32,
    /// Who alone may, if somebody is meant.
    pub invitee: Option<Did>,
}

impl State<'_> {
    /// The invitation that has this key, its space, the identity that invites, and the role, if somebody new could join by it
    /// now. Of several the first.
    pub fn invitation(&self, key: Did, now: Timestamp) -> Option<(CredentialId, CredentialId, Did, Role)> {
        let is_its =
            |entry: &Entry| matches!(entry.credential.claim(), Claim::Invitation { key: of, .. } if *of == key);
        let (_, first) = self.open(now, is_its).min_by_key(|(rank, _)| *rank)?;
        Some((first.invitation, first.space, first.inviter, first.role))
    }

    /// The invitations to a space by which somebody new could join now, the first first.
    pub fn open_invitations(&self, space: CredentialId, now: Timestamp) -> Vec<OpenInvitation> {
        let is_to =
            |entry: &Entry| matches!(entry.credential.claim(), Claim::Invitation { space: to, .. } if *to == space);
        let mut open: Vec<_> = self.open(now, is_to).collect();
        open.sort_by_key(|(rank, _)| *rank);
        open.into_iter().map(|(_, invitation)| invitation).collect()
    }

    fn open(&self, now: Timestamp, wanted: impl Fn(&Entry) -> bool) -> impl Iterator<Item = (Rank, OpenInvitation)> {
        let entries = self.log.entries.iter().enumerate().filter(move |(_, entry)| wanted(entry));
        entries.filter_map(move |(place, entry)| {
            let statement = entry.credential.statement();
            let Claim::Invitation { space, key, role, expires, uses, invitee } = statement.claim else { return None };
            if now >= expires {
                return None;
            }
            let (invitation, issuer, inviter) = (entry.credential.id(), statement.issuer, statement.subject);
            let joins = self.log.index.joins.get(&invitation).into_iter().flatten();
            let taken = u32::try_from(joins.filter(|join| self.valid[**join]).count()).unwrap_or(u32::MAX);
            let left = uses.saturating_sub(taken);
            let stands = left > 0
                && self.ask(|rules| rules.holds(place, At::End))
                && self.ask(|rules| rules.administers(issuer, inviter, space, now, At::End));
            let open = OpenInvitation { invitation, space, key, issuer, inviter, role, expires, uses, left, invitee };
            stands.then(|| (self.log.rank(place), open))
        })
    }
}
