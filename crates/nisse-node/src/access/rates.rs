//! How often each who asks may: a bucket for everyone, which fills evenly (the generic cell rate algorithm).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nisse_model::{Did, Rate};

/// Those who are counted by themselves; whoever comes besides shares one bucket.
const ASKERS_MAX: usize = 4_096;

/// Whose requests count together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Asker {
    /// Whoever has a key.
    Key(Did),
    /// Whoever comes from an address, without a proof.
    Address(IpAddr),
    /// Whoever comes from this machine, without one: a proxy, mostly.
    Here,
    /// Who finds no place.
    Rest,
}

/// The buckets of one rule.
pub(super) struct Rates {
    rate: Rate,
    /// When each bucket is full again.
    full_at: Mutex<HashMap<Asker, Duration>>,
}

impl Rates {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, full_at: Mutex::default() }
    }

    /// Takes one, or says for how many seconds to wait.
    pub(super) fn take(&self, asker: Asker, now: Duration) -> Result<(), u64> {
        let (period, each) = (self.rate.period(), self.rate.period() / self.rate.count());
        let mut buckets = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= ASKERS_MAX && !buckets.contains_key(&asker) {
            buckets.retain(|_, full_at| *full_at > now);
        }
        let has_place = buckets.len() < ASKERS_MAX || buckets.contains_key(&asker);
        let full_at = buckets.entry(if has_place { asker } else { Asker::Rest }).or_default();
        let after = (*full_at).max(now) + each;
        match (after - now).checked_sub(period) {
            Some(wait) if wait > Duration::ZERO => Err(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)),
            _ => {
                *full_at = after;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_whole_period_may_come_at_once_and_then_one_after_the_other() {
        let rates = Rates::new("3/min".parse().expect("a rate"));
        let (one, other) = (Asker::Key(Did([1; 32])), Asker::Key(Did([2; 32])));
        for _ in 0..3 {
            assert_eq!(rates.take(one, at(5_000)), Ok(()));
        }
        assert_eq!(rates.take(one, at(5_000)), Err(20));
        assert_eq!(rates.take(one, at(24_500)), Err(1));
        assert_eq!(rates.take(other, at(5_000)), Ok(()), "each has a bucket");
        assert_eq!(rates.take(one, at(25_000)), Ok(()));
        assert_eq!(rates.take(one, at(25_000)), Err(20));
        for _ in 0..3 {
            assert_eq!(rates.take(one, at(1_000_000)), Ok(()), "no more than a period gathers");
        }
        assert_eq!(rates.take(one, at(1_000_000)), Err(20));
    }

    #[test]
    fn who_finds_no_place_shares_one_and_places_come_free() {
        let rates = Rates::new("1/s".parse().expect("a rate"));
        let address = |number: u32| Asker::Address(IpAddr::from(number.to_be_bytes()));
        for number in 0..u32::try_from(ASKERS_MAX).expect("a small number") {
            assert_eq!(rates.take(address(number), at(0)), Ok(()));
        }
        assert_eq!(rates.take(address(1 << 20), at(10)), Ok(()));
        assert_eq!(rates.take(address(1 << 21), at(10)), Err(1), "the rest have one bucket");
        assert_eq!(rates.take(address(1 << 21), at(2_000)), Ok(()));
        assert_eq!(rates.take(address(1 << 22), at(2_000)), Ok(()), "there is room again");
    }
}
