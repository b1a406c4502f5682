//! Sealed bids after they were made: revealed in the second half of their round, and where they were not, their stake freed
//! once the contract lets it. Each has its row until it is certain that nothing of it is left.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nisse_market::{DeploymentState, DeploymentView, Market, MarketAddresses, MarketCall, SealedBid};
use nisse_model::{AmountPerHour, DeploymentId, Hash256, Timestamp};

use crate::core::Core;
use crate::error::chain;
use crate::supervisor::Stop;
use crate::wallets::KeyName;
use crate::watcher::{Committed, committed_bids, forget_committed};

/// Keeps what salts are made of apart from all else that the node's key signs.
const SALT: &[u8] = b"nisse sealed bid v1";
/// How often it is looked whether a bid's time has come.
const LOOK: Duration = Duration::from_secs(1);
/// The longest rest between two looks at one.
const REST_MAX: Duration = Duration::from_secs(30);
/// How long after its round a bid that the contract does not know is remembered: an endpoint may lag, and a block may leave
/// the chain.
const UNKNOWN_MS: u64 = 10 * 60 * 1_000;
/// After so long, freeing stake is tried under another name: an attempt that failed has its outcome.
const ATTEMPT_MS: u64 = 3_600_000;

/// What becomes of a sealed bid now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Nothing before that.
    Wait(Timestamp),
    /// Now, or its round is over.
    Reveal,
    /// Its stake is free for the asking.
    Reclaim,
    /// Nothing of it is left.
    Forget,
}

/// This node's bid of a round. Its salt follows from the node's key, so that it cannot be lost.
pub(super) async fn own(
    core: &Core,
    deployment: DeploymentId,
    ends: Timestamp,
    rate: AmountPerHour,
) -> Result<SealedBid, String> {
    let (name, round) = (deployment.to_string(), ends.seconds().to_be_bytes());
    let parts = [SALT, name.as_bytes(), &round];
    let signed = core.signer.sign_hash(Hash256::of_parts(&parts).0).await.map_err(|error| chain(&error))?;
    let salt = Hash256::of(&signed.to_bytes());
    Ok(SealedBid { deployment, round_ends: ends, node: core.operator, rate, salt })
}

