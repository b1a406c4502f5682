//! How often one agent is woken: never without a pause, whatever it asks for and however it fares.

use super::*;
use crate::ALARM_DISTANCE_MIN_MS;

fn set_alarm(node: &mut Orchestrator, number: u64, at: Timestamp, now: Timestamp) {
    node.handle(
        Event::AlarmChanged { deployment: deployment(number), completion: 1, at: Some(at), on_trial: false },
        now,
    );
}

/// The alarm is raised at `now`.
fn raise(node: &mut Orchestrator, now: Timestamp) -> u64 {
    match &node.handle(Event::Tick { chain: NOW }, now).actions[..] {
        [Action::RaiseAlarm { alarm, .. }] => alarm.number,
        other => panic!("{other:?}"),
    }
}

fn ended(node: &mut Orchestrator, number: u64, end: AlarmEnd, now: Timestamp) {
    let result = ActionResult::AlarmHandled { number, end };
    node.handle(Event::Finished { deployment: deployment(1), result }, now);
}

#[test]
fn alarms_in_the_past_keep_their_distance_and_each_is_raised() {
    let mut node = orchestrator();
    run(&mut node, 1, OPERATOR, Assignment::Home);
    set_alarm(&mut node, 1, NOW, NOW);
    let mut now = NOW;
    for number in 1..=50 {
        assert_eq!(raise(&mut node, now), number);
        // The handler asks for the next one at once, and ends a moment later.
        set_alarm(&mut node, 1, Timestamp(0), now.plus_ms(1));
        ended(&mut node, number, AlarmEnd::Done, now.plus_ms(2));
        let next = node.next_alarm().expect("the next one waits");
        assert_eq!(next, now.plus_ms(ALARM_DISTANCE_MIN_MS));
        assert!(node.handle(Event::Tick { chain: NOW }, now.plus_ms(ALARM_DISTANCE_MIN_MS - 1)).actions.is_empty());
        now = next;
    }
}

#[test]
fn the_handler_learns_the_time_that_it_asked_for_and_calling_off_brings_no_earlier_one() {
    let mut node = orchestrator();
    run(&mut node, 1, OPERATOR, Assignment::Home);
    set_alarm(&mut node, 1, NOW, NOW);
    raise(&mut node, NOW);
    ended(&mut node, 1, AlarmEnd::Done, NOW);
    let soon = NOW.plus_ms(5);
    node.handle(Event::AlarmChanged { deployment: deployment(1), completion: 1, at: None, on_trial: false }, NOW);
    set_alarm(&mut node, 1, soon, NOW);
    let alarm = node.agent(&deployment(1)).and_then(|agent| agent.alarm).expect("it is set");
    assert_eq!((alarm.at, alarm.due), (soon, NOW.plus_ms(ALARM_DISTANCE_MIN_MS)));
    let later = NOW.plus_ms(60_000);
    set_alarm(&mut node, 1, later, NOW);
    assert_eq!(node.next_alarm(), Some(later), "one that is far away anyhow comes at its time");
}

#[test]
fn one_agents_storm_does_not_move_the_alarm_of_another() {
    let mut node = orchestrator();
    run(&mut node, 1, OPERATOR, Assignment::Home);
    run(&mut node, 2, ALICE, lease());
    set_alarm(&mut node, 1, NOW, NOW);
    raise(&mut node, NOW);
    set_alarm(&mut node, 1, Timestamp(0), NOW);
    set_alarm(&mut node, 2, NOW.plus_ms(1), NOW);
    assert_eq!(node.next_alarm(), Some(NOW.plus_ms(1)));
    assert_eq!(raise(&mut node, NOW.plus_ms(1)), 1);
}

#[test]
fn an_alarm_whose_agent_is_not_up_rests_longer_and_longer_and_comes_at_once_when_it_is() {
    let mut node = orchestrator();
    run(&mut node, 1, OPERATOR, Assignment::Home);
    set_alarm(&mut node, 1, NOW, NOW);
    let (mut now, mut rests) = (NOW, Vec::new());
    for _ in 0..9 {
        raise(&mut node, now);
        ended(&mut node, 1, AlarmEnd::NotUp, now);
        assert!(node.handle(Event::Tick { chain: NOW }, now).actions.is_empty(), "it rests");
        let next = node.next_alarm().expect("it is kept");
        rests.push(next.since_ms(now));
        now = next;
    }
    assert_eq!(rests, [50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
    raise(&mut node, now);
    ended(&mut node, 1, AlarmEnd::NotUp, now);
    finish(&mut node, 1, ActionResult::Started(Ok(())));
    assert_eq!(raise(&mut node, now), 1, "it is up");
}
