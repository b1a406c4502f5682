//! What this node is known for: once a day it has the paid time of its leases counted, which orders may choose by.
//!
//! A contract counts no more at once than the time since it counted last, so one lease that runs all day is enough.

use std::sync::Arc;
use std::time::Duration;

use nisse_market::{Market, MarketCall, MarketError, QueueError, Written};
use nisse_model::{DeploymentId, Timestamp};
use nisse_orchestrator::{Agent, Assignment, CloseReason, Life};

use crate::core::Core;
use crate::error::chain;
use crate::supervisor::Stop;
use crate::wallets::KeyName;

/// How long to leave between two counts, by the chain's clock.
const DAY_MS: u64 = 24 * 3_600 * 1_000;
/// How often it is looked whether a day has passed.
const LOOK: Duration = Duration::from_secs(1);
/// How long to rest after the chain did not answer.
const RETRY: Duration = Duration::from_secs(60);
/// Leases that are counted at once: those that ended since the last time, where none ran through.
const LEASES_MAX: usize = 8;

/// A lease whose time may be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Candidate {
    deployment: DeploymentId,
    /// Since when it runs.
    began: Timestamp,
    /// When it ended; `None` while it runs.
    ended: Option<Timestamp>,
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
        // Further away than that it was set by a clock that was wrong.
        if now < not_before && not_before <= now.plus_ms(DAY_MS) {
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
    let candidates = core.driver.look(|all| {
        all.agents().iter().filter_map(|(deployment, agent)| candidate(*deployment, agent)).collect::<Vec<_>>()
    });
    let mut candidates = candidates.await.map_err(|error| error.to_string())?;
    let Some(first) = candidates.iter().map(|candidate| candidate.began).min() else { return Ok(now) };
    let facts = market.facts(core.operator).await.map_err(|error| chain(&error))?;
    let counted = facts.and_then(|facts| facts.counted).unwrap_or(first).max(first);
    if counted.plus_ms(DAY_MS) > now {
        return Ok(counted.plus_ms(DAY_MS));
    }
    in_turn(&mut candidates, counted);
    for Candidate { deployment, began, ended } in candidates.into_iter().take(LEASES_MAX) {
        let market = core.keys.market_of(&core.home, &core.supervisor, KeyName::Operator, deployment.contract);
        let Ok(market) = market else { continue };
        let deployment = deployment.number;
        if ended.is_none() {
            // What is due is paid by this, and only what is paid counts.
            taken(market.write(&core.fresh_name("settle"), &MarketCall::Settle { deployment }).await)?;
        }
        let counts = taken(market.write(&core.fresh_name("count"), &MarketCall::CountLease { deployment }).await)?;
        if counts && ended.is_none() && began <= counted {
            // It covers all that there was.
            break;
        }
    }
    Ok(now.plus_ms(DAY_MS))
}

/// Whether the market took it. It has nothing new of a lease, or that is another node's now: no reason to ask again.
fn taken(written: Result<Written, MarketError>) -> Result<bool, String> {
    match written {
        Ok(_) => Ok(true),
        Err(MarketError::Queue(QueueError::Refused(_)) | MarketError::Reverted { .. }) => Ok(false),
        Err(error) => Err(chain(&error)),
    }
}

/// The contract counts nothing from before what it counted last. So one that ran all the time comes first; else those that
/// ended, the earliest first, and then those that run, the oldest first. What ended before is counted already.
fn in_turn(candidates: &mut Vec<Candidate>, counted: Timestamp) {
    candidates.retain(|candidate| candidate.ended.is_none_or(|ended| ended > counted));
    candidates.sort_by_key(|candidate| match candidate.ended {
        None if candidate.began <= counted => (0, candidate.began),
        Some(ended) => (1, ended),
        None => (2, candidate.began),
    });
}

fn candidate(deployment: DeploymentId, agent: &Agent) -> Option<Candidate> {
    if agent.assignment == Assignment::Home {
        return None;
    }
    let (began, ended) = match &agent.life {
        Life::Running { acknowledged: Some(began), .. } | Life::Paused { acknowledged: Some(began), .. } => {
            (*began, None)
        }
        // What was taken from this node has no paid time of its own any more.
        Life::Stopped { reason: CloseReason::Owner | CloseReason::Expired | CloseReason::Destroyed, at } => {
            (*at, Some(*at))
        }
        _ => return None,
    };
    Some(Candidate { deployment, began, ended })
}

#[cfg(test)]
mod tests {
    use nisse_model::Address;

    use super::*;

    #[test]
    fn what_ran_all_the_time_is_counted_alone_and_what_ended_before_what_runs() {
        let lease = |number, began, ended: Option<u64>| {
            let deployment = DeploymentId { chain: 1, contract: Address([1; 20]), number };
            Candidate { deployment, began: Timestamp(began), ended: ended.map(Timestamp) }
        };
        let turn = |counted| {
            let mut all = vec![
                lease(1, 50, Some(50)),
                lease(2, 40, None),
                lease(3, 90, Some(90)),
                lease(4, 60, None),
                lease(5, 9, Some(9)),
            ];
            in_turn(&mut all, Timestamp(counted));
            all.iter().map(|candidate| candidate.deployment.number).collect::<Vec<_>>()
        };
        assert_eq!(turn(45), [2, 1, 3, 4]);
        assert_eq!(turn(10), [1, 3, 2, 4]);
    }
}
