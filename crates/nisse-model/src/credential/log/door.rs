//! The door of a log: what comes in, what waits for its parents, and what could never be valid.

use super::rules::{At, Rules};
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
        let space = match &statement.claim {
            Claim::SpaceGenesis => Some(id),
            // By what it had seen alone: the same in every log, whatever else has arrived.
            claim => self.space_of(claim, At::Outside { ancestors: &ancestors }),
        };
        self.entries.push(Entry { credential, distance, ancestors, space, handed_on });
        let rules = Rules { log: self, is_valid: &|_| Verdict::Yes, with_revocations: false };
        let has_right = handed_on <= Self::HANDED_ON_MAX && rules.judge(place).verdict == Verdict::Yes;
        let answers = if rules.is_own(place) { None } else { Some(self.who_answers(place)) };
        let room =
            if has_right { self.room(place, answers, length) } else { Err(InsertError::NoRight { issuer, subject }) };
        if let Err(error) = room {
            self.entries.pop();
            return Err(error);
        }
        self.bytes += length;
        let share = self.followed.entry(subject).or_default();
        (share.count, share.bytes) = (share.count + 1, share.bytes + length);
        share.of_root += usize::from(issuer == subject);
        if let Some(other) = answers {
            let (count, bytes) = share.of_others.entry(other).or_default();
            (*count, *bytes) = (*count + 1, *bytes + length);
        }
        self.index.insert(place, &self.entries[place].credential, space);
        self.places.insert(id, place);
        for parent in &parents {
            self.heads.remove(parent);
        }
        self.heads.insert(id);
        Ok(())
    }

    /// In whose name somebody says something who is no device of the identity: the agent that a device delegated to, whoever
    /// it handed on to since; or the key of an invitation by a device.
    fn who_answers(&self, place: usize) -> Did {
        let entry = &self.entries[place];
        let statement = entry.credential.statement();
        if let Claim::Join { invitation, .. } = &statement.claim {
            let rules = Rules { log: self, is_valid: &|_| Verdict::Yes, with_revocations: false };
            return match self.place_of(invitation) {
                Some(invited) if !rules.is_own(invited) => self.who_answers(invited),
                _ => statement.issuer,
            };
        }
        let admissions = self.index.admissions.get(&(statement.subject, statement.issuer));
        let mut admission = admissions.into_iter().flatten().copied().find(|place| entry.ancestors.contains(*place));
        let mut answers = statement.issuer;
        while let Some(place) = admission {
            let Claim::AgentDelegation { agent, proof, .. } = self.entries[place].credential.claim() else { break };
            answers = *agent;
            admission = proof.and_then(|proof| self.place_of(&proof));
        }
        answers
    }

    /// Whether there is room for the last entry, for which somebody answers if no device of the identity said it.
    fn room(&self, place: usize, answers: Option<Did>, length: usize) -> Result<(), InsertError> {
        let full = |why| Err(InsertError::Full(why));
        let entry = &self.entries[place];
        let statement = entry.credential.statement();
        let Some(share) = self.followed.get(&statement.subject) else {
            return Err(InsertError::NotFollowed(statement.subject));
        };
        let is_root = statement.issuer == statement.subject;
        if is_root && share.of_root < Self::ROOT_PLACES {
            return Ok(());
        }
        if place + self.promised() >= Self::LENGTH_MAX || self.bytes + length > Self::BYTES_MAX {
            return full("the log holds as many as it may");
        }
        let may_use_all = answers.is_none() && statement.claim.revokes();
        let (places, bytes) = if may_use_all { (0, 0) } else { (Self::RESERVED, Self::RESERVED_BYTES) };
        if share.count + places >= Self::SHARE_MAX || share.bytes + length + bytes > Self::SHARE_BYTES_MAX {
            return full("the log holds as many of this identity as it may");
        }
        let (count, bytes) = answers.and_then(|answers| share.of_others.get(&answers)).copied().unwrap_or_default();
        if answers.is_some() && (count >= Self::OTHERS_MAX || bytes + length > Self::OTHERS_BYTES_MAX) {
            return full("the log holds as many of this agent or invitation as it may");
        }
        if !is_root && self.index.crowd(&entry.credential, entry.space) >= Self::ABOUT_MAX {
            return full("the log holds as many about this key or member as it may");
        }
        Ok(())
    }
}
