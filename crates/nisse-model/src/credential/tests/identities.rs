//! Identities, their devices and agents.

use super::*;

#[test]
fn a_device_admits_another_and_what_it_admitted_outlasts_it() {
    let first = genesis(ALICE, LAPTOP);
    let phone = LAPTOP.says(add(PHONE), &[first.id()]);
    let gone = PHONE.says(revoke(LAPTOP), &[phone.id()]);
    let log = log(&[&first, &phone, &gone]);
    assert_eq!([standing(&log, ALICE), standing(&log, LAPTOP), standing(&log, PHONE)], ["root", "nothing", "device"]);
}

#[test]
fn a_revocation_beats_what_is_concurrent_with_it() {
    let first = genesis(ALICE, LAPTOP);
    let phone = LAPTOP.says(add(PHONE), &[first.id()]);
    let before = PHONE.says(add(AGENT), &[phone.id()]);
    let gone = LAPTOP.says(revoke(PHONE), &[before.id()]);
    // A lost phone that has not heard of it, or says so.
    let meanwhile = PHONE.says(add(HELPER), &[before.id()]);
    let log = log(&[&first, &phone, &before, &meanwhile, &gone]);
    assert_eq!(standing(&log, PHONE), "nothing");
    assert_eq!((standing(&log, AGENT), standing(&log, HELPER)), ("device", "nothing"), "what it had seen stays");
}

#[test]
fn of_mutual_revocations_the_one_by_whom_was_there_earlier_stands() {
    let first = genesis(ALICE, LAPTOP);
    let phone = LAPTOP.says(add(PHONE), &[first.id()]);
    let by_phone = PHONE.says(revoke(LAPTOP), &[phone.id()]);
    let by_laptop = LAPTOP.says(revoke(PHONE), &[phone.id()]);
    let log = log(&[&first, &phone, &by_phone, &by_laptop]);
    assert_eq!((standing(&log, LAPTOP), standing(&log, PHONE)), ("device", "nothing"));
}

#[test]
fn of_mutual_revocations_by_equals_the_one_with_the_lower_name_stands() {
    let first = genesis(ALICE, LAPTOP);
    let [phone, other] = [PHONE, HELPER].map(|device| LAPTOP.says(add(device), &[first.id()]));
    let both = [phone.id(), other.id()];
    let by_phone = PHONE.says(revoke(HELPER), &both);
    let by_other = HELPER.says(revoke(PHONE), &both);
    let log = log(&[&first, &phone, &other, &by_phone, &by_other]);
    let lower = if phone.id() < other.id() { ["device", "nothing"] } else { ["nothing", "device"] };
    assert_eq!([standing(&log, PHONE), standing(&log, HELPER)], lower);
}

#[test]
fn the_root_key_wins_over_whoever_has_a_device() {
    let first = genesis(ALICE, LAPTOP);
    let thief = LAPTOP.says(add(PHONE), &[first.id()]);
    let worse = PHONE.says(revoke(LAPTOP), &[thief.id()]);
    // By the recovery kit, on a machine that knows nothing of the log.
    let recovered = ALICE.says(add(HELPER), &[]);
    let gone = ALICE.says(revoke(PHONE), &[thief.id()]);
    let log = log(&[&first, &thief, &worse, &recovered, &gone]);
    assert_eq!([LAPTOP, PHONE, HELPER].map(|who| standing(&log, who)), ["device", "nothing", "device"]);
}

#[test]
fn a_key_that_was_cut_off_is_admitted_anew_only_by_who_knows_it() {
    let first = genesis(ALICE, LAPTOP);
    let phone = LAPTOP.says(add(PHONE), &[first.id()]);
    let gone = LAPTOP.says(revoke(PHONE), &[phone.id()]);
    let unknowing = LAPTOP.says(add(PHONE), &[phone.id()]);
    assert_eq!(standing(&log(&[&first, &phone, &gone, &unknowing]), PHONE), "nothing");
    let knowing = LAPTOP.says(add(PHONE), &[gone.id()]);
    assert_eq!(standing(&log(&[&first, &phone, &gone, &knowing]), PHONE), "device");
}

