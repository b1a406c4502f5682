//! What this node is known for: once a day it has the paid time of its leases counted, which orders may choose by.
//!
//! A contract counts no more at once than the time since it counted last, so one lease that runs all day is enough.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use nisse_market::{Market, MarketCall, MarketError, QueueError};
use nisse_model::{DeploymentId, Timestamp};
use nisse_orchestrator::{Agent, Assignment, Life};

use crate::core::Core;
use crate::error::chain;
use crate::supervisor::Stop;

/// How long to leave between two counts, by the chain's clock.
const DAY_MS: u64 = 24 * 3_600 * 1_000;
/// How often it is looked whether a day has passed.
const LOOK: Duration = Duration::from_secs(1);
/// How long to rest after the chain did not answer.
const RETRY: Duration = Duration::from_secs(60);
/// Leases that are counted at once: those that ended since the last time, where none ran through.
const LEASES_MAX: usize = 4;

/// A lease whose time may be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Candidate {
    deployment: DeploymentId,
    began: Timestamp,
    live: bool,
}

/// Runs until the node stops.
pub(crate) async fn run(core: Arc<Core>, market: Market, mut stop: Stop) {
    if market.addresses().reputation.is_none() {
        return;
    }
    tokio::select! {
        () = stop.requested() => {}
        () = count_daily(&core, &market) => {}
    }
}

async fn count_daily(core: &Core, market: &Market) {
    let mut not_before = Timestamp(0);
    loop {
        tokio::time::sleep(LOOK).await;
        let now = core.next_block_time();
        if now < not_before {
            continue;
        }
        match count(core, market, now).await {
            Ok(next) => not_before = next,
            Err(error) => {
                tracing::debug!(error, "paid time was not counted");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// Has counted what there is. Gives the time before which there is nothing to do.
async fn count(core: &Core, market: &Market, now: Timestamp) -> Result<Timestamp, String> {
    let contract = market.addresses().manager;
    let candidates = core.driver.look(move |all| {
        let paid = all.agents().iter().filter(|(deployment, _)| deployment.contract == contract);
        paid.filter_map(|(deployment, agent)| candidate(*deployment, agent)).collect::<Vec<_>>()
    });
    let candidates = in_turn(candidates.await.map_err(|error| error.to_string())?);
    let Some(first) = candidates.iter().map(|candidate| candidate.began).min() else {
        return Ok(now.plus_ms(u64::try_from(LOOK.as_millis()).unwrap_or(u64::MAX)));
    };
    let facts = market.facts(core.operator).await.map_err(|error| chain(&error))?;
    let counted = facts.and_then(|facts| facts.counted).unwrap_or(first).max(first);
    if counted.plus_ms(DAY_MS) > now {
        return Ok(counted.plus_ms(DAY_MS));
    }
    for Candidate { deployment, began, live } in candidates.into_iter().take(LEASES_MAX) {
        let number = deployment.number;
        if live {
            // What is due is paid by this, and only what is paid counts.
            let settled = market.write(&core.fresh_name("settle"), &MarketCall::Settle { deployment: number }).await;
            settled.map_err(|error| chain(&error))?;
        }
        match market.write(&core.fresh_name("count"), &MarketCall::CountLease { deployment: number }).await {
            Ok(_) if live && began <= counted => break,
            // Nothing new of it, or it is another node's now.
            Ok(_) | Err(MarketError::Queue(QueueError::Refused(_)) | MarketError::Reverted { .. }) => {}
            Err(error) => return Err(chain(&error)),
        }
    }
    Ok(now.plus_ms(DAY_MS))
}

/// Those that run first, the oldest of them first; then those that ended, the newest first.
fn in_turn(mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    candidates.sort_by_key(|candidate| match candidate.live {
        true => (0, candidate.began.0, Reverse(0)),
        false => (1, 0, Reverse(candidate.began.0)),
    });
    candidates
}

fn candidate(deployment: DeploymentId, agent: &Agent) -> Option<Candidate> {
    if agent.assignment == Assignment::Home {
        return None;
    }
    match &agent.life {
        Life::Running { acknowledged: Some(began), .. } | Life::Paused { acknowledged: Some(began), .. } => {
            Some(Candidate { deployment, began: *began, live: true })
        }
        Life::Stopped { at, .. } => Some(Candidate { deployment, began: *at, live: false }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use nisse_model::Address;

    use super::*;

    #[test]
    fn what_runs_longest_is_counted_first_and_what_ended_last() {
        let lease = |number, began, live| {
            let deployment = DeploymentId { chain: 1, contract: Address([1; 20]), number };
            Candidate { deployment, began: Timestamp(began), live }
        };
        let turn = in_turn(vec![lease(1, 50, false), lease(2, 40, true), lease(3, 90, false), lease(4, 20, true)]);
        assert_eq!(turn.iter().map(|candidate| candidate.deployment.number).collect::<Vec<_>>(), [4, 2, 3, 1]);
    }
}
