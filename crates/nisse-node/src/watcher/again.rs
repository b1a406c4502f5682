//! An order that this node refused, looked at once more: nobody tells of it again by itself.

use std::time::Duration;

use nisse_model::DeploymentId;
use nisse_orchestrator::Event;

use super::POLL_FAILED_MAX;
use super::meaning::reopened;
use crate::core::Core;
use crate::error::chain;
use crate::home::KeyName;

/// The first rest after the chain did not say; it doubles.
const RETRY_FIRST: Duration = Duration::from_millis(250);

/// Says that an order stands where it still waits for a bid. A chain that does not answer is asked until it does.
pub(crate) async fn look_again(core: &Core, deployment: DeploymentId) {
    let mut pause = RETRY_FIRST;
    while let Err(error) = look(core, deployment).await {
        tracing::debug!(%deployment, error, "whether an order is still open is not known now");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(POLL_FAILED_MAX);
    }
}

async fn look(core: &Core, deployment: DeploymentId) -> Result<(), String> {
    let versions = core.keys.versions();
    let newest = versions.last().ok_or_else(|| "the market is not known yet".to_owned())?;
    let mut events = Vec::new();
    // What is open on an older version of the market is not for this node any more.
    if newest.manager == deployment.contract {
        let market = core.keys.market_of(&core.home, &core.supervisor, KeyName::Operator, deployment.contract);
        let market = market.map_err(|error| error.text)?;
        let head = market.head().await.map_err(|error| chain(&error))?;
        let view = market.deployment(deployment.number).await.map_err(|error| chain(&error))?;
        events.extend(reopened(&view, deployment, view.deadline, head).map(Event::OrderStands));
    }
    if events.is_empty() {
        events.push(Event::OrderGone { deployment });
    }
    for event in events {
        core.driver.event(event).await;
    }
    Ok(())
}
