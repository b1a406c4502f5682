//! An order that this node refused, looked at once more: nobody tells of it again by itself.

use std::time::Duration;

use nisse_model::DeploymentId;
use nisse_orchestrator::{Event, Order};

use super::POLL_FAILED_MAX;
use super::meaning::reopened;
use super::reorg::view;
use crate::core::Core;
use crate::error::chain;
use crate::wallets::KeyName;

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
    let order = open_order(core, deployment).await?;
    core.driver.event(order.map_or(Event::OrderGone { deployment }, Event::OrderStands)).await;
    Ok(())
}

/// An order that waits for bids now; `None` where it does not, or is none any more.
pub(crate) async fn open_order(core: &Core, deployment: DeploymentId) -> Result<Option<Order>, String> {
    let versions = core.keys.versions();
    let newest = versions.last().ok_or_else(|| "the market is not known yet".to_owned())?;
    // What is open on an older version of the market is not for this node any more.
    if newest.manager != deployment.contract {
        return Ok(None);
    }
    let market = core.keys.market_of(&core.home, &core.supervisor, KeyName::Operator, deployment.contract);
    let market = market.map_err(|error| error.text)?;
    let head = market.head().await.map_err(|error| chain(&error))?;
    let count = market.deployments().await.map_err(|error| chain(&error))?;
    let view = view(&market, deployment, count).await?;
    Ok(view.and_then(|view| reopened(&view, deployment, view.deadline, head)))
}
