//! What becomes of one job, and of those beside it.

use super::*;

#[test]
fn an_event_is_run_once_however_often_it_is_told() {
    let mut jobs = with(Vec::new());
    let one = job("a", "x", "one");
    let told = tell(&mut jobs, |jobs, effects| assert_eq!(jobs.add(one.clone(), NOW, effects), Ok(true)));
    assert_eq!(told.changes, [JobChange::Added(one.clone())]);
    assert_eq!(runs(&told), [("a".to_owned(), one.id, 1)]);
    let again = tell(&mut jobs, |jobs, effects| assert_eq!(jobs.add(one.clone(), NOW, effects), Ok(false)));
    assert_eq!(again, JobEffects::default());
    let done = tell(&mut jobs, |jobs, effects| {
        jobs.ended(&one.agent, one.id, (completed("fine"), attempt(NOW)), 0, effects);
    });
    assert!(matches!(&ends(&done)[..], [(id, JobEnd::Completed(Some(_)))] if *id == one.id));
    assert_eq!(jobs.open(&one.agent), (0, None));
    let late = tell(&mut jobs, |jobs, effects| {
        jobs.ended(&one.agent, one.id, (completed("fine"), attempt(NOW)), 0, effects);
    });
    assert_eq!(late, JobEffects::default(), "an end that is told twice is one");
}

#[test]
fn what_fails_is_tried_again_later_and_later_and_then_ends() {
    let mut jobs = with(Vec::new());
    let one = job("a", "x", "one");
    tell(&mut jobs, |jobs, effects| assert_eq!(jobs.add(one.clone(), NOW, effects), Ok(true)));
    let mut now = NOW;
    for (attempts, pause_ms) in [(1, 1_000), (2, 2_000)] {
        let failed = tell(&mut jobs, |jobs, effects| {
            jobs.ended(&one.agent, one.id, (failed(FailureKind::Retryable), attempt(now)), 0, effects);
        });
        let due = now.plus_ms(pause_ms);
        let reason = Some("as told".to_owned());
        let (agent, id, attempt) = (one.agent.clone(), one.id, Some(attempt(now)));
        assert_eq!(failed.changes, [JobChange::Retried { agent, id, attempts, due, reason, attempt }]);
        assert!(failed.actions.is_empty());
        assert_eq!(jobs.next_wake(), Some(due));
        now = due;
        let again = tell(&mut jobs, |jobs, effects| jobs.tick(now, effects));
        assert_eq!(runs(&again), [("a".to_owned(), one.id, attempts + 1)]);
    }
    let last = tell(&mut jobs, |jobs, effects| {
        jobs.ended(&one.agent, one.id, (failed(FailureKind::Retryable), attempt(now)), 0, effects);
    });
    assert_eq!(ends(&last), [(one.id, JobEnd::Failed("as told".to_owned()))]);
    assert_eq!(jobs.next_wake(), None);

    let mut waiting = one.waiting();
    waiting.attempts = 3;
    let again = tell(&mut jobs, |jobs, effects| assert!(jobs.again(one.agent.clone(), waiting, now, effects)));
    assert_eq!(runs(&again), [("a".to_owned(), one.id, 1)], "a dead letter is sent again as if it were new");
}

#[test]
fn a_permanent_failure_ends_at_once_and_an_absence_is_no_attempt() {
    let mut jobs = with(Vec::new());
    let one = job("a", "x", "one");
    tell(&mut jobs, |jobs, effects| assert_eq!(jobs.add(one.clone(), NOW, effects), Ok(true)));
    let away = tell(&mut jobs, |jobs, effects| {
        jobs.ended(&one.agent, one.id, (AttemptEnd::Away, attempt(NOW)), 0, effects);
    });
    assert_eq!(away, JobEffects::default());
    let later = jobs.next_wake().expect("it waits");
    let again = tell(&mut jobs, |jobs, effects| jobs.tick(later, effects));
    assert_eq!(runs(&again), [("a".to_owned(), one.id, 1)]);
    let ended = tell(&mut jobs, |jobs, effects| {
        jobs.ended(&one.agent, one.id, (failed(FailureKind::Permanent), attempt(later)), 0, effects);
    });
    assert_eq!(ends(&ended), [(one.id, JobEnd::Failed("as told".to_owned()))]);
}

