//! Time that goes by, jumps, and goes by unseen.

use super::*;

fn minutely(missed: Missed) -> Jobs {
    let mut jobs = Jobs::new(JobLimits { running_max: 2, open_max: 500 });
    let tick = vec![trigger("tick", "one", every(MINUTE_MS, missed))];
    tell(&mut jobs, |jobs, effects| jobs.come_up(agent("a"), up(1, tick), NOW, effects));
    jobs
}

fn name() -> TriggerName {
    "tick".parse().expect("a name")
}

/// When the jobs that were added happened, in minutes since the begin.
fn minutes(effects: &JobEffects) -> Vec<u64> {
    let first = NOW.0 - NOW.0 % MINUTE_MS;
    added(effects).iter().map(|job| (job.event.time.0 - first) / MINUTE_MS).collect()
}

fn at(minute: u64) -> Timestamp {
    Timestamp(NOW.0 - NOW.0 % MINUTE_MS + minute * MINUTE_MS)
}

#[test]
fn a_timer_fires_at_each_of_its_moments_and_its_cursor_goes_with_it() {
    let mut jobs = minutely(Missed::Once);
    for minute in 1..4 {
        assert_eq!(jobs.next_wake().map(|wake| wake.max(at(minute))), Some(at(minute)));
        let fired = tell(&mut jobs, |jobs, effects| jobs.tick(at(minute), effects));
        assert_eq!(minutes(&fired), [minute]);
        let cursor = Cursor { at: at(minute), count: minute, is_paused: false };
        let moved = JobChange::Moved { agent: agent("a"), trigger: name(), cursor };
        assert!(fired.changes.contains(&moved), "{:?}", fired.changes);
        let data: serde_json::Value = serde_json::from_slice(&added(&fired)[0].event.data).expect("JSON");
        assert_eq!(data, serde_json::json!({ "tick": minute }));
        let again = tell(&mut jobs, |jobs, effects| jobs.tick(at(minute), effects));
        assert_eq!(again, JobEffects::default());
    }
}

#[test]
fn what_was_missed_is_caught_up_on_as_the_trigger_says() {
    for (missed, expected) in [(Missed::All, (1..=300).collect()), (Missed::Once, vec![1]), (Missed::Skip, vec![300])] {
        let mut jobs = minutely(missed);
        jobs.go_down(&agent("a"));
        let late = at(300);
        let tick = vec![trigger("tick", "one", every(MINUTE_MS, missed))];
        let mut fired = tell(&mut jobs, |jobs, effects| jobs.come_up(agent("a"), up(2, tick), late, effects));
        for ms in 1..5 {
            let more = tell(&mut jobs, |jobs, effects| jobs.tick(late.plus_ms(ms), effects));
            fired.changes.extend(more.changes);
        }
        assert_eq!(minutes(&fired), expected, "{missed:?}");
    }
    let mut jobs = minutely(Missed::Skip);
    jobs.go_down(&agent("a"));
    let tick = vec![trigger("tick", "one", every(10 * MINUTE_MS, Missed::Skip))];
    let late = at(0).plus_ms(25 * MINUTE_MS);
    let fired = tell(&mut jobs, |jobs, effects| jobs.come_up(agent("a"), up(2, tick), late, effects));
    assert!(minutes(&fired).is_empty(), "none of its moments was within the last minute");
}

#[test]
fn a_clock_that_is_set_back_fires_nothing_twice() {
    let mut jobs = minutely(Missed::All);
    let fired = tell(&mut jobs, |jobs, effects| jobs.tick(at(5), effects));
    assert_eq!(minutes(&fired), [1, 2, 3, 4, 5]);
    for back in [at(1), at(3), at(5)] {
        let again = tell(&mut jobs, |jobs, effects| jobs.tick(back, effects));
        assert!(added(&again).is_empty());
    }
    let on = tell(&mut jobs, |jobs, effects| jobs.tick(at(6), effects));
    assert_eq!(minutes(&on), [6]);
}

