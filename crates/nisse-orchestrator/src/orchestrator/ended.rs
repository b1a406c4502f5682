//! How many ended agents are remembered, and which of them go first.
//!
//! The journal is compacted into what is remembered, so that has a bound. A state belongs to an owner and a name, not to
//! a deployment: what `start` and `destroy` need of it is the newest deployment that ran. That one is kept as long as its
//! owner has not destroyed it; earlier ones of the same name, and those that never came to serve, go, the oldest first.

use std::collections::BTreeMap;

use nisse_model::{DeploymentId, Timestamp};

use super::Orchestrator;
use crate::action::{Action, Effects};
use crate::agent::{Agent, Life};
use crate::decision::Decision;

/// Ended agents that are remembered. More of them only where each is the last of its name that ran.
pub(super) const ENDED_AGENTS_MAX: usize = 1_000;

impl Orchestrator {
    pub(super) fn forget_ended(&mut self, effects: &mut Effects) {
        let count = self.agents.values().filter(|agent| !agent.life.is_live()).count();
        let Some(surplus) = count.checked_sub(ENDED_AGENTS_MAX).filter(|surplus| *surplus > 0) else { return };
        let mut newest = BTreeMap::new();
        for (deployment, agent) in self.agents.iter().filter(|(_, agent)| agent.ran) {
            let rank = (agent.life.is_live(), deployment.number, *deployment);
            let known = newest.entry(agent.placement.key()).or_insert(rank);
            *known = rank.max(*known);
        }
        let is_last = |deployment: &DeploymentId, agent: &Agent| {
            agent.ran && newest.get(&agent.placement.key()).is_some_and(|(_, _, newest)| newest == deployment)
        };
        let mut ended: Vec<(Timestamp, DeploymentId)> = self
            .agents
            .iter()
            .filter(|(deployment, agent)| !is_last(deployment, agent))
            .filter_map(|(deployment, agent)| Some((ended_at(&agent.life)?, *deployment)))
            .collect();
        ended.sort_unstable();
        for (_, deployment) in ended.into_iter().take(surplus) {
            self.let_go(deployment, effects);
        }
    }

    pub(super) fn let_go(&mut self, deployment: DeploymentId, effects: &mut Effects) {
        let Some(agent) = self.agents.get(&deployment) else { return };
        let placement = agent.placement.clone();
        self.decide(effects, Decision::Forgotten { deployment });
        effects.actions.push(Action::Forget { deployment, placement });
    }
}

fn ended_at(life: &Life) -> Option<Timestamp> {
    match life {
        Life::Stopped { at, .. } | Life::Failed { at, .. } => Some(*at),
        Life::Preparing | Life::Starting | Life::Running { .. } | Life::Paused { .. } => None,
    }
}
