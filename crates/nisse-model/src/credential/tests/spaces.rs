//! Spaces, their members and invitations.

use super::*;

/// Alice's space with Bob in it.
pub(super) fn shared(role: Role) -> (Vec<Credential>, Credential) {
    let (alice, bob, carol) = (genesis(ALICE, LAPTOP), genesis(BOB, BOBS), genesis(CAROL, CAROLS));
    let space = LAPTOP.says(Claim::SpaceGenesis, &[alice.id(), bob.id(), carol.id()]);
    let with_bob = LAPTOP.says(member(&space, BOB, role), &[space.id()]);
    (vec![alice, bob, carol, space.clone(), with_bob], space)
}

pub(super) fn log_of(credentials: &[Credential], more: &[&Credential]) -> Log {
    log(&credentials.iter().chain(more.iter().copied()).collect::<Vec<_>>())
}

pub(super) fn roles(log: &Log, space: &Credential) -> [Option<Role>; 3] {
    let state = log.state();
    [ALICE, BOB, CAROL].map(|who| state.role(who.did(), space.id()))
}

#[test]
fn admins_say_who_is_a_member_and_nobody_else() {
    let (said, space) = shared(Role::Edit);
    let last = said[4].id();
    let mut log = log_of(&said, &[]);
    refused(&mut log, &BOBS.says(member(&space, CAROL, Role::Read), &[last]));
    refused(&mut log, &CAROLS.says(member(&space, CAROL, Role::Read), &[last]));
    let raised = LAPTOP.says(member(&space, BOB, Role::Admin), &[last]);
    let carol = BOBS.says(member(&space, CAROL, Role::Read), &[raised.id()]);
    let log = log_of(&said, &[&raised, &carol]);
    assert_eq!(roles(&log, &space), [Some(Role::Admin), Some(Role::Admin), Some(Role::Read)]);
    assert_eq!(log.state().members(space.id()).len(), 3);
    assert_eq!(log.state().spaces().into_iter().collect::<Vec<_>>(), [space.id()]);
}

#[test]
fn a_member_who_is_expelled_keeps_what_was_seen_and_loses_what_was_not() {
    let (said, space) = shared(Role::Admin);
    let seen = BOBS.says(member(&space, CAROL, Role::Edit), &[said[4].id()]);
    let expelled = LAPTOP.says(expel(&space, BOB), &[seen.id()]);
    let unseen = BOBS.says(member(&space, CAROL, Role::Admin), &[seen.id()]);
    let log = log_of(&said, &[&seen, &unseen, &expelled]);
    assert_eq!(roles(&log, &space), [Some(Role::Admin), None, Some(Role::Edit)]);
}

#[test]
fn of_two_admins_who_expel_each_other_the_first_stays() {
    let (said, space) = shared(Role::Admin);
    let [by_bob, by_alice] =
        [(BOBS, ALICE), (LAPTOP, BOB)].map(|(who, whom)| who.says(expel(&space, whom), &[said[4].id()]));
    let log = log_of(&said, &[&by_bob, &by_alice]);
    assert_eq!(roles(&log, &space), [Some(Role::Admin), None, None]);
}

#[test]
fn of_two_roles_given_at_once_the_lower_counts_until_somebody_who_knows_both_says_more() {
    let (said, space) = shared(Role::Admin);
    let high = BOBS.says(member(&space, CAROL, Role::Edit), &[said[4].id()]);
    let low = LAPTOP.says(member(&space, CAROL, Role::Read), &[said[4].id()]);
    assert_eq!(roles(&log_of(&said, &[&high, &low]), &space)[2], Some(Role::Read));
    let after = LAPTOP.says(member(&space, CAROL, Role::Edit), &[high.id(), low.id()]);
    assert_eq!(roles(&log_of(&said, &[&high, &low, &after]), &space)[2], Some(Role::Edit));
}

#[test]
fn a_member_leaves_by_itself_and_the_last_admin_may() {
    let (said, space) = shared(Role::Read);
    let bob = BOBS.says(expel(&space, BOB), &[said[4].id()]);
    let alice = LAPTOP.says(expel(&space, ALICE), &[bob.id()]);
    let mut log = log_of(&said, &[&bob, &alice]);
    assert_eq!(roles(&log, &space), [None, None, None]);
    // Nobody is left who could: what she says afterwards counts for nothing, though it is kept.
    let back = LAPTOP.says(member(&space, ALICE, Role::Admin), &[alice.id()]);
    assert!(log.insert(back.clone()).is_ok() && !log.state().is_valid(&back.id()));
    assert_eq!(roles(&log, &space), [None, None, None]);
}

#[test]
fn a_lost_laptop_of_a_member_acts_in_no_space() {
    let (said, space) = shared(Role::Edit);
    let phone = LAPTOP.says(add(PHONE), &[said[4].id()]);
    let gone = PHONE.says(revoke(LAPTOP), &[phone.id()]);
    let thief = LAPTOP.says(member(&space, CAROL, Role::Admin), &[phone.id()]);
    let log = log_of(&said, &[&phone, &gone, &thief]);
    assert_eq!(roles(&log, &space), [Some(Role::Admin), Some(Role::Edit), None]);
}