#[test]
fn a_paused_trigger_passes_over_what_happens_meanwhile() {
    let mut jobs = minutely(Missed::All);
    let pause = |jobs: &mut Jobs, is_paused, now| {
        tell(jobs, |jobs, effects| {
            jobs.pause(&agent("a"), &name(), is_paused, now, effects).expect("it is declared");
        })
    };
    let paused = pause(&mut jobs, true, at(1));
    assert!(matches!(&paused.changes[..], [JobChange::Moved { cursor: Cursor { is_paused: true, .. }, .. }]));
    assert_eq!(pause(&mut jobs, true, at(1)), JobEffects::default(), "it is paused already");
    let meanwhile = tell(&mut jobs, |jobs, effects| jobs.tick(at(9), effects));
    assert_eq!(meanwhile, JobEffects::default());
    pause(&mut jobs, false, at(9));
    let on = tell(&mut jobs, |jobs, effects| jobs.tick(at(10), effects));
    assert_eq!(minutes(&on), [10]);
    let unknown = tell(&mut jobs, |jobs, effects| {
        let no: TriggerName = "no".parse().expect("a name");
        assert_eq!(jobs.pause(&agent("a"), &no, true, NOW, effects), Err(JobRefusal::NoTrigger(no)));
    });
    assert_eq!(unknown, JobEffects::default());
}

#[test]
fn a_timer_waits_for_room_and_loses_nothing() {
    let mut jobs = Jobs::new(JobLimits { running_max: 2, open_max: 3 });
    let tick = vec![trigger("tick", "one", every(MINUTE_MS, Missed::All))];
    tell(&mut jobs, |jobs, effects| jobs.come_up(agent("a"), up(1, tick), at(0), effects));
    let mut now = at(8);
    let mut seen = Vec::new();
    let mut running = Vec::new();
    for _ in 0..20 {
        let fired = tell(&mut jobs, |jobs, effects| jobs.tick(now, effects));
        seen.extend(minutes(&fired));
        running.extend(runs(&fired));
        assert!(jobs.open(&agent("a")).0 <= 3);
        for (_, id, _) in std::mem::take(&mut running) {
            let done = tell(&mut jobs, |jobs, effects| {
                jobs.ended(&agent("a"), id, (completed(""), attempt(now)), 0, effects);
            });
            seen.extend(minutes(&done));
            running.extend(runs(&done));
        }
        now = now.plus_ms(2_000);
    }
    assert_eq!(seen, [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn an_update_that_changes_a_timer_lets_it_begin_anew() {
    let mut jobs = minutely(Missed::All);
    let hourly = |ms| vec![trigger("tick", "one", every(ms, Missed::All))];
    let late = at(3).plus_ms(30_000);
    let changed = tell(&mut jobs, |jobs, effects| {
        jobs.come_up(agent("a"), up(2, hourly(10_000)), late, effects);
    });
    assert!(added(&changed).is_empty(), "{changed:?}");
    assert_eq!(jobs.next_wake(), Some(late.plus_ms(10_000)));
    // The same one catches up.
    let mut jobs = minutely(Missed::All);
    let same = tell(&mut jobs, |jobs, effects| jobs.come_up(agent("a"), up(2, hourly(MINUTE_MS)), late, effects));
    assert_eq!(minutes(&same), [1, 2, 3]);
}

#[test]
fn a_moment_that_passed_fires_once_and_never_again() {
    let once = |at| TriggerSpec::Timer { schedule: Schedule::at(at), missed: Missed::Once };
    let mut jobs = Jobs::new(JobLimits::default());
    let tick = vec![trigger("tick", "one", once(at(5)))];
    tell(&mut jobs, |jobs, effects| jobs.come_up(agent("a"), up(1, tick), NOW, effects));
    let fired = tell(&mut jobs, |jobs, effects| jobs.tick(at(7), effects));
    assert_eq!(minutes(&fired), [5]);
    let JobAction::Run { id, .. } = &fired.actions[0];
    tell(&mut jobs, |jobs, effects| jobs.ended(&agent("a"), *id, (completed(""), attempt(at(7))), 0, effects));
    assert_eq!(jobs.next_wake(), None);
}