#[test]
fn agents_take_turns_and_each_runs_one_at_a_time() {
    let mut jobs = Jobs::new(JobLimits { running_max: 2, open_max: 10 });
    let mut order = Vec::new();
    for name in ["a", "b", "c"] {
        for key in ["1", "2"] {
            tell(&mut jobs, |jobs, effects| assert_eq!(jobs.add(job(name, key, "one"), NOW, effects), Ok(true)));
        }
    }
    for name in ["a", "b", "c"] {
        let begun = tell(&mut jobs, |jobs, effects| jobs.come_up(agent(name), up(1, Vec::new()), NOW, effects));
        order.extend(runs(&begun));
    }
    assert_eq!(order.len(), 2, "no more than there is room for");
    for place in 0..6 {
        let (name, id, _) = order[place].clone();
        let next = tell(&mut jobs, |jobs, effects| {
            jobs.ended(&agent(&name), id, (completed(""), attempt(NOW)), 0, effects);
        });
        order.extend(runs(&next));
    }
    let names: Vec<&str> = order.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c", "a", "b", "c"]);
}

#[test]
fn what_waits_for_an_agent_that_is_down_is_kept_and_too_much_is_refused() {
    let mut jobs = with(Vec::new());
    jobs.go_down(&agent("a"));
    for key in ["1", "2", "3", "4"] {
        let told = tell(&mut jobs, |jobs, effects| assert_eq!(jobs.add(job("a", key, "one"), NOW, effects), Ok(true)));
        assert!(told.actions.is_empty());
    }
    let full = tell(&mut jobs, |jobs, effects| {
        assert_eq!(jobs.add(job("a", "5", "one"), NOW, effects), Err(JobRefusal::Full { max: 4 }));
    });
    assert_eq!(full, JobEffects::default());
    assert_eq!(jobs.next_wake(), None, "nothing is looked at meanwhile");
    let begun = tell(&mut jobs, |jobs, effects| jobs.come_up(agent("a"), up(2, Vec::new()), NOW, effects));
    assert_eq!(runs(&begun).len(), 1);
}

#[test]
fn what_waits_is_called_off_and_what_runs_is_not() {
    let mut jobs = with(Vec::new());
    let (one, two) = (job("a", "1", "one"), job("a", "2", "one"));
    for job in [&one, &two] {
        tell(&mut jobs, |jobs, effects| assert_eq!(jobs.add(job.clone(), NOW, effects), Ok(true)));
    }
    let (_, running) = jobs.open(&one.agent);
    let running = running.expect("one runs");
    let other = if running == one.id { two.id } else { one.id };
    tell(&mut jobs, |jobs, effects| {
        assert_eq!(jobs.cancel(&one.agent, running, NOW, effects), Err(JobRefusal::Runs(running)));
    });
    let cancelled = tell(&mut jobs, |jobs, effects| assert_eq!(jobs.cancel(&one.agent, other, NOW, effects), Ok(())));
    assert_eq!(ends(&cancelled), [(other, JobEnd::Cancelled)]);
    tell(&mut jobs, |jobs, effects| {
        assert_eq!(jobs.cancel(&one.agent, other, NOW, effects), Err(JobRefusal::NotWaiting(other)));
    });
}

#[test]
fn a_function_that_ends_raises_what_waits_for_it_in_the_same_breath() {
    let triggers = vec![
        trigger("well", "two", after("one", OnEnd::Completed)),
        trigger("badly", "three", after("one", OnEnd::Failed)),
    ];
    let mut jobs = with(triggers);
    let (one, other) = (job("a", "1", "one"), job("a", "2", "one"));
    let begun = tell(&mut jobs, |jobs, effects| assert_eq!(jobs.add(one.clone(), NOW, effects), Ok(true)));
    assert!(matches!(&begun.actions[..], [JobAction::Run { keeps_answer: true, .. }]));
    let ended = tell(&mut jobs, |jobs, effects| {
        jobs.ended(&one.agent, one.id, (completed("{\"sum\":3}"), attempt(NOW)), 0, effects);
    });
    let raised = added(&ended);
    assert_eq!(raised.len(), 1);
    // Whatever is cut off is the end, and that comes again.
    assert!(matches!(ended.changes.last(), Some(JobChange::Ended { .. })), "{:?}", ended.changes);
    assert_eq!((raised[0].function.as_str(), raised[0].depth), ("two", 1));
    assert_eq!(raised[0].event.kind, "function.completed");
    let data: serde_json::Value = serde_json::from_slice(&raised[0].event.data).expect("JSON");
    let expected = serde_json::json!({ "function": "one", "invocation": one.id.to_string(), "output": { "sum": 3 } });
    assert_eq!(data, expected);
    assert!(matches!(&ended.actions[..], [JobAction::Run { keeps_answer: false, .. }]), "nothing follows that one");
    tell(&mut jobs, |jobs, effects| {
        jobs.ended(&one.agent, raised[0].id, (completed(""), attempt(NOW)), 0, effects);
    });

    tell(&mut jobs, |jobs, effects| assert_eq!(jobs.add(other.clone(), NOW, effects), Ok(true)));
    let ended = tell(&mut jobs, |jobs, effects| {
        jobs.ended(&other.agent, other.id, (failed(FailureKind::Permanent), attempt(NOW)), 0, effects);
    });
    assert_eq!(added(&ended)[0].function.as_str(), "three");
    assert_eq!(jobs.cursor(&agent("a"), &"badly".parse().expect("a name")).map(|cursor| cursor.count), Some(1));
}

