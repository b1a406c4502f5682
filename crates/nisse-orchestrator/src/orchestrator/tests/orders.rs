//! Orders: what is inspected, bid on and refused, and which names and room are taken.

use super::*;

#[test]
fn the_same_order_seen_twice_is_bid_on_once() {
    let mut node = orchestrator();
    node.handle(Event::OrderOpened(order(1, "agent1")), NOW);
    finish(&mut node, 1, ActionResult::Inspected(Ok(())));
    assert_eq!(node.handle(Event::OrderOpened(order(1, "agent1")), NOW), Effects::default());
    assert_eq!(finish(&mut node, 1, ActionResult::Inspected(Ok(()))), Effects::default());
}

#[test]
fn an_order_is_refused_with_its_reason() {
    let refusal = |change: fn(&mut Order)| {
        let mut node = orchestrator();
        let mut order = order(1, "agent1");
        change(&mut order);
        assert!(node.handle(Event::OrderOpened(order), NOW).actions.is_empty());
        node.refused()[&deployment(1)].to_string()
    };
    insta::assert_snapshot!(refusal(|o| o.placement.owner = Address([3; 20])), @"this node does not accept agents of 0x0303030303030303030303030303030303030303");
    insta::assert_snapshot!(refusal(|o| o.max_rate = AmountPerHour(49)), @"the order pays at most 0.000000000000000049 TALOS per hour and this node asks 0.00000000000000005");
    insta::assert_snapshot!(refusal(|o| o.placement.resources.gpu = true), @"it asks for a GPU and this node has none");
    insta::assert_snapshot!(refusal(|o| o.placement.resources.cpu.millis = 1001), @"it asks for 1.001 cpu and 1 is free");
    insta::assert_snapshot!(refusal(|o| o.placement.resources.memory = ByteSize(9 << 20)), @"it asks for 9MiB of memory and 8MiB is free");
}

#[test]
fn a_package_that_fails_inspection_is_never_bid_on() {
    let mut node = orchestrator();
    node.handle(Event::OrderOpened(order(1, "agent1")), NOW);
    let error = PrepareError { stage: FailureStage::Verify, reason: "the artifact's hash differs".to_owned() };
    let effects = finish(&mut node, 1, ActionResult::Inspected(Err(error)));
    assert!(effects.actions.is_empty());
    assert_eq!(node.refused()[&deployment(1)].to_string(), "its package failed at verify: the artifact's hash differs");
}

#[test]
fn a_package_that_could_not_be_fetched_is_fetched_again_when_its_order_comes_back() {
    for (stage, again) in [(FailureStage::Fetch, true), (FailureStage::Verify, false)] {
        let mut node = orchestrator();
        node.handle(Event::OrderOpened(order(1, "agent1")), NOW);
        let error = PrepareError { stage, reason: "nobody gave it".to_owned() };
        let effects = finish(&mut node, 1, ActionResult::Inspected(Err(error.clone())));
        assert!(effects.actions.is_empty(), "not at once");
        assert_eq!(node.handle(Event::OrderOpened(order(1, "agent1")), NOW), Effects::default(), "told again");
        let looked = node.handle(Event::OrderStands(order(1, "agent1")), NOW);
        assert_eq!(matches!(looked.actions[..], [Action::Inspect { .. }]), again, "looked up after {stage:?}");
        if again {
            finish(&mut node, 1, ActionResult::Inspected(Err(error)));
        }
        node.handle(Event::Reopened { deployment: deployment(1), round: 9 }, NOW);
        let opened = node.handle(Event::OrderOpened(Order { round: 9, ..order(1, "agent1") }), NOW);
        assert_eq!(matches!(opened.actions[..], [Action::Inspect { .. }]), again, "{stage:?}");
        assert_eq!(reborn(&node).refused(), node.refused());
    }
}

