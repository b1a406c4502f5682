//! How a bid goes out. While gas costs more than this node pays, none does. Where bids are sealed, in the first half of the
//! order's window this node commits itself to a rate that nobody sees, and in the second it reveals it (`bids/sealed.rs`).

mod sealed;

pub(crate) use sealed::run;

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nisse_market::{DearGas, DeploymentState, DeploymentView, MarketCall, MarketError};
use nisse_model::{AmountPerHour, DeploymentId, Timestamp};
use nisse_orchestrator::{Action, MarketStep};

use crate::core::Core;
use crate::driver::Asked;
use crate::driver::market::RETRY;
use crate::error::{ErrorKind, chain};
use crate::wallets::KeyName;
use crate::watcher::{Committed, committed_bids, note_committed};

/// A shorter window is left alone: this node may not get its rate out in the second half, and its stake would be bound for
/// nothing.
pub(crate) const SEALED_WINDOW_SECONDS_MIN: u32 = 12;
/// A longer window binds stake for longer than a bid is worth.
pub(crate) const SEALED_WINDOW_SECONDS_MAX: u32 = 24 * 3_600;
/// The same for a limit that is so many times what this node asks.
const LIMIT_TIMES_MAX: u128 = 10;

/// The bids that are on their way to the chain: each once.
#[derive(Default)]
pub(crate) struct OnTheirWay(Mutex<BTreeSet<(DeploymentId, u64)>>);

impl OnTheirWay {
    fn all(&self) -> MutexGuard<'_, BTreeSet<(DeploymentId, u64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a bid is made now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// For everybody to see.
    Plain,
    /// Committed to, in the round that ends then.
    Commit(Timestamp),
    /// Not in this round: when that is over, it is asked again.
    Later,
}

/// Bids on an order in one of its rounds, after the chain has said that gas is not too dear, and the market how bids are
/// made. `carry_out` writes; it says whether bids were sealed while this one was on its way, so that another is to be made.
pub(crate) async fn bid<F: Future<Output = bool>>(
    core: &Core,
    (deployment, round): (DeploymentId, u64),
    rate: AmountPerHour,
    carry_out: impl Fn(Asked) -> F,
) {
    if !core.bids.all().insert((deployment, round)) {
        return;
    }
    loop {
        match try_bid(core, deployment, round, rate).await {
            Ok(Made::Ready(asked)) => {
                let name = if matches!(asked.call, MarketCall::CommitBid { .. }) { "committed" } else { "bid" };
                core.milestone(deployment, name, format!("{rate} TALOS per hour"));
                if !carry_out(*asked).await {
                    break;
                }
            }
            Ok(Made::Later) => break,
            Ok(Made::Dear(DearGas { asked, most })) => core.set_dear(Some(format!(
                "gas costs {} gwei and this node pays {} at most: it bids on nothing until it is cheaper",
                gwei(asked),
                gwei(most)
            ))),
            Err(error) => tracing::warn!(%deployment, error, "how an order takes bids was not read"),
        }
        tokio::time::sleep(RETRY).await;
        let stands = core.driver.look(move |all| all.bid(&deployment) == Some((round, rate))).await;
        if !stands.unwrap_or(false) {
            break;
        }
    }
    let mut all = core.bids.all();
    all.remove(&(deployment, round));
    if all.is_empty() {
        core.set_dear(None);
    }
}

/// What comes of a try to bid.
enum Made {
    /// This is written.
    Ready(Box<Asked>),
    /// Nothing before the end of the round.
    Later,
    /// Nothing before gas is cheaper.
    Dear(DearGas),
}

