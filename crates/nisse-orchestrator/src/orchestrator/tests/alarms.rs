//! Alarms: raised once, kept where a handler moved them, tried again where it failed.

use super::*;

#[test]
fn an_alarm_is_raised_once_and_cleared_when_handled() {
    let mut node = orchestrator();
    run(&mut node, 1, OPERATOR, Assignment::Home);
    node.handle(
        Event::AlarmChanged { deployment: deployment(1), completion: 1, at: Some(NOW.plus_ms(10)), on_trial: false },
        NOW,
    );
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
    node.handle(Event::AlarmChanged { deployment: deployment(1), completion: 1, at: Some(NOW), on_trial: false }, NOW);
    node.handle(Event::Tick { chain: NOW }, NOW);
    let next = NOW.plus_ms(60_000);
    node.handle(Event::AlarmChanged { deployment: deployment(1), completion: 1, at: Some(next), on_trial: false }, NOW);
    finish(&mut node, 1, ActionResult::AlarmHandled { number: 1, end: AlarmEnd::Done });
    assert_eq!(node.agent(&deployment(1)).expect("known").alarm.map(|alarm| alarm.at), Some(next));
}

#[test]
fn a_failed_alarm_is_tried_again_later_and_later_and_then_given_up() {
    let mut node = orchestrator();
    run(&mut node, 1, OPERATOR, Assignment::Home);
    node.handle(Event::AlarmChanged { deployment: deployment(1), completion: 1, at: Some(NOW), on_trial: false }, NOW);
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
    node.handle(Event::AlarmChanged { deployment: deployment(1), completion: 1, at: Some(NOW), on_trial: false }, NOW);
    node.handle(Event::Tick { chain: NOW }, NOW);
    let mut again = reborn(&node);
    again.boot(NOW);
    let later = NOW.plus_ms(5_000);
    assert_eq!(again.handle(Event::Tick { chain: NOW }, later).actions.len(), 1);
}

#[test]
fn an_alarm_of_an_agent_that_is_not_up_yet_waits_and_counts_no_try() {
    let mut node = orchestrator();
    run(&mut node, 1, OPERATOR, Assignment::Home);
    node.handle(Event::AlarmChanged { deployment: deployment(1), completion: 1, at: Some(NOW), on_trial: false }, NOW);
    for _ in 0..20 {
        let due = node.next_alarm().expect("it is still to be raised");
        assert_eq!(node.handle(Event::Tick { chain: NOW }, due).actions.len(), 1);
        let result = ActionResult::AlarmHandled { number: 1, end: AlarmEnd::NotUp };
        node.handle(Event::Finished { deployment: deployment(1), result }, due);
    }
    assert_eq!(node.agent(&deployment(1)).expect("known").alarm.map(|alarm| alarm.attempt), Some(1));
}

#[test]
fn a_decision_names_the_completion_that_it_takes_up_and_one_about_a_handled_alarm_names_none() {
    let mut node = orchestrator();
    run(&mut node, 1, OPERATOR, Assignment::Home);
    let mut changed = |completion, at| {
        node.handle(Event::AlarmChanged { deployment: deployment(1), completion, at, on_trial: false }, NOW).decisions
    };
    let set = changed(7, Some(NOW));
    assert!(matches!(set[..], [Decision::AlarmSet { completion: Some(7), .. }]), "{set:?}");
    let cleared = changed(8, None);
    assert!(matches!(cleared[..], [Decision::AlarmCleared { completion: Some(8), .. }]), "{cleared:?}");
    changed(9, Some(NOW));
    node.handle(Event::Tick { chain: NOW }, NOW);
    for (end, attempt) in [(AlarmEnd::Retry, Some(2)), (AlarmEnd::Done, None)] {
        let result = ActionResult::AlarmHandled { number: 2, end };
        let decisions = node.handle(Event::Finished { deployment: deployment(1), result }, NOW).decisions;
        let told = match decisions[..] {
            [Decision::AlarmSet { attempt, completion: None, .. }] => Some(attempt),
            [Decision::AlarmCleared { completion: None, .. }] => None,
            _ => panic!("{decisions:?}"),
        };
        assert_eq!(told, attempt);
    }
}