#[test]
fn an_open_bid_holds_its_room_until_it_is_lost() {
    let mut node = orchestrator();
    for number in 1..=5 {
        node.handle(Event::OrderOpened(order(number, &format!("agent{number}"))), NOW);
        finish(&mut node, number, ActionResult::Inspected(Ok(())));
    }
    assert!(node.refused().contains_key(&deployment(5)), "four quarters fill one processor");
    node.handle(Event::AssignedElsewhere { deployment: deployment(1) }, NOW);
    let effects = node.handle(Event::OrderOpened(order(6, "agent6")), NOW);
    assert!(matches!(effects.actions[..], [Action::Inspect { .. }]));
}

#[test]
fn what_an_earlier_bid_has_won_while_the_order_is_looked_at_again_must_fit_by_itself() {
    let mut node = orchestrator();
    node.handle(Event::OrderOpened(order(1, "agent1")), NOW);
    for number in 2..=5 {
        run(&mut node, number, ALICE, lease());
    }
    let effects = assign(&mut node, 1, ALICE, lease());
    assert!(matches!(life(&node, 1), Life::Failed { stage: FailureStage::Node, .. }), "no room is held for a look");
    assert!(effects.actions.iter().any(|action| matches!(action, Action::Reject { .. })));
    assert_eq!(node.used().cpu, policy().capacity.cpu);
}

#[test]
fn a_number_that_was_given_to_another_order_is_held_against_the_nodes_rules() {
    let bid_on = || {
        let mut node = orchestrator();
        node.handle(Event::OrderOpened(order(1, "agent1")), NOW);
        finish(&mut node, 1, ActionResult::Inspected(Ok(())));
        node
    };
    let assigned = |node: &mut Orchestrator, owner, millis| {
        let mut placement = placement(owner, "agent7");
        placement.resources.cpu = Cpu { millis };
        let (deployment, assignment) = (deployment(1), lease());
        let gas_budget = 500_000;
        node.handle(Event::Assigned { deployment, placement, assignment, began: 0, gas_budget }, NOW);
        life(node, 1).clone()
    };
    assert_eq!(assigned(&mut bid_on(), ALICE, 1_000), Life::Preparing, "the room of the bid is part of it");
    let mut full = bid_on();
    run(&mut full, 2, ALICE, lease());
    assert!(matches!(assigned(&mut full, ALICE, 1_000), Life::Failed { .. }), "another agent has the rest");
    assert!(matches!(assigned(&mut bid_on(), Address([3; 20]), 250), Life::Failed { .. }), "a stranger's");
}

#[test]
fn a_second_agent_of_the_same_owner_and_name_is_not_run() {
    let mut node = orchestrator();
    run(&mut node, 1, OPERATOR, Assignment::Home);
    let placement = placement(OPERATOR, "agent1");
    let assigned = Event::Assigned {
        deployment: deployment(2),
        placement,
        assignment: Assignment::Home,
        began: 0,
        gas_budget: 500_000,
    };
    node.handle(assigned, NOW);
    assert!(matches!(life(&node, 2), Life::Failed { .. }));
    assert!(matches!(life(&node, 1), Life::Running { .. }));
}

#[test]
fn a_name_whose_alias_is_taken_is_refused() {
    let mut node = orchestrator();
    run(&mut node, 1, ALICE, lease());
    let mut order = order(2, "agent1");
    order.placement.package.agent_id = "age-nt1@v1.0.0".parse().expect("a valid id");
    assert!(matches!(node.handle(Event::OrderOpened(order.clone()), NOW).actions[..], [Action::Inspect { .. }]));
    order.deployment = deployment(3);
    order.placement.package.agent_id = "age.nt1@v1.0.0".parse().expect("a valid id");
    node.handle(Event::OrderOpened(order), NOW);
    assert_eq!(node.refused()[&deployment(3)], Refusal::Taken);
}

