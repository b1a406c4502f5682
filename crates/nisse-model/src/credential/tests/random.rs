//! Random logs: told in any order they come to the same, and to what the rules say when they are written otherwise.

use std::cell::Cell;
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

use super::naive::Naive;
use super::*;

/// Random worlds of a run, if `NISSE_CREDENTIAL_CASES` says nothing else.
const CASES: u32 = 100_000;
/// One in so many has real signatures and forgeries; in the others what stands is taken as signed, which is much faster.
const SIGNED: u64 = 32;

/// One thing that somebody says; the numbers pick from what there is at that moment.
#[derive(Debug, Clone)]
pub(super) struct Act {
    kind: u8,
    who: u8,
    whom: u8,
    role: u8,
    scope: u8,
    /// How much of the past is seen: each of these picks one earlier credential, with all before it.
    seen: Vec<Index>,
    about: Index,
    late: bool,
    forged: bool,
}

pub(super) fn acts() -> impl Strategy<Value = Vec<Act>> {
    let seen = prop::collection::vec(any::<Index>(), 1..4);
    let numbers = (0..24_u8, any::<u8>(), any::<u8>(), any::<u8>(), any::<u8>());
    let act = (numbers, seen, any::<Index>(), prop::bool::weighted(0.1), prop::bool::weighted(0.05)).prop_map(
        |((kind, who, whom, role, scope), seen, about, late, forged)| Act {
            kind,
            who,
            whom,
            role,
            scope,
            seen,
            about,
            late,
            forged,
        },
    );
    prop::collection::vec(act, 4..24)
}

const SCOPES: [&str; 4] = ["/", "/agent", "/agent/logs", "/space"];

/// Few keys, so that they meet.
const DEVICES: [u8; 5] = [2, 3, 4, 5, 6];

/// Whoever was admitted so far, with the credential that says so; a root key has none.
pub(super) fn voices(said: &[Credential]) -> Vec<(Voice, Option<CredentialId>)> {
    let mut voices = vec![(ALICE, None), (BOB, None)];
    for credential in said {
        let statement = credential.statement();
        let key = match &statement.claim {
            Claim::IdentityGenesis { device, .. }
            | Claim::DeviceAdd { device, .. }
            | Claim::AgentDelegation { agent: device, .. }
            | Claim::Invitation { key: device, .. } => *device,
            _ => continue,
        };
        let identity = if statement.subject == ALICE.did() { ALICE.identity } else { BOB.identity };
        let number = DEVICES.iter().chain([&TICKET]).find(|number| super::key(**number).did() == key);
        voices.push((Voice::of(identity, *number.expect("a key of this world")), Some(credential.id())));
    }
    voices
}

/// The key of all invitations.
const TICKET: u8 = 90;

/// Two identities, and a space that both administer.
static BEGINNING: LazyLock<Vec<Credential>> = LazyLock::new(|| {
    let mut said = vec![genesis(ALICE, LAPTOP), genesis(BOB, PHONE)];
    said.push(LAPTOP.says(Claim::SpaceGenesis, &[said[0].id(), said[1].id()]));
    said.push(LAPTOP.says(member(&said[2], BOB, Role::Admin), &[said[2].id()]));
    said
});

/// Makes it of the acts: identities and a space at the beginning, then whatever they say.
pub(super) fn told(acts: &[Act], signed: bool) -> Vec<Credential> {
    let mut said = BEGINNING.clone();
    let mut log = log(&said.iter().collect::<Vec<_>>());
    for act in acts {
        let voices = voices(&said);
        let (who, admitted) = voices[usize::from(act.who) % voices.len()];
        let mut seen: Vec<_> = act.seen.iter().map(|index| index.get(&said).id()).collect();
        // Mostly somebody has seen who admitted them; sometimes the last thing, too.
        seen.extend(admitted.filter(|_| act.scope < 250));
        seen.extend((act.whom < 100).then(|| said[said.len() - 1].id()));
        let about = act.about.get(&said);
        let issued = if act.late { Timestamp(LATER.0 + 1) } else { NOW };
        seen.sort();
        seen.dedup();
        let claim = claim(act, who, about, &said);
        let subject = key(who.identity).did();
        let statement = Statement { issuer: who.did(), subject, parents: seen, issued, nonce: [0; 12], claim };
        if crate::credential::codec::check(&statement).is_err() {
            continue;
        }
        let credential = match (signed, act.forged) {
            (true, true) => {
                let by_another = key(who.key.wrapping_add(1)).sign(Statement::CONTEXT, &statement.signed_bytes());
                assert!(statement.with_signature(by_another).is_err());
                continue;
            }
            (true, false) => statement.sign(key(who.key)).expect("a credential in order"),
            (false, _) => Credential::sealed(statement, [0; 64]),
        };
        // Of those that could never be valid a few are said, too.
        if log.insert(credential.clone()).is_ok() || act.scope.is_multiple_of(16) {
            said.push(credential);
        }
    }
    said
}

