//! The life of agents as stories, without time passing by itself.

use std::collections::BTreeSet;

use nisse_model::{
    Address, Amount, AmountPerHour, ByteSize, ContentId, Cpu, DeploymentId, Hash256, PackageRef, Resources, Timestamp,
};
use proptest::prelude::*;

use super::*;
use crate::agent::{Assignment, Lease, NextPackage};
use crate::event::{ActionResult, AlarmEnd, Command, Event, PrepareError};
use crate::policy::{Accept, Capacity};
use crate::reason::{CloseReason, FailureStage};

const OPERATOR: Address = Address([1; 20]);
const ALICE: Address = Address([2; 20]);
const NOW: Timestamp = Timestamp(1_000_000);

fn deployment(number: u64) -> DeploymentId {
    DeploymentId { chain: 7, contract: Address([9; 20]), number }
}

fn placement(owner: Address, name: &str) -> Placement {
    let agent_id = format!("{name}@v1.0.0").parse().expect("a valid id");
    let hash = Hash256::of(name.as_bytes());
    let package = PackageRef {
        agent_id,
        manifest_cid: ContentId::raw(hash),
        artifact_cid: ContentId::raw(hash),
        artifact_hash: hash,
        config_hash: hash,
    };
    let resources = Resources { cpu: Cpu { millis: 250 }, memory: ByteSize(1 << 20), gpu: false };
    Placement { owner, package, resources }
}

fn order(number: u64, name: &str) -> Order {
    Order {
        deployment: deployment(number),
        placement: placement(ALICE, name),
        max_rate: AmountPerHour(50),
        gas_budget: 500_000,
        bids_until: None,
        round: 1,
    }
}

fn lease() -> Assignment {
    Assignment::Lease(Lease { rate: AmountPerHour(50), deposited: Amount(1000) })
}

fn policy() -> Policy {
    Policy {
        operator: OPERATOR,
        accept: Accept::Listed(BTreeSet::from([ALICE])),
        capacity: Capacity { cpu: Cpu { millis: 1000 }, memory: ByteSize(8 << 20), gpu: false },
        price: AmountPerHour(50),
        gas_budget_max: 1_000_000,
    }
}

fn orchestrator() -> Orchestrator {
    Orchestrator::new(policy())
}

fn finish(orchestrator: &mut Orchestrator, number: u64, result: ActionResult) -> Effects {
    orchestrator.handle(Event::Finished { deployment: deployment(number), result }, NOW)
}

fn assign(orchestrator: &mut Orchestrator, number: u64, owner: Address, assignment: Assignment) -> Effects {
    let placement = placement(owner, &format!("agent{number}"));
    orchestrator.handle(Event::Assigned { deployment: deployment(number), placement, assignment }, NOW)
}

fn run(orchestrator: &mut Orchestrator, number: u64, owner: Address, assignment: Assignment) {
    assign(orchestrator, number, owner, assignment);
    finish(orchestrator, number, ActionResult::Prepared(Ok(())));
    finish(orchestrator, number, ActionResult::Started(Ok(())));
    orchestrator.handle(Event::Acknowledged { deployment: deployment(number), at: NOW }, NOW);
}

