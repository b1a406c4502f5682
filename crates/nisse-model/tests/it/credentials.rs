//! Whose word counts, as somebody who uses the crate tells it: a lost phone, an agent with an end, a shared space.

use nisse_model::{
    Claim, Credential, CredentialError, CredentialId, Did, InsertError, Inserted, Log, Role, Scope, SigningKey,
    Standing, Statement, Timestamp,
};

const NOW: Timestamp = Timestamp(1_790_000_000_000);
const LATER: Timestamp = Timestamp(NOW.0 + 3_600_000);

fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(&[number; 32])
}

fn scope(text: &str) -> Scope {
    text.parse().unwrap()
}

/// A person: the root key on paper, and what was said for it.
struct Person {
    root: SigningKey,
    log: Log,
}

impl Person {
    fn with_laptop(root: u8, laptop: &SigningKey) -> Self {
        let root = key(root);
        let mut log = Log::new();
        log.follow(root.did());
        let mut person = Self { root, log };
        let genesis = Claim::IdentityGenesis { device: laptop.did(), name: "laptop".parse().unwrap() };
        let first = person.signed(None, &[], genesis);
        person.hears(&first);
        person
    }

    fn did(&self) -> Did {
        self.root.did()
    }

    /// Signed by a key, or by the root key.
    fn signed(&self, by: Option<&SigningKey>, seen: &[CredentialId], claim: Claim) -> Credential {
        let by = by.unwrap_or(&self.root);
        let (issuer, subject, parents) = (by.did(), self.did(), seen.to_vec());
        Statement { issuer, subject, parents, issued: NOW, nonce: [0; 12], claim }.sign(by).unwrap()
    }

    /// Signed by somebody who has seen everything.
    fn says(&mut self, by: &SigningKey, claim: Claim) -> Credential {
        let credential = self.signed(Some(by), &self.log.parents(self.did(), &claim), claim);
        self.hears(&credential);
        credential
    }

    fn hears(&mut self, credential: &Credential) {
        // By its bytes, as it comes over a wire.
        let credential = Credential::decode(&credential.encode()).unwrap();
        assert!(matches!(self.log.insert(credential), Ok(Inserted::Now { .. })));
    }

    fn standing(&self, of: &SigningKey) -> Standing {
        self.log.state().standing(of.did(), self.did(), NOW)
    }
}

fn add(device: &SigningKey) -> Claim {
    Claim::DeviceAdd { device: device.did(), name: "another".parse().unwrap() }
}

fn revoke(device: &SigningKey) -> Claim {
    Claim::DeviceRevoke { device: device.did(), seen: Vec::new() }
}

fn delegate(agent: &SigningKey, text: &str, expires: Timestamp, proof: Option<CredentialId>) -> Claim {
    let (agent, name) = (agent.did(), "agent".parse().unwrap());
    Claim::AgentDelegation { agent, name, scopes: vec![scope(text)], expires, proof }
}

#[test]
fn a_lost_phone_is_cut_off_with_all_that_nobody_had_seen_of_it() {
    let (laptop, phone, thief) = (key(2), key(3), key(4));
    let mut alice = Person::with_laptop(1, &laptop);
    alice.says(&laptop, add(&phone));
    let seen = alice.log.parents(alice.did(), &revoke(&phone));
    alice.says(&laptop, revoke(&phone));
    // What it says as of before the loss comes late.
    let backdated = alice.signed(Some(&phone), &seen, add(&thief));
    alice.hears(&backdated);
    let found = [&laptop, &phone, &thief].map(|key| alice.standing(key));
    assert_eq!(found, [Standing::Device, Standing::Nothing, Standing::Nothing]);

    // It leaves by itself as of long ago, and nothing changes.
    let leaves = alice.signed(Some(&phone), &seen, revoke(&phone));
    alice.hears(&leaves);
    assert_eq!(alice.standing(&laptop), Standing::Device);
}

#[test]
fn two_devices_that_revoke_each_other_leave_the_older_one() {
    let (laptop, phone) = (key(2), key(3));
    let mut alice = Person::with_laptop(1, &laptop);
    alice.says(&laptop, add(&phone));
    let seen = alice.log.parents(alice.did(), &revoke(&phone));
    for (by, whom) in [(&phone, &laptop), (&laptop, &phone)] {
        let revocation = alice.signed(Some(by), &seen, revoke(whom));
        alice.hears(&revocation);
    }
    assert_eq!([&laptop, &phone].map(|key| alice.standing(key)), [Standing::Device, Standing::Nothing]);
}

