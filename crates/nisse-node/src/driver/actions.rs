//! What the orchestrator asked for, done: each in a task of its own that comes back with an event.

use std::sync::Arc;
use std::time::Duration;

use nisse_market::{Market, MarketError};
use nisse_model::{AmountPerHour, DeploymentId, Event as AgentEvent, FailureKind, Invocation};
use nisse_orchestrator::{
    Action, ActionResult, Alarm, AlarmEnd, Event, FailureStage, NextPackage, Placement, PrepareError,
};

use super::Driver;
use crate::agent::{self, AgentHost, AgentParts, CallError, Committer, EventAnswer};
use crate::core::{Core, Running};
use crate::error::chain;
use crate::prepare::Checked;
use crate::records;

/// How long a `started` or `alarm` handler may take.
const HANDLER_MS: u64 = 60_000;
/// Calls of one agent that may wait.
const AGENT_QUEUE_MAX: usize = 256;
/// How often a write to the market is tried again while the chain does not answer.
const MARKET_RETRY: Duration = Duration::from_secs(5);
/// Decimals of an OracleFeed.
const FEED_DECIMALS: u32 = 8;

impl Driver {
    pub(super) fn perform(&self, action: Action) {
        let core = Arc::clone(&self.core);
        match action {
            Action::Inspect { deployment, placement } => spawn(&self.core, "inspect", async move {
                let result = core.preparer.check(&placement).await.map(drop);
                finished(&core, deployment, ActionResult::Inspected(result)).await;
            }),
            Action::Bid { deployment, rate } => spawn(&self.core, "bid", bid(core, deployment, rate)),
            Action::Assign { deployment } => spawn(&self.core, "assign", async move {
                let intent = format!("assign:{deployment}");
                let name = intent.clone();
                market(&core, &intent, move |market| {
                    let name = name.clone();
                    async move { market.assign(&name, deployment.number).await.map(drop) }
                })
                .await;
            }),
            Action::Prepare { deployment, placement } => {
                spawn(&self.core, "prepare", prepare(core, deployment, placement));
            }
            Action::Start { deployment, incarnation, raise_started } => {
                let agent = self.orchestrator.agent(&deployment).map(|agent| agent.placement.clone());
                let Some(placement) = agent else { return };
                spawn(&self.core, "start", async move {
                    let result = start(&core, deployment, &placement, incarnation, raise_started).await;
                    finished(&core, deployment, ActionResult::Started(result)).await;
                });
            }
            Action::Acknowledge { deployment, incarnation } => spawn(&self.core, "acknowledge", async move {
                let intent = format!("ack:{deployment}:{incarnation}");
                let number = deployment.number;
                let name = intent.clone();
                market(&core, &intent, move |market| {
                    let name = name.clone();
                    async move { market.ack_start(&name, number, incarnation).await.map(drop) }
                })
                .await;
            }),
            Action::Reject { deployment, reason } => spawn(&self.core, "reject", async move {
                let intent = format!("reject:{deployment}");
                let reason = shortened(&reason);
                let name = intent.clone();
                market(&core, &intent, move |market| {
                    let (name, reason) = (name.clone(), reason.clone());
                    async move { market.reject(&name, deployment.number, &reason).await.map(drop) }
                })
                .await;
            }),
            Action::Halt { deployment } => spawn(&self.core, "halt", async move {
                if let Some(running) = core.take_running(&deployment) {
                    running.handle.halt().await;
                }
            }),
            Action::Swap { deployment, next, incarnation } => {
                let old = self.orchestrator.agent(&deployment).map(|agent| agent.placement.clone());
                let Some(old) = old else { return };
                spawn(&self.core, "swap", async move {
                    let result = swap(&core, deployment, &old, &next, incarnation).await;
                    finished(&core, deployment, ActionResult::Swapped(result)).await;
                });
            }
            Action::AcknowledgeUpdate { deployment, revision, incarnation } => {
                spawn(&self.core, "acknowledge update", async move {
                    let intent = format!("ack-update:{deployment}:{revision}");
                    let name = intent.clone();
                    market(&core, &intent, move |market| {
                        let name = name.clone();
                        async move { market.ack_update(&name, deployment.number, revision, incarnation).await.map(drop) }
                    })
                    .await;
                });
            }
            Action::RefuseUpdate { deployment, revision, reason } => spawn(&self.core, "refuse update", async move {
                let intent = format!("refuse-update:{deployment}:{revision}");
                let reason = shortened(&reason);
                let name = intent.clone();
                market(&core, &intent, move |market| {
                    let (name, reason) = (name.clone(), reason.clone());
                    async move { market.reject_update(&name, deployment.number, revision, &reason).await.map(drop) }
                })
                .await;
            }),
            Action::RaiseAlarm { deployment, alarm } => spawn(&self.core, "alarm", async move {
                let end = raise_alarm(&core, deployment, alarm).await;
                finished(&core, deployment, ActionResult::AlarmHandled(end)).await;
            }),
            Action::Expire { deployment } => spawn(&self.core, "expire", async move {
                // The deposit is part of the name: a lease that was topped up can run out again.
                let at = core.chain_time(core.clock.now()).seconds();
                let intent = format!("expire:{deployment}:{at}");
                let name = intent.clone();
                market(&core, &intent, move |market| {
                    let name = name.clone();
                    async move { market.expire(&name, deployment.number).await.map(drop) }
                })
                .await;
            }),
        }
    }

