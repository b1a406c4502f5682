//! After a restart: what was under way goes on, and what does not come up is tried again.

use super::*;

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
