//! What time it is, by the node's clock. Nodes may give it at a coarse resolution.
use crate::bindings::wasi::clocks::{monotonic_clock, wall_clock};
use std::time::Duration;

/// Milliseconds since 1970-01-01 UTC.
pub fn now() -> u64 {
    let now = wall_clock::now();
    now.seconds.saturating_mul(1_000).saturating_add(u64::from(now.nanoseconds / 1_000_000))
}

/// A clock that only goes forward, from an arbitrary start.
pub fn elapsed() -> Duration {
    Duration::from_nanos(monotonic_clock::now())
}
