//! The door of a log: what comes in, what waits for its parents, and what could never be valid.

use super::rules::Rules;
use super::verdict::Verdict;
use super::{Entry, Log};
use crate::credential::{Claim, Credential, CredentialId, Did};

/// What became of a credential that was given to a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// It is in the log, with this many that waited for it.
    Now {
        /// Those that waited, and could come in.
        with: usize,
    },
    /// It was there before.
    Known,
    /// Some of its parents are not here yet.
    Waits,
}

/// Why a log takes no credential. Each text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InsertError {
    /// It is said for somebody else.
    #[error("accept a credential for {0}: this log does not follow that identity")]
    NotFollowed(Did),
    /// Nothing before it gives its issuer the right to it, whatever else may arrive.
    #[error("accept a credential of {issuer}: nothing before it says that {issuer} may say this for {subject}")]
    NoRight {
        /// Who signed it.
        issuer: Did,
        /// Whom it was to act for.
        subject: Did,
    },
    /// As many as may be.
    #[error("accept a credential: {0}")]
    Full(&'static str),
}

impl Log {
    /// Adds a credential, and those that waited for it.
    pub fn insert(&mut self, credential: Credential) -> Result<Inserted, InsertError> {
        let (id, subject) = (credential.id(), credential.statement().subject);
        if !self.followed.contains_key(&subject) {
            return Err(InsertError::NotFollowed(subject));
        }
        if self.places.contains_key(&id) || self.waiting.contains(&id) {
            return Ok(Inserted::Known);
        }
        let away = self.parents_away(&credential);
        if !away.is_empty() {
            self.waiting.insert(credential, away);
            return Ok(Inserted::Waits);
        }
        self.admit_or_forget(credential)?;
        let mut with = 0;
        let mut come = vec![id];
        while let Some(parent) = come.pop() {
            for child in self.waiting.children_of(&parent) {
                let Some(waiting) = self.waiting.get(&child) else { continue };
                if !self.parents_away(waiting).is_empty() {
                    continue;
                }
                let Some(waiting) = self.waiting.remove(&child) else { continue };
                if self.admit_or_forget(waiting).is_ok() {
                    with += 1;
                    come.push(child);
                }
            }
        }
        Ok(Inserted::Now { with })
    }

    fn parents_away(&self, credential: &Credential) -> Vec<CredentialId> {
        let parents = credential.statement().parents.iter();
        parents.filter(|parent| !self.places.contains_key(parent)).copied().collect()
    }

    fn admit_or_forget(&mut self, credential: Credential) -> Result<(), InsertError> {
        let id = credential.id();
        self.admit(credential).inspect_err(|_| self.waiting.forget_children_of(id))
    }

    /// Adds a credential whose parents are all here, unless it could not be valid in any log that holds them.
    fn admit(&mut self, credential: Credential) -> Result<(), InsertError> {
        let place = self.entries.len();
        let (statement, length) = (credential.statement(), credential.encode().len());
        let (issuer, subject) = (statement.issuer, statement.subject);
        let ancestors = self.ancestors_of(&statement.parents).expect("its parents are here");
        let parents = statement.parents.iter().map(|parent| self.entries[self.places[parent]].distance);
        let distance = parents.max().map_or(0, |distance| distance + 1);
        let proof = match &statement.claim {
            Claim::AgentDelegation { proof, .. } => proof.and_then(|proof| self.place_of(&proof)),
            _ => None,
        };
        let handed_on = proof.map_or(0, |proof| self.entries[proof].handed_on + 1);
        let (id, parents) = (credential.id(), statement.parents.clone());
        self.entries.push(Entry { credential, distance, ancestors, handed_on });
        let rules = Rules { log: self, is_valid: &|_| Verdict::Yes, with_revocations: false };
        let has_right = handed_on <= Self::HANDED_ON_MAX && rules.judge(place).verdict == Verdict::Yes;
        let is_own = rules.is_own(place);
        let room =
            if has_right { self.room(place, is_own, length) } else { Err(InsertError::NoRight { issuer, subject }) };
        if let Err(error) = room {
            self.entries.pop();
            return Err(error);
        }
        self.bytes += length;
        let share = self.followed.entry(subject).or_default();
        share.count += 1;
        if !is_own {
            *share.of_others.entry(issuer).or_default() += 1;
        }
        let entry = &self.entries[place];
        let space = match entry.credential.claim() {
            Claim::Join { invitation, .. } => match self.get(invitation).map(Credential::claim) {
                Some(Claim::Invitation { space, .. }) => Some(*space),
                _ => None,
            },
            _ => None,
        };
        self.index.insert(place, &self.entries[place].credential, space);
        self.places.insert(id, place);
        for parent in &parents {
            self.heads.remove(parent);
        }
        self.heads.insert(id);
        Ok(())
    }

    /// Whether there is room for the last entry.
    fn room(&self, place: usize, is_own: bool, length: usize) -> Result<(), InsertError> {
        let statement = self.entries[place].credential.statement();
        let share = self.followed.get(&statement.subject);
        let count = share.map_or(0, |share| share.count);
        let of_other = share.and_then(|share| share.of_others.get(&statement.issuer)).copied().unwrap_or(0);
        let reserved = if is_own && statement.claim.revokes() { 0 } else { Self::RESERVED };
        if place + reserved >= Self::LENGTH_MAX || self.bytes + length > Self::BYTES_MAX {
            return Err(InsertError::Full("the log holds as many as it may"));
        }
        if count + reserved >= Self::SHARE_MAX {
            return Err(InsertError::Full("the log holds as many of this identity as it may"));
        }
        if !is_own && of_other >= Self::OTHERS_MAX {
            return Err(InsertError::Full("the log holds as many of this agent or invitation as it may"));
        }
        Ok(())
    }
}