fn life(orchestrator: &Orchestrator, number: u64) -> &Life {
    &orchestrator.agent(&deployment(number)).expect("the agent is known").life
}

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
    assert_eq!(effects.actions, [Action::Acknowledge { deployment: deployment(1), incarnation: 1 }]);
    node.handle(Event::Acknowledged { deployment: deployment(1), at: NOW }, NOW);
    assert_eq!(*life(&node, 1), Life::Running { since: NOW, acknowledged: Some(NOW) });
}

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
fn a_second_agent_of_the_same_owner_and_name_is_not_run() {
    let mut node = orchestrator();
    run(&mut node, 1, OPERATOR, Assignment::Home);
    let placement = placement(OPERATOR, "agent1");
    let assigned = Event::Assigned { deployment: deployment(2), placement, assignment: Assignment::Home };
    node.handle(assigned, NOW);
    assert!(matches!(life(&node, 2), Life::Failed { .. }));
    assert!(matches!(life(&node, 1), Life::Running { .. }));
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
fn an_alarm_is_raised_once_and_cleared_when_handled() {
    let mut node = orchestrator();
    run(&mut node, 1, OPERATOR, Assignment::Home);
    node.handle(Event::AlarmChanged { deployment: deployment(1), at: Some(NOW.plus_ms(10)) }, NOW);
    assert_eq!(node.next_alarm(), Some(NOW.plus_ms(10)));
    assert!(node.handle(Event::Tick { chain: NOW }, NOW).actions.is_empty());
    let due = NOW.plus_ms(10);
    assert_eq!(node.handle(Event::Tick { chain: NOW }, due).actions.len(), 1);
    assert!(node.handle(Event::Tick { chain: NOW }, due).actions.is_empty(), "it is in flight");
    let result = ActionResult::AlarmHandled { number: 1, end: AlarmEnd::Done };
    node.handle(Event::Finished { deployment: deployment(1), result }, due);
    assert_eq!(node.agent(&deployment(1)).expect("known").alarm, None);
}

#[test]
fn an_alarm_that_its_handler_moved_is_kept() {
    let mut node = orchestrator();
    run(&mut node, 1, OPERATOR, Assignment::Home);
    node.handle(Event::AlarmChanged { deployment: deployment(1), at: Some(NOW) }, NOW);
    node.handle(Event::Tick { chain: NOW }, NOW);
    let next = NOW.plus_ms(60_000);
    node.handle(Event::AlarmChanged { deployment: deployment(1), at: Some(next) }, NOW);
    finish(&mut node, 1, ActionResult::AlarmHandled { number: 1, end: AlarmEnd::Done });
    assert_eq!(node.agent(&deployment(1)).expect("known").alarm.map(|alarm| alarm.at), Some(next));
}

#[test]
fn a_failed_alarm_is_tried_again_later_and_later_and_then_given_up() {
    let mut node = orchestrator();
    run(&mut node, 1, OPERATOR, Assignment::Home);
    node.handle(Event::AlarmChanged { deployment: deployment(1), at: Some(NOW) }, NOW);
    let (mut now, mut pauses) = (NOW, Vec::new());
    loop {
        assert_eq!(node.handle(Event::Tick { chain: NOW }, now).actions.len(), 1);
        let result = ActionResult::AlarmHandled { number: 1, end: AlarmEnd::Retry };
        node.handle(Event::Finished { deployment: deployment(1), result }, now);
        let Some(alarm) = node.agent(&deployment(1)).expect("known").alarm else { break };
        assert_eq!(alarm.at, NOW, "the handler learns when it was meant to run");
        pauses.push(alarm.due.since_ms(now) / 1000);
        now = alarm.due;
    }
    assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 128, 256, 300]);
}

#[test]
fn an_alarm_missed_while_the_node_was_down_is_raised_after_the_restart() {
    let mut node = orchestrator();
    run(&mut node, 1, OPERATOR, Assignment::Home);
    node.handle(Event::AlarmChanged { deployment: deployment(1), at: Some(NOW) }, NOW);
    node.handle(Event::Tick { chain: NOW }, NOW);
    let mut again = reborn(&node);
    again.boot(NOW);
    let later = NOW.plus_ms(5_000);
    assert_eq!(again.handle(Event::Tick { chain: NOW }, later).actions.len(), 1);
}

