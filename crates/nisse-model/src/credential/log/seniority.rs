//! Who was there first, where revocations cut each other off.

use super::super::Role;
use super::Rank;
use super::rules::{Need, Rules, gives};
use super::verdict::{Finding, Verdict};

impl Rules<'_> {
    /// Where whoever revokes left by itself, without the revocation's having seen it.
    pub(super) fn departures(&self, revocation: usize) -> Vec<usize> {
        let statement = self.credential(revocation).statement();
        let index = &self.log.index;
        let gone = match self.log.entries[revocation].space {
            Some(space) => index.member_revocations.get(&(space, statement.subject)),
            None => index.device_revocations.get(&(statement.subject, statement.issuer)),
        };
        let before = &self.log.entries[revocation].ancestors;
        let is_departure = |place: &usize| {
            *place != revocation
                && self.is_of_itself(*place)
                && !before.contains(*place)
                && (self.is_valid)(*place) != Verdict::No
        };
        gone.into_iter().flatten().copied().filter(is_departure).collect()
    }

    /// How far from the beginning whoever revokes was admitted, by what still holds; the greatest came latest. A root key
    /// came first.
    pub(super) fn seniority(&self, revocation: usize) -> Option<Rank> {
        let (statement, at) = (self.credential(revocation).statement(), self.at(revocation));
        let (issuer, subject) = (statement.issuer, statement.subject);
        let is_standing = |finding: Finding| finding.verdict != Verdict::No;
        let ranks = |places: Vec<usize>| places.into_iter().map(|place| self.log.rank(place)).min();
        if let Some(space) = self.log.entries[revocation].space {
            let memberships = self.seen(self.log.index.memberships.get(&(space, subject)), at);
            let high = memberships.filter(|place| self.log.role_given(*place) == Role::Admin);
            let holds = |place: &usize| is_standing(self.membership_holds(*place, (space, subject), Role::Admin, at));
            return ranks(high.filter(holds).collect());
        }
        let admissions = self.seen(self.log.index.admissions.get(&(subject, issuer)), at);
        let of_need = |need| {
            let giving = admissions.clone().filter(move |place| gives(self.credential(*place).claim(), need));
            ranks(giving.filter(|place| is_standing(self.admission_holds(*place, at))).collect())
        };
        of_need(Need::Own).or_else(|| of_need(Need::Any(statement.issued)))
    }
}
