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
    // While an update is on its way there is nothing to go back from yet.
    let mut updating = reborn(&plain);
    let refused = updating.command(deployment(1), Command::Rollback, NOW);
    assert_eq!(refused.err(), Some(CommandError::Updating));
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
fn the_room_of_an_update_on_its_way_is_given_to_nobody_else() {
    let mut node = orchestrator();
    run(&mut node, 1, ALICE, lease());
    let mut large = placement(ALICE, "agent1");
    large.resources.cpu = Cpu { millis: 900 };
    let next = NextPackage { revision: 1, placement: large, gas_budget: 0 };
    let effects = node.handle(Event::UpdateRequested { deployment: deployment(1), next }, NOW);
    assert!(matches!(effects.actions[..], [Action::Swap { .. }]));
    node.handle(Event::OrderOpened(order(2, "agent2")), NOW);
    assert!(matches!(node.refused()[&deployment(2)], Refusal::Cpu { free: Cpu { millis: 100 }, .. }));
    let error = PrepareError { stage: FailureStage::Compile, reason: "too large".to_owned() };
    let effects = finish(&mut node, 1, ActionResult::Swapped { revision: 1, result: Err(error) });
    let again = Action::LookAgain { deployment: deployment(2) };
    assert!(effects.actions.contains(&again), "the room is free again: {:?}", effects.actions);
    assert_eq!(node.used().cpu, Cpu { millis: 250 });
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

#[test]
fn a_refused_update_brings_the_alarm_back_that_it_found() {
    let changed =
        |completion, at, on_trial| Event::AlarmChanged { deployment: deployment(1), completion, at, on_trial };
    let request = |revision| {
        let mut placement = placement(ALICE, "agent1");
        placement.package.artifact_hash = Hash256::of(&[revision]);
        let next = NextPackage { revision: revision.into(), placement, gas_budget: 0 };
        Event::UpdateRequested { deployment: deployment(1), next }
    };
    let alarm = |node: &Orchestrator| node.agent(&deployment(1)).expect("known").alarm.map(|alarm| alarm.at);
    let (old, new) = (Some(NOW.plus_ms(1_000)), Some(NOW.plus_ms(2_000)));
    let refused = PrepareError { stage: FailureStage::Start, reason: "it trapped".to_owned() };

    let mut node = orchestrator();
    run(&mut node, 1, ALICE, lease());
    node.handle(changed(1, old, false), NOW);
    node.handle(request(1), NOW);
    // A try that was cut off, and the one after it: what the first one found comes back.
    node.handle(changed(2, None, true), NOW);
    node.handle(changed(3, new, true), NOW);
    let mut node = reborn(&node);
    assert_eq!(alarm(&node), new);
    node.boot(NOW);
    finish(&mut node, 1, ActionResult::Swapped { revision: 1, result: Err(refused.clone()) });
    assert_eq!(alarm(&node), old);

    // One that succeeds keeps its own, and the next one finds that.
    node.handle(request(2), NOW);
    node.handle(changed(4, new, true), NOW);
    finish(&mut node, 1, ActionResult::Swapped { revision: 2, result: Ok(()) });
    node.handle(request(3), NOW);
    node.handle(changed(5, None, true), NOW);
    finish(&mut node, 1, ActionResult::Swapped { revision: 3, result: Err(refused) });
    assert_eq!(alarm(&node), new);
}

#[test]
fn an_update_that_takes_more_than_its_lease_pays_for_is_refused() {
    let mut asking = policy();
    asking.prices.cpu = AmountPerHour(100);
    asking.prices.load_percent = 100;
    let mut node = Orchestrator::new(asking);
    run(&mut node, 1, ALICE, lease());
    let mut ask = |revision, millis| {
        let mut placement = placement(ALICE, "agent1");
        placement.resources.cpu.millis = millis;
        let next = NextPackage { revision, placement, gas_budget: 0 };
        node.handle(Event::UpdateRequested { deployment: deployment(1), next }, NOW).actions
    };
    let refused = ask(1, 750);
    let words = "the order pays at most 0.00000000000000005 TALOS per hour";
    assert!(matches!(&refused[..], [Action::RefuseUpdate { reason, .. }] if reason.starts_with(words)), "{refused:?}");
    assert!(matches!(ask(2, 250)[..], [Action::Swap { .. }]), "what takes no more is asked no more for");
}
