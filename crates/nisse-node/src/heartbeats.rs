//! Proof of life on the market: a node with paid leases shows it once in each period, and whoever waits for an agent, or
//! would run it, tells of a node that does not.
//!
//! Periods are the contract's, counted by the chain's clock. What this node takes for that clock may be wrong by some
//! seconds: what counts is asked of the contract.

mod beat;
mod silent;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nisse_market::Market;
use nisse_model::Address;

use crate::core::Core;
use crate::error::chain;
use crate::supervisor::Stop;

/// How often it is looked whether something is to be done: a fortieth of a period, between these.
const LOOK_MIN: Duration = Duration::from_millis(100);
const LOOK_MAX: Duration = Duration::from_secs(1);
/// The part of a period, one in so many, in which nodes show life: the rest is for those whose chain does not answer at
/// once.
const SHOWN_WITHIN: u64 = 4;
/// Nodes that are remembered: whoever is beyond is asked for.
const HEARD_MAX: usize = 100_000;
/// How long to rest before the market is asked for its period again.
const PERIOD_RETRY: Duration = Duration::from_secs(5);

/// The last period in which each node was heard, as the log tells. What is not known here the contract knows.
#[derive(Default)]
pub(crate) struct Heard(Mutex<HashMap<Address, u64>>);

impl Heard {
    pub(crate) fn note(&self, node: Address, period: u64) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.len() < HEARD_MAX || heard.contains_key(&node) {
            let last = heard.entry(node).or_default();
            *last = period.max(*last);
        }
    }

    fn last(&self, node: &Address) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(node).copied().unwrap_or_default()
    }
}

/// A period of the chain, and how far it has come.
#[derive(Debug, Clone, Copy)]
struct Period {
    /// Its number.
    number: u64,
    /// Its length in seconds.
    length: u64,
    /// Seconds that have passed of it.
    passed: u64,
}

impl Period {
    /// The one in which the chain is now.
    fn now(core: &Core, length: u64) -> Self {
        let now = core.next_block_time().seconds();
        Self { number: now / length, length, passed: now % length }
    }

    /// The unix second with which it begins.
    fn begins(self) -> u64 {
        self.number * self.length
    }

    /// Nodes do what they must at moments of their own, within this part of the period: not all in one block.
    fn turn(self, node: Address, within: u64) -> u64 {
        let digest = nisse_model::Hash256::of_parts(&[&node.0, &self.number.to_be_bytes()]);
        let (number, _) = digest.0.split_first_chunk().expect("a hash has eight bytes");
        u64::from_be_bytes(*number) % within.max(1)
    }
}

/// Runs until the node stops.
pub(crate) async fn run(core: Arc<Core>, market: Market, mut stop: Stop) {
    let length = loop {
        tokio::select! {
            () = stop.requested() => return,
            period = market.heartbeat_period() => match period {
                Ok(Some(length)) => break length,
                // A market that was made before there were heartbeats: nobody is asked for any.
                Ok(None) => return,
                Err(error) => tracing::debug!(error = chain(&error), "the market's heartbeat period was not read"),
            },
        }
        tokio::select! {
            () = stop.requested() => return,
            () = tokio::time::sleep(PERIOD_RETRY) => {}
        }
    };
    let look = Duration::from_secs(length).div_f64(40.0).clamp(LOOK_MIN, LOOK_MAX);
    tokio::select! {
        () = stop.requested() => {}
        () = beat::run(&core, &market, length, look) => {}
        () = silent::run(&core, length, look) => {}
    }
}
