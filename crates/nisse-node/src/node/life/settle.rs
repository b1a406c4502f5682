//! Waiting, within bounds, until an agent's state shows what the market was asked for.
//!
//! A wait that ends first is no success: the order stands and goes on by itself, and whoever asked is told so.

use std::time::Duration;

use nisse_model::DeploymentId;
use nisse_orchestrator::Agent;
use tokio::sync::broadcast;

use crate::core::Milestone;
use crate::error::{ErrorKind, NodeError};
use crate::node::Node;

/// What is waited for, and how long.
#[derive(Clone, Copy)]
pub(super) struct Effect {
    /// Completes "failed to see … within".
    done: &'static str,
    pub(super) within: Duration,
}

/// An agent that the market stopped ends here.
pub(super) const STOP: Effect = Effect { done: "stopped", within: Duration::from_secs(60) };
/// The owner's word travels over the market, and its node heeds it.
pub(super) const PAUSE: Effect = Effect { done: "paused", within: Duration::from_secs(30) };
pub(super) const RESUME: Effect = Effect { done: "resumed", within: Duration::from_secs(30) };
/// A package is fetched, compiled, which alone may take two minutes, and started.
pub(super) const UPDATE: Effect = Effect { done: "updated", within: Duration::from_secs(180) };

impl Effect {
    pub(super) fn not_yet(self, deployment: DeploymentId) -> NodeError {
        let Self { done, within } = self;
        let seconds = within.as_secs();
        let text = format!("failed to see {deployment} {done} within {seconds} s: it goes on by itself");
        NodeError::new(ErrorKind::Failed, "not_yet", text)
            .with_hint(format!("`nisse status {deployment}` says how far it is"))
    }
}

impl Node {
    /// Waits until the agent's state shows the effect, or it is gone.
    pub(super) async fn until(
        &self,
        effect: Effect,
        milestones: &mut broadcast::Receiver<Milestone>,
        deployment: DeploymentId,
        shows: impl Fn(&Agent) -> bool + Clone + Send + 'static,
    ) -> Result<(), NodeError> {
        let look = || {
            let shows = shows.clone();
            async move {
                let done = self.look(move |all| all.agent(&deployment).is_none_or(shows)).await;
                // A node that goes down shows nothing more; one whose disk refuses decisions shows it later.
                done.unwrap_or_else(|error| error.code == "going_down")
            }
        };
        if settled(effect.within, milestones, look).await { Ok(()) } else { Err(effect.not_yet(deployment)) }
    }
}

/// Whether it is done in time. Any step of any agent is a reason to look again; so is having missed some.
async fn settled<S: Clone, F: Future<Output = bool>>(
    within: Duration,
    steps: &mut broadcast::Receiver<S>,
    look: impl Fn() -> F,
) -> bool {
    let waiting = async {
        while !look().await {
            let _ = steps.recv().await;
        }
    };
    tokio::time::timeout(within, waiting).await.is_ok()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use nisse_model::Address;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_not_done_in_time_is_no_success() {
        let (sender, mut steps) = broadcast::channel::<()>(1);
        assert!(settled(STOP.within, &mut steps, || async { true }).await);
        assert!(!settled(STOP.within, &mut steps, || async { false }).await);

        let looks = Cell::new(0);
        let third = || async { looks.replace(looks.get() + 1) == 2 };
        let steps_later = async {
            for _ in 0..2 {
                tokio::time::sleep(STOP.within / 3).await;
                sender.send(()).expect("a listener");
            }
        };
        assert!(tokio::join!(settled(STOP.within, &mut steps, third), steps_later).0);
    }

    #[test]
    fn an_effect_that_is_not_seen_is_an_error_that_says_that_it_goes_on() {
        let deployment = DeploymentId { chain: 1, contract: Address([9; 20]), number: 7 };
        let error = UPDATE.not_yet(deployment);
        assert_eq!((error.kind, error.code), (ErrorKind::Failed, "not_yet"));
        assert_eq!(error.text, format!("failed to see {deployment} updated within 180 s: it goes on by itself"));
        assert!(error.hint.is_some_and(|hint| hint.contains(&deployment.to_string())));
    }
}
