//! Writes to the market: each has a name, goes out once, and is tried again while the chain does not answer. A write
//! about a deployment goes to the version of the market that the deployment is on.

use std::time::Duration;

use nisse_market::{MarketCall, MarketError, QueueError, Revert, Written};
use nisse_model::DeploymentId;

use super::asked::{Asked, tries_max};
use crate::core::Core;
use crate::error::{ErrorKind, chain};
use crate::wallets::KeyName;

/// How long to rest before the next try.
pub(crate) const RETRY: Duration = Duration::from_secs(5);
/// The first rest of such a write; it doubles.
const REFUSED_RETRY_FIRST: Duration = Duration::from_millis(250);
/// Decimals of an OracleFeed.
const FEED_DECIMALS: u32 = 8;

/// Why a write was not carried out, for good.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct Refused {
    /// One sentence.
    pub(crate) reason: String,
    /// Gas that it burnt all the same.
    pub(crate) gas_used: u64,
    /// The contract's own name of the reason, where it has one.
    name: String,
}

impl Refused {
    fn unsent(reason: String) -> Self {
        Self { reason, gas_used: 0, name: String::new() }
    }

    /// Whether this node's stake does not carry what it asked for: it is not registered yet, paused, or too low.
    pub(crate) fn is_for_stake(&self) -> bool {
        matches!(self.name.as_str(), "NotRegistered" | "NodeIsPaused" | "StakeTooLow" | "FreeStakeTooLow")
    }

    /// Whether bids are sealed, and this one was not.
    pub(crate) fn is_for_seals(&self) -> bool {
        self.name == "BidsSealed"
    }

    /// Whether the time to make sealed bids is over.
    pub(crate) fn is_too_late(&self) -> bool {
        self.name == "CommitClosed"
    }

    /// Whether the market has nobody to choose.
    pub(crate) fn is_for_want_of_bids(&self) -> bool {
        self.name == "NoBids"
    }
}

/// Carries a write out.
pub(crate) async fn write(
    core: &Core,
    deployment: DeploymentId,
    intent: &str,
    call: &MarketCall,
) -> Result<Written, Refused> {
    let mut refused = 0;
    let mut refused_pause = REFUSED_RETRY_FIRST;
    loop {
        let market = core.keys.market_of(&core.home, &core.supervisor, KeyName::Operator, deployment.contract);
        let market = match market {
            Ok(market) => market,
            Err(error) if error.kind == ErrorKind::NotFound => return Err(Refused::unsent(error.text)),
            Err(error) => {
                tracing::debug!(intent, error = error.text, "the market is not known yet");
                tokio::time::sleep(REFUSED_RETRY_FIRST).await;
                continue;
            }
        };
        match market.write(intent, call).await {
            Ok(written) => return Ok(written),
            Err(MarketError::Reverted { gas_used, ref reason, .. }) => {
                let Revert { name, .. } = reason.clone();
                let reason = reason.to_string();
                tracing::warn!(intent, reason, "the market refused");
                return Err(Refused { reason, gas_used, name });
            }
            Err(error @ MarketError::Lost) => {
                tracing::warn!(intent, error = chain(&error), "a transaction was lost");
                return Err(Refused::unsent(chain(&error)));
            }
            Err(MarketError::Queue(QueueError::Refused(reason))) => {
                refused += 1;
                if refused >= tries_max(call) {
                    let Revert { name, .. } = reason.clone();
                    let reason = reason.to_string();
                    tracing::warn!(intent, reason, "the market would refuse");
                    return Err(Refused { name, ..Refused::unsent(reason) });
                }
                tokio::time::sleep(refused_pause).await;
                refused_pause *= 2;
            }
            // Another write went out under this name, and a name goes out once.
            Err(MarketError::Queue(error @ QueueError::IntentDiffers(_))) => {
                tracing::warn!(intent, error = chain(&error), "it is not sent");
                return Err(Refused::unsent(chain(&error)));
            }
            Err(error) => {
                tracing::warn!(intent, error = chain(&error), "the market did not answer");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// Carries a write of the orchestrator's out, or what is written in its place.
pub(super) async fn carry_out(core: &Core, asked: &Asked) -> Result<Written, Refused> {
    let written = write(core, asked.deployment, &asked.intent, &asked.call).await;
    match (&written, &asked.otherwise) {
        (Err(_), Some((intent, call))) => write(core, asked.deployment, intent, call).await,
        _ => written,
    }
}

/// `value` × 10^-`decimals` as a whole number of 10^-8, where that is exact.
pub(crate) fn scaled(value: i64, decimals: u8) -> Option<i128> {
    let decimals = u32::from(decimals);
    let value = i128::from(value);
    if decimals <= FEED_DECIMALS {
        return value.checked_mul(10i128.checked_pow(FEED_DECIMALS - decimals)?);
    }
    let unit = 10i128.checked_pow(decimals - FEED_DECIMALS)?;
    (value % unit == 0).then_some(value / unit)
}

#[cfg(test)]
mod tests {
    use super::scaled;

    #[test]
    fn answers_are_scaled_exactly_or_not_at_all() {
        assert_eq!(scaled(341_215, 2), Some(341_215_000_000));
        assert_eq!(scaled(-1, 8), Some(-1));
        assert_eq!(scaled(1_500, 10), Some(15));
        assert_eq!(scaled(1_501, 10), None, "a digit would be lost");
        assert_eq!(scaled(1, 255), None);
        assert_eq!(scaled(i64::MAX, 0), Some(i128::from(i64::MAX) * 100_000_000));
    }
}
