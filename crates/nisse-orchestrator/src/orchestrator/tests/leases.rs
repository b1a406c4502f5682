//! A lease from its order to its end: start, pause, money, and what the chain undoes.

use super::*;

#[test]
fn an_order_is_inspected_bid_on_won_prepared_started_and_acknowledged() {
    let mut node = orchestrator();
    let effects = node.handle(Event::OrderOpened(order(1, "agent1")), NOW);
    assert!(matches!(effects.actions[..], [Action::Inspect { .. }]));
    let effects = finish(&mut node, 1, ActionResult::Inspected(Ok(())));
    assert_eq!(effects.actions, [Action::Bid { deployment: deployment(1), round: 1, rate: AmountPerHour(50) }]);
    let effects = assign(&mut node, 1, ALICE, lease());
    assert!(matches!(effects.actions[..], [Action::Prepare { .. }]));
    let effects = finish(&mut node, 1, ActionResult::Prepared(Ok(())));
    let start = Action::Start { deployment: deployment(1), incarnation: 1, raise_started: true };
    assert_eq!(effects.actions, [start]);
    let effects = finish(&mut node, 1, ActionResult::Started(Ok(())));
    assert_eq!(effects.actions, [Action::Acknowledge { deployment: deployment(1), incarnation: 1, attempt: 1 }]);
    node.handle(Event::Acknowledged { deployment: deployment(1), at: NOW }, NOW);
    assert_eq!(*life(&node, 1), Life::Running { since: NOW, acknowledged: Some(NOW) });
}

#[test]
fn a_trap_at_start_goes_back_to_the_market_unpaid_and_at_home_only_fails() {
    for (assignment, owner, rejected) in [(lease(), ALICE, true), (Assignment::Home, OPERATOR, false)] {
        let mut node = orchestrator();
        assign(&mut node, 1, owner, assignment);
        finish(&mut node, 1, ActionResult::Prepared(Ok(())));
        let effects = finish(&mut node, 1, ActionResult::Started(Err("it trapped".to_owned())));
        assert!(matches!(life(&node, 1), Life::Failed { stage: FailureStage::Start, .. }));
        assert_eq!(effects.actions.iter().any(|action| matches!(action, Action::Reject { .. })), rejected);
        assert!(!effects.actions.iter().any(|action| matches!(action, Action::Acknowledge { .. })));
    }
}

#[test]
fn twenty_hours_at_fifty_use_up_a_thousand_and_a_home_lease_never_ends() {
    let mut node = orchestrator();
    run(&mut node, 1, ALICE, lease());
    run(&mut node, 2, OPERATOR, Assignment::Home);
    let end = NOW.plus_ms(20 * 3_600_000);
    let before = node.handle(Event::Tick { chain: Timestamp(end.0 - 1) }, NOW);
    assert!(before.actions.is_empty());
    let at_end = node.handle(Event::Tick { chain: end }, NOW);
    assert_eq!(at_end.actions, [Action::Expire { deployment: deployment(1) }]);
    assert!(node.handle(Event::Tick { chain: end }, NOW).actions.is_empty(), "asked for once");
    let far = node.handle(Event::Tick { chain: Timestamp(u64::MAX) }, NOW);
    assert!(far.actions.is_empty());
    node.handle(Event::Closed { deployment: deployment(1), reason: CloseReason::Expired }, NOW);
    assert!(matches!(life(&node, 1), Life::Stopped { reason: CloseReason::Expired, .. }));
}

#[test]
fn funding_moves_the_end() {
    let mut node = orchestrator();
    run(&mut node, 1, ALICE, lease());
    node.handle(Event::Funded { deployment: deployment(1), deposited: Amount(2000) }, NOW);
    let ends_at = node.agent(&deployment(1)).expect("known").ends_at();
    assert_eq!(ends_at, Some(NOW.plus_ms(40 * 3_600_000)));
}