fn claim(act: &Act, who: Voice, about: &Credential, said: &[Credential]) -> Claim {
    let whom = Voice::of(who.identity, DEVICES[usize::from(act.whom) % DEVICES.len()]);
    let space = said[2].id();
    let identity = key(if act.whom.is_multiple_of(3) { ALICE.identity } else { BOB.identity }).did();
    let role = Role::ALL[usize::from(act.role) % 4];
    let text = SCOPES[usize::from(act.scope) % SCOPES.len()];
    let expires = if act.role.is_multiple_of(4) { NOW } else { LATER };
    match act.kind {
        0..=3 => add(whom),
        4..=6 => revoke(whom),
        7 => Claim::DeviceRevoke { device: whom.did(), seen: vec![about.id()] },
        8..=9 => delegate(whom, &[text], expires, None),
        10..=11 => delegate(whom, &[text], expires, Some(about.id())),
        12..=13 => Claim::Member { space, member: identity, role },
        14 => Claim::Member { space, member: identity, role: Role::Admin },
        15..=17 => Claim::MemberRevoke { space, member: identity },
        18 => Claim::Withdraw { credential: about.id() },
        19..=20 => Claim::Invitation {
            space,
            key: key(TICKET).did(),
            role,
            expires,
            uses: u32::from(act.scope % 2) + 1,
            invitee: act.scope.is_multiple_of(5).then_some(identity),
        },
        21..=22 => Claim::Join { invitation: about.id(), member: identity },
        _ => Claim::Capability { audience: whom.did(), scope: scope(text), expires, proof: None },
    }
}

/// All that can be asked of a log, as text.
fn summary(log: &Log, said: &[Credential]) -> String {
    let state = log.state();
    let valid: Vec<_> = said.iter().map(|one| (log.get(&one.id()).is_some(), state.is_valid(&one.id()))).collect();
    let devices = [ALICE, BOB].map(|who| state.devices(who.did(), NOW));
    format!("{valid:?} {devices:?} {:?} {:?}", state.members(said[2].id()), log.heads())
}

pub(super) fn heard(said: impl Iterator<Item = Credential>) -> Log {
    let mut log = empty();
    for credential in said {
        let _ = log.insert(credential);
    }
    log
}

#[test]
fn any_order_of_arrival_comes_to_the_same_and_to_what_the_rules_say_otherwise() {
    let cases = std::env::var("NISSE_CREDENTIAL_CASES").map_or(CASES, |cases| cases.parse().expect("a number"));
    let config = Config { cases, max_shrink_iters: 2_000, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let [count, valid, void, circles] = std::array::from_fn(|_| Cell::new(0_u64));
    let shuffled = acts().prop_flat_map(|acts| {
        let count = acts.len() + 4;
        (Just(acts), Just((0..count).collect::<Vec<_>>()).prop_shuffle())
    });
    let result = runner.run(&shuffled, |(acts, order)| {
        let said = told(&acts, count.replace(count.get() + 1).is_multiple_of(SIGNED));
        let log = heard(said.iter().cloned());
        let otherwise = heard(order.into_iter().filter_map(|place| said.get(place).cloned()));
        prop_assert_eq!(summary(&log, &said), summary(&otherwise, &said));
        let naive = Naive::of(&said);
        circles.set(circles.get() + naive.circles);
        let state = log.state();
        for one in &said {
            let is_valid = state.is_valid(&one.id());
            prop_assert_eq!(is_valid, naive.valid.contains(&one.id()), "{:?}", one);
            if is_valid {
                valid.set(valid.get() + 1);
            } else if log.get(&one.id()).is_some() {
                void.set(void.get() + 1);
            }
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    // The worlds are worth their time only if revocations meet in many of them.
    let (cases, valid, void, circles) = (u64::from(cases), valid.get(), void.get(), circles.get());
    assert!(
        valid > 8 * cases && void > cases && circles > cases / 100,
        "{valid} valid, {void} void, {circles} circles"
    );
}
