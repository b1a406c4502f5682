//! Proof of life on the market: a node with paid leases shows it once in each period, and whoever waits for an agent, or
//! would run it, tells of a node that does not. When and of whom is decided in nisse-orchestrator; this does it.

mod beat;
mod silent;

pub use silent::is_watched;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nisse_market::Market;
use nisse_model::Address;
use nisse_orchestrator::Period;

use crate::core::Core;
use crate::error::chain;
use crate::supervisor::Stop;

/// How often it is looked whether something is to be done: a fortieth of a period, between these.
const LOOK_MIN: Duration = Duration::from_millis(100);
const LOOK_MAX: Duration = Duration::from_secs(1);
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

/// The period in which the chain is now.
fn now(core: &Core, length: u64) -> Period {
    Period::at(core.next_block_time(), length)
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
