//! Writes to the market: each has a name, goes out once, and is tried again while the chain does not answer.

use std::time::Duration;

use nisse_market::{Market, MarketError, QueueError};
use nisse_model::AmountPerHour;

use crate::core::Core;
use crate::error::chain;
use crate::home::KeyName;

/// How long to rest before the next try.
const RETRY: Duration = Duration::from_secs(5);
/// How often a write that the contract would refuse now is tried: what it waits for (an acknowledgement under way, the
/// chain's clock) comes within these tries, or never.
const REFUSED_TRIES_MAX: u32 = 4;
/// The first rest of such a write; it doubles.
const REFUSED_RETRY_FIRST: Duration = Duration::from_millis(250);
/// Decimals of an OracleFeed.
const FEED_DECIMALS: u32 = 8;

/// One write.
#[derive(Debug, Clone)]
pub(crate) enum Write {
    Bid {
        deployment: u64,
        rate: AmountPerHour,
    },
    Assign {
        deployment: u64,
    },
    AckStart {
        deployment: u64,
        incarnation: u32,
    },
    /// Not to be run here: rejected while money does not run, stopped when it does.
    GiveBack {
        deployment: u64,
        reason: String,
    },
    AckUpdate {
        deployment: u64,
        revision: u32,
        incarnation: u32,
    },
    RejectUpdate {
        deployment: u64,
        revision: u32,
        reason: String,
    },
    Expire {
        deployment: u64,
    },
    Publish {
        deployment: u64,
        asset: String,
        answer: i128,
    },
}

/// Carries a write out. `false`: the contract refused it for good, which is said in the log.
pub(crate) async fn write(core: &Core, intent: String, call: Write) -> bool {
    let mut refused = 0;
    let mut refused_pause = REFUSED_RETRY_FIRST;
    loop {
        let market = match core.keys.market(&core.home, &core.supervisor, KeyName::Operator) {
            Ok(market) => market,
            Err(error) => {
                tracing::debug!(intent, error = error.text, "the market is not known yet");
                tokio::time::sleep(REFUSED_RETRY_FIRST).await;
                continue;
            }
        };
        match carry_out(&market, &intent, &call).await {
            Ok(()) => return true,
            Err(error @ (MarketError::Reverted { .. } | MarketError::Lost)) => {
                tracing::warn!(intent, error = chain(&error), "the market refused");
                return false;
            }
            Err(error @ MarketError::Queue(QueueError::Refused(_))) => {
                refused += 1;
                if refused == REFUSED_TRIES_MAX || matches!(call, Write::Bid { .. }) {
                    tracing::warn!(intent, error = chain(&error), "the market would refuse");
                    return false;
                }
                tokio::time::sleep(refused_pause).await;
                refused_pause *= 2;
            }
            Err(error) => {
                tracing::warn!(intent, error = chain(&error), "the market did not answer");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

async fn carry_out(market: &Market, intent: &str, call: &Write) -> Result<(), MarketError> {
    match call {
        Write::Bid { deployment, rate } => market.bid(intent, *deployment, *rate).await.map(drop),
        Write::Assign { deployment } => market.assign(intent, *deployment).await.map(drop),
        Write::AckStart { deployment, incarnation } => {
            market.ack_start(intent, *deployment, *incarnation).await.map(drop)
        }
        Write::GiveBack { deployment, reason } => match market.reject(intent, *deployment, reason).await {
            Err(MarketError::Queue(QueueError::Refused(_)) | MarketError::Reverted { .. }) => {
                market.stop(&format!("{intent}:stop"), *deployment).await.map(drop)
            }
            other => other.map(drop),
        },
        Write::AckUpdate { deployment, revision, incarnation } => {
            market.ack_update(intent, *deployment, *revision, *incarnation).await.map(drop)
        }
        Write::RejectUpdate { deployment, revision, reason } => {
            market.reject_update(intent, *deployment, *revision, reason).await.map(drop)
        }
        Write::Expire { deployment } => market.expire(intent, *deployment).await.map(drop),
        Write::Publish { deployment, asset, answer } => {
            market.publish_answer(intent, *deployment, asset, *answer).await.map(drop)
        }
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
