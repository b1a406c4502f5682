//! Answers on chain. Needs the permission `publish_to_chain`.
use crate::Failure;
use crate::bindings::nisse::agent::chain as host;
use std::fmt;

/// Why an answer was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublishError {
    /// Not a number or name that a feed takes.
    Malformed(String),
    /// The permission is missing or the deployment's gas budget is spent.
    Denied(String),
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) | Self::Denied(why) => write!(f, "publish: {why}"),
        }
    }
}

impl std::error::Error for PublishError {}

impl From<PublishError> for Failure {
    fn from(error: PublishError) -> Self {
        Failure::permanent(error.to_string())
    }
}

/// Publishes `value` × 10^-`decimals` to this deployment's feed of `asset`, such as `ETH/USD`.
///
/// The transaction leaves after the invocation has been committed; the text is its intent id.
pub fn publish(asset: &str, value: i64, decimals: u8) -> Result<String, PublishError> {
    host::publish(asset, host::Decimal { value, decimals }).map_err(|error| match error {
        host::PublishError::Malformed(why) => PublishError::Malformed(why),
        host::PublishError::Denied(why) => PublishError::Denied(why),
    })
}
