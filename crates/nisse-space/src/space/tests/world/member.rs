//! A device of a member: its key, what it knows, and its clock. It asks its log as a node does.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use nisse_model::{Claim, Credential, CredentialId, Did, Log, Role, Settled, SigningKey, Statement, Timestamp, Word};

use super::super::{Author, Made};
use crate::chunk::{Changes, Chunk};

/// What a device that follows no rules goes by.
pub(super) struct Malice {
    /// What it says that it has seen; nothing: what it has.
    pub(super) seen: Option<Vec<CredentialId>>,
}

/// A device, as it signs.
pub(super) struct Member {
    pub(super) key: SigningKey,
    pub(super) identity: Did,
    pub(super) space: CredentialId,
    pub(super) log: Log,
    settled: RefCell<Settled>,
    pub(super) now: Cell<Timestamp>,
    pub(super) malice: Option<Malice>,
    /// What it signed in this turn.
    pub(super) signed: RefCell<Vec<Chunk>>,
    said: u64,
}

impl Member {
    pub(super) fn new(key: SigningKey, identity: Did) -> Self {
        let mut log = Log::new();
        assert!(log.follow(identity));
        Self {
            key,
            identity,
            space: CredentialId(nisse_model::Hash256::ZERO),
            log,
            settled: RefCell::default(),
            now: Cell::new(Timestamp(0)),
            malice: None,
            signed: RefCell::default(),
            said: 0,
        }
    }

    /// Says something for its identity; nothing, where it has no right to.
    pub(super) fn say(&mut self, claim: Claim) -> Option<CredentialId> {
        let parents = self.log.parents(self.identity, &claim);
        let credential = self.statement((self.key.did(), self.identity), parents, claim).sign(&self.key);
        let credential = credential.expect("a credential in order");
        let id = credential.id();
        self.log.insert(credential).ok().map(|_| id)
    }

    pub(super) fn statement(
        &mut self,
        (issuer, subject): (Did, Did),
        parents: Vec<CredentialId>,
        claim: Claim,
    ) -> Statement {
        self.said += 1;
        let mut nonce = [0; 12];
        nonce[..8].copy_from_slice(&self.said.to_be_bytes());
        Statement { issuer, subject, parents, issued: self.now.get(), nonce, claim }
    }

    /// Takes what is said about the space, of those that what is valid of it names: as a node does. Whether any was new.
    pub(super) fn take(&mut self, brought: &[Credential]) -> bool {
        let before = self.log.len();
        for identity in self.named(brought) {
            self.log.follow(identity);
        }
        for credential in brought {
            // Others may hold what is not valid here.
            let _ = self.log.insert(credential.clone());
        }
        self.log.len() > before
    }

    fn named(&self, brought: &[Credential]) -> BTreeSet<Did> {
        let mut all = Log::new();
        for credential in self.log.about(self.space).into_iter().chain(brought) {
            all.follow(credential.statement().subject);
            let _ = all.insert(credential.clone());
        }
        let state = all.state();
        let mut named = BTreeSet::new();
        for credential in all.about(self.space) {
            let member = match credential.claim() {
                Claim::Member { member, .. } | Claim::MemberRevoke { member, .. } | Claim::Join { member, .. } => {
                    Some(*member)
                }
                Claim::Invitation { invitee, .. } => *invitee,
                Claim::SpaceGenesis => None,
                _ => continue,
            };
            if state.is_valid(&credential.id()) {
                named.insert(credential.statement().subject);
                named.extend(member);
            }
        }
        named
    }

    pub(super) fn about(&self) -> Vec<Credential> {
        self.log.about(self.space).into_iter().cloned().collect()
    }

    /// The role of an identity, as far as is known here.
    pub(super) fn role_of(&self, identity: Did) -> Option<Role> {
        self.log.state_by(&mut self.settled.borrow_mut()).role(identity, self.space)
    }

    /// What this device may do now, as far as it knows.
    pub(super) fn role(&self) -> Option<Role> {
        let mut settled = self.settled.borrow_mut();
        let (state, now) = (self.log.state_by(&mut settled), self.now.get());
        let may = |role: &Role| state.acts_in(self.key.did(), self.identity, self.space, *role, now);
        Role::ALL.into_iter().rev().find(may)
    }

    pub(super) fn heads(&self) -> Vec<CredentialId> {
        let about = Claim::Member { space: self.space, member: self.identity, role: Role::Admin };
        self.log.parents(self.identity, &about)
    }
}

impl Author for Member {
    fn names(&self) -> (Did, Did) {
        (self.key.did(), self.identity)
    }

    fn seen(&self) -> Vec<CredentialId> {
        match &self.malice {
            Some(Malice { seen: Some(seen) }) => seen.clone(),
            _ => self.heads(),
        }
    }

    fn word(&self, by: Made<'_>) -> Word {
        if self.malice.is_some() && by.author == self.key.did() {
            return Word::Counts;
        }
        let state = self.settled.try_borrow_mut();
        let mut settled = state.expect("nobody else asks meanwhile");
        let state = self.log.state_by(&mut settled);
        state.word(by.author, by.identity, self.space, Role::Edit, by.seen, by.signed)
    }

    fn now(&self) -> Timestamp {
        self.now.get()
    }

    fn can_sign(&self) -> bool {
        true
    }

    fn sign(&self, context: &str, bytes: &[u8]) -> Option<[u8; 64]> {
        assert_eq!(context, Changes::CONTEXT);
        let signature = self.key.sign(context, bytes);
        let changes = Changes::decode_unsigned(bytes).expect("what is signed can be read");
        self.signed.borrow_mut().push(changes.with_signature(signature).expect("a chunk"));
        Some(signature)
    }
}
