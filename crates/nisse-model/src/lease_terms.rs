//! What a lease costs and how long its money lasts (DESIGN §5.9).
//!
//! One formula serves contract and node: due(t) = floor(price_per_hour × (t − started) / 3600) − paid, in whole seconds
//! of the chain's clock. It is exact and does not depend on when or how often the lease was settled.

use crate::{Amount, AmountPerHour, Timestamp};

/// Seconds of the hour in which prices are named.
const SECONDS_PER_HOUR: u128 = 3600;

/// The price of a running lease and the moment from which it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseTerms {
    /// The accepted bid.
    pub rate: AmountPerHour,
    /// When the node acknowledged its start, by the chain's clock.
    pub started: Timestamp,
}

impl LeaseTerms {
    /// All that the lease has cost at `now`, paid or not.
    pub fn accrued(&self, now: Timestamp) -> Amount {
        due(self.rate, self.started, now, Amount(0))
    }

    /// What is owed at `now` after `paid` has been paid out.
    pub fn due(&self, now: Timestamp, paid: Amount) -> Amount {
        due(self.rate, self.started, now, paid)
    }

    /// The first moment at which a total of `deposited` (paid out or not) is used up; `None` when that never happens:
    /// a home lease at rate zero, or an end past the end of time.
    pub fn ends_at(&self, deposited: Amount) -> Option<Timestamp> {
        let rate = self.rate.0;
        let hours = deposited.0.checked_div(rate)?;
        // floor(rate × s / 3600) reaches the whole of `deposited` first where rate × s ≥ deposited × 3600.
        let rest = (deposited.0 % rate).checked_mul(SECONDS_PER_HOUR)?.div_ceil(rate);
        let seconds = hours.checked_mul(SECONDS_PER_HOUR)?.checked_add(rest)?;
        let end = u128::from(self.started.seconds()).checked_add(seconds)?.checked_mul(1000)?;
        u64::try_from(end).ok().map(Timestamp)
    }
}

/// What is owed at `now` for a lease at `rate` since `started` of which `paid` has been paid out. Zero before the start
/// and where more than due was paid; the largest amount where the true one would not fit.
pub fn due(rate: AmountPerHour, started: Timestamp, now: Timestamp, paid: Amount) -> Amount {
    let seconds = u128::from(now.seconds().saturating_sub(started.seconds()));
    // rate = hourly × 3600 + rest keeps the product exact wherever the result itself fits.
    let (hourly, rest) = (rate.0 / SECONDS_PER_HOUR, rate.0 % SECONDS_PER_HOUR);
    let accrued = hourly.saturating_mul(seconds).saturating_add(rest * seconds / SECONDS_PER_HOUR);
    Amount(accrued.saturating_sub(paid.0))
}
