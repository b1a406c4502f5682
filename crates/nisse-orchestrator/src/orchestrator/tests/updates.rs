//! Updates: swapped one at a time, refused without harm, rolled back with their state.

use super::*;

#[test]
fn an_update_swaps_and_a_refused_one_leaves_the_old_running() {
    let mut node = orchestrator();
    run(&mut node, 1, ALICE, lease());
    let mut next = placement(ALICE, "agent1");
    next.package.artifact_hash = Hash256::of(b"next");
    let request = |revision| Event::UpdateRequested {
        deployment: deployment(1),
        next: NextPackage { revision, placement: next.clone(), gas_budget: 0 },
    };
    let effects = node.handle(request(1), NOW);
    assert!(matches!(effects.actions[..], [Action::Swap { incarnation: 2, .. }]));
    assert!(node.handle(request(1), NOW).actions.is_empty(), "seen twice, swapped once");
    let error = PrepareError { stage: FailureStage::Compile, reason: "too large".to_owned() };
    let effects = finish(&mut node, 1, ActionResult::Swapped { revision: 1, result: Err(error) });
    assert!(matches!(&effects.actions[..], [Action::RefuseUpdate { reason, .. }] if reason == "compile: too large"));
    assert_eq!(node.agent(&deployment(1)).expect("known").placement, placement(ALICE, "agent1"));
    assert!(node.handle(request(1), NOW).actions.is_empty(), "what was refused is not begun again");
    node.handle(request(2), NOW);
    finish(&mut node, 1, ActionResult::Swapped { revision: 2, result: Ok(()) });
    let agent = node.agent(&deployment(1)).expect("known");
    assert_eq!((agent.placement.clone(), agent.incarnation), (next, 2));
    assert_eq!(agent.previous, Some(placement(ALICE, "agent1").package));
}

#[test]
fn an_update_that_comes_during_another_waits_for_its_end() {
    let mut node = orchestrator();
    run(&mut node, 1, ALICE, lease());
    let request = |revision: u32| {
        let mut placement = placement(ALICE, "agent1");
        placement.package.artifact_hash = Hash256::of(&revision.to_be_bytes());
        Event::UpdateRequested { deployment: deployment(1), next: NextPackage { revision, placement, gas_budget: 0 } }
    };
    node.handle(request(1), NOW);
    assert!(node.handle(request(2), NOW).actions.is_empty(), "one swap at a time");
    let late = ActionResult::Swapped { revision: 2, result: Ok(()) };
    assert_eq!(finish(&mut node, 1, late), Effects::default(), "only the swap under way can end");
    let effects = finish(&mut node, 1, ActionResult::Swapped { revision: 1, result: Ok(()) });
    let answers: Vec<bool> = effects.actions.iter().map(|action| matches!(action, Action::Swap { .. })).collect();
    assert_eq!(answers, [false, true], "the first is acknowledged, then the second begins");
}

#[test]
fn a_rollback_brings_the_state_back_and_a_plain_update_to_the_package_before_does_not() {
    let mut node = orchestrator();
    run(&mut node, 1, OPERATOR, Assignment::Home);
    let mut second = placement(OPERATOR, "agent1");
    second.package.artifact_hash = Hash256::of(b"second");
    let request = |revision, placement| Event::UpdateRequested {
        deployment: deployment(1),
        next: NextPackage { revision, placement, gas_budget: 0 },
    };
    node.handle(request(1, second), NOW);
    finish(&mut node, 1, ActionResult::Swapped { revision: 1, result: Ok(()) });
    let mut plain = reborn(&node);
    let effects = plain.handle(request(2, placement(OPERATOR, "agent1")), NOW);
    assert!(matches!(effects.actions[..], [Action::Swap { restore: None, .. }]));
    node.command(deployment(1), Command::Rollback, NOW).expect("it runs");
    let effects = reborn(&node).handle(request(2, placement(OPERATOR, "agent1")), NOW);
    assert!(matches!(effects.actions[..], [Action::Swap { restore: Some(1), .. }]));
}

#[test]
fn an_update_that_asks_for_more_than_there_is_is_refused() {
    let mut node = orchestrator();
    run(&mut node, 1, ALICE, lease());
    let mut large = placement(ALICE, "agent1");
    large.resources.memory = ByteSize(9 << 20);
    let next = NextPackage { revision: 1, placement: large, gas_budget: 0 };
    let effects = node.handle(Event::UpdateRequested { deployment: deployment(1), next }, NOW);
    assert!(matches!(effects.actions[..], [Action::RefuseUpdate { revision: 1, .. }]));
    assert!(matches!(life(&node, 1), Life::Running { .. }));
}

#[test]
fn gas_that_the_node_does_not_pay_for_is_refused_in_orders_and_in_updates() {
    let mut node = orchestrator();
    node.handle(Event::OrderOpened(Order { gas_budget: 1 << 48, ..order(1, "agent1") }), NOW);
    let refusal = node.refused()[&deployment(1)].to_string();
    insta::assert_snapshot!(refusal, @"it may burn 281474976710656 gas per hour and this node pays for 1000000 at most");
    run(&mut node, 2, ALICE, lease());
    let request = |revision, gas_budget| {
        let next = NextPackage { revision, placement: placement(ALICE, "agent2"), gas_budget };
        Event::UpdateRequested { deployment: deployment(2), next }
    };
    let effects = node.handle(request(1, 1_000_001), NOW);
    assert!(matches!(effects.actions[..], [Action::RefuseUpdate { revision: 1, .. }]));
    // One that waits behind another is judged when its turn comes.
    assert!(matches!(node.handle(request(2, 1_000_000), NOW).actions[..], [Action::Swap { .. }]));
    assert!(node.handle(request(3, 1 << 48), NOW).actions.is_empty());
    let effects = finish(&mut node, 2, ActionResult::Swapped { revision: 2, result: Ok(()) });
    assert!(matches!(effects.actions[1..], [Action::RefuseUpdate { revision: 3, .. }]), "{effects:?}");
    // What the owner runs at home the owner pays.
    run(&mut node, 3, OPERATOR, Assignment::Home);
    let next = NextPackage { revision: 1, placement: placement(OPERATOR, "agent3"), gas_budget: 1 << 48 };
    let effects = node.handle(Event::UpdateRequested { deployment: deployment(3), next }, NOW);
    assert!(matches!(effects.actions[..], [Action::Swap { .. }]));
}
