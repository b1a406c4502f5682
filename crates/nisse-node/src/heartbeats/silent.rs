//! Telling of silence: the contract takes nobody's word for it, so a wrong guess here costs a question and no more.
//!
//! Who waits for an own agent tells at once. Who would run a stranger's waits for a turn, so that not every node sends the
//! same transaction.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use nisse_market::{DeploymentState, DeploymentView, Market, MarketAddresses, MarketCall};
use nisse_model::Address;
use nisse_orchestrator::{Attended, Period, Whose};

use crate::core::Core;
use crate::error::chain;
use crate::wallets::KeyName;
use crate::watcher::{LivingLease, living_leases, own_numbers};

/// Leases that the chain does not take at one look, before the rest is left to the next.
const LEFT_MAX: usize = 16;

pub(super) async fn run(core: &Arc<Core>, length: u64, look: Duration) {
    let (mut own, mut all, mut attended) = (0, 0, Attended::default());
    loop {
        tokio::time::sleep(look).await;
        let period = super::now(core, length);
        if !attended.look(period, core.chain_answers()) {
            continue;
        }
        for (told, whose) in [(&mut own, Whose::Own), (&mut all, Whose::Anybodys)] {
            if period.number == *told || !period.is_to_tell(core.operator, whose) {
                continue;
            }
            match tell(core, period, whose).await {
                Ok(true) => *told = period.number,
                Ok(false) => {}
                Err(error) => tracing::warn!(error, period = period.number, "nobody could be asked who is silent"),
            }
        }
    }
}

/// Tells of the silent. Says whether nothing is left to be told: what the chain did not take yet is told again.
async fn tell(core: &Core, period: Period, whose: Whose) -> Result<bool, String> {
    if whose == Whose::Anybodys && core.driver.look(|all| all.is_draining()).await.map_err(|error| error.to_string())? {
        return Ok(true);
    }
    let mut left = 0;
    for addresses in core.keys.versions().into_iter().filter(|version| version.heartbeats.is_some()) {
        let leases = unheard(core, &addresses, period, whose)?;
        if leases.is_empty() {
            continue;
        }
        let market = core.keys.market_of(&core.home, &core.supervisor, KeyName::Operator, addresses.manager);
        let market = market.map_err(|error| error.text)?;
        let mut beaten = BTreeMap::new();
        for lease in leases {
            let beaten = match beaten.entry(lease.node) {
                Entry::Occupied(asked) => *asked.get(),
                Entry::Vacant(unasked) => {
                    let asked = market.has_beaten(lease.node, period.number).await;
                    *unasked.insert(asked.map_err(|error| chain(&error))?)
                }
            };
            if beaten {
                continue;
            }
            left += usize::from(!tell_of(&market, lease, period).await?);
            if left == LEFT_MAX {
                return Ok(false);
            }
        }
    }
    Ok(left == 0)
}

/// Leases of nodes that the log has told nothing of in this period.
fn unheard(core: &Core, addresses: &MarketAddresses, period: Period, whose: Whose) -> Result<Vec<LivingLease>, String> {
    let mut leases = living_leases(&core.database, addresses).map_err(|error| chain(&error))?;
    leases.retain(|lease| {
        let away = lease.node != core.operator && core.heard.last(&lease.node) < period.number;
        away && lease.started <= period.begins()
    });
    if whose == Whose::Own && !leases.is_empty() {
        let owned = own_numbers(core, addresses).map_err(|error| chain(&error))?;
        leases.retain(|lease| owned.contains(&lease.number));
    }
    Ok(leases)
}

/// Tells of one lease. `false`: the chain did not take it now.
async fn tell_of(market: &Market, lease: LivingLease, period: Period) -> Result<bool, String> {
    let view = market.deployment(lease.number).await.map_err(|error| chain(&error))?;
    if !is_watched(&view, lease.node, period) {
        return Ok(true);
    }
    let deployment = market.deployment_id(lease.number);
    let call = MarketCall::SlashMissed { deployment: lease.number, period: period.number };
    // The next one does not wait until this is carried out.
    match market.submit(&format!("missed:{deployment}:{}", period.number), &call).await {
        Ok(()) => {
            tracing::info!(
                %deployment, node = %lease.node, period = period.number,
                "its node showed no life: the market is told"
            );
            Ok(true)
        }
        // Another told of it first, the node came back, or the chain's clock is behind this one.
        Err(error) => {
            tracing::debug!(%deployment, error = chain(&error), "a silent node was not told of");
            Ok(false)
        }
    }
}

/// Whether the contract listens for this node on account of this lease, the whole period through.
pub fn is_watched(view: &DeploymentView, node: Address, period: Period) -> bool {
    view.state == DeploymentState::Running
        && view.node == Some(node)
        && !view.home
        && !view.paused
        && view.started.is_some_and(|started| started.seconds() <= period.begins())
        && view.ends_at.is_some_and(|end| end.seconds() >= period.ends())
}