#[test]
fn strangers_and_forgers_do_not_come_in() {
    let first = genesis(ALICE, LAPTOP);
    let mut log = log(&[&first]);
    let stranger = Voice { key: MALLORY.key, ..LAPTOP };
    let told = refused(&mut log, &stranger.says(add(MALLORY), &[first.id()]));
    assert!(told.contains("nothing before it says that did:key:z6Mk"), "{told}");
    // A device that was admitted, and had not seen it.
    refused(&mut log, &LAPTOP.says(add(PHONE), &[]));
    // An agent admits no device, and revokes none.
    let agent = LAPTOP.says(delegate(AGENT, &["/"], LATER, None), &[first.id()]);
    log.insert(agent.clone()).unwrap_or_else(|error| panic!("{error}"));
    refused(&mut log, &AGENT.says(add(PHONE), &[agent.id()]));
    refused(&mut log, &AGENT.says(revoke(LAPTOP), &[agent.id()]));
    assert_eq!(log.len(), 2);

    let claim = Claim::IdentityGenesis { device: PHONE.did(), name: label("x") };
    let statement = Statement {
        issuer: MALLORY.did(),
        subject: ALICE.did(),
        parents: Vec::new(),
        issued: NOW,
        nonce: [0; 12],
        claim: claim.clone(),
    };
    let flaw = statement.clone().sign(key(MALLORY.key)).expect_err("another's identity");
    assert_eq!(flaw, CredentialError::Flaw("only an identity's own key begins it"));
    let forged = Statement { issuer: ALICE.did(), ..statement }.sign(key(MALLORY.key)).expect_err("another's name");
    assert_eq!(forged, CredentialError::Signature(ALICE.did()));
}

#[test]
fn an_agent_hands_on_no_more_than_it_has_and_no_longer() {
    let first = genesis(ALICE, LAPTOP);
    let agent = LAPTOP.says(delegate(AGENT, &["/agent/logs", "/space/admin"], LATER, None), &[first.id()]);
    let mut log = log(&[&first, &agent]);
    let hands_on =
        |scopes: &[&str], expires, proof| AGENT.says(delegate(HELPER, scopes, expires, proof), &[agent.id()]);
    let its = Some(agent.id());
    for (more, why) in [
        (hands_on(&["/agent"], LATER, its), "a wider command"),
        (hands_on(&["/agent/logs", "/device"], LATER, its), "another command"),
        (hands_on(&["/agent/logs"], Timestamp(LATER.0 + 1), its), "for longer"),
        (hands_on(&["/agent/logs"], LATER, None), "on nobody's account"),
        (hands_on(&["/agent/logs"], LATER, Some(first.id())), "on another's account"),
    ] {
        assert!(refused(&mut log, &more).contains("accept a credential of"), "{why}");
    }
    let less = hands_on(&["/agent/logs?agent=notes"], LATER, its);
    log.insert(less.clone()).unwrap_or_else(|error| panic!("{error}"));
    let may = |log: &Log, text, now| log.state().may(HELPER.did(), ALICE.did(), &scope(text), now);
    assert!(may(&log, "/agent/logs?agent=notes", NOW) && !may(&log, "/agent/logs?agent=mail", NOW));
    assert!(!may(&log, "/agent/logs?agent=notes", Timestamp(LATER.0 + 1)), "it has an end");

    // It has what it was given for as long as the agent has it.
    let gone = LAPTOP.says(revoke(AGENT), &[less.id()]);
    log.insert(gone).unwrap_or_else(|error| panic!("{error}"));
    assert!(!may(&log, "/agent/logs?agent=notes", NOW));
    assert_eq!((standing(&log, AGENT), standing(&log, HELPER)), ("nothing", "nothing"));
}