#[test]
fn a_personal_agent_acts_in_its_users_spaces_by_one_delegation() {
    let (said, space) = shared(Role::Edit);
    let agent = LAPTOP.says(delegate(AGENT, &["/space/admin"], LATER, None), &[said[4].id()]);
    let carol = AGENT.says(member(&space, CAROL, Role::Edit), &[agent.id()]);
    let mut log = log_of(&said, &[&agent, &carol]);
    assert_eq!(roles(&log, &space)[2], Some(Role::Edit));
    let late = AGENT.says_at(expel(&space, CAROL), &[carol.id()], Timestamp(LATER.0 + 1));
    refused(&mut log, &late);
    // One that is for another space.
    let other = LAPTOP.says(delegate(HELPER, &["/space/admin?space=other"], LATER, None), &[said[4].id()]);
    log.insert(other.clone()).unwrap_or_else(|error| panic!("{error}"));
    refused(&mut log, &HELPER.says(expel(&space, CAROL), &[carol.id(), other.id()]));
}

#[test]
fn an_expelled_admin_who_leaves_as_of_long_ago_brings_back_nobody() {
    let (said, space) = shared(Role::Admin);
    let carol = LAPTOP.says(member(&space, CAROL, Role::Edit), &[said[4].id()]);
    let out = BOBS.says(expel(&space, CAROL), &[carol.id()]);
    let expelled = LAPTOP.says(expel(&space, BOB), &[out.id()]);
    let root = BOB.says(expel(&space, BOB), &[]);
    let device = BOBS.says(expel(&space, BOB), &[said[1].id()]);
    let log = log_of(&said, &[&carol, &out, &expelled, &root, &device]);
    assert_eq!(roles(&log, &space), [Some(Role::Admin), None, None]);
}

#[test]
fn an_admin_who_was_lowered_expels_nobody_that_it_had_not_before() {
    let (said, space) = shared(Role::Admin);
    let lowered = LAPTOP.says(member(&space, BOB, Role::Read), &[said[4].id()]);
    let by_bob = BOBS.says(expel(&space, ALICE), &[said[4].id()]);
    let friend = BOBS.says(member(&space, CAROL, Role::Admin), &[said[4].id()]);
    let log = log_of(&said, &[&lowered, &by_bob, &friend]);
    assert_eq!(roles(&log, &space), [Some(Role::Admin), Some(Role::Read), None]);
}

/// An invitation, and what its key says.
pub(super) fn invited_by(
    who: Voice,
    space: &Credential,
    seen: CredentialId,
    uses: u32,
    invitee: Option<Voice>,
) -> (Credential, Voice) {
    let ticket = Voice::of(who.identity, 90);
    let claim = Claim::Invitation {
        space: space.id(),
        key: ticket.did(),
        role: Role::Edit,
        expires: LATER,
        uses,
        invitee: invitee.map(|who| who.did()),
    };
    (who.says(claim, &[seen]), ticket)
}

/// One by Alice.
pub(super) fn invited(
    space: &Credential,
    seen: CredentialId,
    uses: u32,
    invitee: Option<Voice>,
) -> (Credential, Voice) {
    invited_by(LAPTOP, space, seen, uses, invitee)
}

pub(super) fn join(invitation: &Credential, who: Voice) -> Claim {
    Claim::Join { invitation: invitation.id(), member: who.did() }
}

#[test]
fn an_invitation_admits_as_many_as_it_says_whatever_order_they_come_in() {
    let (said, space) = shared(Role::Read);
    let (invitation, ticket) = invited(&space, said[4].id(), 1, None);
    let carol = ticket.says(join(&invitation, CAROL), &[invitation.id()]);
    let mallory = ticket.says(join(&invitation, MALLORY), &[invitation.id()]);
    let first = if carol.id() < mallory.id() { CAROL } else { MALLORY };
    for order in [[&carol, &mallory], [&mallory, &carol]] {
        let log = log_of(&said, &[&[&invitation], &order[..]].concat());
        let state = log.state();
        let found = [CAROL, MALLORY].map(|who| state.role(who.did(), space.id()).is_some());
        assert_eq!(found, [CAROL, MALLORY].map(|who| who.key == first.key));
    }
    // Who comes after knows that it was used.
    let late = ticket.says(join(&invitation, MALLORY), &[carol.id()]);
    let log = log_of(&said, &[&invitation, &carol, &late]);
    assert_eq!((roles(&log, &space)[2], log.state().is_valid(&late.id())), (Some(Role::Edit), false));
}