async fn try_bid(core: &Core, deployment: DeploymentId, round: u64, rate: AmountPerHour) -> Result<Made, String> {
    let chain_time = core.chain_time(core.clock.now());
    let plain = Asked::of(&Action::Bid { deployment, round, rate }, chain_time).map(Box::new);
    let plain = || Ok(plain.clone().map_or(Made::Later, Made::Ready));
    let market = match core.keys.market_of(&core.home, &core.supervisor, KeyName::Operator, deployment.contract) {
        Ok(market) => market,
        // The write says so for good.
        Err(error) if error.kind == ErrorKind::NotFound => return plain(),
        Err(error) => return Err(error.text),
    };
    if let Some(dear) = market.dear_gas().await.map_err(|error| chain(&error))? {
        return Ok(Made::Dear(dear));
    }
    core.set_dear(None);
    match market.selection(deployment.number).await {
        Ok(selection) if selection.is_sealed() => {}
        // By a rule that is not known here bids are made as ever, or refused.
        Ok(_) | Err(MarketError::Malformed { .. }) => return plain(),
        Err(error) => return Err(chain(&error)),
    }
    let view = market.deployment(deployment.number).await.map_err(|error| chain(&error))?;
    let ends = match way(&view, core.next_block_time(), rate) {
        Way::Plain => return plain(),
        Way::Later => return Ok(Made::Later),
        Way::Commit(ends) => ends,
    };
    // Whoever has committed itself in this round stands by it, whatever it would ask by now.
    let made = committed_bids(&core.database, market.addresses()).map_err(|error| chain(&error))?;
    let made = made.iter().find(|bid| (bid.number, bid.round_ends) == (deployment.number, ends));
    let rate = made.and_then(|bid| bid.rate).unwrap_or(rate);
    let commitment = sealed::own(core, deployment, ends, rate).await?.commitment();
    let bid = Committed { number: deployment.number, commitment, round_ends: ends, rate: Some(rate) };
    note_committed(&core.database, market.addresses(), bid).map_err(|error| chain(&error))?;
    Ok(Made::Ready(Box::new(Asked {
        deployment,
        intent: format!("commit:{deployment}:{}", ends.seconds()),
        call: MarketCall::CommitBid { deployment: deployment.number, commitment },
        step: Some(MarketStep::Bid { round }),
        otherwise: None,
    })))
}

/// How a bid is made on an order whose bids are sealed.
fn way(view: &DeploymentView, now: Timestamp, rate: AmountPerHour) -> Way {
    // What is open no more is refused as any bid is.
    let Some((from, ends)) = view.reveals() else { return Way::Plain };
    debug_assert_eq!(view.state, DeploymentState::Open, "what is revealed is open");
    if now >= ends {
        // Somebody leads, maybe this node itself: then the market has only to choose.
        return if view.node.is_some() { Way::Later } else { Way::Plain };
    }
    let worth_it = (SEALED_WINDOW_SECONDS_MIN..=SEALED_WINDOW_SECONDS_MAX).contains(&view.bid_window_seconds)
        && view.max_rate.0 <= rate.0.saturating_mul(LIMIT_TIMES_MAX);
    if worth_it && now < from { Way::Commit(ends) } else { Way::Later }
}

fn gwei(wei: u128) -> String {
    format!("{}.{:03}", wei / 1_000_000_000, wei / 1_000_000 % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::open_order;

    #[test]
    fn a_sealed_bid_is_made_in_the_first_half_and_where_it_binds_no_more_stake_than_it_is_worth() {
        let second = |second: u64| Timestamp(second * 1_000);
        let order = |window| DeploymentView { bid_window_seconds: window, ..open_order(second(100)) };
        let asks = |view: &DeploymentView, now| way(view, second(now), AmountPerHour(40));
        assert_eq!(asks(&order(40), 79), Way::Commit(second(100)));
        assert_eq!(asks(&order(40), 80), Way::Later);
        assert_eq!(asks(&order(11), 1), Way::Later, "5 seconds are too few to reveal anything in");
        assert_eq!(asks(&order(12), 1), Way::Commit(second(100)));
        assert_eq!(asks(&order(24 * 3_600 + 1), 0), Way::Later, "it would be bound for more than a day");
        let limited = |limit| DeploymentView { max_rate: AmountPerHour(limit), ..order(40) };
        assert_eq!((asks(&limited(400), 1), asks(&limited(401), 1)), (Way::Commit(second(100)), Way::Later));
    }

    #[test]
    fn when_the_round_is_over_it_bids_as_ever_unless_somebody_leads() {
        let over = open_order(Timestamp(100_000));
        let asks = |view: &DeploymentView| way(view, Timestamp(100_000), AmountPerHour(40));
        assert_eq!(asks(&over), Way::Plain);
        assert_eq!(asks(&DeploymentView { node: Some(over.owner), ..over.clone() }), Way::Later);
        assert_eq!(asks(&DeploymentView { state: DeploymentState::Assigned, ..over }), Way::Plain);
    }

    #[test]
    fn a_price_of_gas_is_told_in_gwei() {
        assert_eq!(gwei(100_000_000_000), "100.000");
        assert_eq!(gwei(2_034_500_000), "2.034");
    }
}