#[test]
fn a_paused_agent_keeps_its_lease_and_its_alarm_and_runs_nothing() {
    let mut node = orchestrator();
    run(&mut node, 1, ALICE, lease());
    node.handle(Event::AlarmChanged { deployment: deployment(1), at: Some(NOW) }, NOW);
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

#[test]
fn a_swap_that_a_crash_interrupted_goes_on_without_starting_the_old_package() {
    let mut node = orchestrator();
    run(&mut node, 1, OPERATOR, Assignment::Home);
    let next = NextPackage { revision: 1, placement: placement(OPERATOR, "agent1"), gas_budget: 0 };
    node.handle(Event::UpdateRequested { deployment: deployment(1), next }, NOW);
    let effects = reborn(&node).boot(NOW);
    assert!(matches!(effects.actions[..], [Action::Swap { .. }]));
}

#[test]
fn what_the_chain_was_to_be_told_is_told_again_after_a_restart() {
    let mut node = orchestrator();
    assign(&mut node, 1, ALICE, lease());
    let error = PrepareError { stage: FailureStage::Fetch, reason: "gone".to_owned() };
    finish(&mut node, 1, ActionResult::Prepared(Err(error)));
    let effects = reborn(&node).boot(NOW);
    assert!(matches!(effects.actions[..], [Action::Reject { .. }]));
}

fn boot_in_vain(node: &mut Orchestrator) -> PrepareError {
    node.boot(NOW);
    PrepareError { stage: FailureStage::Fetch, reason: "the disk is away".to_owned() }
}

#[test]
fn a_running_agent_that_does_not_come_up_is_tried_again_and_keeps_its_lease_when_it_does() {
    let mut node = orchestrator();
    run(&mut node, 1, ALICE, lease());
    let error = boot_in_vain(&mut node);
    let effects = finish(&mut node, 1, ActionResult::Prepared(Err(error)));
    assert_eq!(effects, Effects::default(), "nothing is given back, nothing is decided");
    let setback = node.agent(&deployment(1)).and_then(Agent::setback).expect("it is told");
    assert_eq!((setback.tries, setback.reason.as_str()), (1, "the disk is away"));
    assert!(node.handle(Event::Tick { chain: NOW }, NOW.plus_ms(1_999)).actions.is_empty());
    let effects = node.handle(Event::Tick { chain: NOW }, NOW.plus_ms(2_000));
    assert!(matches!(effects.actions[..], [Action::Prepare { .. }]));
    finish(&mut node, 1, ActionResult::Prepared(Ok(())));
    finish(&mut node, 1, ActionResult::Started(Ok(())));
    assert_eq!(node.agent(&deployment(1)).and_then(Agent::setback), None);
    assert!(matches!(life(&node, 1), Life::Running { .. }));
}

#[test]
fn a_running_agent_that_never_comes_up_is_given_back_in_the_end() {
    let mut node = orchestrator();
    run(&mut node, 1, ALICE, lease());
    let error = boot_in_vain(&mut node);
    let mut now = NOW;
    for _ in 1..7 {
        let result = ActionResult::Prepared(Err(error.clone()));
        assert_eq!(node.handle(Event::Finished { deployment: deployment(1), result }, now), Effects::default());
        now = now.plus_ms(64_000);
        assert_eq!(node.handle(Event::Tick { chain: NOW }, now).actions.len(), 1);
    }
    let effects = finish(&mut node, 1, ActionResult::Prepared(Err(error)));
    assert!(matches!(effects.actions[..], [Action::Halt { .. }, Action::Reject { .. }]));
    let Life::Failed { reason, .. } = life(&node, 1) else { panic!("it failed") };
    assert_eq!(reason, "the disk is away; tried 7 times");
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
fn an_alarm_of_an_agent_that_is_not_up_yet_waits_and_counts_no_try() {
    let mut node = orchestrator();
    run(&mut node, 1, OPERATOR, Assignment::Home);
    node.handle(Event::AlarmChanged { deployment: deployment(1), at: Some(NOW) }, NOW);
    for _ in 0..20 {
        assert_eq!(node.handle(Event::Tick { chain: NOW }, NOW).actions.len(), 1);
        finish(&mut node, 1, ActionResult::AlarmHandled { number: 1, end: AlarmEnd::NotUp });
    }
    assert_eq!(node.agent(&deployment(1)).expect("known").alarm.map(|alarm| alarm.attempt), Some(1));
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

#[test]
fn a_live_agent_is_not_forgotten() {
    let mut node = orchestrator();
    run(&mut node, 1, ALICE, lease());
    assert!(node.forget(deployment(1)).is_err());
    node.handle(Event::Closed { deployment: deployment(1), reason: CloseReason::Owner }, NOW);
    node.forget(deployment(1)).expect("it has ended");
    assert!(node.agent(&deployment(1)).is_none());
}

/// What a restart makes of the state: every decision through its stored bytes.
fn reborn(node: &Orchestrator) -> Orchestrator {
    let mut again = orchestrator();
    for decision in node.compacted() {
        let bytes = crate::encode(&decision);
        again.restore(&crate::decode(&bytes).expect("what was encoded decodes"));
    }
    again
}

/// Any event at all, about few deployments, so that sequences meet every state.
fn any_event() -> impl Strategy<Value = Event> {
    let error = || PrepareError { stage: FailureStage::Fetch, reason: "gone".to_owned() };
    (1u64..4, 0u8..16, 0u64..100).prop_map(move |(number, kind, later)| {
        let id = deployment(number);
        let at = NOW.plus_ms(later * 1_000_000);
        let finished = |result| Event::Finished { deployment: id, result };
        let name = format!("agent{number}");
        match kind {
            0 => Event::OrderOpened(order(number, &name)),
            1 => Event::Assigned { deployment: id, placement: placement(ALICE, &name), assignment: lease() },
            2 => Event::AssignedElsewhere { deployment: id },
            3 => Event::Acknowledged { deployment: id, at },
            4 => Event::Funded { deployment: id, deposited: Amount(u128::from(later)) },
            5 => Event::UpdateRequested {
                deployment: id,
                next: NextPackage { revision: later as u32, placement: placement(ALICE, &name), gas_budget: 0 },
            },
            6 => Event::Closed { deployment: id, reason: CloseReason::Owner },
            7 => finished(ActionResult::Inspected(Ok(()))),
            8 => finished(ActionResult::Prepared(Ok(()))),
            9 => finished(ActionResult::Prepared(Err(error()))),
            10 => finished(ActionResult::Started(Ok(()))),
            11 => finished(ActionResult::Started(Err("trap".to_owned()))),
            12 => finished(ActionResult::Swapped { revision: later as u32, result: Ok(()) }),
            13 => finished(ActionResult::AlarmHandled { number: later, end: AlarmEnd::Retry }),
            14 => Event::AlarmChanged { deployment: id, at: Some(at) },
            _ => Event::Tick { chain: at },
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn applying_the_journal_gives_the_same_state_and_no_order_is_bid_on_again_before_the_bid_is_lost(
        events in proptest::collection::vec((any_event(), 0u64..1_000_000), 0..60)
    ) {
        let mut node = orchestrator();
        let mut replayed = orchestrator();
        let (mut bids, mut now) = (BTreeSet::new(), NOW);
        for (event, later) in events {
            now = now.plus_ms(later);
            let effects = node.handle(event, now);
            for decision in &effects.decisions {
                replayed.restore(&crate::decode(&crate::encode(decision)).expect("stored form"));
            }
            for decision in &effects.decisions {
                if let Decision::BidLost { deployment } | Decision::OrderRefused { deployment, .. } = decision {
                    bids.remove(deployment);
                }
            }
            for action in &effects.actions {
                if let Action::Bid { deployment, .. } = action {
                    prop_assert!(bids.insert(*deployment), "{deployment} was bid on twice");
                }
            }
            let used = node.used();
            prop_assert!(used.cpu <= policy().capacity.cpu && used.memory <= policy().capacity.memory);
        }
        replayed.boot(now);
        let mut direct = reborn(&node);
        direct.boot(now);
        prop_assert_eq!(direct.agents(), replayed.agents());
        prop_assert_eq!(direct.refused(), replayed.refused());
    }
}
