//! Proof of life on the market: a node with paid leases shows it once in each period, and whoever waits for an agent, or
//! would run it, tells of a node that does not. When and of whom is decided in nisse-orchestrator; this does it.

mod beat;
mod silent;
mod told;

pub use silent::is_watched;
pub(crate) use told::{Told, forget_told};

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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

/// The last period in which each node was heard, as the log tells, and the last in which this one showed life, as far as it
/// knows. What is not known here the contract knows.
#[derive(Default)]
pub(crate) struct Heard {
    nodes: Mutex<HashMap<Address, u64>>,
    shown: AtomicU64,
}

impl Heard {
    pub(crate) fn note(&self, node: Address, period: u64) {
        let mut heard = self.nodes();
        if heard.len() < HEARD_MAX || heard.contains_key(&node) {
            let last = heard.entry(node).or_default();
            *last = period.max(*last);
        }
    }

    /// Blocks left the chain, and with them what was heard in them: a heartbeat that was final may be gone.
    pub(crate) fn forget(&self) {
        self.nodes().clear();
        self.shown.store(0, Ordering::Relaxed);
    }

    fn last(&self, node: &Address) -> u64 {
        self.nodes().get(node).copied().unwrap_or_default()
    }

    fn nodes(&self) -> MutexGuard<'_, HashMap<Address, u64>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_heard_and_shown_in_blocks_that_are_gone_is_asked_of_the_contract_again() {
        let (heard, node) = (Heard::default(), Address([1; 20]));
        heard.note(node, 7);
        heard.note(node, 6);
        heard.shown.store(7, Ordering::Relaxed);
        assert_eq!(heard.last(&node), 7);
        heard.forget();
        assert_eq!((heard.last(&node), heard.shown.load(Ordering::Relaxed)), (0, 0));
    }
}
