//! What is signed outside of a log by what its author had seen of it, and what one must hold to judge that.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

use super::spaces::{log_of, shared};
use super::*;
use crate::credential::log::Word;

/// What a voice's word counts for where this role is needed.
fn word(log: &Log, who: Voice, space: &Credential, role: Role, seen: &[&Credential]) -> Word {
    word_at(log, who, space, role, seen, NOW)
}

fn word_at(log: &Log, who: Voice, space: &Credential, role: Role, seen: &[&Credential], time: Timestamp) -> Word {
    let seen: Vec<_> = seen.iter().map(|credential| credential.id()).collect();
    log.state().word(who.did(), key(who.identity).did(), space.id(), role, &seen, time)
}

#[test]
fn a_members_word_counts_up_to_its_role_and_nobody_elses_does() {
    let (said, space) = shared(Role::Edit);
    let log = log_of(&said, &[]);
    let last = &said[4];
    for who in [BOB, BOBS] {
        let words = Role::ALL.map(|role| word(&log, who, &space, role, &[last]));
        assert_eq!(words, [Word::Counts, Word::Counts, Word::Counts, Word::Nothing]);
    }
    assert_eq!(word(&log, LAPTOP, &space, Role::Admin, &[last]), Word::Counts);
    for who in [CAROLS, MALLORY, Voice::of(ALICE.identity, BOBS.key), PHONE] {
        assert_eq!(word(&log, who, &space, Role::Relay, &[last]), Word::Nothing);
    }
    assert_eq!(word(&log, BOBS, &space, Role::Read, &[&space]), Word::Nothing, "before he was a member");
    assert_eq!(word(&log, BOBS, &space, Role::Read, &[]), Word::Nothing);
    assert_eq!(word(&log, BOBS, &said[3].clone(), Role::Read, &[&said[1]]), Word::Nothing);
}

#[test]
fn an_expulsion_voids_a_word_that_had_seen_it_and_cuts_off_one_that_had_not() {
    let (said, space) = shared(Role::Edit);
    let expelled = LAPTOP.says(expel(&space, BOB), &[said[4].id()]);
    let log = log_of(&said, &[&expelled]);
    assert_eq!(word(&log, BOBS, &space, Role::Edit, &[&said[4]]), Word::CutOff);
    assert_eq!(word(&log, BOBS, &space, Role::Edit, &[&expelled]), Word::Nothing);
    assert_eq!(word(&log, LAPTOP, &space, Role::Edit, &[&said[4]]), Word::Counts, "the others are as they were");
}

#[test]
fn a_void_expulsion_changes_no_word() {
    let (said, space) = shared(Role::Admin);
    let carol = LAPTOP.says(member(&space, CAROL, Role::Edit), &[said[4].id()]);
    let expelled = LAPTOP.says(expel(&space, BOB), &[carol.id()]);
    let void = BOBS.says(expel(&space, CAROL), &[carol.id()]);
    let log = log_of(&said, &[&carol, &expelled, &void]);
    assert_eq!(word(&log, CAROLS, &space, Role::Edit, &[&carol]), Word::Counts);
    assert_eq!(word(&log, CAROLS, &space, Role::Edit, &[&void]), Word::Counts);
}

#[test]
fn a_revoked_device_is_cut_off_and_its_sister_is_not() {
    let (said, space) = shared(Role::Edit);
    let phone = LAPTOP.says(add(PHONE), &[said[4].id()]);
    let gone = PHONE.says(revoke(LAPTOP), &[phone.id()]);
    let log = log_of(&said, &[&phone, &gone]);
    assert_eq!(word(&log, LAPTOP, &space, Role::Edit, &[&phone]), Word::CutOff);
    assert_eq!(word(&log, LAPTOP, &space, Role::Edit, &[&gone]), Word::Nothing);
    assert_eq!(word(&log, PHONE, &space, Role::Edit, &[&phone]), Word::Counts);
    assert_eq!(word(&log, PHONE, &space, Role::Edit, &[&said[4]]), Word::Nothing, "it had not been admitted");
    let again = PHONE.says(add(LAPTOP), &[gone.id()]);
    let log = log_of(&said, &[&phone, &gone, &again]);
    assert_eq!(word(&log, LAPTOP, &space, Role::Edit, &[&again]), Word::Counts);
    assert_eq!(word(&log, LAPTOP, &space, Role::Edit, &[&phone]), Word::CutOff);
}

