//! Waiting, within bounds, until a deployment runs somewhere, has failed here, or is taken by nobody.

use std::time::Duration;

use nisse_market::{DeploymentState, Market};
use nisse_model::DeploymentId;
use tokio::sync::broadcast;

use crate::control::Step;
use crate::core::Milestone;
use crate::node::Node;

/// How long `deploy` waits for a live agent when the caller does not say: a package may take a minute to be fetched and
/// two to be compiled.
const WAIT_DEFAULT: Duration = Duration::from_secs(180);
/// The longest that a caller may ask it to wait.
const WAIT_MAX: Duration = Duration::from_secs(600);

/// How long `deploy` waits for another node, when this one refused and the caller does not say.
const ASSIGNMENT_WAIT_DEFAULT: Duration = Duration::from_secs(10);
/// Between two looks at the market while nothing happens on this node.
const LOOK: Duration = Duration::from_millis(250);

/// How long a deployment is waited for.
pub(super) struct Wait {
    pub(super) live: Duration,
    pub(super) assignment: Duration,
}

impl Wait {
    pub(super) fn asked(wait_ms: Option<u64>) -> Self {
        let asked = wait_ms.map(|wait_ms| Duration::from_millis(wait_ms).min(WAIT_MAX));
        Self { live: asked.unwrap_or(WAIT_DEFAULT), assignment: asked.unwrap_or(ASSIGNMENT_WAIT_DEFAULT) }
    }
}

fn is_given(state: DeploymentState) -> bool {
    matches!(state, DeploymentState::Assigned | DeploymentState::Running)
}

/// Steps with their times since the request.
pub(super) struct Timeline<'a> {
    node: &'a Node,
    begun: Duration,
    pub(super) steps: Vec<Step>,
}

impl<'a> Timeline<'a> {
    pub(super) fn begin(node: &'a Node) -> Self {
        Self { node, begun: node.core.clock.elapsed(), steps: Vec::new() }
    }

    pub(super) fn note(&mut self, name: &str, detail: impl Into<String>) {
        let at_ms = self.elapsed_ms();
        self.steps.push(Step { name: name.to_owned(), detail: detail.into(), at_ms });
    }

    pub(super) fn elapsed_ms(&self) -> u64 {
        let elapsed = self.node.core.clock.elapsed().saturating_sub(self.begun);
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    }
}

impl Node {
    /// Notes the steps until it is live here or elsewhere, has failed here, or nobody takes it.
    pub(super) async fn until_live(
        &self,
        timeline: &mut Timeline<'_>,
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
