//! Home leases of older versions of the market go on as deployments of the newest (DESIGN §5.9): state, alarm and life
//! come along.
//!
//! Runs before any agent does. Each write has a name of its own, and the journal takes the end of the old and the
//! beginning of the new in one step, so a crash anywhere goes on where it was. Nothing that was committed under the old
//! deployment is left behind: what the journal holds of it is taken up first, and one with answers on their way stays.

use nisse_market::{DeployOrder, Market, MarketError, MarketEvent};
use nisse_model::{AmountPerHour, DeploymentId, Timestamp};
use nisse_orchestrator::{Agent, Assignment, CloseReason, Decision, Event, Life, Orchestrator};

use crate::agent::Outward;
use crate::core::Core;
use crate::driver::outbox;
use crate::entry::Entry;
use crate::error::{ErrorKind, NodeError, chain};
use crate::packages::terms;
use crate::wallets::KeyName;

/// Reopens what can be reopened. What cannot stays where it is and is tried again at the next start.
pub(super) async fn reopen_home_leases(
    core: &Core,
    orchestrator: &mut Orchestrator,
    recovered: &mut Vec<Outward>,
) -> Result<(), NodeError> {
    let market = core.keys.market(&core.home, &core.supervisor, KeyName::Operator)?;
    let newest = market.addresses().manager;
    let on_their_way = outbox::waiting(&core.database, recovered)
        .map_err(|error| NodeError::caused(ErrorKind::Failed, "database_failed", &error))?;
    let at_home: Vec<DeploymentId> = orchestrator
        .agents()
        .iter()
        .filter(|(id, agent)| id.contract != newest && agent.life.is_live() && agent.assignment == Assignment::Home)
        // An update under way is answered where it was asked for; the lease is reopened at the start after.
        .filter(|(_, agent)| agent.next.is_none() && agent.placement.owner == core.operator)
        .map(|(id, _)| *id)
        .filter(|id| !on_their_way.contains(id))
        .collect();
    for id in at_home {
        let now = core.clock.now();
        journal(core, &take_up(orchestrator, recovered, id, now)).await?;
        let Some(agent) = orchestrator.agent(&id).cloned() else { continue };
        let (number, acknowledged) = match reopen(&market, id, &agent).await {
            Ok(moved) => moved,
            Err(error) => {
                let agent = agent.placement.package.agent_id.to_string();
                tracing::error!(agent, error = chain(&error), "it stays on the older market until the next start");
                continue;
            }
        };
        stop_old(core, id).await;
        let deployment = market.deployment_id(number);
        let decisions = [
            Decision::Stopped { deployment: id, reason: CloseReason::Superseded, at: now },
            Decision::Remembered { deployment, agent: Box::new(agent.reopened(acknowledged)) },
        ];
        journal(core, &decisions).await?;
        decisions.iter().for_each(|decision| orchestrator.restore(decision));
        tracing::info!(target: "nisse::event::deployment", old = %id, new = %deployment, "reopened on the newest market");
    }
    Ok(())
}

/// Takes up the alarms that the journal holds of an agent behind its last decision: under its next deployment they would
/// have other names, and be lost.
fn take_up(
    orchestrator: &mut Orchestrator,
    recovered: &mut Vec<Outward>,
    deployment: DeploymentId,
    now: Timestamp,
) -> Vec<Decision> {
    let mut decisions = Vec::new();
    let alarms = recovered
        .extract_if(.., |outward| matches!(outward, Outward::Alarm { deployment: of, .. } if *of == deployment));
    for outward in alarms {
        let Outward::Alarm { position, at, .. } = outward else { continue };
        let changed = Event::AlarmChanged { deployment, completion: position.0, at, on_trial: false };
        decisions.extend(orchestrator.handle(changed, now).decisions);
    }
    decisions
}

/// Makes decisions durable before anything runs.
pub(super) async fn journal(core: &Core, decisions: &[Decision]) -> Result<(), NodeError> {
    if decisions.is_empty() {
        return Ok(());
    }
    let entries: Vec<Vec<u8>> = decisions.iter().map(|one| Entry::Decision(one.clone()).encode()).collect();
    let records: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
    let journalled = async { Core::append(&core.journal, &records).await?.durable().await };
    journalled.await.map(drop).map_err(|error| NodeError::caused(ErrorKind::Failed, "journal_failed", &error))
}

/// The new deployment's number, and when it was started.
async fn reopen(market: &Market, id: DeploymentId, agent: &Agent) -> Result<(u64, Option<Timestamp>), MarketError> {
    let terms = terms(&agent.placement.package, agent.placement.resources, AmountPerHour(0));
    let publication = market.publish(&format!("reopen:{id}:publish"), terms).await?;
    let order = DeployOrder { publication, supersedes: Some((id.contract, id.number)), ..DeployOrder::default() };
    let number = market.deploy_home(&format!("reopen:{id}:deploy"), order).await?;
    if !matches!(agent.life, Life::Running { .. } | Life::Paused { .. }) {
        return Ok((number, None));
    }
    let name = format!("ack:{}:{}", market.deployment_id(number), agent.incarnation);
    let started = |event: &MarketEvent| match event {
        MarketEvent::Started { started, .. } => Some(*started),
        _ => None,
    };
    match market.ack_start(&name, number, agent.incarnation).await {
        Ok(written) => Ok((number, written.events.iter().find_map(started))),
        // There is a deployment of it now: its start is acknowledged again under the same name when it is up.
        Err(error) => {
            tracing::warn!(error = chain(&error), "the start of a reopened lease is not acknowledged yet");
            Ok((number, None))
        }
    }
}

/// Ends the old lease on its chain, where it costs nothing. Its owner may have done so while the node was down.
async fn stop_old(core: &Core, id: DeploymentId) {
    let old = match core.keys.market_of(&core.home, &core.supervisor, KeyName::Operator, id.contract) {
        Ok(old) => old,
        Err(error) => return tracing::warn!(deployment = %id, error = error.text, "an old home lease stands open"),
    };
    if let Err(error) = old.stop(&format!("stop:{id}"), id.number).await {
        tracing::warn!(deployment = %id, error = chain(&error), "an old home lease was not ended");
    }
}

#[cfg(test)]
mod tests;
