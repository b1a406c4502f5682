//! What befalls a world: one thing at a time.

use nisse_model::{Claim, Did, Role, SigningKey};
use serde_json::{Map, Value};

use super::super::Author as _;
use super::member::Malice;
use super::net::{Invited, Kept, Net};
use crate::document_id::DocumentId;
use crate::objects::ObjectId;
use crate::space::Write;
use crate::vouched::changes_in;

/// Documents that clients write.
pub(super) const DOCUMENTS: [DocumentId; 3] = [DocumentId([3; 16]), DocumentId([0x40; 16]), DocumentId([0xc0; 16])];

/// Objects that homes write.
pub(super) fn objects() -> [ObjectId; 2] {
    [1, 2].map(|number| ObjectId::new(1_700_000_000_000, [number; 10]))
}

impl Net {
    /// One thing, whatever it is.
    pub(super) fn step(&mut self) {
        self.tick();
        let at = self.random.index(self.peers.len());
        match self.random.below(100) {
            0..28 => self.write(at),
            28..36 => self.write_object(at),
            36..50 => {
                let other = self.random.index(self.peers.len());
                self.link(at, other);
            }
            50..56 => {
                let up: Vec<usize> = (0..self.links.len()).filter(|link| self.links[*link].is_up).collect();
                if !up.is_empty() {
                    let link = *self.random.pick(&up);
                    self.cut(link);
                }
            }
            56..80 => {
                for _ in 0..=self.random.below(16) {
                    self.carry();
                }
            }
            80..83 => self.crash(at),
            83..85 => self.cut_power_soon(at),
            85..93 => self.administer(at),
            93..96 => self.join(at),
            96 => self.revoke_device(at),
            97..99 => self.corrupt(at),
            _ => self.hear_of_credentials(at),
        }
    }

    /// A device's client writes a line.
    fn write(&mut self, at: usize) {
        self.connect(at);
        let document = *self.random.pick(&DOCUMENTS);
        match &mut self.peers[at].client {
            Some((_, client)) => client.find(document),
            None => return,
        }
        self.talk(at);
        let line = self.line(at);
        let Some((_, client)) = &mut self.peers[at].client else { return };
        client.write(document, &line);
        self.tell(|| format!("the client of {at} writes {line} into {document}"));
        self.talk(at);
    }

    fn line(&mut self, at: usize) -> String {
        self.written += 1;
        format!("line {} of {at}", self.written)
    }

    /// A home changes an object of its own accord, if it may.
    fn write_object(&mut self, at: usize) {
        if self.peers[at].is_honest() && self.peers[at].member.role() < Some(Role::Edit) {
            return;
        }
        let (object, line) = (*self.random.pick(&objects()), self.line(at));
        self.tell(|| format!("{at} writes {line} into the object {object}"));
        let patch: Map<String, Value> = [(line, Value::Bool(true))].into_iter().collect();
        let peer = &mut self.peers[at];
        let written = peer.space.write_object(object, Write::Patch(&patch), &peer.member);
        self.follow(at, written.map(|(_, effects)| effects).unwrap_or_default());
    }

    /// An admin changes what somebody may do.
    fn administer(&mut self, at: usize) {
        let peer = &self.peers[at];
        if !peer.is_honest() || peer.member.role() < Some(Role::Admin) {
            return;
        }
        let (space, own) = (self.space, peer.member.identity);
        if self.random.once_in(4) {
            return self.invite(at);
        }
        let whom = self.random.index(self.peers.len());
        let member = self.peers[whom].member.identity;
        if member == own {
            return;
        }
        let has = self.peers[at].member.role_of(member);
        let role = *self.random.pick(&[None, Some(Role::Read), Some(Role::Edit), Some(Role::Edit), Some(Role::Admin)]);
        if role == has {
            return;
        }
        if role < Some(Role::Edit) && has >= Some(Role::Edit) && !self.vouch(at, member) {
            return;
        }
        let claim = match role {
            Some(role) => Claim::Member { space, member, role },
            None => Claim::MemberRevoke { space, member },
        };
        self.totals.revocations += u64::from(role < has);
        self.totals.admissions += u64::from(role > has);
        if let Some(id) = self.peers[at].member.say(claim) {
            let name = self.name(whom);
            self.tell(|| format!("{at} says that {name} is {role:?} now, and not {has:?}: {id}"));
            self.learned(at);
        }
    }

    /// Vouches for what somebody wrote who is about to be cut off.
    fn vouch(&mut self, at: usize, who: Did) -> bool {
        let mut changes = Vec::new();
        let all = DOCUMENTS.into_iter().chain(self.places());
        for document in all {
            let held = self.peers[at].space.store().all_of(document).expect("it can be read");
            let theirs = held.iter().filter(|kept| !kept.is_aside).map(|kept| &kept.changes);
            for theirs in theirs.filter(|changes| changes.author == who || changes.identity == who) {
                let brought = changes_in(&theirs.bytes).expect("they can be read");
                changes.extend(brought.iter().map(|change| (document, change.hash())));
            }
        }
        let may = self.peers[at].member.role() >= Some(Role::Edit);
        let peer = &mut self.peers[at];
        let vouched = peer.space.vouch_for(who, &peer.member);
        let is_done = vouched.is_ok();
        self.follow(at, vouched.unwrap_or_default());
        if is_done && may {
            self.totals.vouched += 1;
            self.kept.push(Kept { by: at, changes });
        }
        is_done
    }

