//! From which moment on a request cannot have been asked of an earlier life of this node.
//!
//! Used nonces are in memory alone. Whatever was asked before this node came up is good no more a minute later; so nothing
//! counts that could be of that time. A clock that was behind when the node came up, and is set forward, begins this anew.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nisse_model::Timestamp;

use super::GOOD_FOR_MAX;

/// A step of the clock; less is a clock that is steered.
const STEP_MS: i128 = 2_000;

pub(crate) struct Moments(Mutex<Seen>);

struct Seen {
    /// Wall time when the other clock was at zero.
    zero_ms: i128,
    free_from: u64,
}

impl Moments {
    /// `wall` and `elapsed` are of the same moment, at which the node came up.
    pub(crate) fn new(wall: Timestamp, elapsed: Duration) -> Self {
        Self(Mutex::new(Seen { zero_ms: zero_ms(wall, elapsed), free_from: wall.seconds() + GOOD_FOR_MAX }))
    }

    /// The second behind which a request has to be good to count.
    pub(crate) fn free_from(&self, wall: Timestamp, elapsed: Duration) -> u64 {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let step_ms = zero_ms(wall, elapsed) - seen.zero_ms;
        // Small ones add up.
        if step_ms.abs() > STEP_MS {
            seen.zero_ms += step_ms;
            if step_ms > 0 {
                seen.free_from = wall.seconds() + GOOD_FOR_MAX;
            }
        }
        seen.free_from
    }
}

fn zero_ms(wall: Timestamp, elapsed: Duration) -> i128 {
    i128::from(wall.0) - i128::try_from(elapsed.as_millis()).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_life_may_have_been_asked_does_not_count() {
        let at = |seconds: u64| (Timestamp(seconds * 1_000), Duration::from_secs(seconds));
        let moments = Moments::new(at(1_000).0, at(1_000).1);
        for later in [1_000, 1_030, 9_000] {
            assert_eq!(moments.free_from(at(later).0, at(later).1), 1_060, "{later}");
        }
        // The clock was 40 minutes behind, and is set right.
        let right = Timestamp(at(9_001).0.0 + 2_400_000);
        assert_eq!(moments.free_from(right, at(9_001).1), 9_001 + 2_400 + 60);
        assert_eq!(moments.free_from(at(9_002).0, at(9_002).1), 9_001 + 2_400 + 60, "a step back frees nothing");
    }
}
