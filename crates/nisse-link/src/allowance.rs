//! What one peer may use up in a second: a token bucket, with one second as its burst.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use nisse_store::Clock;

use crate::limits::Limits;

const NANOS: u128 = 1_000_000_000;
/// Waits are no shorter, so that a clock which stands still is not asked all the time.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// A rate that is not exceeded for longer than a second. A rate of zero is no cap.
pub(crate) struct Bucket {
    rate: u64,
    clock: Arc<dyn Clock>,
    level: Mutex<Level>,
}

struct Level {
    tokens: u64,
    /// Up to when tokens were added.
    at: Duration,
}

impl Bucket {
    /// A full one.
    pub(crate) fn new(rate: u64, clock: Arc<dyn Clock>) -> Self {
        let level = Mutex::new(Level { tokens: rate, at: clock.elapsed() });
        Self { rate, clock, level }
    }

    /// Takes as many as there are, `wanted` at most.
    pub(crate) fn take(&self, wanted: u64) -> u64 {
        if self.rate == 0 {
            return wanted;
        }
        self.with(|level| {
            let taken = wanted.min(level.tokens);
            level.tokens -= taken;
            taken
        })
    }

    /// Gives back what was taken and not used.
    pub(crate) fn give_back(&self, unused: u64) {
        if self.rate != 0 && unused != 0 {
            self.with(|level| level.tokens = level.tokens.saturating_add(unused).min(self.rate));
        }
    }

    /// How long until there are `wanted`, or a full bucket of them; `None` where they are there.
    pub(crate) fn wait(&self, wanted: u64) -> Option<Duration> {
        if self.rate == 0 {
            return None;
        }
        let missing = self.with(|level| wanted.min(self.rate).saturating_sub(level.tokens));
        let nanos = (u128::from(missing) * NANOS).div_ceil(u128::from(self.rate));
        (missing != 0).then(|| Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).max(WAIT_MIN))
    }

    /// Whether it is as full as a new one.
    fn is_full(&self) -> bool {
        self.with(|level| level.tokens == self.rate)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Level) -> T) -> T {
        let mut level = self.level.lock().expect("nothing panics with the level");
        let now = self.clock.elapsed();
        let passed = now.saturating_sub(level.at).as_nanos();
        let gained = u64::try_from(passed * u128::from(self.rate) / NANOS).unwrap_or(u64::MAX);
        let tokens = level.tokens.saturating_add(gained);
        if tokens >= self.rate {
            *level = Level { tokens: self.rate, at: now.max(level.at) };
        } else if gained > 0 {
            // What is less than a token stays for the next time.
            let nanos = u128::from(gained) * NANOS / u128::from(self.rate);
            level.tokens = tokens;
            level.at += Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        }
        act(&mut level)
    }
}

/// What all connections of one peer share.
pub(crate) struct Allowance {
    /// Bytes, both ways.
    pub(crate) bytes: Bucket,
    /// Streams, whoever opens them.
    pub(crate) streams: Bucket,
}

impl Allowance {
    pub(crate) fn new(limits: &Limits, clock: &Arc<dyn Clock>) -> Self {
        Self {
            bytes: Bucket::new(limits.bytes_per_second, clock.clone()),
            streams: Bucket::new(limits.streams_per_second.into(), clock.clone()),
        }
    }

    /// Whether a new one would be no different.
    pub(crate) fn is_unused(&self) -> bool {
        self.bytes.is_full() && self.streams.is_full()
    }

    /// Returns when one more stream may be used.
    pub(crate) async fn stream_turn(&self) {
        while let Some(wait) = self.streams.wait(1) {
            tokio::time::sleep(wait).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use nisse_testkit::SimClock;

    use super::*;

    fn bucket(rate: u64) -> (Bucket, SimClock) {
        let clock = SimClock::default();
        (Bucket::new(rate, Arc::new(clock.clone())), clock)
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let (bucket, clock) = bucket(1_000);
        assert_eq!(bucket.take(5_000), 1_000);
        assert_eq!(bucket.take(1), 0);
        assert_eq!(bucket.wait(500), Some(Duration::from_millis(500)));
        clock.advance(Duration::from_millis(250));
        assert_eq!(bucket.take(5_000), 250);
        clock.advance(Duration::from_secs(60));
        assert_eq!(bucket.take(5_000), 1_000, "idle time is worth a second and no more");
        assert_eq!(bucket.wait(1_000_000), Some(Duration::from_secs(1)), "nobody waits for more than it holds");
    }

    #[test]
    fn what_is_not_used_comes_back_and_no_more() {
        let (bucket, _clock) = bucket(1_000);
        assert_eq!(bucket.take(600), 600);
        bucket.give_back(200);
        assert_eq!(bucket.take(5_000), 600);
        bucket.give_back(600);
        bucket.give_back(600);
        assert_eq!(bucket.take(5_000), 1_000);
    }

    #[test]
    fn parts_of_a_token_are_not_lost() {
        let (bucket, clock) = bucket(3);
        assert_eq!(bucket.take(3), 3);
        let mut taken = 0;
        for _ in 0..1_000 {
            clock.advance(Duration::from_millis(10));
            taken += bucket.take(1);
        }
        assert!((29..=30).contains(&taken), "{taken} in ten seconds");
    }

    #[test]
    fn a_rate_of_zero_is_no_cap() {
        let (bucket, _clock) = bucket(0);
        assert_eq!(bucket.take(u64::MAX), u64::MAX);
        assert_eq!(bucket.wait(u64::MAX), None);
    }
}
