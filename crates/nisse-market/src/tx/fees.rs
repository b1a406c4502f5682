//! What a transaction offers for its gas, and how much more a second attempt offers.

use alloy::eips::BlockNumberOrTag;
use alloy::providers::{DynProvider, Provider as _};
use alloy::transports::TransportError;

/// Share by which an attempt must outbid the one before it, in percent: what nodes demand of a replacement.
const BUMP_PERCENT: u128 = 10;

/// EIP-1559 fees in wei per gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fees {
    pub(super) tip: u128,
    pub(super) max: u128,
}

impl Fees {
    /// Twice the base fee and the customary tip, at most `cap`.
    pub(super) async fn current(provider: &DynProvider, cap: u128) -> Result<Self, TransportError> {
        let tip = provider.get_max_priority_fee_per_gas().await?;
        let block = provider.get_block_by_number(BlockNumberOrTag::Latest).await?;
        let base = block.and_then(|block| block.header.base_fee_per_gas).unwrap_or(0);
        let max = u128::from(base).saturating_mul(2).saturating_add(tip).min(cap);
        Ok(Self { tip: tip.min(max), max })
    }

    /// The least that replaces these fees; `None` where gas is free, or above the cap.
    pub(super) fn bumped(self, current: Self, cap: u128) -> Option<Self> {
        if self.max == 0 {
            return None;
        }
        let more = |fee: u128| fee.saturating_add((fee * BUMP_PERCENT).div_ceil(100)).max(fee + 1);
        let next = Self { tip: more(self.tip).max(current.tip), max: more(self.max).max(current.max) };
        let next = Self { tip: next.tip.min(next.max), ..next };
        (next.max <= cap).then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::Fees;

    #[test]
    fn a_second_attempt_offers_a_tenth_more_rounded_up() {
        let current = Fees { tip: 0, max: 0 };
        let bumped = Fees { tip: 1, max: 101 }.bumped(current, 1_000);
        assert_eq!(bumped, Some(Fees { tip: 2, max: 112 }));
    }

    #[test]
    fn a_second_attempt_never_passes_the_cap_and_needs_a_price() {
        let current = Fees { tip: 0, max: 0 };
        assert_eq!(Fees { tip: 1, max: 100 }.bumped(current, 109), None);
        assert_eq!(current.bumped(current, 1_000), None);
    }

    #[test]
    fn a_second_attempt_follows_the_market_up() {
        let current = Fees { tip: 7, max: 500 };
        assert_eq!(Fees { tip: 1, max: 100 }.bumped(current, 1_000), Some(Fees { tip: 7, max: 500 }));
    }
}
