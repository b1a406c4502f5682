//! How a bid goes out. While gas costs more than this node pays, none does. Where bids are sealed, in the first half of the
//! order's window this node commits itself to a rate that nobody sees, in the second it reveals it; what it did not reveal
//! holds stake, which it frees once the contract lets it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nisse_market::{DearGas, DeploymentState, Market, MarketAddresses, MarketCall, MarketError, SealedBid};
use nisse_model::{AmountPerHour, DeploymentId, Hash256, Timestamp};
use nisse_orchestrator::{Action, MarketStep};

use crate::core::Core;
use crate::driver::Asked;
use crate::driver::market::RETRY;
use crate::error::chain;
use crate::home::KeyName;
use crate::supervisor::Stop;
use crate::watcher::{Committed, committed_bids, forget_committed};

/// Keeps what salts are made of apart from all else that the node's key signs.
const SALT: &[u8] = b"nisse sealed bid v1";
/// How often it is looked whether a bid's time has come.
const LOOK: Duration = Duration::from_secs(1);
/// How long to wait for what was sent.
const SENT: Duration = Duration::from_secs(10);
/// The longest rest between two looks at one.
const REST_MAX: Duration = Duration::from_secs(30);

/// What becomes of a sealed bid now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Nothing before that.
    Wait(Timestamp),
    /// In the round that ends then.
    Reveal(Timestamp),
    /// Its stake is free for the asking.
    Reclaim,
}

/// What this node writes to bid on an order now, after the chain has said that gas is not too dear, and the market how bids
/// are made. `None`: the order is another's meanwhile, or bids are sealed, the time to commit is over, and the time in which
/// any bid is taken has not come: it is asked again when the round is over.
pub(crate) async fn bid(core: &Core, deployment: DeploymentId, round: u64, rate: AmountPerHour) -> Option<Asked> {
    let mut waited = false;
    let asked = loop {
        match try_bid(core, deployment, round, rate).await {
            Ok(Some(Way::Dear(DearGas { asked, most }))) => {
                waited = true;
                core.set_dear(Some(format!(
                    "gas costs {} gwei and this node pays {} at most: it bids on nothing until it is cheaper",
                    gwei(asked),
                    gwei(most)
                )));
            }
            Ok(Some(Way::Asked(asked))) => break Some(*asked),
            Ok(None) => break None,
            Err(error) => tracing::warn!(%deployment, error, "how an order takes bids was not read"),
        }
        tokio::time::sleep(RETRY).await;
        let stands = core.driver.look(move |all| all.bid(&deployment) == Some(rate)).await;
        if !stands.unwrap_or(false) {
            break None;
        }
    };
    if waited {
        core.set_dear(None);
    }
    asked
}

fn gwei(wei: u128) -> String {
    format!("{}.{:03}", wei / 1_000_000_000, wei / 1_000_000 % 1_000)
}

/// How a bid is made.
enum Way {
    Asked(Box<Asked>),
    /// Not now.
    Dear(DearGas),
}

async fn try_bid(
    core: &Core,
    deployment: DeploymentId,
    round: u64,
    rate: AmountPerHour,
) -> Result<Option<Way>, String> {
    let chain_time = core.chain_time(core.clock.now());
    let plain = Asked::of(&Action::Bid { deployment, round, rate }, chain_time).map(Box::new).map(Way::Asked);
    let market = core.keys.market_of(&core.home, &core.supervisor, KeyName::Operator, deployment.contract);
    let market = market.map_err(|error| error.text)?;
    if let Some(dear) = market.dear_gas().await.map_err(|error| chain(&error))? {
        return Ok(Some(Way::Dear(dear)));
    }
    let selection = market.selection(deployment.number).await.map_err(|error| chain(&error))?;
    if !selection.is_sealed() {
        return Ok(plain);
    }
    let view = market.deployment(deployment.number).await.map_err(|error| chain(&error))?;
    // What is open no more is refused as any bid is.
    let Some((reveals, ends)) = view.reveals() else { return Ok(plain) };
    let now = core.next_block_time();
    if now >= ends {
        return Ok(plain);
    }
    if now >= reveals {
        return Ok(None);
    }
    let commitment = own(core, deployment, ends, rate).await?.commitment();
    Ok(Some(Way::Asked(Box::new(Asked {
        deployment,
        intent: format!("commit:{deployment}:{}", ends.seconds()),
        call: MarketCall::CommitBid { deployment: deployment.number, commitment },
        step: Some(MarketStep::Bid { round }),
        otherwise: None,
    }))))
}

/// This node's bid of a round. Its salt follows from the node's key, so that nothing of it can be lost.
async fn own(core: &Core, deployment: DeploymentId, ends: Timestamp, rate: AmountPerHour) -> Result<SealedBid, String> {
    let (name, round) = (deployment.to_string(), ends.seconds().to_be_bytes());
    let parts = [SALT, name.as_bytes(), &round];
    let signed = core.signer.sign_hash(Hash256::of_parts(&parts).0).await.map_err(|error| chain(&error))?;
    let salt = Hash256::of(&signed.to_bytes());
    Ok(SealedBid { deployment, round_ends: ends, node: core.operator, rate, salt })
}

