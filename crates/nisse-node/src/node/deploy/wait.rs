//! Waiting, within bounds, until a deployment runs somewhere, has failed here, or is taken by nobody.

use std::time::Duration;

use nisse_market::{DeploymentState, Market};
use nisse_model::DeploymentId;
use nisse_orchestrator::{Agent, Life};
use tokio::sync::broadcast;

use crate::control::AgentStatus;
use crate::core::Milestone;
use crate::error::{ErrorKind, NodeError};
use crate::node::Node;
use crate::node::find::Found;
use crate::routes::{Route, host_names};
use crate::timeline::Timeline;

/// How long `deploy` waits for a live agent when the caller does not say: a package may take a minute to be fetched and
/// two to be compiled.
const WAIT_DEFAULT: Duration = Duration::from_secs(180);
/// The longest that a caller may ask it to wait.
const WAIT_MAX: Duration = Duration::from_secs(600);

/// How long `deploy` waits for another node, when this one refused and the caller does not say.
const ASSIGNMENT_WAIT_DEFAULT: Duration = Duration::from_secs(10);
/// Between two looks at the market while nothing happens on this node.
const LOOK: Duration = Duration::from_millis(250);

/// Between two looks at an agent that the node brings up by itself.
const LOOK_UP: Duration = Duration::from_millis(20);

/// How long a deployment is waited for.
pub(super) struct Wait {
    pub(super) live: Duration,
    pub(super) assignment: Duration,
}

impl Wait {
    /// What the caller asked for; else what is usual, behind the time in which bids are collected.
    pub(super) fn asked(wait_ms: Option<u64>, bid_window_seconds: u32) -> Self {
        let asked = wait_ms.map(|wait_ms| Duration::from_millis(wait_ms).min(WAIT_MAX));
        let window = Duration::from_secs(u64::from(bid_window_seconds));
        let usual = |wait: Duration| asked.unwrap_or_else(|| wait.saturating_add(window).min(WAIT_MAX));
        Self { live: usual(WAIT_DEFAULT), assignment: usual(ASSIGNMENT_WAIT_DEFAULT) }
    }
}

fn is_given(state: DeploymentState) -> bool {
    matches!(state, DeploymentState::Assigned | DeploymentState::Running)
}

impl Node {
    /// Notes the steps until it is live here or elsewhere, has failed here, or nobody takes it.
    pub(super) async fn until_live(
        &self,
        timeline: &mut Timeline,
        milestones: &mut broadcast::Receiver<Milestone>,
        market: &Market,
        deployment: DeploymentId,
        assignment: Duration,
    ) {
        let mut refused_at = None;
        let mut taken_by = None;
        loop {
            match tokio::time::timeout(LOOK, next_of(milestones, deployment)).await {
                Ok(None) => return,
                Ok(Some(step)) => {
                    timeline.note(step.name, step.detail);
                    match step.name {
                        "acknowledged" | "failed" => return,
                        "refused" if !self.others_may_bid() => return,
                        "refused" => refused_at = Some(self.core.clock.elapsed()),
                        _ => {}
                    }
                    continue;
                }
                Err(_) => {}
            }
            // Nothing happens on this node: another one may have taken it. A chain that does not answer is asked again.
            if let Ok(view) = market.deployment(deployment.number).await {
                if let Some(before) = taken_by.take_if(|_| view.state == DeploymentState::Open) {
                    timeline.note("reopened", format!("the node {before} gave it up: it takes bids again"));
                }
                let node = view.node.filter(|node| *node != self.core.operator && is_given(view.state));
                if let Some(node) = node.filter(|_| taken_by != node) {
                    timeline.note("assigned", format!("to the node {node}"));
                    taken_by = Some(node);
                }
                if node.is_some() && view.state == DeploymentState::Running {
                    return timeline.note("started", "on that node");
                }
            }
            let over = refused_at.is_some_and(|at| self.core.clock.elapsed().saturating_sub(at) > assignment);
            if over && taken_by.is_none() {
                return;
            }
        }
    }

    /// Waits until an agent that was deployed before this start answers again, or is not to be brought up by this node.
    pub async fn until_up(&self, text: &str) -> Result<AgentStatus, NodeError> {
        let (deployment, _) = self.find(text).await?;
        let name = deployment.to_string();
        let settled = async {
            while self.is_coming_up(&name).await? {
                tokio::time::sleep(LOOK_UP).await;
            }
            Ok::<_, NodeError>(())
        };
        // One that takes longer is told as it is.
        tokio::time::timeout(WAIT_DEFAULT, settled).await.unwrap_or(Ok(()))?;
        let status = self.agent(&name).await?;
        if status.state == "running" && self.core.running(&deployment).is_none() {
            let reason = status.reason.unwrap_or_else(|| "it is on its way".to_owned());
            let text = format!("failed to see {} answer again: {reason}", status.agent_id);
            return Err(NodeError::new(ErrorKind::Failed, "not_up", text).with_hint(status.hint));
        }
        Ok(status)
    }

    async fn is_coming_up(&self, deployment: &str) -> Result<bool, NodeError> {
        let agent = match self.find(deployment).await? {
            (_, Found::Agent(agent)) => agent,
            (_, Found::Order(order)) => {
                let elsewhere = order.view.node.is_some_and(|node| node != self.core.operator);
                return Ok(order.is_live() && order.refusal.is_none() && !elsewhere);
            }
        };
        let coming = match agent.life {
            Life::Preparing | Life::Starting => true,
            Life::Running { acknowledged, .. } => acknowledged.is_none() || !self.answers(&agent),
            Life::Paused { .. } | Life::Stopped { .. } | Life::Failed { .. } => false,
        };
        Ok(coming && agent.setback().is_none())
    }

    /// Whether requests find their way to it.
    fn answers(&self, agent: &Agent) -> bool {
        let (owner, name) = agent.placement.key();
        let [host, _] = host_names(&name, owner, self.core.operator, &self.core.options.suffix);
        matches!(self.core.routes.find(&host), Some(Route::Agent(_)))
    }

    /// Whether the market has a way in for other nodes: an embedded chain that is not served has none.
    fn others_may_bid(&self) -> bool {
        self.core.chain.is_none() || self.core.options.rpc.is_some()
    }
}

async fn next_of(milestones: &mut broadcast::Receiver<Milestone>, deployment: DeploymentId) -> Option<Milestone> {
    loop {
        match milestones.recv().await {
            Ok(step) if step.deployment == deployment => return Some(step),
            // A listener that lags behind misses steps, never the end: the state is looked up afterwards.
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return None,
        }
    }
}