#[test]
fn an_invitation_that_is_expired_taken_back_or_anothers_admits_nobody() {
    let (said, space) = shared(Role::Read);
    let (invitation, ticket) = invited(&space, said[4].id(), 5, Some(CAROL));
    let mut log = log_of(&said, &[&invitation]);
    refused(&mut log, &ticket.says_at(join(&invitation, CAROL), &[invitation.id()], Timestamp(LATER.0 + 1)));
    refused(&mut log, &ticket.says(join(&invitation, MALLORY), &[invitation.id()]));
    refused(&mut log, &CAROLS.says(join(&invitation, CAROL), &[invitation.id()]));
    refused(&mut log, &Voice::of(21, 90).says(join(&invitation, CAROL), &[invitation.id()]));
    let back = LAPTOP.says(Claim::Withdraw { credential: invitation.id() }, &[invitation.id()]);
    let carol = ticket.says(join(&invitation, CAROL), &[invitation.id()]);
    let log = log_of(&said, &[&invitation, &carol, &back]);
    assert_eq!(roles(&log, &space)[2], None, "a withdrawal beats what is concurrent with it");
}

#[test]
fn an_invitation_lasts_as_long_as_its_inviter_may_invite() {
    let (said, space) = shared(Role::Admin);
    let (invitation, ticket) = invited_by(BOBS, &space, said[4].id(), 1, None);
    let expelled = LAPTOP.says(expel(&space, BOB), &[invitation.id()]);
    let carol = ticket.says(join(&invitation, CAROL), &[expelled.id()]);
    let log = log_of(&said, &[&invitation, &expelled, &carol]);
    assert_eq!(roles(&log, &space), [Some(Role::Admin), None, None]);
}

#[test]
fn an_invitation_lowers_nobody_and_raises_nobody_of_whom_something_was_said_since() {
    let (said, space) = shared(Role::Admin);
    let (invitation, ticket) = invited(&space, said[4].id(), 5, None);
    let founder = ticket.says(join(&invitation, ALICE), &[invitation.id()]);
    let log = log_of(&said, &[&invitation, &founder]);
    assert_eq!(roles(&log, &space)[0], Some(Role::Admin));

    let lowered = LAPTOP.says(member(&space, BOB, Role::Read), &[invitation.id()]);
    let expelled = LAPTOP.says(expel(&space, CAROL), &[lowered.id()]);
    let mut log = log_of(&said, &[&invitation, &lowered, &expelled]);
    // Nor does it help to have heard of nothing.
    let (knowing, unknowing) = ([expelled.id()], [invitation.id()]);
    for (who, seen) in [(BOB, &knowing), (CAROL, &knowing), (BOB, &unknowing), (CAROL, &unknowing)] {
        assert!(log.insert(ticket.says(join(&invitation, who), seen)).is_ok());
    }
    assert_eq!(roles(&log, &space), [Some(Role::Admin), Some(Role::Read), None]);
}

#[test]
fn who_joined_stays_when_the_inviter_is_expelled_and_takes_the_invitation_back() {
    let (said, space) = shared(Role::Admin);
    let (invitation, ticket) = invited_by(BOBS, &space, said[4].id(), 1, None);
    let carol = ticket.says(join(&invitation, CAROL), &[invitation.id()]);
    let expelled = LAPTOP.says(expel(&space, BOB), &[carol.id()]);
    for seen in [invitation.id(), said[1].id()] {
        let back = BOBS.says(Claim::Withdraw { credential: invitation.id() }, &[seen]);
        let log = log_of(&said, &[&invitation, &carol, &expelled, &back]);
        assert_eq!(roles(&log, &space), [Some(Role::Admin), None, Some(Role::Edit)]);
    }
}

#[test]
fn an_invitation_that_was_taken_is_closed_by_who_has_seen_it_taken() {
    let (said, space) = shared(Role::Read);
    let (invitation, ticket) = invited(&space, said[4].id(), 1, None);
    let padding = LAPTOP.says(add(PHONE), &[invitation.id()]);
    let carol = ticket.says(join(&invitation, CAROL), &[padding.id()]);
    let closed = LAPTOP.says(Claim::Withdraw { credential: invitation.id() }, &[carol.id()]);
    // By somebody else who had the key, as of before.
    let late = ticket.says(join(&invitation, MALLORY), &[invitation.id()]);
    let log = log_of(&said, &[&invitation, &padding, &carol, &late]);
    assert_eq!(roles(&log, &space)[2], None, "of two joins the one nearer to the beginning is the first");
    let log = log_of(&said, &[&invitation, &padding, &carol, &closed, &late]);
    assert_eq!((roles(&log, &space)[2], log.state().is_valid(&late.id())), (Some(Role::Edit), false));
}

#[test]
fn what_somebody_expelled_says_of_a_guest_keeps_nobody_out() {
    let (said, space) = shared(Role::Admin);
    let (invitation, ticket) = invited(&space, said[4].id(), 1, None);
    let expelled = LAPTOP.says(expel(&space, BOB), &[invitation.id()]);
    let void = BOBS.says(expel(&space, CAROL), &[invitation.id()]);
    let carol = ticket.says(join(&invitation, CAROL), &[expelled.id(), void.id()]);
    let log = log_of(&said, &[&invitation, &expelled, &void, &carol]);
    assert_eq!(roles(&log, &space), [Some(Role::Admin), None, Some(Role::Edit)]);
}