#[test]
fn agents_hand_on_eight_times_and_a_delegation_is_taken_back_by_name() {
    let first = genesis(ALICE, LAPTOP);
    let mut log = log(&[&first]);
    let mut last = LAPTOP.says(delegate(Voice::of(1, 50), &["/agent"], LATER, None), &[first.id()]);
    let delegations: Vec<_> = (50..59)
        .map(|number| {
            log.insert(last.clone()).unwrap_or_else(|error| panic!("{number}: {error}"));
            let (giver, taker) = (Voice::of(1, number), Voice::of(1, number + 1));
            let given = last.clone();
            last = giver.says(delegate(taker, &["/agent"], LATER, Some(last.id())), &[last.id()]);
            given
        })
        .collect();
    refused(&mut log, &last);
    assert_eq!(standing(&log, Voice::of(1, 58)), "agent");
    let third = &delegations[2];
    let back = Voice::of(1, 51).says(Claim::Withdraw { credential: third.id() }, &[delegations[8].id()]);
    log.insert(back).unwrap_or_else(|error| panic!("{error}"));
    let standings = [51, 52, 53, 58].map(|number| standing(&log, Voice::of(1, number)));
    assert_eq!(standings, ["agent", "nothing", "nothing", "nothing"]);
}

#[test]
fn what_another_identity_says_of_a_credential_changes_nothing() {
    let (first, bobs) = (genesis(ALICE, LAPTOP), genesis(BOB, BOBS));
    let agent = LAPTOP.says(delegate(AGENT, &["/agent"], LATER, None), &[first.id()]);
    let meddling = BOBS.says(Claim::Withdraw { credential: agent.id() }, &[bobs.id()]);
    let claimed = BOBS.says(revoke(LAPTOP), &[bobs.id()]);
    let log = log(&[&first, &bobs, &agent, &meddling, &claimed]);
    assert_eq!((standing(&log, LAPTOP), standing(&log, AGENT)), ("device", "agent"));
}

#[test]
fn who_cuts_itself_off_changes_nothing_that_was_before_or_beside_it() {
    let first = genesis(ALICE, LAPTOP);
    let phone = LAPTOP.says(add(PHONE), &[first.id()]);
    let thief = PHONE.says(add(HELPER), &[phone.id()]);
    let gone = LAPTOP.says(revoke(HELPER), &[thief.id()]);
    // The laptop, lost since, leaves as of a moment at which it had said none of it.
    let leaves = LAPTOP.says(revoke(LAPTOP), &[first.id()]);
    let log = log(&[&first, &phone, &thief, &gone, &leaves]);
    assert_eq!([LAPTOP, PHONE, HELPER].map(|who| standing(&log, who)), ["nothing", "device", "nothing"]);
}

#[test]
fn whoever_comes_late_does_not_grow_older_by_what_gives_it_nothing() {
    // An agent, early; eight devices one after the other; the last of them is stolen.
    let first = genesis(ALICE, LAPTOP);
    let agent = LAPTOP.says(delegate(AGENT, &["/agent"], LATER, None), &[first.id()]);
    let mut said = vec![first, agent.clone()];
    for number in 60..68 {
        let before = said[said.len() - 1].id();
        said.push(LAPTOP.says(add(Voice::of(1, number)), &[before]));
    }
    let (honest, stolen) = (Voice::of(1, 63), Voice::of(1, 67));
    said.push(AGENT.says(delegate(stolen, &["/agent"], LATER, Some(agent.id())), &[agent.id()]));
    let both = [said[9].id(), said[10].id()];
    said.push(stolen.says(revoke(honest), &both));
    said.push(honest.says(revoke(stolen), &both));
    let log = log(&said.iter().collect::<Vec<_>>());
    assert_eq!((standing(&log, honest), standing(&log, stolen)), ("device", "nothing"));
}