#[test]
fn a_lower_role_cuts_off_what_it_does_not_give_and_leaves_the_rest() {
    let (said, space) = shared(Role::Edit);
    let lowered = LAPTOP.says(member(&space, BOB, Role::Read), &[said[4].id()]);
    let log = log_of(&said, &[&lowered]);
    assert_eq!(word(&log, BOBS, &space, Role::Edit, &[&said[4]]), Word::CutOff);
    assert_eq!(word(&log, BOBS, &space, Role::Edit, &[&lowered]), Word::Nothing);
    for seen in [&said[4], &lowered] {
        assert_eq!(word(&log, BOBS, &space, Role::Read, &[seen]), Word::Counts);
    }
}

#[test]
fn who_is_let_in_again_says_what_counts_from_there_on_only() {
    let (said, space) = shared(Role::Edit);
    let expelled = LAPTOP.says(expel(&space, BOB), &[said[4].id()]);
    let again = LAPTOP.says(member(&space, BOB, Role::Edit), &[expelled.id()]);
    let log = log_of(&said, &[&expelled, &again]);
    let words = [&said[4], &expelled, &again].map(|seen| word(&log, BOBS, &space, Role::Edit, &[seen]));
    assert_eq!(words, [Word::CutOff, Word::Nothing, Word::Counts]);
}

#[test]
fn who_leaves_by_itself_takes_back_nothing_that_it_had_not_said_after() {
    let (said, space) = shared(Role::Edit);
    let phone = BOBS.says(add(PHONE), &[said[4].id()]);
    let left = BOBS.says(expel(&space, BOB), &[phone.id()]);
    let log = log_of(&said, &[&phone, &left]);
    assert_eq!(word(&log, BOBS, &space, Role::Edit, &[&phone]), Word::Counts);
    assert_eq!(word(&log, BOBS, &space, Role::Edit, &[&left]), Word::Nothing);
    let bobs_phone = Voice::of(BOB.identity, PHONE.key);
    let retired = bobs_phone.says(revoke(bobs_phone), &[phone.id()]);
    let log = log_of(&said, &[&phone, &retired]);
    assert_eq!(word(&log, bobs_phone, &space, Role::Edit, &[&phone]), Word::Counts);
    assert_eq!(word(&log, bobs_phone, &space, Role::Edit, &[&retired]), Word::Nothing);
}

#[test]
fn an_agents_word_counts_by_its_scope_until_it_expires_or_is_taken_back() {
    let (said, space) = shared(Role::Admin);
    let about = |command: &str| format!("{command}?space={}", space.id());
    // What each delegation is enough for, from relaying to administering.
    let cases = [
        (about("/space/relay"), 1),
        (about("/space/read"), 2),
        (about("/space/edit"), 3),
        (about("/space/admin"), 4),
        ("/space/edit".to_owned(), 3),
        ("/space".to_owned(), 4),
        ("/".to_owned(), 4),
        ("/space/create".to_owned(), 0),
        ("/space/edit?space=other".to_owned(), 0),
    ];
    for (text, enough) in cases {
        let agent = LAPTOP.says(delegate(AGENT, &[&text], LATER, None), &[said[4].id()]);
        let back = LAPTOP.says(Claim::Withdraw { credential: agent.id() }, &[agent.id()]);
        let log = log_of(&said, &[&agent]);
        let words = |log: &Log, seen, time| Role::ALL.map(|role| word_at(log, AGENT, &space, role, &[seen], time));
        let expected = |word| std::array::from_fn(|role| if role < enough { word } else { Word::Nothing });
        assert_eq!(words(&log, &agent, NOW), expected(Word::Counts), "{text}");
        assert_eq!(words(&log, &agent, LATER), [Word::Nothing; 4], "{text}");
        let acts = Role::ALL.map(|role| log.state().acts_in(AGENT.did(), ALICE.did(), space.id(), role, NOW));
        assert_eq!(acts, std::array::from_fn(|role| role < enough), "{text}");
        let log = log_of(&said, &[&agent, &back]);
        assert_eq!(words(&log, &agent, NOW), expected(Word::CutOff), "{text}");
        assert_eq!(words(&log, &back, NOW), [Word::Nothing; 4], "{text}");
        assert!(!log.state().acts_in(AGENT.did(), ALICE.did(), space.id(), Role::Relay, NOW));
    }
}

