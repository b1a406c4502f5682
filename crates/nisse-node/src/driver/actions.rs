//! What the orchestrator asked for, done: an agent's own steps in its lane, writes to the market in tasks of their own.

use std::sync::Arc;

use nisse_market::MarketCall;
use nisse_model::DeploymentId;
use nisse_orchestrator::{Action, ActionResult, Event, MarketStep};

use super::Driver;
use super::market::{give_back, write};
use crate::core::Core;
use crate::life;
use crate::watcher;

impl Driver {
    pub(super) fn perform(&self, action: Action) {
        let core = Arc::clone(&self.core);
        match action {
            Action::Inspect { deployment, placement } => self.spawn("inspect", async move {
                let result = life::inspect(&core, deployment, &placement).await;
                finished(&core, deployment, ActionResult::Inspected(result)).await;
            }),
            Action::LookAgain { deployment } => self.spawn("look again", async move {
                watcher::look_again(&core, deployment).await;
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
                lane.push(async move {
                    life::halt(&core, deployment).await;
                    // What was prepared and not started is not started any more.
                    drop(core.take_prepared(&deployment));
                });
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
            Action::RaiseAlarm { deployment, alarm } => {
                let Some(agent) = self.orchestrator.agent(&deployment) else { return };
                let incarnation = agent.incarnation;
                self.spawn("alarm", async move {
                    let (end, held) = life::raise_alarm(&core, deployment, incarnation, alarm).await;
                    let result = ActionResult::AlarmHandled { number: alarm.number, end };
                    finished(&core, deployment, result).await;
                    life::decided(&core, held).await;
                });
            }
            Action::Attest { deployment, round } => {
                let call = MarketCall::Attest { deployment: deployment.number };
                self.write(deployment, format!("attest:{deployment}:{round}"), call);
            }
            Action::Bid { deployment, round, rate } => {
                core.milestone(deployment, "bid", format!("{rate} TALOS per hour"));
                let call = MarketCall::Bid { deployment: deployment.number, rate };
                self.ask(deployment, MarketStep::Bid { round }, format!("bid:{deployment}:{round}"), call);
            }
            Action::Assign { deployment, round, attempt } => {
                let intent = again(format!("assign:{deployment}:{round}"), attempt);
                let call = MarketCall::Assign { deployment: deployment.number };
                self.ask(deployment, MarketStep::Assign { round }, intent, call);
            }
            Action::Acknowledge { deployment, incarnation, attempt } => {
                let intent = again(format!("ack:{deployment}:{incarnation}"), attempt);
                let call = MarketCall::AckStart { deployment: deployment.number, incarnation };
                self.ask(deployment, MarketStep::Acknowledge, intent, call);
            }
            Action::Reject { deployment, reason } => {
                let reason = shortened(&reason);
                self.spawn("give back", async move {
                    give_back(&core, deployment, &format!("reject:{deployment}"), reason).await;
                });
            }
            Action::AcknowledgeUpdate { deployment, revision, incarnation } => {
                let call = MarketCall::AckUpdate { deployment: deployment.number, revision, incarnation };
                self.write(deployment, format!("ack-update:{deployment}:{revision}"), call);
            }
            Action::RefuseUpdate { deployment, revision, reason } => {
                let reason = shortened(&reason);
                let call = MarketCall::RejectUpdate { deployment: deployment.number, revision, reason };
                self.write(deployment, format!("refuse-update:{deployment}:{revision}"), call);
            }
            Action::Expire { deployment } => {
                // A lease that was topped up can run out again: the chain's time is part of the name.
                let at = core.chain_time(core.clock.now()).seconds();
                let call = MarketCall::Expire { deployment: deployment.number };
                self.ask(deployment, MarketStep::Expire, format!("expire:{deployment}:{at}"), call);
            }
            Action::Forget { deployment, placement } => {
                core.lanes.forget(&deployment);
                drop(core.take_prepared(&deployment));
                let key = placement.key();
                if !self.orchestrator.agents().values().any(|agent| agent.placement.key() == key) {
                    core.logs.forget(&core.label(key.0, &key.1));
                }
            }
        }
    }

    /// Writes, and says when the market does not take it.
    fn ask(&self, deployment: DeploymentId, step: MarketStep, intent: String, call: MarketCall) {
        let core = Arc::clone(&self.core);
        self.spawn("market", async move {
            let Err(refused) = write(&core, deployment, &intent, &call).await else { return };
            let result = match step {
                MarketStep::Bid { round } if refused.is_for_stake() => {
                    ActionResult::StakeTooLow { round, reason: refused.reason }
                }
                step => ActionResult::NotTaken(step),
            };
            finished(&core, deployment, result).await;
        });
    }

    fn write(&self, deployment: DeploymentId, intent: String, call: MarketCall) {
        let core = Arc::clone(&self.core);
        self.spawn("market", async move {
            // What the market refuses for good is said in the log.
            let _ = write(&core, deployment, &intent, &call).await;
        });
    }

    pub(super) fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.core.supervisor.spawn(name, |mut stop| async move {
            tokio::select! {
                () = task => {}
                () = stop.requested() => {}
            }
        });
    }
}

/// The name of another attempt: the first one has its outcome.
fn again(intent: String, attempt: u32) -> String {
    if attempt <= 1 { intent } else { format!("{intent}:{attempt}") }
}

/// Tells the orchestrator how an action ended.
pub(crate) async fn finished(core: &Core, deployment: DeploymentId, result: ActionResult) {
    core.driver.event(Event::Finished { deployment, result }).await;
}

/// Reasons on chain have a limit.
pub(crate) fn shortened(reason: &str) -> String {
    const REASON_BYTES_MAX: usize = 200;
    let mut reason = reason.to_owned();
    reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
    reason
}
