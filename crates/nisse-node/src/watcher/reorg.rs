//! What this node acted on, read again: at its start, and some seconds after a reorganisation. Where it is not so any
//! more, it is acted on again.
//!
//! Events of the new blocks are told like any others. What they cannot tell is what is missing: an assignment, a bid or
//! an acknowledgement that stood in a block that is gone. Most of it comes back in another block at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use nisse_market::{BlockRef, DeploymentState, DeploymentView, Market, MarketCall};
use nisse_model::DeploymentId;
use nisse_orchestrator::{Agent, Assignment, CloseReason, Event, Life};

use super::translate::{assigned, is_held, reopened};
use super::{Check, Standing};
use crate::core::Core;
use crate::driver::market::write;
use crate::driver::shortened;
use crate::error::chain;

/// Reads every live agent and every order of this market again, or those that were doubted at the last look. Gives
/// those that seem to be gone for the first time: they run on until another look says the same.
pub(super) async fn read_again(
    core: &Arc<Core>,
    market: &Market,
    standing: Standing,
    head: BlockRef,
    asked: &Check,
) -> Result<BTreeSet<DeploymentId>, String> {
    let whole = asked.doubted.is_empty();
    let reorganised = asked.reorganised && whole;
    let contract = market.addresses().manager;
    // The driver has taken the events of the new blocks by now: messages are answered in order.
    let (agents, orders) = core
        .driver
        .look(move |all| {
            let live = |(_, agent): &(&DeploymentId, &Agent)| agent.life.is_live();
            let agents: Vec<_> = all.agents().iter().filter(live).map(|(id, agent)| (*id, agent.clone())).collect();
            (agents, all.orders().collect::<Vec<_>>())
        })
        .await
        .map_err(|error| error.to_string())?;
    let count = market.deployments().await.map_err(|error| chain(&error))?;
    let looked_at =
        |deployment: &DeploymentId| deployment.contract == contract && (whole || asked.doubted.contains(deployment));
    let mut doubted = BTreeSet::new();
    for (deployment, agent) in agents.into_iter().filter(|(deployment, _)| looked_at(deployment)) {
        let view = view(market, deployment, count).await?;
        if let Some(view) = view.as_ref().filter(|view| reorganised && is_held(view, core.operator)) {
            send_again(core, deployment, &agent, view, head);
        }
        let events = agent_events(core, market, deployment, &agent, view).await?;
        // The chain in this process has one word only.
        if is_doubtful(&events, asked.doubted.contains(&deployment), core.chain.is_some()) {
            doubted.insert(deployment);
            continue;
        }
        for event in events {
            core.driver.event(event).await;
        }
    }
    // At the start bids may be on their way still.
    let orders = if reorganised { orders } else { Vec::new() };
    for (deployment, bid) in orders.into_iter().filter(|(deployment, _)| deployment.contract == contract) {
        let view = view(market, deployment, count).await?;
        let open = view.filter(|view| view.state == DeploymentState::Open);
        let stands = open.as_ref().is_some_and(|view| !bid || view.node == Some(core.operator));
        if stands {
            continue;
        }
        core.driver.event(Event::AssignedElsewhere { deployment }).await;
        if let Some(view) = open.filter(|_| standing == Standing::Newest) {
            // Its block is another one, so a bid on it is another round.
            for event in reopened(market, deployment, view.deadline, head.number).await? {
                core.driver.event(event).await;
            }
        }
    }
    Ok(doubted)
}

/// Whether an agent seems to be gone for the first time.
fn is_doubtful(events: &[Event], doubted_before: bool, embedded: bool) -> bool {
    let undone = |event: &Event| matches!(event, Event::Closed { reason: CloseReason::Undone, .. });
    !embedded && !doubted_before && events.iter().any(undone)
}

async fn view(market: &Market, deployment: DeploymentId, count: u64) -> Result<Option<DeploymentView>, String> {
    if deployment.number > count {
        return Ok(None);
    }
    market.deployment(deployment.number).await.map(Some).map_err(|error| chain(&error))
}

async fn agent_events(
    core: &Arc<Core>,
    market: &Market,
    deployment: DeploymentId,
    agent: &Agent,
    view: Option<DeploymentView>,
) -> Result<Vec<Event>, String> {
    let undone = Event::Closed { deployment, reason: CloseReason::Undone };
    let Some(view) = view else { return Ok(vec![undone]) };
    let name = view.package.agent_id.split('@').next().unwrap_or_default();
    if view.owner != agent.placement.owner || name != agent.placement.package.agent_id.name.as_str() {
        // The number was given to another order: this one is gone, and the other may be this node's as well.
        let mut events = vec![undone];
        events.extend(assigned(market, deployment, core.operator).await?);
        return Ok(events);
    }
    if !is_held(&view, core.operator) {
        let reason = match view.state {
            DeploymentState::Stopped => CloseReason::Owner,
            DeploymentState::Expired => CloseReason::Expired,
            _ => CloseReason::Undone,
        };
        return Ok(vec![Event::Closed { deployment, reason }]);
    }
    let started = view.started.filter(|_| view.state == DeploymentState::Running);
    let paid = matches!(&agent.assignment, Assignment::Lease(lease) if lease.deposited != view.deposited);
    let funded = paid.then_some(Event::Funded { deployment, deposited: view.deposited });
    Ok(funded.into_iter().chain(started.map(|at| Event::Acknowledged { deployment, at })).collect())
}

/// What the chain had taken and has not any more goes out under a name of its own: the old one has its outcome.
fn send_again(core: &Arc<Core>, deployment: DeploymentId, agent: &Agent, view: &DeploymentView, head: BlockRef) {
    let number = deployment.number;
    let started = matches!(agent.life, Life::Running { .. } | Life::Paused { .. });
    let (answered, incarnation) = (agent.revision_done, agent.incarnation);
    let call = if view.state == DeploymentState::Assigned && started {
        MarketCall::AckStart { deployment: number, incarnation }
    } else if view.update.is_some_and(|(revision, _)| revision == answered) {
        match &agent.update_refused {
            Some(reason) => {
                MarketCall::RejectUpdate { deployment: number, revision: answered, reason: shortened(reason) }
            }
            None => MarketCall::AckUpdate { deployment: number, revision: answered, incarnation },
        }
    } else {
        return;
    };
    let intent = format!("again:{deployment}:{}:{}", head.number, hex::encode(&head.hash.0[..4]));
    let task = Arc::clone(core);
    core.supervisor.spawn("market", |mut stop| async move {
        tokio::select! {
            // What the market refuses for good is said in the log.
            _ = write(&task, deployment, &intent, &call) => {}
            () = stop.requested() => {}
        }
    });
}

#[cfg(test)]
mod tests {
    use nisse_model::Address;

    use super::*;

    #[test]
    fn an_agent_of_another_chain_is_stopped_as_undone_at_the_second_word_only() {
        let deployment = DeploymentId { chain: 1, contract: Address([2; 20]), number: 3 };
        let undone = [Event::Closed { deployment, reason: CloseReason::Undone }];
        assert!(is_doubtful(&undone, false, false), "an endpoint may lag");
        assert!(!is_doubtful(&undone, true, false), "it says so again");
        assert!(!is_doubtful(&undone, false, true), "the chain in this process does not lag");
        let ended = [Event::Closed { deployment, reason: CloseReason::Owner }];
        assert!(!is_doubtful(&ended, false, false), "an end that the contract tells is not doubted");
    }
}
