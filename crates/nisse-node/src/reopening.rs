//! An order whose node does not start it in time takes bids again, once somebody says so: whoever waits for its agent at
//! once, whoever would run it a while later. The contract takes nobody's word for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nisse_market::{DeploymentState, MarketAddresses, MarketCall, MarketError};
use nisse_model::{DeploymentId, Hash256};

use crate::core::Core;
use crate::error::chain;
use crate::supervisor::Stop;
use crate::wallets::KeyName;
use crate::watcher::{AwaitedStart, awaited_starts, forget_start, own_numbers};

/// How often it is looked whether an order's time is over.
const LOOK: Duration = Duration::from_secs(1);
/// Seconds to leave behind the last one in which its node may start it: clocks differ.
const MARGIN: u64 = 2;
/// Seconds within which those who would run it say so, each at a moment of its own: not all in one block.
const TURNS: u64 = 60;
/// How long to rest before one that the chain did not take is tried again.
const RETRY: Duration = Duration::from_secs(30);

/// Runs until the node stops.
pub(crate) async fn run(core: Arc<Core>, mut stop: Stop) {
    let mut tried: BTreeMap<DeploymentId, Duration> = BTreeMap::new();
    loop {
        tokio::select! {
            () = stop.requested() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let now = core.clock.elapsed();
        tried.retain(|_, at| now.saturating_sub(*at) < RETRY);
        for addresses in core.keys.versions() {
            if let Err(error) = look(&core, &addresses, &mut tried).await {
                tracing::debug!(error, "orders that wait for their node were not looked at");
            }
        }
    }
}

async fn look(
    core: &Core,
    addresses: &MarketAddresses,
    tried: &mut BTreeMap<DeploymentId, Duration>,
) -> Result<(), String> {
    let now = core.next_block_time().seconds();
    let mut late = awaited_starts(&core.database, addresses).map_err(|error| chain(&error))?;
    late.retain(|start| start.until + MARGIN < now);
    if late.is_empty() {
        return Ok(());
    }
    let own = own_numbers(core, addresses).map_err(|error| chain(&error))?;
    let draining = core.driver.look(|all| all.is_draining()).await.map_err(|error| error.to_string())?;
    let market = core.keys.market_of(&core.home, &core.supervisor, KeyName::Operator, addresses.manager);
    let market = market.map_err(|error| error.text)?;
    for AwaitedStart { number, until } in late {
        let deployment = market.deployment_id(number);
        let waits = own.contains(&number);
        let turn = if waits { 0 } else { turn(core, deployment) };
        if (draining && !waits) || until + MARGIN + turn >= now || tried.contains_key(&deployment) {
            continue;
        }
        tried.insert(deployment, core.clock.elapsed());
        let view = market.deployment(number).await.map_err(|error| chain(&error))?;
        if view.state != DeploymentState::Assigned {
            forget_start(&core.database, addresses, number).map_err(|error| chain(&error))?;
            continue;
        }
        // Assigned anew, which the log is yet to tell.
        if view.deadline.is_none_or(|end| end.seconds() >= now) {
            continue;
        }
        match market.submit(&core.fresh_name("reopen"), &MarketCall::Reopen { deployment: number }).await {
            Ok(()) => tracing::info!(%deployment, "its node did not start it in time: it takes bids again"),
            // Another said so first, or the chain's clock is behind.
            Err(MarketError::Queue(error)) => {
                tracing::debug!(%deployment, error = chain(&error), "it was not put back on the market");
            }
            Err(error) => return Err(chain(&error)),
        }
    }
    Ok(())
}

/// This node's moment for an order.
fn turn(core: &Core, deployment: DeploymentId) -> u64 {
    let digest = Hash256::of_parts(&[&core.operator.0, deployment.to_string().as_bytes()]);
    let (number, _) = digest.0.split_first_chunk().expect("a hash has eight bytes");
    u64::from_be_bytes(*number) % TURNS
}
