//! From one package to another: prepare the new one fully, stop the old one, keep its state, start the new one. Where
//! that fails, the state is put back and the old one goes on.
//!
//! The state before the swap is kept under a pin of the update's own number before anything else happens to it, so a
//! crash at any point finds it again.

use std::sync::Arc;

use nisse_model::DeploymentId;
use nisse_orchestrator::{ActionResult, FailureStage, NextPackage, Placement, PrepareError};

use super::{StartError, check_and_compile, halt, start, started_id};
use crate::core::Core;
use crate::driver::finished;
use crate::error::{ErrorKind, NodeError};
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

/// The pin of the state as it was before the update of this number.
pub(crate) fn kept_name(deployment: DeploymentId, revision: u32) -> String {
    format!("state/{deployment}/{revision}")
}

/// Swaps and says how it went.
pub(crate) async fn swap_step(core: &Arc<Core>, swap: Swap) {
    let (deployment, revision) = (swap.deployment, swap.next.revision);
    let result = match run(core, &swap).await {
        Ok(()) => Ok(()),
        Err(Ended::Refused(error)) => Err(error),
        Err(Ended::Superseded) => return,
        Err(Ended::Lost(reason)) => {
            // The old package did not come back either: the agent has failed, and the orchestrator gives it back.
            return finished(core, deployment, ActionResult::Started(Err(reason))).await;
        }
    };
    finished(core, deployment, ActionResult::Swapped { revision, result }).await;
}

enum Ended {
    /// The old package goes on.
    Refused(PrepareError),
    /// A halt came meanwhile.
    Superseded,
    /// Neither runs.
    Lost(String),
}

async fn run(core: &Arc<Core>, swap: &Swap) -> Result<(), Ended> {
    let Swap { deployment, old, next, incarnation, ticket, .. } = swap;
    let checked = match check_and_compile(core, *deployment, &next.placement).await {
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
    match start(core, *deployment, &next.placement, *incarnation, true, *ticket).await {
        Ok(()) => Ok(()),
        Err(StartError::Superseded) => Err(Ended::Superseded),
        Err(StartError::Failed(failed)) => {
            if let Err(error) = bring_back(core, swap, next.revision).await {
                tracing::error!(%deployment, error = error.text, "the state before the update was not put back");
                return Err(Ended::Lost(format!("{}; and its state was not put back: {}", failed.reason, error.text)));
            }
            refuse(core, swap, failed).await
        }
    }
}

/// The old package goes on, or comes back.
async fn refuse(core: &Arc<Core>, swap: &Swap, error: PrepareError) -> Result<(), Ended> {
    if core.running(&swap.deployment).is_some() {
        return Err(Ended::Refused(error));
    }
    match start(core, swap.deployment, &swap.old, swap.incarnation - 1, false, swap.ticket).await {
        Ok(()) => Err(Ended::Refused(error)),
        Err(StartError::Superseded) => Err(Ended::Superseded),
        Err(StartError::Failed(worse)) => {
            let (reason, worse) = (error.reason, worse.reason);
            Err(Ended::Lost(format!("{reason}; and the package before it did not come back: {worse}")))
        }
    }
}

/// Keeps the state of now, and puts the one in its place with which the new package begins.
async fn put_state_in_place(core: &Arc<Core>, swap: &Swap) -> Result<(), NodeError> {
    let Swap { deployment, old, next, incarnation, restore, .. } = swap;
    let (owner, name) = old.key();
    let pin = kept_name(*deployment, next.revision);
    if core.pinned(&pin).is_none() {
        packages::keep_state(core, pin, owner, &name).await?;
    } else if core.completed.contains(&started_id(*deployment, *incarnation).0) {
        // A crash came after the new package's `started`: the state is the new one's already.
        return Ok(());
    } else {
        bring_back(core, swap, next.revision).await?;
    }
    match restore {
        Some(revision) => bring_back(core, swap, *revision).await,
        None => Ok(()),
    }
}

/// Puts the state that was kept before the update of this number back.
async fn bring_back(core: &Arc<Core>, swap: &Swap, revision: u32) -> Result<(), NodeError> {
    let pin = kept_name(swap.deployment, revision);
    let (owner, name) = swap.old.key();
    let Some(cid) = core.pinned(&pin) else {
        let text = format!("failed to put the state before update {revision} back: it is not in the content store");
        return Err(NodeError::new(ErrorKind::NotFound, "state_gone", text));
    };
    let export = packages::on_disk(core, "read a kept state", move |core| {
        let read = core.content.read_file(cid, nisse_store::SNAPSHOT_BYTES_MAX);
        read.map_err(|error| NodeError::caused(ErrorKind::Failed, "content_failed", &error))
    });
    packages::replace_state(core, owner, &name, cid, export.await?).await
}
