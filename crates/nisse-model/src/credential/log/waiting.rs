//! Credentials whose parents are not all here yet.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::credential::{Credential, CredentialId};

/// The waiting room of a log. Where it is full, whoever has waited longest goes: it comes again with its parents, and a
/// flood of what never gets any does not stay.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    credentials: BTreeMap<CredentialId, Credential>,
    /// Who waits for whom.
    children: BTreeMap<CredentialId, BTreeSet<CredentialId>>,
    /// In the order in which they came; some have gone since.
    order: VecDeque<CredentialId>,
    bytes: usize,
}

impl Waiting {
    /// Credentials that may wait.
    pub(super) const LENGTH_MAX: usize = 1_024;
    /// Their bytes.
    pub(super) const BYTES_MAX: usize = 4 * 1024 * 1024;

    pub(super) fn contains(&self, id: &CredentialId) -> bool {
        self.credentials.contains_key(id)
    }

    /// Who is waited for, and does not wait.
    pub(super) fn missing(&self) -> impl Iterator<Item = CredentialId> + '_ {
        self.children.keys().copied().filter(|id| !self.credentials.contains_key(id))
    }

    /// Lets one wait for these parents.
    pub(super) fn insert(&mut self, credential: Credential, away: Vec<CredentialId>) {
        let id = credential.id();
        for parent in away {
            self.children.entry(parent).or_default().insert(id);
        }
        self.bytes += credential.encode().len();
        self.order.push_back(id);
        self.credentials.insert(id, credential);
        while self.credentials.len() > Self::LENGTH_MAX || self.bytes > Self::BYTES_MAX {
            let Some(longest) = self.order.pop_front() else { break };
            self.remove(&longest);
        }
        // What has gone is left in the order until there is twice as much of it as may wait.
        if self.order.len() > 2 * Self::LENGTH_MAX {
            self.order.retain(|id| self.credentials.contains_key(id));
        }
    }

    /// Those that wait for this one.
    pub(super) fn children_of(&self, parent: &CredentialId) -> Vec<CredentialId> {
        self.children.get(parent).into_iter().flatten().copied().collect()
    }

    pub(super) fn get(&self, id: &CredentialId) -> Option<&Credential> {
        self.credentials.get(id)
    }

    /// Takes one out.
    pub(super) fn remove(&mut self, id: &CredentialId) -> Option<Credential> {
        let credential = self.credentials.remove(id)?;
        self.bytes -= credential.encode().len();
        for parent in &credential.statement().parents {
            if let Some(children) = self.children.get_mut(parent) {
                children.remove(id);
                if children.is_empty() {
                    self.children.remove(parent);
                }
            }
        }
        Some(credential)
    }

    /// Forgets whatever waits for one that does not come, and for those.
    pub(super) fn forget_children_of(&mut self, parent: CredentialId) {
        let mut gone = vec![parent];
        while let Some(parent) = gone.pop() {
            let children = self.children_of(&parent);
            gone.extend(children.into_iter().filter(|child| self.remove(child).is_some()));
        }
    }
}
