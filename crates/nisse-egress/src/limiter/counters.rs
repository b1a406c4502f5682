//! The two ways of counting: tokens that grow back, and windows that begin anew.

use std::time::Duration;

/// Tokens that grow back with time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    tokens: f64,
    at: Duration,
}

impl Bucket {
    pub(super) fn full(per_second: u32, now: Duration) -> Self {
        Self { tokens: f64::from(per_second), at: now }
    }

    fn level(&self, per_second: u32, now: Duration) -> f64 {
        let rate = f64::from(per_second);
        (self.tokens + now.saturating_sub(self.at).as_secs_f64() * rate).min(rate)
    }

    pub(super) fn has_one(&self, per_second: u32, now: Duration) -> bool {
        self.level(per_second, now) >= 1.0
    }

    pub(super) fn take(&mut self, per_second: u32, now: Duration) {
        *self = Self { tokens: self.level(per_second, now) - 1.0, at: now };
    }
}

/// A count that begins anew with each window.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Window {
    number: u128,
    count: u64,
}

impl Window {
    pub(super) fn count(&self, length: Duration, now: Duration) -> u64 {
        if self.number == now.as_nanos() / length.as_nanos() { self.count } else { 0 }
    }

    pub(super) fn add(&mut self, amount: u64, length: Duration, now: Duration) {
        let count = self.count(length, now).saturating_add(amount);
        *self = Self { number: now.as_nanos() / length.as_nanos(), count };
    }
}