/// Runs until the node stops.
pub(crate) async fn run(core: Arc<Core>, mut stop: Stop) {
    let mut later: BTreeMap<Hash256, Duration> = BTreeMap::new();
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

async fn look(core: &Core, addresses: &MarketAddresses, later: &mut BTreeMap<Hash256, Duration>) -> Result<(), String> {
    let mut bids = committed_bids(&core.database, addresses).map_err(|error| chain(&error))?;
    bids.retain(|bid| !later.contains_key(&bid.commitment));
    if bids.is_empty() {
        return Ok(());
    }
    let market = core.keys.market_of(&core.home, &core.supervisor, KeyName::Operator, addresses.manager);
    let market = market.map_err(|error| error.text)?;
    for bid in bids {
        match advance(core, &market, bid).await {
            Ok(rest) => later.insert(bid.commitment, core.clock.elapsed() + rest),
            Err(error) => {
                tracing::debug!(number = bid.number, error, "a sealed bid was not looked at");
                None
            }
        };
    }
    Ok(())
}

/// Does what is to be done about one; gives how long nothing is then.
async fn advance(core: &Core, market: &Market, bid: Committed) -> Result<Duration, String> {
    let Committed { number, commitment, round_ends, rate } = bid;
    let stands = market.sealed_bid(number, core.operator, commitment).await.map_err(|error| chain(&error))?.is_some();
    let view = market.deployment(number).await.map_err(|error| chain(&error))?;
    let held = u64::from(market.lock_hours().await.map_err(|error| chain(&error))?) * 3_600_000;
    // What comes too early is refused and comes again; what this clock calls too late, the chain's may not.
    let now = core.chain_clock();
    let deployment = market.deployment_id(number);
    let (name, call, rest) = match step(&view, stands, (round_ends, round_ends.plus_ms(held)), now) {
        Step::Wait(until) => return Ok((Duration::from_millis(until.since_ms(now)) / 2).clamp(LOOK, REST_MAX)),
        Step::Forget => {
            forget_committed(&core.database, market.addresses(), bid).map_err(|error| chain(&error))?;
            return Ok(LOOK);
        }
        Step::Reveal => {
            let Some(rate) = rate else { return Ok(REST_MAX) };
            let salt = own(core, deployment, round_ends, rate).await?.salt;
            (format!("reveal:{commitment}"), MarketCall::RevealBid { deployment: number, rate, salt }, LOOK)
        }
        Step::Reclaim => {
            // It has no end: what is sent while gas is dear would keep all else waiting.
            if market.dear_gas().await.map_err(|error| chain(&error))?.is_some() {
                return Ok(REST_MAX);
            }
            let attempt = now.0 / ATTEMPT_MS;
            let call = MarketCall::ReclaimBid { deployment: number, node: core.operator, commitment };
            (format!("reclaim:{commitment}:{attempt}"), call, REST_MAX)
        }
    };
    if let Err(error) = market.submit(&name, &call).await {
        tracing::debug!(%deployment, name, error = chain(&error), "a sealed bid was not taken");
    }
    Ok(rest)
}

/// What is to be done about a bid of the round that ends then; where that round was held to its end, what was not revealed
/// stays locked longer.
fn step(view: &DeploymentView, stands: bool, (round_ends, held_until): (Timestamp, Timestamp), now: Timestamp) -> Step {
    if !stands {
        let forgotten = round_ends.plus_ms(UNKNOWN_MS);
        return match now {
            // It may be on its way yet.
            now if now < round_ends => Step::Wait(now),
            now if now < forgotten => Step::Wait(forgotten),
            _ => Step::Forget,
        };
    }
    match view.reveals() {
        Some((from, ends)) if ends == round_ends && now < from => Step::Wait(from),
        Some((_, ends)) if ends == round_ends && now < ends => Step::Reveal,
        Some((_, ends)) if ends != round_ends => Step::Reclaim,
        _ if matches!(view.state, DeploymentState::Stopped | DeploymentState::Expired) => Step::Reclaim,
        _ if now >= held_until => Step::Reclaim,
        _ => Step::Wait(held_until),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::open_order;

    fn second(second: u64) -> Timestamp {
        Timestamp(second * 1_000)
    }

    fn at(view: &DeploymentView, stands: bool, now: u64) -> Step {
        step(view, stands, (second(100), second(1_000)), second(now))
    }

    #[test]
    fn a_sealed_bid_is_revealed_in_the_second_half_of_its_own_round_and_reclaimed_when_its_stake_is_free() {
        let order = |ends| DeploymentView { bid_window_seconds: 41, ..open_order(second(ends)) };
        let open = order(100);
        assert_eq!(at(&open, true, 79), Step::Wait(second(80)));
        assert_eq!(at(&open, true, 80), Step::Reveal);
        assert_eq!(at(&open, true, 99), Step::Reveal);
        assert_eq!(at(&open, true, 100), Step::Wait(second(1_000)), "nobody has asked the market to choose");
        assert_eq!(at(&order(160), true, 79), Step::Reclaim, "it came back to the market before its round was over");
        let is = |state| DeploymentView { state, ..order(100) };
        assert_eq!(at(&is(DeploymentState::Running), true, 999), Step::Wait(second(1_000)));
        assert_eq!(at(&is(DeploymentState::Running), true, 1_000), Step::Reclaim);
        assert_eq!(at(&is(DeploymentState::Stopped), true, 79), Step::Reclaim);
    }

    #[test]
    fn a_bid_that_an_endpoint_does_not_know_is_remembered_until_no_block_can_bring_it_back() {
        let open = open_order(second(100));
        assert_eq!(at(&open, false, 90), Step::Wait(second(90)), "it is looked at again at once");
        assert_eq!(at(&open, false, 100), Step::Wait(second(700)));
        assert_eq!(at(&open, false, 699), Step::Wait(second(700)));
        assert_eq!(at(&open, false, 700), Step::Forget);
    }
}