/// It was sold, say, and somebody found its key.
#[test]
fn a_device_that_left_by_itself_wins_over_nobody_who_knows() {
    let first = genesis(ALICE, LAPTOP);
    let phone = LAPTOP.says(add(PHONE), &[first.id()]);
    let leaves = LAPTOP.says(revoke(LAPTOP), &[phone.id()]);
    let cut_off = PHONE.says(revoke(LAPTOP), &[leaves.id()]);
    let backdated = LAPTOP.says(revoke(PHONE), &[phone.id()]);
    let thief = LAPTOP.says(add(HELPER), &[phone.id()]);
    let log = log(&[&first, &phone, &leaves, &cut_off, &backdated, &thief]);
    assert_eq!([LAPTOP, PHONE, HELPER].map(|who| standing(&log, who)), ["nothing", "device", "nothing"]);
}

/// The oldest device has seen all of it, and cuts off the stolen one, whose friends are many and say that they were there.
#[test]
fn nobody_borrows_a_place_before_the_oldest_device() {
    let first = genesis(ALICE, LAPTOP);
    let [stolen, young, friend, other] = [61, 62, 63, 64].map(|number| Voice::of(1, number));
    let stolen_in = LAPTOP.says(add(stolen), &[first.id()]);
    let young_in = LAPTOP.says(add(young), &[stolen_in.id()]);
    let friend_in = stolen.says(add(friend), &[young_in.id()]);
    let friend_out = young.says(revoke(friend), &[friend_in.id()]);
    let stolen_out = LAPTOP.says(revoke(stolen), &[friend_out.id()]);
    let honest = [first, stolen_in.clone(), young_in.clone(), friend_in.clone(), friend_out, stolen_out];
    // Back-dated; of the first one's names the lowest is chosen.
    let low = |number: u64| stolen.says_at(add(other), &[stolen_in.id()], Timestamp(NOW.0 + number));
    let low = (0..200).map(low).min_by_key(Credential::id).expect("one of them");
    let by_friend = friend.says(add(other), &[friend_in.id()]);
    let on_young = stolen.says(revoke(young), &[stolen_in.id()]);
    let on_laptop = other.says(revoke(LAPTOP), &[low.id(), by_friend.id()]);
    for more in [vec![&low, &by_friend, &on_young, &on_laptop], vec![&by_friend, &on_young]] {
        let log = log(&honest.iter().chain(more).collect::<Vec<_>>());
        let standings = [LAPTOP, young, stolen, friend, other].map(|who| standing(&log, who));
        assert_eq!(standings, ["device", "device", "nothing", "nothing", "nothing"]);
    }
}

#[test]
fn as_many_revocations_as_may_be_at_once_are_settled() {
    let first = genesis(ALICE, LAPTOP);
    let mut said = vec![first.clone(), LAPTOP.says(add(PHONE), &[first.id()])];
    let seen = [said[1].id()];
    let at = |number: u64| Timestamp(NOW.0 + number);
    let each =
        |number| [PHONE.says_at(revoke(PHONE), &seen, at(number)), PHONE.says_at(revoke(LAPTOP), &seen, at(number))];
    said.extend((0..30).flat_map(each));
    said.extend((0..30).map(|number| LAPTOP.says_at(revoke(PHONE), &seen, at(number))));
    let log = log(&said.iter().collect::<Vec<_>>());
    assert_eq!((standing(&log, LAPTOP), standing(&log, PHONE)), ("device", "nothing"));
}

#[test]
fn what_an_agent_hands_on_is_counted_as_its_own() {
    let first = genesis(ALICE, LAPTOP);
    let agent = LAPTOP.says(delegate(AGENT, &["/agent"], LATER, None), &[first.id()]);
    let helper = AGENT.says(delegate(HELPER, &["/agent"], LATER, Some(agent.id())), &[agent.id()]);
    let mut log = log(&[&first, &agent, &helper]);
    let says = |who: Voice, number: u64| {
        let claim = Claim::Capability { audience: BOB.did(), scope: scope("/agent"), expires: LATER, proof: None };
        let (issuer, subject, parents) = (who.did(), ALICE.did(), vec![helper.id()]);
        let statement = Statement { issuer, subject, parents, issued: Timestamp(number), nonce: [0; 12], claim };
        Credential::sealed(statement, [0; 64])
    };
    let taken = (0..400).filter(|number| log.insert(says(AGENT, *number)).is_ok()).count();
    let more = (0..400).filter(|number| log.insert(says(HELPER, *number)).is_ok()).count();
    assert_eq!((taken, more), (400, 512 - 400 - 1));
}

