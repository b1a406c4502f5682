//! The name of one deployment: (chain id, contract, number), in every record, path and API.

use std::fmt;
use std::str::FromStr;

use crate::Address;

/// One order on one market contract of one chain. Printed as `CHAIN:CONTRACT:NUMBER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeploymentId {
    /// The EVM chain id; a home draws a random 53-bit one at genesis.
    pub chain: u64,
    /// The market's Manager contract.
    pub contract: Address,
    /// The contract's own count, from 1.
    pub number: u64,
}

impl fmt::Display for DeploymentId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}", self.chain, self.contract, self.number)
    }
}

/// Why a text is not a deployment id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read `{0}` as a deployment: expected CHAIN:CONTRACT:NUMBER")]
pub struct ParseDeploymentIdError(pub String);

impl FromStr for DeploymentId {
    type Err = ParseDeploymentIdError;

    fn from_str(text: &str) -> Result<Self, ParseDeploymentIdError> {
        let refused = || ParseDeploymentIdError(text.chars().take(100).collect());
        let mut parts = text.split(':');
        let (Some(chain), Some(contract), Some(number), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(refused());
        };
        let id = Self {
            chain: chain.parse().map_err(|_| refused())?,
            contract: contract.parse().map_err(|_| refused())?,
            number: number.parse().map_err(|_| refused())?,
        };
        // The id is a key in paths and records: `+7`, `007` or an upper-case address would be other names of the same.
        if id.to_string() == text { Ok(id) } else { Err(refused()) }
    }
}
