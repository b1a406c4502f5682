//! From one package to another: prepare the new one fully, stop the old one, keep its state, start the new one. Where
//! that fails or is cut off, the state is put back, and only then the old one goes on.
//!
//! A try counts only when the orchestrator has decided it. Until then the new package is shown no request and no alarm
//! (`Running::incarnation`), so that a try that a crash or a pause cut off can be begun anew from the state that the
//! first one found. Its `started` has one name in all tries: what left the node for it is not sent twice.

use std::sync::Arc;

use nisse_model::{DeploymentId, InvocationId, Timestamp};
use nisse_orchestrator::{ActionResult, FailureStage, Life, NextPackage, Orchestrator, Placement, PrepareError};

use super::kept::{Kept, look};
use super::{StartError, check_and_compile, halt, start};
use crate::core::Core;
use crate::driver::finished;
use crate::error::NodeError;
use crate::packages;

/// One swap.
pub(crate) struct Swap {
    pub(crate) deployment: DeploymentId,
    pub(crate) old: Placement,
    pub(crate) next: NextPackage,
    pub(crate) incarnation: u32,
    /// A rollback brings back the state that this earlier swap kept.
    pub(crate) restore: Option<u32>,
    pub(crate) ticket: u64,
}

/// Swaps and says how it went.
pub(crate) async fn swap_step(core: &Arc<Core>, swap: Swap) {
    let (deployment, revision) = (swap.deployment, swap.next.revision);
    if core.lane(deployment).ticket() != swap.ticket {
        return;
    }
    // What an earlier step prepared may be another package.
    drop(core.take_prepared(&deployment));
    if !is_wanted(core, &swap).await {
        // An earlier try came to its end behind the pause that had cut it off: what it decided is brought up.
        if core.running(&deployment).is_none() {
            finished(core, deployment, ActionResult::Prepared(Ok(()))).await;
        }
        return;
    }
    let result = match run(core, &swap).await {
        Ok(()) => ActionResult::Swapped { revision, result: Ok(()) },
        Err(Ended::Refused(error)) => ActionResult::Swapped { revision, result: Err(error) },
        Err(Ended::Lost(error)) => ActionResult::SwapLost { revision, error },
        Err(Ended::Superseded) => {
            // Where this fails it is done before anything else starts on this state.
            if let Err(error) = Kept::before(core, deployment, revision, &swap.old.key()).put_back().await {
                tracing::warn!(%deployment, error = error.text, "the state before an update is not put back yet");
            }
            return;
        }
    };
    finished(core, deployment, result).await;
}

enum Ended {
    /// The old package goes on.
    Refused(PrepareError),
    /// A halt came meanwhile.
    Superseded,
    /// Neither runs.
    Lost(PrepareError),
}

/// Whether the orchestrator still waits for this swap. Every result that was sent before has been heeded by then.
async fn is_wanted(core: &Core, swap: &Swap) -> bool {
    let Swap { deployment, ref next, incarnation, .. } = *swap;
    let next = next.clone();
    let wanted = move |all: &Orchestrator| {
        all.agent(&deployment).is_some_and(|agent| {
            let running = matches!(agent.life, Life::Running { .. });
            running && agent.incarnation + 1 == incarnation && agent.next.as_ref() == Some(&next)
        })
    };
    look(core, wanted).await
}

async fn run(core: &Arc<Core>, swap: &Swap) -> Result<(), Ended> {
    let Swap { deployment, old, next, incarnation, ticket, .. } = swap;
    serve_meanwhile(core, swap).await?;
    let checked = match check_and_compile(core, *deployment, &next.placement, *ticket).await {
        Err(_) if core.lane(*deployment).ticket() != *ticket => return Err(Ended::Superseded),
        Ok(_) if next.placement.key() != old.key() => {
            let reason = "the update is for another agent".to_owned();
            return refuse(core, swap, PrepareError { stage: FailureStage::Verify, reason }).await;
        }
        Ok(checked) => checked,
        Err(error) => return refuse(core, swap, error).await,
    };
    halt(core, *deployment).await;
    if let Err(error) = put_state_in_place(core, swap).await {
        return refuse(core, swap, PrepareError { stage: FailureStage::Node, reason: error.text }).await;
    }
    core.set_prepared(*deployment, Arc::new(checked));
    let started = swapped_id(*deployment, next.revision);
    match start(core, *deployment, &next.placement, *incarnation, Some(started), *ticket).await {
        Ok(held) => {
            // An update that was cut off is begun anew, whatever its `started` has done: no decision needs its completion.
            if let Some(held) = held {
                held.let_go();
            }
            Ok(())
        }
        Err(StartError::Superseded) => Err(Ended::Superseded),
        Err(StartError::Failed(failed)) => refuse(core, swap, failed).await,
    }
}

