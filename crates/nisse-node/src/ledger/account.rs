//! What a deployment's answers may burn, by the budgets of the packages that it ran.
//!
//! Each started hour of a lease counts at the budget of the package that runs in it: what an update brings holds from
//! the hour in which it came, and says nothing about hours before.

use nisse_model::Timestamp;

const HOUR_MS: u64 = 3_600_000;

/// What the chain said of a deployment's budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    /// Gas for each started hour.
    budget: u64,
    /// When the first hour began.
    started: Timestamp,
    /// Hours that counted at budgets before this one.
    hours_before: u64,
    /// What those allowed.
    allowed_before: u64,
}

impl Terms {
    pub(super) fn new(budget: u64, started: Timestamp) -> Self {
        Self { budget, started, hours_before: 0, allowed_before: 0 }
    }

    /// The same lease under another package's budget, or another lease. `None` where nothing is new.
    pub(super) fn changed(&self, budget: u64, started: Timestamp, now: Timestamp) -> Option<Self> {
        if started != self.started {
            return Some(Self::new(budget, started));
        }
        let hours_before = self.hours(now).saturating_sub(1).max(self.hours_before);
        let at_old = (hours_before - self.hours_before).saturating_mul(self.budget);
        let allowed_before = self.allowed_before.saturating_add(at_old);
        (budget != self.budget).then_some(Self { budget, started, hours_before, allowed_before })
    }

    /// Allowed by now.
    pub(super) fn allowed(&self, now: Timestamp) -> u64 {
        let hours = self.hours(now).saturating_sub(self.hours_before);
        self.allowed_before.saturating_add(hours.saturating_mul(self.budget))
    }

    fn hours(&self, now: Timestamp) -> u64 {
        now.since_ms(self.started) / HOUR_MS + 1
    }

    /// Four numbers of eight bytes, little-endian.
    pub(crate) fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        let fields = [self.budget, self.started.0, self.hours_before, self.allowed_before];
        for (place, field) in bytes.chunks_exact_mut(8).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (fields, rest) = bytes.as_chunks::<8>();
        let [budget, started, hours_before, allowed_before] = *fields else { return None };
        rest.is_empty().then(|| Self {
            budget: u64::from_le_bytes(budget),
            started: Timestamp(u64::from_le_bytes(started)),
            hours_before: u64::from_le_bytes(hours_before),
            allowed_before: u64::from_le_bytes(allowed_before),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_that_an_update_brought_says_nothing_about_hours_before() {
        let started = Timestamp(7_000);
        let after = |hours: u64| started.plus_ms(hours * HOUR_MS);
        let first = Terms::new(10, started);
        assert_eq!(first.allowed(after(4)), 50, "the fifth hour has begun");
        assert_eq!(first.changed(10, started, after(4)), None, "nothing is new");
        let second = first.changed(1_000, started, after(4)).expect("it is another budget");
        assert_eq!(second.allowed(after(4)), 1_040);
        // However often the package changes within an hour, the hour counts once.
        let third = second.changed(2_000, started, after(4)).expect("it is another budget");
        assert_eq!(third.allowed(after(4)), 2_040);
        assert_eq!(third.allowed(after(5)), 4_040);
        assert_eq!(third.allowed(Timestamp(0)), 40, "a clock that was set back");
        assert_eq!(Terms::from_bytes(&third.to_bytes()), Some(third));
        assert_eq!(Terms::from_bytes(&[0; 8]), None);
        let another = third.changed(2_000, after(9), after(9)).expect("it is another lease");
        assert_eq!(another.allowed(after(9)), 2_000);
    }
}