/// Runs until the node stops.
pub(crate) async fn run(core: Arc<Core>, mut stop: Stop) {
    let mut later: BTreeMap<(DeploymentId, Committed), Duration> = BTreeMap::new();
    loop {
        tokio::select! {
            () = stop.requested() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let now = core.clock.elapsed();
        later.retain(|_, until| *until > now);
        for addresses in core.keys.versions() {
            if let Err(error) = look(&core, &addresses, &mut later).await {
                tracing::debug!(error, "sealed bids were not looked at");
            }
        }
    }
}

async fn look(
    core: &Core,
    addresses: &MarketAddresses,
    later: &mut BTreeMap<(DeploymentId, Committed), Duration>,
) -> Result<(), String> {
    let bids = committed_bids(&core.database, addresses).map_err(|error| chain(&error))?;
    if bids.is_empty() {
        return Ok(());
    }
    let market = core.keys.market_of(&core.home, &core.supervisor, KeyName::Operator, addresses.manager);
    let market = market.map_err(|error| error.text)?;
    for bid in bids {
        let named = (market.deployment_id(bid.number), bid);
        if later.contains_key(&named) {
            continue;
        }
        if let Some(rest) = advance(core, &market, addresses, bid).await? {
            later.insert(named, core.clock.elapsed() + rest);
        }
    }
    Ok(())
}

/// Does what is to be done about one; gives how long nothing is then.
async fn advance(
    core: &Core,
    market: &Market,
    addresses: &MarketAddresses,
    bid: Committed,
) -> Result<Option<Duration>, String> {
    let Committed { number, commitment } = bid;
    let made = market.sealed_bid(number, core.operator, commitment).await.map_err(|error| chain(&error))?;
    let Some((round_ends, _)) = made else {
        return forget_committed(&core.database, addresses, bid).map(|()| None).map_err(|error| chain(&error));
    };
    let view = market.deployment(number).await.map_err(|error| chain(&error))?;
    let held = u64::from(market.lock_hours().await.map_err(|error| chain(&error))?) * 3_600_000;
    let now = core.next_block_time();
    let (name, call) = match step(view.state, view.reveals(), (round_ends, round_ends.plus_ms(held)), now) {
        // The chain's clock may leap.
        Step::Wait(until) => return Ok(Some((Duration::from_millis(until.since_ms(now)) / 2).clamp(LOOK, REST_MAX))),
        Step::Reveal(ends) => {
            let deployment = market.deployment_id(number);
            let rate = core.driver.look(move |all| all.bid(&deployment)).await.map_err(|error| error.to_string())?;
            let Some(rate) = rate else { return Ok(None) };
            let own = own(core, deployment, ends, rate).await?;
            if own.commitment() != commitment {
                return Ok(None);
            }
            ("reveal", MarketCall::RevealBid { deployment: number, rate, salt: own.salt })
        }
        Step::Reclaim => ("reclaim", MarketCall::ReclaimBid { deployment: number, node: core.operator, commitment }),
    };
    match market.submit(&core.fresh_name(name), &call).await {
        Ok(()) => Ok(Some(SENT)),
        Err(MarketError::Queue(error)) => {
            tracing::debug!(number, name, error = chain(&error), "a sealed bid was not taken");
            // The chain's clock is behind, and what is revealed has little time.
            Ok((name == "reclaim").then_some(SENT))
        }
        Err(error) => Err(chain(&error)),
    }
}

/// What is to be done about a bid that was not revealed, where the bids of the order's round now are revealed from the one
/// and before the other. It is of the round that ends then; where that was held to its end, its stake stays locked longer.
fn step(
    state: DeploymentState,
    reveals: Option<(Timestamp, Timestamp)>,
    (round_ends, held_until): (Timestamp, Timestamp),
    now: Timestamp,
) -> Step {
    match reveals {
        Some((from, ends)) if ends == round_ends && now < from => Step::Wait(from),
        Some((_, ends)) if ends == round_ends && now < ends => Step::Reveal(ends),
        Some((_, ends)) if ends != round_ends => Step::Reclaim,
        _ if matches!(state, DeploymentState::Stopped | DeploymentState::Expired) => Step::Reclaim,
        _ if now >= held_until => Step::Reclaim,
        _ => Step::Wait(held_until),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_bid_is_revealed_in_the_second_half_of_its_own_round_and_reclaimed_when_its_stake_is_free() {
        let second = |second: u64| Timestamp(second * 1_000);
        let (ends, held) = (second(100), second(1_000));
        let round = |ends: u64| Some((second(ends - 20), second(ends)));
        let at = |state, reveals, now| step(state, reveals, (ends, held), second(now));
        let open = DeploymentState::Open;
        assert_eq!(at(open, round(100), 79), Step::Wait(second(80)));
        assert_eq!(at(open, round(100), 80), Step::Reveal(ends));
        assert_eq!(at(open, round(100), 99), Step::Reveal(ends));
        assert_eq!(at(open, round(100), 100), Step::Wait(held), "nobody has asked the market to choose");
        assert_eq!(at(open, round(160), 79), Step::Reclaim, "it came back to the market before its round was over");
        assert_eq!(at(DeploymentState::Running, None, 999), Step::Wait(held));
        assert_eq!(at(DeploymentState::Running, None, 1_000), Step::Reclaim);
        assert_eq!(at(DeploymentState::Stopped, None, 79), Step::Reclaim);
    }

    #[test]
    fn a_price_of_gas_is_told_in_gwei() {
        assert_eq!(gwei(100_000_000_000), "100.000");
        assert_eq!(gwei(2_034_500_000), "2.034");
    }
}