#[test]
fn what_was_handled_before_a_crash_is_not_run_again_and_is_followed_all_the_same() {
    let triggers = vec![trigger("well", "two", after("one", OnEnd::Completed))];
    let mut jobs = Jobs::new(JobLimits::default());
    let one = job("a", "1", "one");
    jobs.restore_job(one.agent.clone(), one.waiting());
    let answer = Some(Outcome { content_type: "text/plain".to_owned(), data: b"hello".to_vec() });
    let told = tell(&mut jobs, |jobs, effects| assert!(jobs.handled(&one.agent, one.id, answer.clone(), effects)));
    let (agent, id) = (one.agent.clone(), one.id);
    assert_eq!(told.changes, [JobChange::Handled { agent: agent.clone(), id, answer: answer.clone() }]);
    tell(&mut jobs, |jobs, effects| {
        assert_eq!(jobs.cancel(&agent, id, NOW, effects), Err(JobRefusal::NotWaiting(id)), "it is done");
    });
    let late = NOW.plus_ms(MINUTE_MS);
    let begun = tell(&mut jobs, |jobs, effects| jobs.come_up(agent, up(2, triggers), late, effects));
    assert_eq!(ends(&begun), [(id, JobEnd::Completed(answer))]);
    let raised = added(&begun);
    assert_eq!(raised[0].function.as_str(), "two");
    // However late that is: where it was raised before the crash, it is not raised again.
    let source = (&*raised[0].event.source, &*raised[0].event.id);
    assert_eq!(raised[0].id, Job::name(&one.agent, raised[0].trigger.as_ref(), source, NOW));
    assert_eq!(runs(&begun), [("a".to_owned(), raised[0].id, 1)]);
}

#[test]
fn a_function_that_an_update_took_away_ends_its_jobs_with_a_reason() {
    let mut jobs = with(Vec::new());
    let gone = job("a", "1", "gone");
    let told = tell(&mut jobs, |jobs, effects| assert_eq!(jobs.add(gone.clone(), NOW, effects), Ok(true)));
    let reason = "the package has no function `gone` any more".to_owned();
    assert_eq!(ends(&told), [(gone.id, JobEnd::Failed(reason))]);
    assert!(told.actions.is_empty());
}

#[test]
fn of_a_destroyed_agent_nothing_is_left() {
    let mut jobs = with(vec![trigger("tick", "one", every(MINUTE_MS, Missed::Once))]);
    tell(&mut jobs, |jobs, effects| assert_eq!(jobs.add(job("a", "1", "one"), NOW, effects), Ok(true)));
    let gone = tell(&mut jobs, |jobs, effects| jobs.forget(&agent("a"), effects));
    assert_eq!(gone.changes, [JobChange::Forgotten { agent: agent("a") }]);
    assert_eq!((jobs.next_wake(), jobs.open(&agent("a"))), (None, (0, None)));
    let mut effects = JobEffects::default();
    jobs.come_up(agent("b"), up(1, Vec::new()), NOW, &mut effects);
    for key in ["1", "2"] {
        assert_eq!(jobs.add(job("b", key, "one"), NOW, &mut effects), Ok(true));
    }
    assert_eq!(runs(&effects).len(), 1, "its room is free again");
}
