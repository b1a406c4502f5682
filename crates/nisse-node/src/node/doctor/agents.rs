//! Agents that are not as their owners want them.

use nisse_orchestrator::{Agent, Life, Orchestrator};

use super::count;
use crate::control::Check;
use crate::node::status::{explain, setback};

/// Agents that are named; more are counted.
const NAMED_MAX: usize = 20;

/// Those that failed and were not deployed again since, and those that do not come up.
pub(super) fn check(all: &Orchestrator) -> Vec<Check> {
    let newest = |agent: &Agent, number: u64| {
        let same = |other: &Agent| {
            other.placement.owner == agent.placement.owner
                && other.placement.package.agent_id.name == agent.placement.package.agent_id.name
        };
        !all.agents().iter().any(|(deployment, other)| deployment.number > number && same(other))
    };
    let troubled = all.agents().iter().filter(|(deployment, agent)| match &agent.life {
        Life::Failed { .. } => newest(agent, deployment.number),
        life => life.is_live() && agent.setback().is_some(),
    });
    let mut problems: Vec<Check> = troubled.map(|(_, agent)| problem(agent)).collect();
    let live = all.agents().values().filter(|agent| agent.life.is_live()).count();
    let left_out = problems.len().saturating_sub(NAMED_MAX);
    problems.truncate(NAMED_MAX);
    if left_out > 0 {
        let text = format!("{} more failed", count(left_out as u64, "agent"));
        problems.push(Check::problem("agents", text, "`nisse ls` lists them"));
    }
    if problems.is_empty() { vec![Check::sound("agents", format!("{live} live"))] } else { problems }
}

fn problem(agent: &Agent) -> Check {
    let name = &agent.placement.package.agent_id.name;
    let (reason, hint, verb) = match agent.setback() {
        Some(met) if agent.life.is_live() => {
            let (reason, hint) = setback(met);
            (reason, hint, "does not answer")
        }
        _ => {
            let (reason, hint, _) = explain(&agent.life);
            let hint = hint.map(|hint| format!("{hint}, or give it up with `nisse destroy {name}`"));
            (reason, hint, "failed")
        }
    };
    let text = format!("agent {name} {verb}: {}", reason.unwrap_or_default());
    Check::problem("agents", text, hint.unwrap_or_else(|| format!("`nisse status {name}` says more")))
}
