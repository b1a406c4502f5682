//! What the orchestrator asked for, done: an agent's own steps in its lane, writes to the market in tasks of their own.

use std::sync::Arc;

use nisse_orchestrator::{Action, ActionResult, Event};

use super::Driver;
use super::market::{Write, write};
use crate::core::Core;
use crate::life;

impl Driver {
    pub(super) fn perform(&self, action: Action) {
        let core = Arc::clone(&self.core);
        match action {
            Action::Inspect { deployment, placement } => self.spawn("inspect", async move {
                let result = core.preparer.check(&placement).await.map(drop);
                finished(&core, deployment, ActionResult::Inspected(result)).await;
            }),
            Action::Prepare { deployment, placement } => {
                let lane = self.core.lane(deployment);
                let ticket = lane.ticket();
                lane.push(async move { life::prepare(&core, deployment, placement, ticket).await });
            }
            Action::Start { deployment, incarnation, raise_started } => {
                let Some(agent) = self.orchestrator.agent(&deployment) else { return };
                let placement = agent.placement.clone();
                let lane = self.core.lane(deployment);
                let ticket = lane.ticket();
                lane.push(async move {
                    life::start_step(&core, deployment, placement, incarnation, raise_started, ticket).await;
                });
            }
            Action::Halt { deployment } => {
                let lane = self.core.lane(deployment);
                lane.revoke();
                lane.push(async move { life::halt(&core, deployment).await });
            }
            Action::Swap { deployment, next, incarnation, restore } => {
                let Some(agent) = self.orchestrator.agent(&deployment) else { return };
                let old = agent.placement.clone();
                let lane = self.core.lane(deployment);
                let ticket = lane.ticket();
                lane.push(async move {
                    life::swap_step(&core, life::Swap { deployment, old, next, incarnation, restore, ticket }).await;
                });
            }
            Action::RaiseAlarm { deployment, alarm } => self.spawn("alarm", async move {
                let end = life::raise_alarm(&core, deployment, alarm).await;
                let result = ActionResult::AlarmHandled { number: alarm.number, end };
                finished(&core, deployment, result).await;
            }),
            Action::Bid { deployment, round, rate } => {
                core.milestone(deployment, "bid", format!("{rate} TALOS per hour"));
                self.spawn("bid", async move {
                    let intent = format!("bid:{deployment}:{round}");
                    if !write(&core, intent, Write::Bid { deployment: deployment.number, rate }).await {
                        core.driver.event(Event::AssignedElsewhere { deployment }).await;
                    }
                });
            }
            Action::Assign { deployment } => {
                self.write(format!("assign:{deployment}"), Write::Assign { deployment: deployment.number });
            }
            Action::Acknowledge { deployment, incarnation } => {
                let call = Write::AckStart { deployment: deployment.number, incarnation };
                self.write(format!("ack:{deployment}:{incarnation}"), call);
            }
            Action::Reject { deployment, reason } => {
                let reason = shortened(&reason);
                self.write(format!("reject:{deployment}"), Write::GiveBack { deployment: deployment.number, reason });
            }
            Action::AcknowledgeUpdate { deployment, revision, incarnation } => {
                let call = Write::AckUpdate { deployment: deployment.number, revision, incarnation };
                self.write(format!("ack-update:{deployment}:{revision}"), call);
            }
            Action::RefuseUpdate { deployment, revision, reason } => {
                let reason = shortened(&reason);
                let call = Write::RejectUpdate { deployment: deployment.number, revision, reason };
                self.write(format!("refuse-update:{deployment}:{revision}"), call);
            }
            Action::Expire { deployment } => {
                // A lease that was topped up can run out again: the chain's time is part of the name.
                let at = core.chain_time(core.clock.now()).seconds();
                let call = Write::Expire { deployment: deployment.number };
                self.write(format!("expire:{deployment}:{at}"), call);
            }
        }
    }

    pub(super) fn write(&self, intent: String, call: Write) {
        let core = Arc::clone(&self.core);
        self.spawn("market", async move {
            write(&core, intent, call).await;
        });
    }

    fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.core.supervisor.spawn(name, |mut stop| async move {
            tokio::select! {
                () = task => {}
                () = stop.requested() => {}
            }
        });
    }
}

/// Tells the orchestrator how an action ended.
pub(crate) async fn finished(core: &Core, deployment: nisse_model::DeploymentId, result: ActionResult) {
    core.driver.event(Event::Finished { deployment, result }).await;
}

/// Reasons on chain have a limit.
pub(crate) fn shortened(reason: &str) -> String {
    const REASON_BYTES_MAX: usize = 200;
    let mut reason = reason.to_owned();
    reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
    reason
}