#[test]
fn a_drained_node_refuses_orders_and_goes_on_with_its_agents() {
    let mut node = orchestrator();
    run(&mut node, 1, ALICE, lease());
    node.drain(true);
    node.handle(Event::OrderOpened(order(2, "agent2")), NOW);
    assert_eq!(node.refused()[&deployment(2)], Refusal::Draining);
    assert!(matches!(life(&node, 1), Life::Running { .. }));
}

fn unverified(number: u64) -> Order {
    Order { unverified: true, ..order(number, "agent1") }
}

#[test]
fn an_artifact_that_its_id_does_not_prove_is_attested_once_and_bid_on_when_a_quorum_did() {
    let mut node = orchestrator();
    assert!(matches!(node.handle(Event::OrderOpened(unverified(1)), NOW).actions[..], [Action::Inspect { .. }]));
    let attested = finish(&mut node, 1, ActionResult::Inspected(Ok(())));
    assert_eq!(attested.actions, [Action::Attest { deployment: deployment(1), round: 1 }]);
    // The log is read at least once, and another look changes nothing.
    assert_eq!(node.handle(Event::OrderOpened(unverified(1)), NOW), Effects::default());
    assert_eq!(finish(&mut node, 1, ActionResult::Inspected(Ok(()))), Effects::default());
    // After a restart the chain is told again, under the same name.
    let mut again = reborn(&node);
    assert!(again.boot(NOW).actions.contains(&Action::Attest { deployment: deployment(1), round: 1 }));

    let open = Order { round: 2, ..order(1, "agent1") };
    for node in [&mut node, &mut again] {
        assert!(matches!(node.handle(Event::OrderOpened(open.clone()), NOW).actions[..], [Action::Inspect { .. }]));
        let bid = finish(node, 1, ActionResult::Inspected(Ok(())));
        assert!(matches!(bid.actions[..], [Action::Bid { round: 2, .. }]), "{bid:?}");
        assert_eq!(node.handle(Event::OrderOpened(unverified(1)), NOW), Effects::default(), "what is behind it");
    }
}

#[test]
fn an_artifact_that_is_not_what_its_hash_says_is_not_attested() {
    let mut node = orchestrator();
    node.handle(Event::OrderOpened(unverified(1)), NOW);
    let error = PrepareError { stage: FailureStage::Verify, reason: "the artifact's hash differs".to_owned() };
    assert!(finish(&mut node, 1, ActionResult::Inspected(Err(error))).actions.is_empty());
    assert!(node.refused().contains_key(&deployment(1)));
    // Nor what this node would not run.
    let strangers = Order { placement: placement(Address([3; 20]), "agent2"), ..unverified(2) };
    assert!(node.handle(Event::OrderOpened(strangers), NOW).actions.is_empty());
}

#[test]
fn an_order_that_found_no_room_is_looked_at_again_when_there_is_some() {
    let mut node = orchestrator();
    for number in 1..=5 {
        node.handle(Event::OrderOpened(order(number, &format!("agent{number}"))), NOW);
        finish(&mut node, number, ActionResult::Inspected(Ok(())));
    }
    let mut strangers = order(6, "agent6");
    strangers.placement.owner = Address([3; 20]);
    node.handle(Event::OrderOpened(strangers.clone()), NOW);
    assert_eq!(node.handle(Event::OrderOpened(order(5, "agent5")), NOW), Effects::default(), "nothing has changed");
    let looked = |effects: &Effects| -> Vec<u64> {
        let again = |action: &Action| match action {
            Action::LookAgain { deployment } => Some(deployment.number),
            _ => None,
        };
        effects.actions.iter().filter_map(again).collect()
    };
    let effects = node.handle(Event::AssignedElsewhere { deployment: deployment(1) }, NOW);
    assert_eq!(looked(&effects), [5], "whom this node does not accept stays refused");
    assert_eq!(node.handle(Event::OrderOpened(strangers), NOW), Effects::default());
    let effects = node.handle(Event::OrderOpened(order(5, "agent5")), NOW);
    assert!(matches!(effects.actions[..], [Action::Inspect { .. }]));
    assert_eq!(node.refused().keys().map(|refused| refused.number).collect::<Vec<_>>(), [6]);
    assert_eq!(reborn(&node).refused(), node.refused());

    node.drain(true);
    node.handle(Event::OrderOpened(order(7, "agent7")), NOW);
    assert_eq!(node.refused()[&deployment(7)], Refusal::Draining);
    assert_eq!(looked(&node.drain(false)), [7]);
    assert_eq!(looked(&reborn(&node).boot(NOW)), [7], "a start may lend more");
}

