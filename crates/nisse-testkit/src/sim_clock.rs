//! A clock that stands still until a test moves it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use nisse_model::Timestamp;
use nisse_store::Clock;

/// [`Clock`] for tests. Clones show the same time.
#[derive(Debug, Clone)]
pub struct SimClock(Arc<Mutex<Times>>);

#[derive(Debug)]
struct Times {
    now: Timestamp,
    elapsed: Duration,
}

impl SimClock {
    /// A clock that shows `now`.
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Times { now, elapsed: Duration::ZERO })))
    }

    /// Time passes: both the wall clock and the elapsed time move.
    pub fn advance(&self, by: Duration) {
        let mut times = self.0.lock().expect("no reader panics");
        times.now = times.now.plus_ms(u64::try_from(by.as_millis()).unwrap_or(u64::MAX));
        times.elapsed += by;
    }

    /// The wall clock jumps, as when someone sets it; the elapsed time stays.
    pub fn set(&self, now: Timestamp) {
        self.0.lock().expect("no reader panics").now = now;
    }
}

impl Default for SimClock {
    /// Stands at 2026-01-01 00:00 UTC.
    fn default() -> Self {
        Self::new(Timestamp(1_767_225_600_000))
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        self.0.lock().expect("no reader panics").now
    }

    fn elapsed(&self) -> Duration {
        self.0.lock().expect("no reader panics").elapsed
    }
}