    /// Sends an answer to the agent's OracleFeed.
    pub(super) fn publish(&self, deployment: DeploymentId, key: String, asset: String, value: i64, decimals: u8) {
        let core = Arc::clone(&self.core);
        spawn(&self.core, "publish", async move {
            let label = format!("publication of {asset}");
            let Some(answer) = scaled(value, decimals) else {
                tracing::warn!(%deployment, asset, "an answer does not fit the feed's 8 decimals and was not published");
                return;
            };
            let name = key.clone();
            market(&core, &label, move |market| {
                let (name, asset) = (name.clone(), asset.clone());
                async move { market.publish_answer(&name, deployment.number, &asset, answer).await.map(drop) }
            })
            .await;
        });
    }
}

/// `value` × 10^-`decimals` as a whole number of 10^-8, where that is exact.
fn scaled(value: i64, decimals: u8) -> Option<i128> {
    let decimals = u32::from(decimals);
    if decimals <= FEED_DECIMALS {
        return i128::from(value).checked_mul(10i128.checked_pow(FEED_DECIMALS - decimals)?);
    }
    let unit = 10i128.checked_pow(decimals - FEED_DECIMALS)?;
    let value = i128::from(value);
    (value % unit == 0).then_some(value / unit)
}

fn spawn(core: &Arc<Core>, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
    core.supervisor.spawn(name, |mut stop| async move {
        tokio::select! {
            () = task => {}
            () = stop.requested() => {}
        }
    });
}

async fn finished(core: &Core, deployment: DeploymentId, result: ActionResult) {
    core.driver.event(Event::Finished { deployment, result }).await;
}

/// Writes to the market, again and again while the chain does not answer. A refusal is final and said in the log.
async fn market<F, W>(core: &Core, what: &str, write: F) -> bool
where
    F: Fn(Market) -> W,
    W: Future<Output = Result<(), MarketError>>,
{
    loop {
        let market = match core.keys.market(&core.home, &core.supervisor, crate::home::KeyName::Operator) {
            Ok(market) => market,
            Err(error) => {
                tracing::warn!(what, error = error.text, "the market is not known yet");
                tokio::time::sleep(MARKET_RETRY).await;
                continue;
            }
        };
        match write(market).await {
            Ok(()) => return true,
            Err(error @ (MarketError::Reverted { .. } | MarketError::Lost)) => {
                tracing::warn!(what, error = chain(&error), "the market refused");
                return false;
            }
            Err(error) => {
                tracing::warn!(what, error = chain(&error), "the market did not answer");
                tokio::time::sleep(MARKET_RETRY).await;
            }
        }
    }
}

