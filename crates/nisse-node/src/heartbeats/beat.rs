//! Showing life: one transaction in each period in which this node could be found silent.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nisse_market::{LeaseState, Market, MarketCall, MarketError, MarketEvent, QueueError, heartbeat_root};
use nisse_model::{Address, AgentName, DeploymentId, Hash256};
use nisse_orchestrator::{Period, ran_at};
use tokio::time::timeout;

use super::Told;
use crate::agent::Tip;
use crate::core::Core;
use crate::error::chain;

/// How long a heartbeat may be under way before its operator is told.
const LATE: Duration = Duration::from_secs(30);
/// How long the states of leases may take to be read.
const STATES_MAX: Duration = Duration::from_secs(10);

pub(super) async fn run(core: &Arc<Core>, market: &Market, length: u64, look: Duration) {
    loop {
        tokio::time::sleep(look).await;
        let period = super::now(core, length);
        if period.number <= core.heard.shown.load(Ordering::Relaxed) || !period.is_to_show(core.operator) {
            continue;
        }
        match show(core, market, period).await {
            Ok(last) => {
                core.heard.shown.store(last, Ordering::Relaxed);
                core.set_silent(None);
            }
            Err(error) => {
                tracing::warn!(error, period = period.number, "this node's heartbeat did not go out");
                core.set_silent(trouble(&error));
            }
        }
    }
}

fn trouble(reason: &str) -> Option<String> {
    Some(format!("its heartbeat does not go out, and it may lose its leases: {reason}"))
}

/// Shows life where a lease asks for it. Gives the last period in which this node did.
async fn show(core: &Arc<Core>, market: &Market, period: Period) -> Result<u64, String> {
    let begins = period.begins();
    // What a full disk holds back is shown too: to say that one lives is never wrong.
    let watched = core.driver.glance(move |all| {
        let watched = all.agents().iter().filter(|(_, agent)| ran_at(agent, begins));
        watched.map(|(deployment, agent)| (*deployment, agent.placement.key())).collect::<Vec<_>>()
    });
    let watched = watched.await.map_err(|error| error.to_string())?;
    if watched.is_empty() {
        return Ok(0);
    }
    let last = market.last_heartbeat(core.operator).await.map_err(|error| chain(&error))?;
    if last >= period.number {
        return Ok(last);
    }
    let count = watched.len();
    // Better to live without a word on one's leases than to lose them.
    let leases = timeout(STATES_MAX, leases(core, watched)).await;
    let leases = leases.unwrap_or_else(|_| Err("its records are not durable yet".to_owned())).unwrap_or_else(|error| {
        tracing::warn!(error, "the states of leases were not read: the heartbeat has no root");
        Vec::new()
    });
    let root = heartbeat_root(&leases);
    // The same words again are another transaction: one that came in an earlier block than was meant counts for that one.
    let intent = core.fresh_name(&format!("heartbeat:{}", period.number));
    let call = MarketCall::Heartbeat { root };
    // What is not final by the end of the period holds up no other.
    let left = Duration::from_secs(period.length - period.passed);
    let mut writing = pin!(market.write(&intent, &call));
    let written = match timeout(left.min(LATE), &mut writing).await {
        Ok(written) => written,
        Err(_) => {
            core.set_silent(trouble("the chain has not carried it out yet"));
            timeout(left.saturating_sub(LATE), writing)
                .await
                .map_err(|_| "the chain did not carry it out in time".to_owned())?
        }
    };
    match written {
        Ok(written) => {
            // As the contract counts: what came late is of the period after.
            let shown = written.events.iter().find_map(|event| match event {
                MarketEvent::Heartbeat { period, .. } => Some(*period),
                _ => None,
            });
            let told = Told { period: shown.unwrap_or(period.number), block: written.block.number, leases };
            if let Err(error) = told.keep(&core.database, core.keys.chain_id()) {
                tracing::warn!(error = chain(&error), "what the heartbeat stands for was not kept");
            }
            tracing::debug!(period = period.number, leases = count, gas = written.gas_used, "this node showed life");
        }
        // The chain is still in the period before, in which this node has shown life.
        Err(MarketError::Queue(QueueError::Refused(reason))) if reason.name == "AlreadyBeaten" => return Ok(last),
        Err(error) => return Err(chain(&error)),
    }
    market.last_heartbeat(core.operator).await.map_err(|error| chain(&error))
}

/// Leases in their states now, whose records are durable.
async fn leases(
    core: &Arc<Core>,
    watched: Vec<(DeploymentId, (Address, AgentName))>,
) -> Result<Vec<LeaseState>, String> {
    let reader = Arc::clone(core);
    let states = core.supervisor.blocking("states for a heartbeat", move || states(&reader, watched)).await;
    let states = states.map_err(|error| error.to_string()).flatten()?;
    core.records.settled().await.map_err(|error| chain(&error))?;
    Ok(states)
}

fn states(core: &Core, leases: Vec<(DeploymentId, (Address, AgentName))>) -> Result<Vec<LeaseState>, String> {
    let state = |(deployment, (owner, name)): (DeploymentId, (Address, AgentName))| {
        // Of an agent that lives, record and state are of one moment.
        if let Some(running) = core.running(&deployment) {
            let Tip { seq, record, state } = running.handle.stats().tip();
            return Ok(LeaseState { deployment, records: seq, state_root: state, record_hash: record });
        }
        let tip = match core.ledger.tip(&deployment) {
            Some(tip) => Some(tip),
            None => core.records.last(&deployment).map_err(|error| chain(&error))?,
        };
        let (records, record_hash) = tip.unwrap_or((0, Hash256::ZERO));
        let state_root = core.states.agent(owner, &name).root().map_err(|error| chain(&error))?;
        Ok(LeaseState { deployment, records, state_root, record_hash })
    };
    leases.into_iter().map(state).collect()
}
