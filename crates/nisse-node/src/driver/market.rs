//! Writes to the market: each has a name, goes out once, and is tried again while the chain does not answer. A write
//! about a deployment goes to the version of the market that the deployment is on.

use std::time::Duration;

use nisse_market::{MarketCall, MarketError, QueueError, Revert, Written};
use nisse_model::DeploymentId;

use crate::core::Core;
use crate::error::{ErrorKind, chain};
use crate::home::KeyName;

/// How long to rest before the next try.
pub(crate) const RETRY: Duration = Duration::from_secs(5);
/// How often a write that the contract would refuse now is tried: what it waits for (an acknowledgement under way, the
/// chain's clock) comes within these tries. Where it does not, the orchestrator asks again later.
const REFUSED_TRIES_MAX: u32 = 4;
/// How often one is tried that nobody asks for again before the next start: a minute, in which an endpoint that lags
/// behind another catches up.
const REFUSED_TRIES_LAST_MAX: u32 = 9;
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

fn tries_max(call: &MarketCall) -> u32 {
    match call {
        // Another bid is better: that does not change.
        MarketCall::Bid { .. } => 1,
        // Others were faster: a quorum needs no further word.
        MarketCall::Attest { .. } => 1,
        MarketCall::AckUpdate { .. } | MarketCall::RejectUpdate { .. } | MarketCall::Stop { .. } => {
            REFUSED_TRIES_LAST_MAX
        }
        _ => REFUSED_TRIES_MAX,
    }
}

/// Gives an order back: rejected while money does not run, stopped when it does.
pub(crate) async fn give_back(core: &Core, deployment: DeploymentId, intent: &str, reason: String) {
    let number = deployment.number;
    let rejected = write(core, deployment, intent, &MarketCall::Reject { deployment: number, reason }).await;
    if rejected.is_err() {
        // What does not stop either has ended already.
        let _ = write(core, deployment, &format!("{intent}:stop"), &MarketCall::Stop { deployment: number }).await;
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