async fn bid(core: Arc<Core>, deployment: DeploymentId, rate: AmountPerHour) {
    core.milestone(deployment, "bid", format!("{rate} TALOS per hour"));
    let intent = format!("bid:{deployment}:{}", rate.0);
    let name = intent.clone();
    let taken = market(&core, &intent, move |market| {
        let name = name.clone();
        async move { market.bid(&name, deployment.number, rate).await.map(drop) }
    })
    .await;
    if !taken {
        core.driver.event(Event::AssignedElsewhere { deployment }).await;
    }
}

async fn prepare(core: Arc<Core>, deployment: DeploymentId, placement: Placement) {
    let result = check_and_compile(&core, deployment, &placement).await;
    let result = result.map(|checked| core.set_prepared(deployment, Arc::new(checked)));
    finished(&core, deployment, ActionResult::Prepared(result)).await;
}

/// Fetches, verifies, compiles; the code is in the cache afterwards.
async fn check_and_compile(
    core: &Core,
    deployment: DeploymentId,
    placement: &Placement,
) -> Result<Checked, PrepareError> {
    let checked = core.preparer.check(placement).await?;
    core.milestone(deployment, "verified", format!("artifact {}", placement.package.artifact_hash));
    core.preparer.compile(&checked).await?;
    core.milestone(deployment, "compiled", "native code is in the cache");
    Ok(checked)
}

/// Brings an agent to life and has its `started` event handled where that has not happened yet.
async fn start(
    core: &Arc<Core>,
    deployment: DeploymentId,
    placement: &Placement,
    incarnation: u32,
    raise_started: bool,
) -> Result<(), String> {
    let checked = match core.take_prepared(&deployment) {
        Some(checked) => checked,
        None => Arc::new(core.preparer.check(placement).await.map_err(|error| error.reason)?),
    };
    let running = bring_to_life(core, deployment, placement, &checked).await?;
    if raise_started && let Err(reason) = handle_started(core, deployment, incarnation, &running).await {
        running.handle.halt().await;
        return Err(reason);
    }
    core.set_running(deployment, running);
    Ok(())
}

async fn bring_to_life(
    core: &Arc<Core>,
    deployment: DeploymentId,
    placement: &Placement,
    checked: &Checked,
) -> Result<Running, String> {
    let (owner, name) = placement.key();
    let label = core.label(owner, &name);
    let state = core.states.agent(owner, &name);
    let log = core.logs.of(&label);
    core.egress.set_permissions(&label, checked.grants.network_rules(), checked.grants.local_services());
    let host = AgentHost {
        label,
        grants: checked.grants.clone(),
        state: state.clone(),
        content: Arc::clone(&core.preparer.content),
        egress: core.egress.clone(),
        log: Arc::clone(&log),
        clock: Arc::clone(&core.clock),
        entropy: Arc::clone(&core.entropy),
    };
    let program = core.preparer.link(checked, Arc::new(host)).await.map_err(|error| error.reason)?;
    let last = records::last(&core.database, &deployment).map_err(|error| chain(&error))?;
    let (handle, mailbox) = agent::channel(AGENT_QUEUE_MAX);
    let parts = AgentParts {
        deployment,
        package: placement.package.clone(),
        program,
        engine: core.preparer.engine.hash(),
        state,
        journal: Arc::clone(&core.journal),
        records: core.records.clone(),
        outward: core.outward.clone(),
        log,
        clock: Arc::clone(&core.clock),
        entropy: Arc::clone(&core.entropy),
        stats: handle.shared_stats(),
    };
    let committer = Committer::new(parts, last).map_err(|error| chain(&error))?;
    core.supervisor.spawn(format!("agent {deployment}"), |mut stop| async move {
        let halt = mailbox.halt_signal();
        let agent = agent::run(committer, mailbox);
        tokio::pin!(agent);
        tokio::select! {
            () = &mut agent => return,
            () = stop.requested() => { halt.send_replace(true); }
        }
        agent.await;
    });
    let permissions = checked.manifest.permissions.iter().map(ToString::to_string).collect();
    Ok(Running { handle, permissions })
}