    /// The documents that homes write.
    pub(super) fn places(&self) -> Vec<DocumentId> {
        let places = objects().into_iter().map(|object| crate::root::object_document(self.space, object));
        places.chain([crate::root::root_document(self.space)]).collect()
    }

    fn invite(&mut self, at: usize) {
        let key = SigningKey::from_seed(&[200 + self.invited.len() as u8; 32]);
        let expires = self.peers[at].member.now().plus_ms(self.random.below(4 * 3_600_000));
        let role = *self.random.pick(&[Role::Read, Role::Edit]);
        let (space, uses) = (self.space, 1 + self.random.below(2) as u32);
        let claim = Claim::Invitation { space, key: key.did(), role, expires, uses, invitee: None };
        if self.invited.len() < 50 && self.peers[at].member.say(claim).is_some() {
            self.tell(|| format!("{at} invites as {role:?}"));
            self.invited.push(Invited { by: at, key });
            self.learned(at);
        }
    }

    /// Somebody takes an invitation, at whoever made it.
    fn join(&mut self, at: usize) {
        if self.invited.is_empty() || !self.peers[at].is_honest() {
            return;
        }
        let place = self.random.index(self.invited.len());
        let (host, key) = (self.invited[place].by, self.invited[place].key.did());
        if host == at || !self.peers[host].is_honest() || self.peers[at].member.role().is_some() {
            return;
        }
        let about = self.peers[host].member.about();
        if self.peers[at].member.take(&about) {
            self.learned(at);
        }
        let member = &mut self.peers[at].member;
        let (own, now) = (member.identity, member.now());
        let Some((invitation, _, inviter, role)) = member.log.state().invitation(key, now) else { return };
        let claim = Claim::Join { invitation, member: own };
        let parents = member.log.parents(inviter, &claim);
        let joining = member.statement((key, inviter), parents, claim);
        let Ok(joining) = joining.sign(&self.invited[place].key) else { return };
        if member.log.insert(joining.clone()).is_err() {
            return;
        }
        let mut brought: Vec<_> = member.log.of_identity(own).into_iter().cloned().collect();
        brought.push(joining);
        self.tell(|| format!("{at} joins at {host} as {role:?}"));
        self.totals.joined += 1;
        self.learned(at);
        if self.peers[host].member.take(&brought) {
            self.learned(host);
        }
    }

    /// An identity cuts one of its devices off, by another.
    fn revoke_device(&mut self, at: usize) {
        let own = self.peers[at].member.identity;
        let of_own = |other: &usize| *other != at && self.peers[*other].member.identity == own;
        let others: Vec<usize> = (0..self.peers.len()).filter(of_own).collect();
        let now = self.peers[at].member.now();
        let key = self.peers[at].member.key.did();
        let state = self.peers[at].member.log.state();
        let is_in = |key: Did| state.standing(key, own, now) == nisse_model::Standing::Device;
        if others.is_empty() || !self.peers[at].is_honest() || !is_in(key) {
            return;
        }
        let other = *self.random.pick(&others);
        let device = self.peers[other].member.key.did();
        if !is_in(device) || !self.vouch(at, device) {
            return;
        }
        let member = &mut self.peers[at].member;
        let has_said = member
            .log
            .iter()
            .any(|credential| credential.statement().issuer == device && member.log.space(&credential.id()).is_some());
        let seen = if has_said { member.heads() } else { Vec::new() };
        if member.say(Claim::DeviceRevoke { device, seen }).is_some() {
            self.tell(|| format!("{at} cuts off {other}, a device of its own identity"));
            self.totals.devices_revoked += 1;
            self.learned(at);
        }
    }

    /// Whoever may not write follows no rules from now on: what it says that it has seen is as old as it likes.
    fn corrupt(&mut self, at: usize) {
        let member = &mut self.peers[at].member;
        if member.malice.is_some() || at == 0 || member.role() >= Some(Role::Edit) {
            return;
        }
        // What it had seen when it wrote last, by its own rights.
        let signed = self.signed.iter().rev().find(|signed| signed.by == at);
        let seen = signed.map(|signed| signed.chunk.changes().seen.clone());
        let seen = seen.filter(|_| !self.random.once_in(4));
        let says = if seen.is_some() { "what it had seen when it wrote last" } else { "what it has seen" };
        self.peers[at].member.malice = Some(Malice { seen });
        self.tell(|| format!("{at} follows no rules any more, and says {says}"));
        self.totals.corrupted += 1;
        self.peers[at].is_due = true;
        self.hear_of_credentials(at);
    }
}
