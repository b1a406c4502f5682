//! What is found of an invitation by its key.

use super::spaces::{invited, invited_by, join, log_of, shared};
use super::*;

/// Who invites by a key now, to what.
fn found(log: &Log, ticket: Voice) -> Option<(CredentialId, CredentialId, Did, Role)> {
    log.state().invitation(ticket.did(), NOW)
}

#[test]
fn an_invitation_is_found_by_its_key_until_it_expires() {
    let (said, space) = shared(Role::Read);
    let (invitation, ticket) = invited(&space, said[4].id(), 1, None);
    let log = log_of(&said, &[&invitation]);
    let expected = Some((invitation.id(), space.id(), ALICE.did(), Role::Edit));
    assert_eq!(found(&log, ticket), expected);
    assert_eq!(log.state().invitation(ticket.did(), Timestamp(LATER.0 - 1)), expected);
    assert_eq!(log.state().invitation(ticket.did(), LATER), None);
    assert_eq!(found(&log, LAPTOP), None, "a key that is of no invitation");
    assert_eq!(found(&log_of(&said, &[]), ticket), None);
}

#[test]
fn an_invitation_that_was_taken_back_is_not_found() {
    let (said, space) = shared(Role::Read);
    let (invitation, ticket) = invited(&space, said[4].id(), 1, None);
    let back = LAPTOP.says(Claim::Withdraw { credential: invitation.id() }, &[invitation.id()]);
    let by_bob = BOBS.says(Claim::Withdraw { credential: invitation.id() }, &[invitation.id()]);
    let mut log = log_of(&said, &[&invitation]);
    assert!(log.insert(by_bob).is_err() && found(&log, ticket).is_some(), "nobody else takes it back");
    assert_eq!(found(&log_of(&said, &[&invitation, &back]), ticket), None);
}

#[test]
fn invitations_are_listed_with_what_is_left_of_them_until_they_are_taken_back_or_used_up() {
    let (said, space) = shared(Role::Read);
    let (invitation, ticket) = invited(&space, said[4].id(), 2, Some(CAROL));
    let mut log = log_of(&said, &[&invitation]);
    let open = |log: &Log, now| log.state().open_invitations(space.id(), now);
    let expected = OpenInvitation {
        invitation: invitation.id(),
        space: space.id(),
        key: ticket.did(),
        issuer: LAPTOP.did(),
        inviter: ALICE.did(),
        role: Role::Edit,
        expires: LATER,
        uses: 2,
        left: 2,
        invitee: Some(CAROL.did()),
    };
    assert_eq!(open(&log, NOW), std::slice::from_ref(&expected));
    assert_eq!(open(&log, LATER), []);
    assert_eq!(log.state().open_invitations(invitation.id(), NOW), [], "of another space");
    log.insert(ticket.says(join(&invitation, CAROL), &[invitation.id()])).expect("taken");
    assert_eq!(open(&log, NOW), [OpenInvitation { left: 1, ..expected }]);
    let back = LAPTOP.says(Claim::Withdraw { credential: invitation.id() }, &[invitation.id()]);
    log.insert(back).expect("taken");
    assert_eq!(open(&log, NOW), []);
    let (once, ticket) = invited(&space, said[4].id(), 1, None);
    let taken = ticket.says(join(&once, CAROL), &[once.id()]);
    assert_eq!(open(&log_of(&said, &[&once, &taken]), NOW), []);
}

#[test]
fn an_invitation_is_found_while_its_inviter_may_invite() {
    let (said, space) = shared(Role::Admin);
    let (invitation, ticket) = invited_by(BOBS, &space, said[4].id(), 1, None);
    let log = log_of(&said, &[&invitation]);
    assert_eq!(found(&log, ticket), Some((invitation.id(), space.id(), BOB.did(), Role::Edit)));
    let endings = [
        LAPTOP.says(expel(&space, BOB), &[invitation.id()]),
        LAPTOP.says(member(&space, BOB, Role::Edit), &[invitation.id()]),
        BOB.says(revoke(BOBS), &[invitation.id()]),
        BOBS.says(expel(&space, BOB), &[invitation.id()]),
    ];
    for ending in &endings {
        assert_eq!(found(&log_of(&said, &[&invitation, ending]), ticket), None, "{ending:?}");
    }
    // One that was never valid: it had not seen how he was expelled.
    let expelled = LAPTOP.says(expel(&space, BOB), &[said[4].id()]);
    let again = LAPTOP.says(member(&space, BOB, Role::Admin), &[expelled.id()]);
    assert_eq!(found(&log_of(&said, &[&expelled, &again, &invitation]), ticket), None);
}

#[test]
fn an_agents_invitation_lasts_no_longer_than_the_agent() {
    let (said, space) = shared(Role::Read);
    let until = Timestamp(NOW.0 + 1_000);
    let agent = LAPTOP.says(delegate(AGENT, &["/space/admin"], until, None), &[said[4].id()]);
    let (invitation, ticket) = invited_by(AGENT, &space, agent.id(), 1, None);
    let log = log_of(&said, &[&agent, &invitation]);
    assert!(found(&log, ticket).is_some());
    assert_eq!(log.state().invitation(ticket.did(), until), None);
}

#[test]
fn an_invitation_that_is_used_up_is_not_found_and_void_joins_use_nothing() {
    let (said, space) = shared(Role::Read);
    let (invitation, ticket) = invited(&space, said[4].id(), 2, None);
    // Of whom something was said since: it admits nobody.
    let bob = LAPTOP.says(member(&space, BOB, Role::Relay), &[invitation.id()]);
    let void = ticket.says(join(&invitation, BOB), &[bob.id()]);
    let carol = ticket.says(join(&invitation, CAROL), &[void.id()]);
    let mallory = ticket.says(join(&invitation, MALLORY), &[carol.id()]);
    let log = log_of(&said, &[&invitation, &bob, &void, &carol]);
    assert!(!log.state().is_valid(&void.id()) && found(&log, ticket).is_some());
    let log = log_of(&said, &[&invitation, &bob, &void, &carol, &mallory]);
    assert!(log.state().is_valid(&mallory.id()));
    assert_eq!(found(&log, ticket), None);
}

#[test]
fn of_two_invitations_with_one_key_the_first_that_is_open_is_found() {
    let (said, space) = shared(Role::Read);
    let (one, ticket) = invited(&space, said[4].id(), 1, None);
    let (other, _) = invited(&space, one.id(), 1, None);
    let log = log_of(&said, &[&one, &other]);
    assert_eq!(found(&log, ticket).map(|(id, ..)| id), Some(one.id()));
    let taken = ticket.says(join(&one, CAROL), &[other.id()]);
    let log = log_of(&said, &[&one, &other, &taken]);
    assert_eq!(found(&log, ticket).map(|(id, ..)| id), Some(other.id()));
}