#[test]
fn a_paused_agent_keeps_its_lease_and_its_alarm_and_runs_nothing() {
    let mut node = orchestrator();
    run(&mut node, 1, ALICE, lease());
    node.handle(Event::AlarmChanged { deployment: deployment(1), completion: 1, at: Some(NOW), on_trial: false }, NOW);
    let effects = node.command(deployment(1), Command::Pause, NOW).expect("it runs");
    assert_eq!(effects.actions, [Action::Halt { deployment: deployment(1) }]);
    assert!(node.handle(Event::Tick { chain: NOW }, NOW).actions.is_empty());
    assert!(node.agent(&deployment(1)).expect("known").ends_at().is_some(), "pause keeps paying");
    let error = node.command(deployment(1), Command::Pause, NOW).expect_err("it is paused already");
    assert_eq!(error.to_string(), "pause an agent that is paused");
    node.command(deployment(1), Command::Resume, NOW).expect("it is paused");
    let effects = finish(&mut node, 1, ActionResult::Prepared(Ok(())));
    let start = Action::Start { deployment: deployment(1), incarnation: 1, raise_started: false };
    assert_eq!(effects.actions, [start]);
}

#[test]
fn a_start_that_a_reorganisation_moved_is_paid_from_its_new_time() {
    let mut node = orchestrator();
    run(&mut node, 1, ALICE, lease());
    let later = NOW.plus_ms(5_000);
    let moved = node.handle(Event::Acknowledged { deployment: deployment(1), at: later }, NOW);
    assert_eq!(moved.decisions.len(), 1);
    let again = node.handle(Event::Acknowledged { deployment: deployment(1), at: later }, NOW);
    assert_eq!(again, Effects::default(), "what is told again changes nothing");
    assert_eq!(*life(&node, 1), Life::Running { since: NOW, acknowledged: Some(later) });
}

#[test]
fn an_assignment_that_the_chain_undid_may_come_back_and_any_other_end_is_for_good() {
    for (reason, comes_back) in
        [(CloseReason::Undone, true), (CloseReason::Owner, false), (CloseReason::Expired, false)]
    {
        let mut node = orchestrator();
        run(&mut node, 1, ALICE, lease());
        assert!(node.holds(deployment(1).contract));
        let effects = node.handle(Event::Closed { deployment: deployment(1), reason }, NOW);
        assert!(matches!(effects.actions[..], [Action::Halt { .. }]));
        assert!(!node.holds(deployment(1).contract));
        let effects = assign(&mut node, 1, ALICE, lease());
        assert_eq!(!effects.actions.is_empty(), comes_back, "{reason}");
        if comes_back {
            assert_eq!(node.agent(&deployment(1)).expect("it is known").incarnation, 2);
        }
    }
}

#[test]
fn a_live_agent_is_not_forgotten() {
    let mut node = orchestrator();
    run(&mut node, 1, ALICE, lease());
    assert!(node.forget(deployment(1)).is_err());
    node.handle(Event::Closed { deployment: deployment(1), reason: CloseReason::Owner }, NOW);
    node.forget(deployment(1)).expect("it has ended");
    assert!(node.agent(&deployment(1)).is_none());
}

#[test]
fn what_this_node_lost_by_its_silence_it_may_win_again_as_another_incarnation() {
    let mut node = orchestrator();
    let given = |began| Event::Assigned {
        deployment: deployment(1),
        placement: placement(ALICE, "agent1"),
        assignment: lease(),
        began,
        gas_budget: 500_000,
    };
    node.handle(given(0), NOW);
    node.handle(Event::Closed { deployment: deployment(1), reason: CloseReason::Silent }, NOW);
    let effects = node.handle(Event::OrderOpened(order(1, "agent1")), NOW);
    assert!(matches!(effects.actions[..], [Action::Inspect { .. }]), "{effects:?}");
    // Another node ran it meanwhile.
    node.handle(given(4), NOW);
    assert!(life(&node, 1).is_live());
    assert_eq!(node.agent(&deployment(1)).map(|agent| agent.incarnation), Some(5));
    assert_eq!(reborn(&node).agent(&deployment(1)).map(|agent| agent.incarnation), Some(5));

    node.handle(Event::Closed { deployment: deployment(1), reason: CloseReason::Reopened }, NOW);
    let effects = node.handle(Event::OrderOpened(order(1, "agent1")), NOW);
    assert_eq!(effects, Effects::default(), "what it gave back it does not take again");
}