/// An agent that is brought up in the midst of an update serves with the old package while the new one is on its way:
/// that may take minutes. One that is here already may have been tried, and have begun to change state and alarm: nothing
/// runs on those before the swap.
async fn serve_meanwhile(core: &Arc<Core>, swap: &Swap) -> Result<(), Ended> {
    let Swap { deployment, old, next, incarnation, ticket, .. } = swap;
    let tried = packages::is_here(core, &next.placement.package)
        || Kept::before(core, *deployment, next.revision, &old.key()).is_there();
    if core.running(deployment).is_some() || tried {
        return Ok(());
    }
    match start(core, *deployment, old, incarnation - 1, None, *ticket).await {
        Err(StartError::Superseded) => Err(Ended::Superseded),
        Err(StartError::Failed(_)) if core.lane(*deployment).ticket() != *ticket => Err(Ended::Superseded),
        Err(StartError::Failed(error)) => {
            let reason = error.reason;
            tracing::warn!(%deployment, reason, "the old package does not run while an update is on its way");
            Ok(())
        }
        Ok(_) => {
            core.driver.routes_changed().await;
            Ok(())
        }
    }
}

/// The name of the `started` by which a new package takes over.
fn swapped_id(deployment: DeploymentId, revision: u32) -> InvocationId {
    let name = deployment.to_string();
    Core::stable_invocation(Timestamp(0), &[b"swapped", name.as_bytes(), &revision.to_be_bytes()])
}

/// Whether this invocation is a new package's `started`, of an update that is not decided yet: what it makes of the
/// agent's alarm holds only if the update does.
pub(crate) fn is_on_trial(all: &Orchestrator, deployment: DeploymentId, by: InvocationId) -> bool {
    let next = all.agent(&deployment).and_then(|agent| agent.next.as_ref());
    next.is_some_and(|next| swapped_id(deployment, next.revision) == by)
}

/// The old package goes on, or comes back, to the state that the update found.
async fn refuse(core: &Arc<Core>, swap: &Swap, error: PrepareError) -> Result<(), Ended> {
    let Swap { deployment, old, next, incarnation, ticket, .. } = swap;
    if core.running(deployment).is_some() {
        return Err(Ended::Refused(error));
    }
    let lost = |stage, reason| Err(Ended::Lost(PrepareError { stage, reason }));
    if let Err(worse) = Kept::before(core, *deployment, next.revision, &old.key()).put_back().await {
        tracing::error!(%deployment, error = worse.text, "the state before the update was not put back");
        return lost(FailureStage::Node, format!("{}; and its state was not put back: {}", error.reason, worse.text));
    }
    match start(core, *deployment, old, incarnation - 1, None, *ticket).await {
        Ok(_) => Err(Ended::Refused(error)),
        Err(StartError::Superseded) => Err(Ended::Superseded),
        Err(StartError::Failed(worse)) => {
            let (reason, stage) = (error.reason, worse.stage);
            lost(stage, format!("{reason}; and the package before it did not come back: {}", worse.reason))
        }
    }
}

/// Keeps the state of now, and puts the one in its place with which the new package begins.
async fn put_state_in_place(core: &Arc<Core>, swap: &Swap) -> Result<(), NodeError> {
    let Swap { deployment, old, next, restore, .. } = swap;
    let key = old.key();
    Kept::before(core, *deployment, next.revision, &key).keep().await?;
    match restore {
        Some(revision) => Kept::before(core, *deployment, *revision, &key).bring_back().await,
        None => Ok(()),
    }
}
