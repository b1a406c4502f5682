//! A clock that goes with tokio's own time.

use std::time::Duration;

use nisse_model::Timestamp;
use nisse_store::Clock;
use tokio::time::Instant;

/// [`Clock`] for a world on a runtime whose time is paused: timers and clocks agree, and hours pass in no time. It is
/// asked from inside that runtime.
#[derive(Debug, Clone)]
pub struct PausedClock {
    base: Timestamp,
    start: Instant,
}

impl PausedClock {
    /// A clock that shows `now` at this moment of the runtime that it is made in.
    pub fn new(now: Timestamp) -> Self {
        Self { base: now, start: Instant::now() }
    }
}

impl Clock for PausedClock {
    fn now(&self) -> Timestamp {
        self.base.plus_ms(u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}
