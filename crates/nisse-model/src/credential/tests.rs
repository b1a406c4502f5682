//! A few keys, a log, and what they say to it.

mod chains;
mod codec;
mod identities;
mod invitations;
mod naive;
mod random;
mod spaces;
mod tokens;
mod words;

use std::sync::LazyLock;

use super::*;
use crate::Timestamp;

/// When it all happens, where nothing else is said.
const NOW: Timestamp = Timestamp(1_790_000_000_000);
const LATER: Timestamp = Timestamp(NOW.0 + 3_600_000);

fn key(number: u8) -> &'static SigningKey {
    static KEYS: LazyLock<Vec<SigningKey>> =
        LazyLock::new(|| (0..=u8::MAX).map(|number| SigningKey::from_seed(&[number; 32])).collect());
    &KEYS[usize::from(number)]
}

fn label(text: &str) -> Label {
    text.parse().expect("a name")
}

fn scope(text: &str) -> Scope {
    text.parse().expect("a scope")
}

/// One who speaks: a key, and the identity that it acts for.
#[derive(Clone, Copy)]
struct Voice {
    key: u8,
    identity: u8,
}

impl Voice {
    const fn of(identity: u8, key: u8) -> Self {
        Self { key, identity }
    }

    fn did(self) -> Did {
        key(self.key).did()
    }

    /// Says this, having seen these.
    fn says(self, claim: Claim, seen: &[CredentialId]) -> Credential {
        self.says_at(claim, seen, NOW)
    }

    fn says_at(self, claim: Claim, seen: &[CredentialId], issued: Timestamp) -> Credential {
        let mut parents = seen.to_vec();
        parents.sort();
        parents.dedup();
        let subject = key(self.identity).did();
        let statement = Statement { issuer: self.did(), subject, parents, issued, nonce: [0; 12], claim };
        statement.sign(key(self.key)).expect("a credential in order")
    }
}

/// Alice: her root key, two laptops, a phone, and an agent.
const ALICE: Voice = Voice::of(1, 1);
const LAPTOP: Voice = Voice::of(1, 2);
const PHONE: Voice = Voice::of(1, 3);
const AGENT: Voice = Voice::of(1, 4);
const HELPER: Voice = Voice::of(1, 5);
/// Bob: his root key and his device.
const BOB: Voice = Voice::of(11, 11);
const BOBS: Voice = Voice::of(11, 12);
const CAROL: Voice = Voice::of(21, 21);
const CAROLS: Voice = Voice::of(21, 22);
const MALLORY: Voice = Voice::of(31, 31);

fn genesis(who: Voice, device: Voice) -> Credential {
    who.says(Claim::IdentityGenesis { device: device.did(), name: label("first") }, &[])
}

fn add(device: Voice) -> Claim {
    Claim::DeviceAdd { device: device.did(), name: label("another") }
}

fn revoke(device: Voice) -> Claim {
    Claim::DeviceRevoke { device: device.did(), seen: Vec::new() }
}

fn delegate(agent: Voice, scopes: &[&str], expires: Timestamp, proof: Option<CredentialId>) -> Claim {
    let mut scopes: Vec<_> = scopes.iter().map(|text| scope(text)).collect();
    scopes.sort();
    Claim::AgentDelegation { agent: agent.did(), name: label("agent"), scopes, expires, proof }
}

fn member(space: &Credential, who: Voice, role: Role) -> Claim {
    Claim::Member { space: space.id(), member: key(who.identity).did(), role }
}

fn expel(space: &Credential, who: Voice) -> Claim {
    Claim::MemberRevoke { space: space.id(), member: key(who.identity).did() }
}

/// A log that follows everybody here but Mallory.
fn empty() -> Log {
    let mut log = Log::new();
    for who in [ALICE, BOB, CAROL] {
        assert!(log.follow(who.did()));
    }
    log
}

/// A log of these, which all come in.
fn log(credentials: &[&Credential]) -> Log {
    let mut log = empty();
    for credential in credentials {
        assert!(matches!(log.insert((*credential).clone()), Ok(Inserted::Now { .. })), "{credential:?}");
    }
    log
}

/// What a key is for its identity, in a word.
fn standing(log: &Log, who: Voice) -> &'static str {
    match log.state().standing(who.did(), key(who.identity).did(), NOW) {
        Standing::Root => "root",
        Standing::Device => "device",
        Standing::Agent(_) => "agent",
        Standing::Nothing => "nothing",
    }
}

fn refused(log: &mut Log, credential: &Credential) -> String {
    match log.insert(credential.clone()) {
        Err(error) => format!("failed to {error}"),
        Ok(inserted) => panic!("it came in: {inserted:?}"),
    }
}
