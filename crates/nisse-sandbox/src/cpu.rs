//! The processor share of an agent: a token bucket of fuel (DESIGN §5.14).
//!
//! An empty bucket suspends the agent, it never kills it: whoever charges learns how long to wait.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nisse_model::{Cpu, Fuel};

/// A burst is what the share earns in this time.
const BURST: Duration = Duration::from_secs(1);
/// Longest single wait: whoever waits asks again after it.
const WAIT_MAX: Duration = Duration::from_secs(1);

/// Fuel that an agent has earned and not yet burnt. Shared by all instances of the agent.
#[derive(Debug)]
pub struct CpuBucket {
    fuel_per_second: u64,
    level: Mutex<Level>,
}

#[derive(Debug)]
struct Level {
    /// Below zero after a call that burnt more than was there.
    fuel: i128,
    /// When `fuel` was right.
    at: Duration,
}

impl CpuBucket {
    /// A full bucket. `now` is the time since the clock's start, as in every other call.
    pub fn new(share: Cpu, now: Duration) -> Self {
        let fuel_per_second = share.fuel_per_second().0;
        let fuel = i128::from(fuel_per_second) * BURST.as_millis() as i128 / 1000;
        Self { fuel_per_second, level: Mutex::new(Level { fuel, at: now }) }
    }

    /// Takes burnt fuel out and tells how long the agent has to wait: zero while something is left.
    pub fn charge(&self, burnt: Fuel, now: Duration) -> Duration {
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let earned_for = now.saturating_sub(level.at);
        let full = i128::from(self.fuel_per_second) * BURST.as_millis() as i128 / 1000;
        let earned = i128::from(self.fuel_per_second) * earned_for.as_nanos() as i128 / 1_000_000_000;
        // Time is only taken into account when it earned something, or tiny steps would be rounded away for ever.
        if earned > 0 {
            level.at = now;
        }
        level.fuel = (level.fuel + earned).min(full) - i128::from(burnt.0);
        if level.fuel > 0 {
            return Duration::ZERO;
        }
        if self.fuel_per_second == 0 {
            return WAIT_MAX;
        }
        let missing = 1 - level.fuel;
        let nanoseconds = missing * 1_000_000_000 / i128::from(self.fuel_per_second) + 1;
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX)).min(WAIT_MAX)
    }
}