#[test]
fn a_lease_that_came_by_an_offer_must_be_what_this_node_would_run() {
    let quote = |node: &Orchestrator, owner, gas_budget| {
        node.quote(owner, placement(ALICE, "agent1").resources, gas_budget).map_err(|refusal| refusal.to_string())
    };
    let mut node = orchestrator();
    assert_eq!(quote(&node, ALICE, 500_000), Ok(AmountPerHour(50)));
    assert!(quote(&node, Address([3; 20]), 500_000).is_err(), "nobody's agent is quoted for whose it would not run");
    assert!(quote(&node, ALICE, 1_000_001).is_err(), "nor one that burns more than it pays for");
    node.drain(true);
    assert_eq!(quote(&node, ALICE, 500_000), Err("this node is draining and takes no new work".to_owned()));
    node.drain(false);

    let mut given = |number, owner, gas_budget| {
        let placement = placement(owner, &format!("agent{number}"));
        let (deployment, assignment) = (deployment(number), lease());
        let event = Event::Assigned { deployment, placement, assignment, began: 0, gas_budget };
        let back = node.handle(event, NOW).actions.iter().any(|action| matches!(action, Action::Reject { .. }));
        (back, life(&node, number).is_live())
    };
    assert_eq!(given(1, ALICE, 500_000), (false, true));
    assert_eq!(given(2, ALICE, 1_000_001), (true, false), "the client named a larger budget than it was quoted for");
    assert_eq!(given(3, Address([3; 20]), 500_000), (true, false));
    for number in 4..7 {
        assert_eq!(given(number, ALICE, 500_000), (false, true));
    }
    assert_eq!(given(7, ALICE, 500_000), (true, false), "there is no room left");
}

#[test]
fn a_lease_that_comes_back_as_it_had_been_is_paid_for_before_its_agent_is_up() {
    let mut node = orchestrator();
    run(&mut node, 1, ALICE, lease());
    node.handle(Event::Closed { deployment: deployment(1), reason: CloseReason::Reopened }, NOW);
    assert_eq!(assign(&mut node, 1, ALICE, lease()), Effects::default(), "an old assignment is no news");
    let (placement, assignment) = (placement(ALICE, "agent1"), lease());
    let again = Event::HeldAgain { deployment: deployment(1), placement, assignment, began: 1, gas_budget: 500_000 };
    assert!(matches!(node.handle(again.clone(), NOW).actions[..], [Action::Prepare { .. }]));
    assert_eq!(node.handle(again, NOW), Effects::default());
    let at = Timestamp(NOW.0 - 5_000);
    let acknowledged = Event::Acknowledged { deployment: deployment(1), at };
    assert_eq!(node.handle(acknowledged.clone(), NOW).decisions.len(), 1);
    assert_eq!(node.handle(acknowledged, NOW), Effects::default());
    let agent = |node: &Orchestrator| node.agent(&deployment(1)).expect("it lives").clone();
    assert!(crate::ran_at(&agent(&node), at.seconds()), "it shows life for what it is paid for");
    assert!(!crate::ran_at(&agent(&node), at.seconds() - 1));
    let mut node = reborn(&node);
    finish(&mut node, 1, ActionResult::Prepared(Ok(())));
    let effects = finish(&mut node, 1, ActionResult::Started(Ok(())));
    assert_eq!(effects.actions, [], "the chain has its start");
    assert_eq!(*life(&node, 1), Life::Running { since: NOW, acknowledged: Some(at) });
    assert_eq!(agent(&node).incarnation, 2);
}