#[test]
fn what_a_revocation_saw_in_a_space_stays_where_the_space_is_read() {
    let first = genesis(ALICE, LAPTOP);
    let phone = LAPTOP.says(add(PHONE), &[first.id()]);
    let space = PHONE.says(Claim::SpaceGenesis, &[phone.id()]);
    let friend = PHONE.says(member(&space, BOB, Role::Edit), &[space.id()]);
    let late = PHONE.says(member(&space, CAROL, Role::Edit), &[friend.id()]);
    let claim = Claim::DeviceRevoke { device: PHONE.did(), seen: vec![friend.id()] };
    let known = log(&[&first, &phone]);
    assert_eq!(known.parents(ALICE.did(), &claim), [phone.id()]);
    let gone = LAPTOP.says(claim, &[phone.id()]);
    // Who does not read the space reads the revocation.
    assert_eq!(standing(&log(&[&first, &phone, &gone]), PHONE), "nothing");
    let log = log(&[&first, &phone, &space, &friend, &gone, &late]);
    let members: Vec<_> = log.state().members(space.id()).into_keys().collect();
    assert!(members.contains(&BOB.did()) && members.contains(&ALICE.did()) && members.len() == 2, "{members:?}");
    // Of the space: what was said of it, and of herself.
    let next = log.parents(ALICE.did(), &member(&space, CAROL, Role::Read));
    assert_eq!(next.into_iter().collect::<std::collections::BTreeSet<_>>(), [late.id(), gone.id()].into());
}

#[test]
fn an_agent_names_no_device_of_its_user() {
    let first = genesis(ALICE, LAPTOP);
    let agent = LAPTOP.says(delegate(AGENT, &["/agent"], LATER, None), &[first.id()]);
    let named = AGENT.says(delegate(LAPTOP, &["/agent"], LATER, Some(agent.id())), &[agent.id()]);
    let log = log(&[&first, &agent, &named]);
    let devices = log.state().devices(ALICE.did(), NOW);
    let name_of = |who: Voice| devices.iter().find(|device| device.did == who.did()).map(|device| device.name.as_str());
    assert_eq!((name_of(LAPTOP), name_of(AGENT)), (Some("first"), Some("agent")));
}

#[test]
fn a_log_takes_what_is_said_for_those_it_follows_and_no_more_than_their_share() {
    let mut log = Log::new();
    let first = genesis(ALICE, LAPTOP);
    let told = refused(&mut log, &first);
    assert!(told.ends_with("this log does not follow that identity"), "{told}");
    log.follow(ALICE.did());
    let agent = LAPTOP.says(delegate(AGENT, &["/agent"], LATER, None), &[first.id()]);
    for credential in [&first, &agent] {
        assert!(log.insert(credential.clone()).is_ok());
    }
    let says = |number: u64, key: Voice, claim: &Claim| {
        let statement = Statement {
            issuer: key.did(),
            subject: ALICE.did(),
            parents: vec![agent.id()],
            issued: Timestamp(number),
            nonce: [0; 12],
            claim: claim.clone(),
        };
        Credential::sealed(statement, [0; 64])
    };
    let mut last = |key: Voice, claim: &dyn Fn(u64) -> Claim| {
        let mut taken = 0;
        loop {
            match log.insert(says(taken, key, &claim(taken))) {
                Ok(_) => taken += 1,
                Err(error) => return (taken, error.to_string()),
            }
        }
    };
    let full = |of: &str| format!("accept a credential: the log holds as many {of} as it may");
    let stranger = |number: u64| Did(crate::Hash256::of(&number.to_be_bytes()).0);
    let hands_on = |number: u64| Claim::AgentDelegation {
        agent: stranger(number),
        name: label("agent"),
        scopes: vec![scope("/agent")],
        expires: LATER,
        proof: Some(agent.id()),
    };
    assert_eq!(last(AGENT, &hands_on), (512, full("of this agent or invitation")));
    assert_eq!(last(LAPTOP, &|_| add(PHONE)), (64, full("about this key or member")));
    let device = |number| Claim::DeviceAdd { device: stranger(number), name: label("x") };
    assert_eq!(last(LAPTOP, &device), (12_288 - 256 - 512 - 64 - 2, full("of this identity")));
    // The last places are for who takes rights away, and some more for the root key.
    let revokes = |number| Claim::DeviceRevoke { device: stranger(number), seen: Vec::new() };
    assert_eq!(last(LAPTOP, &revokes), (256, full("of this identity")));
    assert_eq!(last(ALICE, &|_| revoke(AGENT)), (15, full("of this identity")));
    let parents = log.parents(ALICE.did(), &revoke(LAPTOP));
    assert_eq!((parents.len(), standing(&log, AGENT)), (1_024, "nothing"));
    assert!(LAPTOP.says(add(PHONE), &parents).encode().len() < Credential::LENGTH_MAX);
}

