//! Time as an argument: this crate reads no clock of its own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use nisse_model::Timestamp;

/// The node's clocks, handed in.
#[derive(Clone)]
pub struct EgressTime {
    now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    elapsed: Arc<dyn Fn() -> Duration + Send + Sync>,
}

impl EgressTime {
    /// `now` gives wall time for the audit lines; `elapsed` gives time since any start, never going back, for rates.
    pub fn new(
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
        elapsed: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Self {
        Self { now: Arc::new(now), elapsed: Arc::new(elapsed) }
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.now)()
    }

    pub(crate) fn elapsed(&self) -> Duration {
        (self.elapsed)()
    }
}

impl fmt::Debug for EgressTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("EgressTime")
    }
}
