//! Handlers that had come to their end before the node went down, and of which nothing was decided.
//!
//! Their completions stand in the journal, which may let them go before their agents are up again; without these nothing
//! would say that a `started` or an alarm has been handled.

use nisse_model::{DeploymentId, Timestamp};
use nisse_orchestrator::{ActionResult, AlarmEnd, Decision, Event, Life, Orchestrator};

use super::reopen::journal;
use crate::core::Core;
use crate::error::NodeError;
use crate::jobs::Completed;
use crate::life::{alarm_id, started_id};

/// Decides what the journal says, for every live agent. Boot goes on from there.
pub(super) async fn conclude(
    core: &Core,
    completed: &Completed,
    orchestrator: &mut Orchestrator,
) -> Result<(), NodeError> {
    let now = core.clock.now();
    let live = orchestrator.agents().iter().filter(|(_, agent)| agent.life.is_live());
    let live: Vec<DeploymentId> = live.map(|(id, _)| *id).collect();
    let concluded = live.into_iter().flat_map(|id| conclusions(orchestrator, completed, id, now));
    journal(core, &concluded.collect::<Vec<_>>()).await
}

fn conclusions(
    orchestrator: &mut Orchestrator,
    completed: &Completed,
    deployment: DeploymentId,
    now: Timestamp,
) -> Vec<Decision> {
    let mut decisions = Vec::new();
    let Some(agent) = orchestrator.agent(&deployment) else { return decisions };
    let handled = agent.alarm.filter(|alarm| completed.contains_key(&alarm_id(deployment, alarm).0));
    let started = agent.life == Life::Starting && completed.contains_key(&started_id(deployment, agent.incarnation).0);
    let handled = handled.map(|alarm| ActionResult::AlarmHandled { number: alarm.number, end: AlarmEnd::Done });
    for result in handled.into_iter().chain(started.then_some(ActionResult::Started(Ok(())))) {
        decisions.extend(orchestrator.handle(Event::Finished { deployment, result }, now).decisions);
    }
    decisions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{deployment, running, starting};

    const NOW: Timestamp = Timestamp(2_000);

    #[test]
    fn what_was_handled_before_a_start_is_decided_and_not_handled_again() {
        let mut orchestrator = running();
        let at = Some(Timestamp(5_000));
        orchestrator.handle(Event::AlarmChanged { deployment: deployment(1), completion: 1, at, on_trial: false }, NOW);
        let set = orchestrator.agent(&deployment(1)).and_then(|agent| agent.alarm).expect("it is set");
        assert!(conclusions(&mut orchestrator, &Completed::new(), deployment(1), NOW).is_empty(), "it has yet to ring");
        let completed = Completed::from([(alarm_id(deployment(1), &set).0, None)]);
        let decisions = conclusions(&mut orchestrator, &completed, deployment(1), NOW);
        assert!(matches!(decisions[..], [Decision::AlarmCleared { completion: None, .. }]), "{decisions:?}");
        assert_eq!(orchestrator.agent(&deployment(1)).expect("it is known").alarm, None);

        let mut orchestrator = starting();
        let untold = conclusions(&mut orchestrator, &Completed::new(), deployment(1), NOW);
        assert!(untold.is_empty(), "its `started` has yet to be raised");
        let completed = Completed::from([(started_id(deployment(1), 1).0, None)]);
        let decisions = conclusions(&mut orchestrator, &completed, deployment(1), NOW);
        assert!(matches!(decisions[..], [Decision::Started { .. }]), "{decisions:?}");
    }
}