#[test]
fn an_agent_has_what_it_was_given_hands_on_no_more_and_loses_it() {
    let (laptop, agent, helper) = (key(2), key(5), key(6));
    let mut alice = Person::with_laptop(1, &laptop);
    let given = alice.says(&laptop, delegate(&agent, "/agent/logs", LATER, None));
    let more = [("/agent", LATER), ("/agent/logs", Timestamp(LATER.0 + 1))];
    for (text, expires) in more {
        let wider = alice.signed(Some(&agent), &[given.id()], delegate(&helper, text, expires, Some(given.id())));
        let refused = alice.log.insert(wider);
        assert_eq!(refused, Err(InsertError::NoRight { issuer: agent.did(), subject: alice.did() }), "{text}");
    }
    alice.says(&agent, delegate(&helper, "/agent/logs?agent=notes", LATER, Some(given.id())));
    let may = |alice: &Person, text, now| alice.log.state().may(helper.did(), alice.did(), &scope(text), now);
    assert!(may(&alice, "/agent/logs?agent=notes", NOW));
    assert!(!may(&alice, "/agent/logs?agent=mail", NOW) && !may(&alice, "/agent/logs?agent=notes", LATER));
    alice.says(&laptop, revoke(&agent));
    assert!(!may(&alice, "/agent/logs?agent=notes", NOW), "what an agent hands on lasts as long as it has it");
}

#[test]
fn a_token_is_its_holders_and_ends_with_the_device_that_made_it() {
    let (laptop, phone, bob) = (key(2), key(3), key(12));
    let mut alice = Person::with_laptop(1, &laptop);
    alice.says(&laptop, add(&phone));
    let (scoped, wanted) = (scope("/agent/logs"), scope("/agent/logs?agent=notes"));
    let claim = Claim::Capability { audience: bob.did(), scope: scoped, expires: LATER, proof: None };
    let token = [alice.signed(Some(&phone), &alice.log.parents(alice.did(), &claim), claim)];
    let shown = |alice: &Person, by: &SigningKey, now| alice.log.state().token(&token, by.did(), &wanted, now).is_ok();
    assert!(shown(&alice, &bob, NOW) && !shown(&alice, &laptop, NOW) && !shown(&alice, &bob, LATER));
    alice.says(&laptop, revoke(&phone));
    assert!(!shown(&alice, &bob, NOW));
}

#[test]
fn x2_a_lower_role_and_an_expulsion_reach_what_they_had_not_seen() {
    let (laptop, bobs) = (key(2), key(12));
    let mut alice = Person::with_laptop(1, &laptop);
    let bob = Person::with_laptop(11, &bobs);
    alice.log.follow(bob.did());
    let genesis: Vec<_> = bob.log.iter().cloned().collect();
    alice.hears(&genesis[0]);
    let space = alice.says(&laptop, Claim::SpaceGenesis).id();
    let member = |of: &Person, role| Claim::Member { space, member: of.did(), role };
    let admin = alice.says(&laptop, member(&bob, Role::Admin)).id();
    alice.says(&laptop, member(&bob, Role::Read));
    // He has not heard of it, or says so, and expels her.
    let expels = Claim::MemberRevoke { space, member: alice.did() };
    let mut seen = bob.log.parents(bob.did(), &expels);
    seen.push(admin);
    seen.sort();
    let backdated = bob.signed(Some(&bobs), &seen, expels);
    alice.hears(&backdated);
    let members = alice.log.state().members(space);
    assert_eq!(
        members.into_iter().collect::<std::collections::HashMap<_, _>>(),
        [(alice.did(), Role::Admin), (bob.did(), Role::Read),].into()
    );
}

#[test]
fn x1_what_somebody_else_signed_is_nobodys_word() {
    let (laptop, mallory) = (key(2), key(31));
    let alice = Person::with_laptop(1, &laptop);
    let statement = Statement {
        issuer: laptop.did(),
        subject: alice.did(),
        parents: alice.log.parents(alice.did(), &add(&mallory)),
        issued: NOW,
        nonce: [0; 12],
        claim: add(&mallory),
    };
    let by_mallory = mallory.sign(Statement::CONTEXT, &statement.signed_bytes());
    let in_another_context = laptop.sign("nisse request v1", &statement.signed_bytes());
    for signature in [by_mallory, in_another_context] {
        assert_eq!(statement.clone().with_signature(signature), Err(CredentialError::Signature(laptop.did())));
    }
    let by_laptop = laptop.sign(Statement::CONTEXT, &statement.signed_bytes());
    assert!(statement.with_signature(by_laptop).is_ok());
}