#[test]
fn an_agent_has_no_more_than_the_identity_that_it_acts_for() {
    let (said, space) = shared(Role::Read);
    let bobs = Voice::of(BOB.identity, AGENT.key);
    let agent = BOBS.says(delegate(bobs, &["/space"], LATER, None), &[said[4].id()]);
    let log = log_of(&said, &[&agent]);
    let words = Role::ALL.map(|role| word(&log, bobs, &space, role, &[&agent]));
    assert_eq!(words, [Word::Counts, Word::Counts, Word::Nothing, Word::Nothing]);
}

#[test]
fn of_what_is_not_here_nothing_is_known() {
    let (said, space) = shared(Role::Edit);
    let away = LAPTOP.says(expel(&space, BOB), &[said[4].id()]);
    let mut log = log_of(&said, &[]);
    assert_eq!(word(&log, BOBS, &space, Role::Edit, &[&said[4], &away]), Word::Unknown);
    assert!(log.insert(away.clone()).is_ok());
    assert_eq!(word(&log, BOBS, &space, Role::Edit, &[&said[4], &away]), Word::Nothing);
}

#[test]
fn who_had_seen_another_space_has_no_word_in_this_one() {
    let (said, space) = shared(Role::Edit);
    let other = LAPTOP.says_at(Claim::SpaceGenesis, &[said[0].id(), said[1].id()], LATER);
    let bob = LAPTOP.says(member(&other, BOB, Role::Admin), &[other.id()]);
    let log = log_of(&said, &[&other, &bob]);
    for role in Role::ALL {
        assert_eq!(word(&log, BOBS, &space, role, &[&bob]), Word::Nothing);
        assert_eq!(word(&log, LAPTOP, &space, role, &[&bob]), Word::Nothing);
        assert_eq!(word(&log, BOBS, &other, role, &[&bob]), Word::Counts);
    }
}

#[test]
fn who_acts_in_a_space_now_are_the_devices_of_its_members() {
    let (said, space) = shared(Role::Edit);
    let expelled = LAPTOP.says(expel(&space, BOB), &[said[4].id()]);
    let acts =
        |log: &Log, who: Voice, role| log.state().acts_in(who.did(), key(who.identity).did(), space.id(), role, NOW);
    let log = log_of(&said, &[]);
    assert!(acts(&log, BOBS, Role::Edit) && acts(&log, BOB, Role::Relay) && acts(&log, LAPTOP, Role::Admin));
    assert!(!acts(&log, BOBS, Role::Admin) && !acts(&log, CAROLS, Role::Relay) && !acts(&log, PHONE, Role::Relay));
    assert!(!acts(&log_of(&said, &[&expelled]), BOBS, Role::Relay));
}

/// Says it in a log as whoever has all of it does.
fn say(log: &mut Log, who: Voice, claim: Claim) -> Credential {
    let parents = log.parents(key(who.identity).did(), &claim);
    let credential = who.says(claim, &parents);
    assert!(matches!(log.insert(credential.clone()), Ok(Inserted::Now { .. })));
    credential
}

/// Alice has two spaces: one with Bob, and one with Carol. She and Bob gave somebody capabilities before they said more.
fn two_spaces() -> (Log, [Credential; 2]) {
    let mut log = empty();
    for (who, device) in [(ALICE, LAPTOP), (BOB, BOBS), (CAROL, CAROLS)] {
        assert!(log.insert(genesis(who, device)).is_ok());
    }
    let capability = Claim::Capability { audience: AGENT.did(), scope: scope("/agent"), expires: LATER, proof: None };
    say(&mut log, LAPTOP, capability.clone());
    say(&mut log, BOBS, capability);
    say(&mut log, LAPTOP, add(PHONE));
    let with_bob = say(&mut log, LAPTOP, Claim::SpaceGenesis);
    let bob = say(&mut log, LAPTOP, member(&with_bob, BOB, Role::Edit));
    let with_carol = say(&mut log, PHONE, Claim::SpaceGenesis);
    say(&mut log, PHONE, member(&with_carol, CAROL, Role::Admin));
    let expelled = say(&mut log, CAROLS, expel(&with_carol, ALICE));
    // The lost laptop's space stays as it was seen, by the heads that stand for it.
    let mut seen = vec![bob.id(), expelled.id()];
    seen.sort();
    say(&mut log, PHONE, Claim::DeviceRevoke { device: LAPTOP.did(), seen });
    (log, [with_bob, with_carol])
}