#[test]
fn orders_that_are_gone_make_way_for_those_that_are_not() {
    let mut node = orchestrator();
    node.drain(true);
    for number in 1..=20 {
        node.handle(Event::OrderOpened(order(number, &format!("agent{number}"))), NOW);
    }
    let mut impossible = order(21, "agent21");
    impossible.placement.resources.cpu.millis = 1_001;
    let mut waiting = node.drain(false).actions;
    node.handle(Event::OrderOpened(impossible), NOW);
    let mut asked = 0;
    while let Some(Action::LookAgain { deployment }) = waiting.pop() {
        asked += 1;
        assert!((1..=20).contains(&deployment.number) && asked <= 200, "{deployment}, {asked}");
        if deployment.number > 1 {
            waiting.extend(node.handle(Event::OrderGone { deployment }, NOW).actions);
        }
    }
    assert_eq!(node.refused().keys().map(|refused| refused.number).collect::<Vec<_>>(), [1, 21]);
    assert_eq!(reborn(&node).refused(), node.refused());
    let opened = node.handle(Event::OrderOpened(order(1, "agent1")), NOW);
    assert!(matches!(opened.actions[..], [Action::Inspect { .. }]));
}

#[test]
fn an_order_that_stake_did_not_carry_is_looked_at_again_when_more_is_laid_down() {
    let mut node = orchestrator();
    let open = |node: &mut Orchestrator| {
        node.handle(Event::OrderOpened(order(1, "agent")), NOW);
        finish(node, 1, ActionResult::Inspected(Ok(()))).actions
    };
    let bid = [Action::Bid { deployment: deployment(1), round: 1, rate: AmountPerHour(50) }];
    assert_eq!(open(&mut node), bid);
    let too_low = |round| ActionResult::StakeTooLow { round, reason: "it is not registered".to_owned() };
    assert_eq!(finish(&mut node, 1, too_low(0)), Effects::default(), "another round's answer is not this one's");
    let refused = finish(&mut node, 1, too_low(1));
    assert_eq!(refused.actions, [], "to look at once would find the same");
    insta::assert_snapshot!(node.refused()[&deployment(1)], @"the market takes no bid of this node now: it is not registered");
    for node in [&mut reborn(&node), &mut node] {
        let laid = node.handle(Event::StakeLaid, NOW);
        assert_eq!(laid.actions, [Action::LookAgain { deployment: deployment(1) }]);
        assert_eq!(open(node), bid);
        assert_eq!(node.handle(Event::StakeLaid, NOW), Effects::default(), "it has a bid now");
    }
}

#[test]
fn a_name_that_a_bad_package_held_is_free_again() {
    let mut node = orchestrator();
    node.handle(Event::OrderOpened(order(1, "agent")), NOW);
    node.handle(Event::OrderOpened(order(2, "agent")), NOW);
    assert_eq!(node.refused()[&deployment(2)], Refusal::Taken);
    let error = PrepareError { stage: FailureStage::Verify, reason: "the artifact's hash differs".to_owned() };
    let effects = finish(&mut node, 1, ActionResult::Inspected(Err(error)));
    assert_eq!(effects.actions, [Action::LookAgain { deployment: deployment(2) }]);
}
