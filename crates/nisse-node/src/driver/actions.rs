//! What the orchestrator asked for, done: an agent's own steps in its lane, writes to the market in tasks of their own.

use std::sync::Arc;

use nisse_market::MarketCall;
use nisse_model::DeploymentId;
use nisse_orchestrator::{Action, ActionResult, Event, MarketStep};

use super::Driver;
use super::asked::Asked;
use super::market::carry_out;
use crate::core::Core;
use crate::{bids, life, watcher};

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
            Action::Bid { deployment, round, rate } => self.spawn("bid", async move {
                bids::bid(&core, (deployment, round), rate, |asked| ask(&core, asked)).await;
            }),
            Action::Attest { .. }
            | Action::Assign { .. }
            | Action::Acknowledge { .. }
            | Action::Reject { .. }
            | Action::AcknowledgeUpdate { .. }
            | Action::RefuseUpdate { .. }
            | Action::Expire { .. } => {
                let chain = core.chain_time(core.clock.now());
                if let Some(asked) = Asked::of(&action, chain) {
                    self.spawn("market", async move {
                        ask(&core, asked).await;
                    });
                }
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

    pub(super) fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.core.supervisor.spawn(name, |mut stop| async move {
            tokio::select! {
                () = task => {}
                () = stop.requested() => {}
            }
        });
    }
}

/// Writes, and says when the market does not take it: what it refuses for good is said in the log. Gives whether it is a bid
/// that is to be made in another way.
async fn ask(core: &Core, asked: Asked) -> bool {
    let Err(refused) = carry_out(core, &asked).await else { return false };
    let sealed = matches!(asked.call, MarketCall::CommitBid { .. });
    let result = match asked.step {
        Some(MarketStep::Bid { .. }) if refused.is_for_seals() => return true,
        // The order takes any bid once its round is over, and that binds less stake.
        Some(MarketStep::Bid { .. }) if sealed && (refused.is_too_late() || refused.is_for_stake()) => return false,
        Some(MarketStep::Bid { round }) if refused.is_for_stake() => {
            ActionResult::StakeTooLow { round, reason: refused.reason }
        }
        Some(MarketStep::Assign { round }) if refused.is_for_want_of_bids() => ActionResult::NoBids { round },
        Some(step) => ActionResult::NotTaken(step),
        None => return false,
    };
    finished(core, asked.deployment, result).await;
    false
}

/// Tells the orchestrator how an action ended.
pub(crate) async fn finished(core: &Core, deployment: DeploymentId, result: ActionResult) {
    core.driver.event(Event::Finished { deployment, result }).await;
}
