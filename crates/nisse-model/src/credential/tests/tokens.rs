//! Capabilities that travel with their use.

use super::*;

fn capability(audience: Voice, text: &str, expires: Timestamp, proof: Option<&Credential>) -> Claim {
    Claim::Capability { audience: audience.did(), scope: scope(text), expires, proof: proof.map(Credential::id) }
}

fn shows(log: &Log, chain: &[&Credential], holder: Voice, wanted: &str, now: Timestamp) -> Result<Did, String> {
    let chain: Vec<_> = chain.iter().map(|credential| (*credential).clone()).collect();
    log.state().token(&chain, holder.did(), &scope(wanted), now).map_err(|error| format!("failed to {error}"))
}

#[test]
fn a_token_gives_what_each_of_its_capabilities_gives_and_only_to_its_holder() {
    let first = genesis(ALICE, LAPTOP);
    let log = log(&[&first]);
    let wide = LAPTOP.says(capability(BOBS, "/agent?agent=notes", LATER, None), &[first.id()]);
    let by_bob = Voice::of(ALICE.identity, BOBS.key);
    let soon = Timestamp(NOW.0 + 1_000);
    let narrow = by_bob.says(capability(CAROLS, "/agent/logs?agent=notes", soon, Some(&wide)), &[]);
    let logs = "/agent/logs?agent=notes";
    assert_eq!(shows(&log, &[&wide], BOBS, logs, NOW), Ok(ALICE.did()));
    assert_eq!(shows(&log, &[&wide, &narrow], CAROLS, logs, NOW), Ok(ALICE.did()));

    let mallorys = Voice::of(ALICE.identity, MALLORY.key);
    let wider = by_bob.says(capability(CAROLS, "/agent", soon, Some(&wide)), &[]);
    let longer = by_bob.says(capability(CAROLS, logs, Timestamp(LATER.0 + 1), Some(&wide)), &[]);
    let by_mallory = mallorys.says(capability(MALLORY, logs, soon, Some(&wide)), &[]);
    let of_mallory = mallorys.says(capability(MALLORY, logs, soon, None), &[]);
    for (chain, holder, wanted, now, why) in [
        (&[&wide][..], CAROLS, logs, NOW, "it is for did:key:"),
        (&[&wide], BOBS, "/agent/logs?agent=mail", NOW, "/agent/logs?agent=mail is asked for"),
        (&[&wide], BOBS, "/agents?agent=notes", NOW, "it gives /agent?agent=notes"),
        (&[&wide], BOBS, logs, LATER, "it ended at 1790003600"),
        (&[&wide, &narrow], CAROLS, "/agent/stop?agent=notes", NOW, "is asked for"),
        (&[&narrow], CAROLS, logs, NOW, "gives more than the capability before it"),
        (&[&wide, &wider], CAROLS, logs, NOW, "gives more than the capability before it"),
        (&[&wide, &longer], CAROLS, logs, NOW, "gives more than the capability before it"),
        (&[&wide, &by_mallory], MALLORY, logs, NOW, "not by whom that one was for"),
        (&[&of_mallory], MALLORY, logs, NOW, "does not have what it gives"),
        (&[&first], BOBS, logs, NOW, "is no capability"),
        (&[], BOBS, logs, NOW, "it has 0 capabilities"),
    ] {
        let told = shows(&log, chain, holder, wanted, now).expect_err(why);
        assert!(told.contains(why), "{why}: {told}");
    }
}

#[test]
fn a_token_ends_with_the_device_that_made_it_and_when_it_is_taken_back() {
    let first = genesis(ALICE, LAPTOP);
    let phone = LAPTOP.says(add(PHONE), &[first.id()]);
    let token = PHONE.says(capability(BOBS, "/agent/logs", LATER, None), &[phone.id()]);
    let mut log = log(&[&first, &phone]);
    let shown = |log: &Log| shows(log, &[&token], BOBS, "/agent/logs", NOW);
    assert_eq!(shown(&log), Ok(ALICE.did()));

    let back = LAPTOP.says(Claim::Withdraw { credential: token.id() }, &[phone.id()]);
    let gone = LAPTOP.says(revoke(PHONE), &[phone.id()]);
    assert!(log.insert(gone).is_ok());
    assert!(shown(&log).is_err_and(|told| told.contains("does not have what it gives, or no longer")));
    let mut log = super::log(&[&first, &phone]);
    assert!(log.insert(back).is_ok());
    assert!(shown(&log).is_err_and(|told| told.contains("was taken back")));
}

#[test]
fn a_key_that_is_admitted_anew_brings_back_no_token() {
    let first = genesis(ALICE, LAPTOP);
    let phone = LAPTOP.says(add(PHONE), &[first.id()]);
    let token = PHONE.says(capability(BOBS, "/agent/logs", LATER, None), &[phone.id()]);
    let gone = LAPTOP.says(revoke(PHONE), &[phone.id()]);
    let anew = LAPTOP.says(add(PHONE), &[gone.id()]);
    let log = log(&[&first, &phone, &gone, &anew]);
    assert_eq!(standing(&log, PHONE), "device");
    let shown = |token: &Credential| shows(&log, &[token], BOBS, "/agent/logs", NOW);
    assert!(shown(&token).is_err_and(|told| told.contains("does not have what it gives, or no longer")));
    assert!(shown(&PHONE.says(capability(BOBS, "/agent/logs", LATER, None), &[])).is_err(), "it had seen nothing");
    assert_eq!(shown(&PHONE.says(capability(BOBS, "/agent/logs", LATER, None), &[anew.id()])), Ok(ALICE.did()));
}

#[test]
fn a_token_has_eight_capabilities_at_most() {
    let first = genesis(ALICE, LAPTOP);
    let log = log(&[&first]);
    let holder = |number| Voice::of(ALICE.identity, number);
    let mut chain = vec![LAPTOP.says(capability(holder(50), "/agent", LATER, None), &[first.id()])];
    for number in 50..58 {
        let last = &chain[chain.len() - 1];
        chain.push(holder(number).says(capability(holder(number + 1), "/agent", LATER, Some(last)), &[]));
    }
    let shown = |length: usize, by| shows(&log, &chain[..length].iter().collect::<Vec<_>>(), by, "/agent/logs", NOW);
    assert_eq!(shown(8, holder(57)), Ok(ALICE.did()));
    assert!(shown(9, holder(58)).is_err_and(|told| told.ends_with("it has 9 capabilities, and 1 to 8 are allowed")));
}

#[test]
fn an_agents_token_gives_no_more_than_its_delegation() {
    let first = genesis(ALICE, LAPTOP);
    let agent = LAPTOP.says(delegate(AGENT, &["/agent/logs"], LATER, None), &[first.id()]);
    let log = log(&[&first, &agent]);
    let token = |text, expires| AGENT.says(capability(BOBS, text, expires, None), &[agent.id()]);
    let shown = |token: &Credential, now| shows(&log, &[token], BOBS, "/agent/logs", now);
    assert_eq!(shown(&token("/agent/logs", LATER), NOW), Ok(ALICE.did()));
    assert!(shown(&token("/agent", LATER), NOW).is_err());
    assert!(shown(&token("/agent/logs", Timestamp(LATER.0 + 1)), NOW).is_err());
}
