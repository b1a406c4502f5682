//! How long whoever answers waits for a client that takes its answer slowly.
//!
//! An agent has one turn, and a streamed answer holds it: whoever reads a byte at a time would hold the agent. So the
//! time that the agent waits is counted, and what the client takes earns it back at the lowest rate. An answer that the
//! agent itself makes slowly waits for nobody, and costs its client nothing.

use std::time::Duration;

/// How long a client may take nothing while its answer waits, and the most that can be in reserve.
const CLIENT_STALL_MAX: Duration = Duration::from_secs(10);
/// The lowest rate at which a client takes an answer that waits for it, in bytes per second. Below it the reserve goes
/// down, and with it the answer.
const CLIENT_RATE_MIN: u64 = 64 << 10;

/// What is left of the patience with one client.
#[derive(Debug)]
pub(crate) struct Patience(Duration);

impl Default for Patience {
    fn default() -> Self {
        Self(CLIENT_STALL_MAX)
    }
}

impl Patience {
    /// How long the next chunk may wait.
    pub(crate) fn left(&self) -> Duration {
        self.0
    }

    /// There was room for a chunk of this length, after this long.
    pub(crate) fn took(&mut self, bytes: usize, waited: Duration) {
        let earned = Duration::from_micros((bytes as u64).saturating_mul(1_000_000) / CLIENT_RATE_MIN);
        self.0 = (self.0.saturating_sub(waited) + earned).min(CLIENT_STALL_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNK: usize = 16 << 10;

    /// How many chunks a client gets that lets each wait this long.
    fn chunks(waited: Duration) -> Option<u32> {
        let mut patience = Patience::default();
        (0..10_000).find(|_| {
            let over = waited > patience.left();
            patience.took(CHUNK, waited);
            over
        })
    }

    #[test]
    fn a_client_is_waited_for_at_the_lowest_rate_and_cut_off_below_it() {
        assert_eq!(chunks(Duration::ZERO), None);
        assert_eq!(chunks(Duration::from_millis(250)), None, "16 KiB in a quarter of a second");
        assert_eq!(chunks(Duration::from_millis(500)), Some(39), "half the rate lasts for twice the reserve");
        assert_eq!(chunks(Duration::from_secs(9)), Some(1));
        assert_eq!(chunks(CLIENT_STALL_MAX), Some(1));
        assert_eq!(chunks(CLIENT_STALL_MAX + Duration::from_millis(1)), Some(0));
    }

    #[test]
    fn what_was_taken_quickly_is_no_reserve_for_standing_still() {
        let mut patience = Patience::default();
        (0..1_000).for_each(|_| patience.took(CHUNK, Duration::ZERO));
        assert_eq!(patience.left(), CLIENT_STALL_MAX);
    }
}