/// A log of what is about a space, and of nothing else.
fn told_about(log: &Log, space: &Credential) -> Log {
    let mut other = Log::new();
    for identity in log.identities_of(space.id()) {
        assert!(other.follow(identity));
    }
    for credential in log.about(space.id()) {
        assert_eq!(other.insert(credential.clone()), Ok(Inserted::Now { with: 0 }), "{credential:?}");
    }
    other
}

#[test]
fn who_holds_what_is_about_a_space_judges_it_alike() {
    let (log, spaces) = two_spaces();
    let before: Vec<_> = log.iter().cloned().collect();
    for space in &spaces {
        let other = told_about(&log, space);
        assert_eq!(other.state().members(space.id()), log.state().members(space.id()));
        assert!(!other.state().members(space.id()).is_empty());
        for (seen, who) in before.iter().flat_map(|seen| [LAPTOP, PHONE, BOBS, CAROLS].map(|who| (seen, who))) {
            if other.get(&seen.id()).is_none() {
                continue;
            }
            let words = |log: &Log| Role::ALL.map(|role| word(log, who, space, role, &[seen]));
            assert_eq!(words(&other), words(&log));
        }
    }
}

#[test]
fn another_space_and_who_is_in_that_alone_is_nothing_about_this_one() {
    let (log, [with_bob, with_carol]) = two_spaces();
    assert_eq!(log.identities_of(with_bob.id()), [ALICE.did(), BOB.did()].into());
    assert_eq!(log.identities_of(with_carol.id()), [ALICE.did(), CAROL.did()].into());
    let other = told_about(&log, &with_bob);
    assert!(other.get(&with_carol.id()).is_none());
    assert!(other.iter().all(|credential| credential.statement().subject != CAROL.did()));
    assert_eq!(other.state().spaces(), [with_bob.id()].into());
    // Alice's and Bob's beginnings, a capability of each, the phone, the space with its member, the lost laptop.
    assert_eq!(other.len(), 8);
}

#[test]
fn whoever_is_invited_or_joins_is_one_of_a_spaces_identities() {
    let (mut log, [space, _]) = two_spaces();
    let ticket = Voice::of(ALICE.identity, 90);
    let invitation = |invitee: Option<Voice>| Claim::Invitation {
        space: space.id(),
        key: ticket.did(),
        role: Role::Read,
        expires: LATER,
        uses: 1,
        invitee: invitee.map(Voice::did),
    };
    say(&mut log, PHONE, invitation(Some(CAROL)));
    assert_eq!(log.identities_of(space.id()), [ALICE, BOB, CAROL].map(Voice::did).into());
    let open = say(&mut log, PHONE, invitation(None));
    say(&mut log, ticket, Claim::Join { invitation: open.id(), member: MALLORY.did() });
    assert_eq!(log.identities_of(space.id()), [ALICE, BOB, CAROL, MALLORY].map(Voice::did).into());
    // She is not followed here, so nothing of hers is known; what is said of her is.
    let other = told_about(&log, &space);
    assert_eq!(other.state().role(MALLORY.did(), space.id()), Some(Role::Read));
}

#[test]
fn what_has_seen_another_space_is_left_out_with_all_that_has_seen_it() {
    let (mut log, [with_bob, with_carol]) = two_spaces();
    let all: Vec<_> = log.heads().iter().copied().collect();
    let odd = PHONE.says(member(&with_bob, CAROL, Role::Read), &all);
    let then = PHONE.says(member(&with_bob, BOB, Role::Read), &[odd.id()]);
    assert!(all.len() > 1 && log.insert(odd.clone()).is_ok() && log.insert(then.clone()).is_ok());
    let other = told_about(&log, &with_bob);
    assert!(other.get(&odd.id()).is_none() && other.get(&then.id()).is_none());
    assert!(other.get(&with_bob.id()).is_some() && other.get(&with_carol.id()).is_none());
}