async fn handle_started(
    core: &Core,
    deployment: DeploymentId,
    incarnation: u32,
    running: &Running,
) -> Result<(), String> {
    let now = core.clock.now();
    // The time is left out of the name on purpose: the same incarnation has the same `started`, before and after a
    // crash.
    let name = deployment.to_string();
    let parts: [&[u8]; 3] = [b"started", name.as_bytes(), &incarnation.to_be_bytes()];
    let id = Core::stable_invocation(nisse_model::Timestamp(0), &parts);
    if core.completed.contains(&id.0) {
        return Ok(());
    }
    let event = AgentEvent::started(format!("started:{incarnation}"), now);
    let invocation = invocation(id, event, 1, now);
    match running.handle.event(invocation).await {
        Ok(EventAnswer { result: Ok(_), .. }) => Ok(()),
        Ok(EventAnswer { result: Err(failure), .. }) => Err(failure.text),
        // A component without the handler has nothing to do at its start.
        Err(CallError::NoHandler) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

async fn raise_alarm(core: &Core, deployment: DeploymentId, alarm: Alarm) -> AlarmEnd {
    let Some(running) = core.running(&deployment) else { return AlarmEnd::Retry };
    let name = deployment.to_string();
    let parts: [&[u8]; 3] = [b"alarm", name.as_bytes(), &alarm.attempt.to_be_bytes()];
    let id = Core::stable_invocation(alarm.at, &parts);
    if core.completed.contains(&id.0) {
        return AlarmEnd::Done;
    }
    let event = AgentEvent::alarm(format!("alarm:{}", alarm.at.0), alarm.at);
    match running.handle.event(invocation(id, event, alarm.attempt, core.clock.now())).await {
        Ok(EventAnswer { result: Ok(_), .. }) => AlarmEnd::Done,
        Ok(EventAnswer { result: Err(failure), .. }) => match failure.kind {
            FailureKind::Retryable => AlarmEnd::Retry,
            FailureKind::Permanent => AlarmEnd::GiveUp,
        },
        Err(CallError::NoHandler) => AlarmEnd::GiveUp,
        Err(_) => AlarmEnd::Retry,
    }
}

fn invocation(
    id: nisse_model::InvocationId,
    event: AgentEvent,
    attempt: u32,
    now: nisse_model::Timestamp,
) -> Invocation {
    let deadline = now.plus_ms(HANDLER_MS);
    Invocation { id, function: Invocation::MAIN.to_owned(), event, attempt, deadline }
}

/// Prepares the next package fully, then stops the old one, keeps its state, and starts the new one. Where that fails,
/// the state is put back and the old one goes on.
async fn swap(
    core: &Arc<Core>,
    deployment: DeploymentId,
    old: &Placement,
    next: &NextPackage,
    incarnation: u32,
) -> Result<(), PrepareError> {
    let node = |reason: String| PrepareError { stage: FailureStage::Node, reason };
    let checked = check_and_compile(core, deployment, &next.placement).await?;
    let (owner, name) = old.key();
    if next.placement.key() != (owner, name.clone()) {
        return Err(node("the update is for another agent".to_owned()));
    }
    let state = core.states.agent(owner, &name);
    if let Some(running) = core.take_running(&deployment) {
        running.handle.halt().await;
    }
    let before = state.export().map_err(|error| node(chain(&error)))?;
    let kept = crate::packages::keep_state(core, &kept_name(deployment, incarnation - 1), &before);
    let started = match kept {
        Err(error) => Err(error.text),
        Ok(_) => {
            core.set_prepared(deployment, Arc::new(checked));
            start(core, deployment, &next.placement, incarnation, true).await
        }
    };
    let Err(reason) = started else { return Ok(()) };
    crate::packages::replace_state(core, owner, &name, before).await.map_err(|error| node(error.text))?;
    let back = start(core, deployment, old, incarnation - 1, false).await;
    let reason = match back {
        Ok(()) => reason,
        Err(worse) => format!("{reason}; and the old package did not come back: {worse}"),
    };
    Err(PrepareError { stage: FailureStage::Start, reason })
}

/// The pin of the state that an incarnation left behind, for `rollback`.
pub(crate) fn kept_name(deployment: DeploymentId, incarnation: u32) -> String {
    format!("state/{deployment}/{incarnation}")
}

/// Reasons on chain have a limit.
fn shortened(reason: &str) -> String {
    const REASON_BYTES_MAX: usize = 200;
    let mut reason = reason.to_owned();
    reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
    reason
}
