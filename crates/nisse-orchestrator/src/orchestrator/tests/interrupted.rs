//! Updates that a pause, a stop or a failure interrupts: the old package runs on the state that the update found, or not
//! at all.

use super::*;

fn request(revision: u32) -> Event {
    let mut placement = placement(OPERATOR, "agent1");
    placement.package.artifact_hash = Hash256::of(&revision.to_be_bytes());
    Event::UpdateRequested { deployment: deployment(1), next: NextPackage { revision, placement, gas_budget: 0 } }
}

fn running() -> Orchestrator {
    let mut node = orchestrator();
    run(&mut node, 1, OPERATOR, Assignment::Home);
    node
}

fn command(node: &mut Orchestrator, command: Command) -> Effects {
    node.command(deployment(1), command, NOW).expect("its life allows it")
}

fn refused(revision: u32) -> ActionResult {
    let error = PrepareError { stage: FailureStage::Compile, reason: "too large".to_owned() };
    ActionResult::Swapped { revision, result: Err(error) }
}

fn is_swap_to(effects: &Effects, to: u32) -> bool {
    matches!(&effects.actions[..], [Action::Swap { next, .. }] if next.revision == to)
}

#[test]
fn an_update_that_a_pause_interrupted_goes_on_without_starting_the_old_package() {
    let mut node = running();
    node.handle(request(1), NOW);
    assert!(matches!(command(&mut node, Command::Pause).actions[..], [Action::Halt { .. }]));
    let mut again = reborn(&node);
    assert!(again.boot(NOW).actions.is_empty(), "it is paused");
    assert!(is_swap_to(&command(&mut again, Command::Resume), 1));
    assert!(is_swap_to(&command(&mut node, Command::Resume), 1));
    finish(&mut node, 1, ActionResult::Swapped { revision: 1, result: Ok(()) });
    assert_eq!(node.agent(&deployment(1)).expect("known").incarnation, 2);
}

#[test]
fn an_update_that_was_asked_for_in_a_pause_begins_with_the_resume() {
    let mut node = running();
    command(&mut node, Command::Pause);
    assert!(node.handle(request(1), NOW).actions.is_empty());
    assert!(is_swap_to(&command(&mut node, Command::Resume), 1));
}

#[test]
fn an_update_that_waited_behind_another_does_not_wake_a_paused_agent() {
    for first in [refused(1), ActionResult::Swapped { revision: 1, result: Ok(()) }] {
        let mut node = running();
        node.handle(request(1), NOW);
        node.handle(request(2), NOW);
        command(&mut node, Command::Pause);
        let effects = finish(&mut node, 1, first);
        assert!(!effects.actions.iter().any(|action| matches!(action, Action::Swap { .. })), "{effects:?}");
        assert!(matches!(life(&node, 1), Life::Paused { .. }));
        assert!(is_swap_to(&command(&mut node, Command::Resume), 2));
    }
}

#[test]
fn what_waits_in_a_pause_is_judged_in_the_pause() {
    let mut node = running();
    node.handle(request(1), NOW);
    let Event::UpdateRequested { deployment: id, mut next } = request(2) else { unreachable!("it is one") };
    next.placement.resources.memory = ByteSize(9 << 20);
    node.handle(Event::UpdateRequested { deployment: id, next }, NOW);
    command(&mut node, Command::Pause);
    let effects = finish(&mut node, 1, refused(1));
    let refused = |action: &&Action| matches!(action, Action::RefuseUpdate { .. });
    assert_eq!(effects.actions.iter().filter(refused).count(), 2, "{effects:?}");
    assert!(matches!(command(&mut node, Command::Resume).actions[..], [Action::Prepare { .. }]));
}

#[test]
fn a_swap_after_which_neither_package_runs_is_tried_again_as_a_swap() {
    let mut node = running();
    node.handle(request(1), NOW);
    let error = PrepareError { stage: FailureStage::Node, reason: "the disk is away".to_owned() };
    let lost = ActionResult::SwapLost { revision: 1, error };
    assert_eq!(finish(&mut node, 1, lost.clone()), Effects::default(), "the update is not answered");
    let effects = node.handle(Event::Tick { chain: NOW }, NOW.plus_ms(2_000));
    assert!(is_swap_to(&effects, 1), "{effects:?}");
    assert_eq!(
        finish(&mut node, 1, ActionResult::SwapLost { revision: 2, error: prepare_error() }),
        Effects::default()
    );
    finish(&mut node, 1, ActionResult::Swapped { revision: 1, result: Ok(()) });
    assert_eq!(node.agent(&deployment(1)).and_then(Agent::setback), None, "it runs");
}

#[test]
fn an_update_that_comes_while_an_agent_is_brought_up_is_swapped_once_and_the_old_package_not_started_behind_it() {
    let mut node = running();
    let mut node = reborn(&std::mem::replace(&mut node, orchestrator()));
    assert!(matches!(node.boot(NOW).actions[..], [Action::Prepare { .. }]));
    assert!(is_swap_to(&node.handle(request(1), NOW), 1));
    assert_eq!(finish(&mut node, 1, ActionResult::Prepared(Ok(()))), Effects::default());
    assert_eq!(finish(&mut node, 1, ActionResult::Started(Ok(()))).actions, [], "one swap at a time");
    finish(&mut node, 1, ActionResult::Prepared(Err(prepare_error())));
    let later = NOW.plus_ms(2_000);
    assert_eq!(node.handle(Event::Tick { chain: NOW }, later).actions, [], "the swap is still under way");
}

fn prepare_error() -> PrepareError {
    PrepareError { stage: FailureStage::Fetch, reason: "gone".to_owned() }
}
