//! The rights of agents that ended: the device that gave an agent a key takes it back, once what the agent committed is made.
//!
//! What it wrote stays. An agent whose lease may come back to this node keeps its right: the same deployment has the same key, and a key
//! that was revoked is none any more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nisse_model::{DeploymentId, Did, Standing, Timestamp};
use nisse_orchestrator::{CloseReason, Life};
use nisse_store::{DatabaseError, Rows as _};

use super::agents::KEYS;
use crate::core::Core;
use crate::error::{ErrorKind, NodeError};
use crate::node::cut_off;
use crate::supervisor::Stop;

/// How often it is looked whether an agent ended.
const LOOK: Duration = Duration::from_secs(5);
/// How long after an end: a call that had begun may still commit.
const SETTLED_MS: u64 = 10_000;
/// How long after it where the chain is another program's: a reorganisation may undo an end.
const FINAL_MS: u64 = 2 * 3_600_000;

/// Takes rights back for as long as the node runs.
pub(crate) async fn keep(core: Arc<Core>, mut stop: Stop) {
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.requested() => return,
            _ = look.tick() => {}
        }
        // A sealed vault signs nothing, and what fails is tried again at the next look.
        if let Err(error) = settle(&core).await {
            tracing::debug!(error = error.text, "the right of an ended agent is not taken back yet");
        }
    }
}

/// Whether a deployment's agent is gone for good from this node.
fn is_over(life: Option<&Life>, waits_ms: u64, now: Timestamp) -> bool {
    match life {
        None | Some(Life::Stopped { reason: CloseReason::Destroyed | CloseReason::Superseded, .. }) => true,
        Some(Life::Stopped { reason: CloseReason::Owner | CloseReason::Expired, at }) => now.since_ms(*at) >= waits_ms,
        Some(_) => false,
    }
}

async fn settle(core: &Arc<Core>) -> Result<(), NodeError> {
    let keys = keys(core)?;
    let own = core.identity.known().own;
    if keys.is_empty() || own.is_none() || core.identity.device().is_err() {
        return Ok(());
    }
    let waits_ms = if core.chain.is_some() { SETTLED_MS } else { FINAL_MS };
    let now = core.clock.now();
    let deployments: Vec<_> = keys.keys().copied().collect();
    let looked = core.driver.look(move |orchestrator| -> Vec<_> {
        let agents = orchestrator.agents();
        let is_over = |one: &DeploymentId| is_over(agents.get(one).map(|agent| &agent.life), waits_ms, now);
        deployments.into_iter().filter(is_over).collect()
    });
    for deployment in looked.await.map_err(NodeError::from)? {
        if core.running(&deployment).is_none() && !core.spaces.outbox.holds(deployment) {
            take_back(core, deployment, keys[&deployment]).await?;
        }
    }
    Ok(())
}

async fn take_back(core: &Arc<Core>, deployment: DeploymentId, agent: Did) -> Result<(), NodeError> {
    let (known, now) = (core.identity.known(), core.clock.now());
    let Some(own) = known.own.filter(|own| known.standing(own, now) == Standing::Device) else { return Ok(()) };
    debug_assert_ne!(own, agent, "an agent's key is not its device's");
    if matches!(known.standing(&agent, now), Standing::Agent(_)) {
        let about = format!("{} {agent}: it ended", known.name(&agent).unwrap_or("agent"));
        core.audit.around("node", "device.revoke", &about, cut_off(core, agent)).await?;
        tracing::info!(target: "nisse::event::device", step = "revoked", device = %agent);
    }
    let forgotten = core.database.write(|rows| rows.remove(KEYS, deployment.to_string().as_bytes()).map(drop));
    forgotten.map_err(|error: DatabaseError| NodeError::caused(ErrorKind::Failed, "database_failed", &error))
}

/// The key of each deployment that was given one.
fn keys(core: &Core) -> Result<BTreeMap<DeploymentId, Did>, NodeError> {
    let mut keys = BTreeMap::new();
    let read = core.database.read(|rows| {
        rows.with_prefix(KEYS, b"", &mut |name, key| {
            let deployment = std::str::from_utf8(name).ok().and_then(|name| name.parse().ok());
            if let (Some(deployment), Ok(key)) = (deployment, key.try_into()) {
                keys.insert(deployment, Did(key));
            }
            true
        })
    });
    read.map_err(|error: DatabaseError| NodeError::caused(ErrorKind::Failed, "database_failed", &error))?;
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use nisse_orchestrator::FailureStage;

    use super::*;

    #[test]
    fn only_an_agent_that_is_gone_for_good_loses_its_right() {
        let at = Timestamp(1_000);
        let over = |life: &Life, after_ms| is_over(Some(life), SETTLED_MS, at.plus_ms(after_ms));
        let stopped = |reason| Life::Stopped { reason, at };
        for reason in [CloseReason::Owner, CloseReason::Expired] {
            assert!(!over(&stopped(reason), SETTLED_MS - 1), "{reason}: a call may still commit");
            assert!(over(&stopped(reason), SETTLED_MS), "{reason}");
        }
        for reason in [CloseReason::Destroyed, CloseReason::Superseded] {
            assert!(over(&stopped(reason), 0), "{reason}");
        }
        // Whose lease may come back, with the same key.
        for reason in [CloseReason::Reopened, CloseReason::Silent, CloseReason::Undone] {
            assert!(!over(&stopped(reason), u64::from(u32::MAX)), "{reason}");
        }
        let failed = Life::Failed { stage: FailureStage::Start, reason: String::new(), at };
        for life in [failed, Life::Preparing, Life::Starting, Life::Paused { since: at, acknowledged: None }] {
            assert!(!over(&life, u64::from(u32::MAX)), "{life:?}");
        }
        assert!(is_over(None, SETTLED_MS, at), "forgotten");
    }
}
