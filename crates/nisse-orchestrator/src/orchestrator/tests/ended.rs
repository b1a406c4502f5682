//! What is remembered of agents that ended, and how long a reason may be.

use super::*;
use crate::orchestrator::ended::ENDED_AGENTS_MAX;
use crate::reason::REASON_BYTES_MAX;

fn placed(number: u64, name: &str) -> Event {
    Event::Assigned {
        deployment: deployment(number),
        placement: placement(ALICE, name),
        assignment: lease(),
        began: 0,
        gas_budget: 500_000,
    }
}

/// An agent that never came to serve.
fn fail(node: &mut Orchestrator, number: u64, name: &str, now: Timestamp) -> Effects {
    node.handle(placed(number, name), now);
    let error = PrepareError { stage: FailureStage::Fetch, reason: "gone".to_owned() };
    let result = ActionResult::Prepared(Err(error));
    node.handle(Event::Finished { deployment: deployment(number), result }, now)
}

/// One that served and was stopped.
fn live_and_stop(node: &mut Orchestrator, number: u64, name: &str, now: Timestamp) -> Effects {
    node.handle(placed(number, name), now);
    finish(node, number, ActionResult::Prepared(Ok(())));
    finish(node, number, ActionResult::Started(Ok(())));
    node.handle(Event::Closed { deployment: deployment(number), reason: CloseReason::Owner }, now)
}

fn forgotten(effects: &Effects) -> Vec<u64> {
    let number = |action: &Action| match action {
        Action::Forget { deployment, .. } => Some(deployment.number),
        _ => None,
    };
    effects.actions.iter().filter_map(number).collect()
}

#[test]
fn the_oldest_ended_agents_are_forgotten_and_the_last_of_a_name_that_ran_never() {
    let mut node = orchestrator();
    live_and_stop(&mut node, 1, "kept", NOW);
    live_and_stop(&mut node, 2, "twice", NOW.plus_ms(2));
    live_and_stop(&mut node, 3, "twice", NOW.plus_ms(3));
    fail(&mut node, 4, "twice", NOW.plus_ms(4));
    let most = ENDED_AGENTS_MAX as u64;
    for number in 5..=most {
        let effects = fail(&mut node, number, &format!("agent{number}"), NOW.plus_ms(number));
        assert!(forgotten(&effects).is_empty());
    }
    let next = |node: &mut Orchestrator, number: u64| {
        let effects = fail(node, number, &format!("agent{number}"), NOW.plus_ms(number));
        let durable = |number: &u64| Decision::Forgotten { deployment: deployment(*number) };
        let gone = forgotten(&effects);
        assert!(gone.iter().all(|number| effects.decisions.contains(&durable(number))), "{effects:?}");
        gone
    };
    assert_eq!(next(&mut node, most + 1), [2], "a later one of its name ran");
    assert_eq!(next(&mut node, most + 2), [4], "it never ran");
    assert_eq!(next(&mut node, most + 3), [5]);
    assert!(node.agent(&deployment(1)).is_some() && node.agent(&deployment(3)).is_some());
    assert_eq!(node.agents().len(), ENDED_AGENTS_MAX);
    assert_eq!(reborn(&node).agents().len(), ENDED_AGENTS_MAX);
}

#[test]
fn what_an_older_journal_remembers_too_many_of_is_forgotten_at_the_start() {
    let mut node = orchestrator();
    for number in 1..=ENDED_AGENTS_MAX as u64 + 3 {
        let mut agent = Agent::new(placement(ALICE, &format!("agent{number}")), lease(), 1);
        agent.life = Life::Stopped { reason: CloseReason::Owner, at: NOW.plus_ms(number) };
        node.restore(&Decision::Remembered { deployment: deployment(number), agent: Box::new(agent) });
    }
    assert_eq!(forgotten(&node.boot(NOW)), [1, 2, 3]);
}

#[test]
fn an_agent_of_a_journal_that_does_not_say_so_has_run() {
    let agent = Agent::new(placement(ALICE, "agent1"), lease(), 1);
    let decision = Decision::Remembered { deployment: deployment(1), agent: Box::new(agent) };
    let text = String::from_utf8(crate::encode(&decision)).expect("it is text");
    assert!(text.contains(r#","ran":false"#));
    let older = text.replace(r#","ran":false"#, "");
    let Ok(Decision::Remembered { agent, .. }) = crate::decode(older.as_bytes()) else { panic!("it decodes") };
    assert!(agent.ran);
}

#[test]
fn a_reason_is_kept_up_to_its_limit_whatever_a_guest_puts_into_it() {
    for long in ["\u{1}".repeat(9_000_000), "\"".repeat(9_000_000), "é\n".repeat(3_000_000)] {
        let mut node = orchestrator();
        assign(&mut node, 1, OPERATOR, Assignment::Home);
        finish(&mut node, 1, ActionResult::Prepared(Ok(())));
        let effects = finish(&mut node, 1, ActionResult::Started(Err(long)));
        let bytes = crate::encode(&effects.decisions[0]).len();
        assert!(bytes < REASON_BYTES_MAX + 250, "{bytes}");
    }
    assert_eq!(crate::reason::bounded("two\nlines\tand \u{7}"), "two\nlines and  ");
}