#[test]
fn what_waits_for_somebody_who_was_refused_is_forgotten_with_them() {
    let first = genesis(ALICE, LAPTOP);
    let stranger = Voice { key: MALLORY.key, ..LAPTOP };
    let bad = stranger.says(add(PHONE), &[first.id()]);
    let child = stranger.says(add(HELPER), &[bad.id()]);
    for order in [[&first, &child, &bad], [&child, &bad, &first]] {
        let mut log = empty();
        for credential in order {
            let _ = log.insert(credential.clone());
        }
        assert_eq!((log.len(), log.missing().count()), (1, 0));
    }
}

#[test]
fn a_device_goes_by_its_last_name() {
    let first = genesis(ALICE, LAPTOP);
    let renamed =
        LAPTOP.says(Claim::DeviceRename { device: LAPTOP.did(), name: label("desk, upstairs") }, &[first.id()]);
    let log = log(&[&first, &renamed]);
    let devices = log.state().devices(ALICE.did(), NOW);
    assert_eq!(devices.len(), 1);
    assert_eq!((devices[0].did, devices[0].name.as_str()), (LAPTOP.did(), "desk, upstairs"));
}

#[test]
fn what_waits_for_its_parents_comes_in_with_them_and_a_flood_of_it_has_an_end() {
    let first = genesis(ALICE, LAPTOP);
    let phone = LAPTOP.says(add(PHONE), &[first.id()]);
    let agent = PHONE.says(add(AGENT), &[phone.id()]);
    let mut log = empty();
    assert_eq!(log.insert(agent.clone()), Ok(Inserted::Waits));
    assert_eq!(log.insert(phone.clone()), Ok(Inserted::Waits));
    assert_eq!(log.missing().collect::<Vec<_>>(), [first.id()]);
    assert_eq!(log.insert(first), Ok(Inserted::Now { with: 2 }));
    assert_eq!((log.insert(agent.clone()), log.missing().count()), (Ok(Inserted::Known), 0));
    assert_eq!(log.heads().iter().copied().collect::<Vec<_>>(), [agent.id()]);

    let nowhere = |number: u64| {
        let absent = CredentialId(crate::Hash256::of(&number.to_be_bytes()));
        let claim = Claim::DeviceAdd { device: PHONE.did(), name: label("x") };
        let statement = Statement {
            issuer: MALLORY.did(),
            subject: ALICE.did(),
            parents: vec![absent],
            issued: NOW,
            nonce: [0; 12],
            claim,
        };
        Credential::sealed(statement, [0; 64])
    };
    // Who has waited longest goes.
    for number in 0..2_000 {
        assert_eq!(log.insert(nowhere(number)), Ok(Inserted::Waits));
    }
    assert_eq!((log.missing().count(), log.insert(nowhere(0))), (1_024, Ok(Inserted::Waits)));
}
