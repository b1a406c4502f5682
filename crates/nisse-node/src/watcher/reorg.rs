//! What this node acted on, read again: at its start, and some seconds after a reorganisation. Where it is not so any
//! more, it is acted on again. What follows from what is read is decided in `reread.rs`.

use std::collections::BTreeSet;
use std::sync::Arc;

use nisse_market::{BlockRef, DeploymentView, Market, MarketCall};
use nisse_model::DeploymentId;
use nisse_orchestrator::Agent;

use super::meaning::Reader;
use super::reread::{is_doubtful, is_read_again};
use super::{Check, Standing};
use crate::core::Core;
use crate::driver::market::write;
use crate::error::chain;

/// Reads every live agent and every order of this market again, or those that were doubted at the last look. Gives
/// those that seem to be gone, or back, for the first time: they go on as they are until another look says the same.
pub(super) async fn read_again(
    core: &Arc<Core>,
    market: &Market,
    standing: Standing,
    head: BlockRef,
    asked: &Check,
) -> Result<BTreeSet<DeploymentId>, String> {
    let whole = asked.doubted.is_empty();
    let (after_reorganisation, now) = (asked.reorganised, core.clock.now());
    let reorganised = after_reorganisation && whole;
    let contract = market.addresses().manager;
    // The driver has taken the events of the new blocks by now: messages are answered in order.
    let (agents, orders) = core
        .driver
        .look(move |all| {
            let again = |(_, agent): &(&DeploymentId, &Agent)| is_read_again(agent, after_reorganisation, now);
            let agents: Vec<_> = all.agents().iter().filter(again).map(|(id, agent)| (*id, agent.clone())).collect();
            (agents, all.orders().collect::<Vec<_>>())
        })
        .await
        .map_err(|error| error.to_string())?;
    let count = market.deployments().await.map_err(|error| chain(&error))?;
    let looked_at =
        |deployment: &DeploymentId| deployment.contract == contract && (whole || asked.doubted.contains(deployment));
    let mut doubted = BTreeSet::new();
    let reader = Reader { operator: core.operator, standing };
    for (deployment, agent) in agents.into_iter().filter(|(deployment, _)| looked_at(deployment)) {
        let view = view(market, deployment, count).await?;
        let said = view.as_ref().filter(|_| reorganised).and_then(|view| reader.said_again(deployment, &agent, view));
        if let Some(call) = said {
            send_again(core, deployment, call, head);
        }
        let events = reader.agent_again(deployment, &agent, view.as_ref());
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
        for event in reader.order_again(deployment, bid, view.as_ref(), head.number) {
            core.driver.event(event).await;
        }
    }
    Ok(doubted)
}

/// A deployment as the chain has it; `None` where there is none, as of a block that left the chain.
pub(super) async fn view(
    market: &Market,
    deployment: DeploymentId,
    count: u64,
) -> Result<Option<DeploymentView>, String> {
    if deployment.number > count {
        return Ok(None);
    }
    market.deployment(deployment.number).await.map(Some).map_err(|error| chain(&error))
}

fn send_again(core: &Arc<Core>, deployment: DeploymentId, call: MarketCall, head: BlockRef) {
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