#[test]
fn what_a_withdrawal_had_not_seen_does_not_make_it_one_of_that_space() {
    let (mut log, [with_bob, with_carol]) = two_spaces();
    let invitation = Claim::Invitation {
        space: with_carol.id(),
        key: key(90).did(),
        role: Role::Read,
        expires: LATER,
        uses: 1,
        invitee: None,
    };
    let invitation = CAROLS.says(invitation, &log.parents(CAROL.did(), &member(&with_carol, BOB, Role::Read)));
    let parents = log.parents(ALICE.did(), &add(HELPER));
    let unseen = PHONE.says(Claim::Withdraw { credential: invitation.id() }, &parents);
    let then = PHONE.says(add(HELPER), &[unseen.id()]);
    for credential in [&invitation, &unseen, &then] {
        assert!(log.insert(credential.clone()).is_ok());
    }
    // The phone's next device stands behind it, and is Alice's wherever she is a member.
    let other = told_about(&log, &with_bob);
    assert_eq!(standing(&other, HELPER), "device");
}

/// Random worlds.
const CASES: u32 = 3_000;

#[test]
fn a_word_counts_where_a_credential_with_the_same_right_would_be_valid() {
    let config = Config { cases: CASES, max_shrink_iters: 2_000, failure_persistence: None, ..Config::default() };
    let counts: [Cell<u64>; 3] = Default::default();
    let looks = prop::collection::vec((any::<Index>(), prop::collection::vec(any::<Index>(), 1..4)), 4);
    let result = TestRunner::new(config).run(&(random::acts(), looks, any::<bool>()), |(acts, looks, late)| {
        let said = random::told(&acts, false);
        let log = random::heard(said.iter().cloned());
        let (state, space, voices) = (log.state(), said[2].id(), random::voices(&said));
        let time = if late { Timestamp(LATER.0 + 1) } else { NOW };
        let held: Vec<_> = log.iter().map(Credential::id).collect();
        for (who, seen) in looks {
            let (who, admitted) = *who.get(&voices);
            let (issuer, subject) = (who.did(), key(who.identity).did());
            let mut parents: Vec<_> = seen.iter().map(|index| *index.get(&held)).collect();
            parents.extend(admitted.filter(|id| held.contains(id)));
            parents.sort();
            parents.dedup();
            let word = |role, seen: &[CredentialId]| state.word(issuer, subject, space, role, seen, time);
            let found = Role::ALL.map(|role| word(role, &parents));
            // Of somebody of whom nothing else is said, so that it changes nothing but by being there.
            let claim = Claim::Member { space, member: MALLORY.did(), role: Role::Admin };
            let statement =
                Statement { issuer, subject, parents: parents.clone(), issued: time, nonce: [1; 12], claim };
            let credential = Credential::sealed(statement, [0; 64]);
            let mut with = random::heard(log.iter().cloned());
            let came_in = with.insert(credential.clone()).is_ok();
            prop_assert_eq!(found[3] == Word::Counts, with.state().is_valid(&credential.id()), "{:?}", credential);
            prop_assert!(came_in || found[3] == Word::Nothing);
            // Who may do more may do less.
            let order = |word: &Word| [Word::Counts, Word::CutOff, Word::Nothing].iter().position(|one| one == word);
            prop_assert!(found.is_sorted_by_key(order), "{:?}", found);
            // Who has seen everything is where the log ends.
            let heads: Vec<_> = log.heads().iter().copied().collect();
            for role in Role::ALL {
                let acts = state.acts_in(issuer, subject, space, role, time);
                prop_assert_eq!(word(role, &heads), if acts { Word::Counts } else { Word::Nothing });
            }
            if let Some(place) = order(&found[3]) {
                counts[place].set(counts[place].get() + 1);
            }
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    let counts = counts.map(|count| count.get());
    assert!(counts.iter().all(|count| *count > u64::from(CASES) / 10), "too much alike: {counts:?}");
}
