//! Sealed bids: what a node commits itself to before anybody sees its rate.

use alloy::primitives::{B256, U256, keccak256};
use alloy::sol_types::SolValue as _;
use nisse_model::{Address, AmountPerHour, DeploymentId, Hash256, Timestamp};

use crate::tx::to_alloy;

/// A bid of one round, as its node knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedBid {
    /// The order.
    pub deployment: DeploymentId,
    /// The end of the round, which is its name.
    pub round_ends: Timestamp,
    /// The operator's address.
    pub node: Address,
    /// What an hour is to cost.
    pub rate: AmountPerHour,
    /// Known to the node alone until it reveals the bid: rates can be guessed, and this cannot.
    pub salt: Hash256,
}

impl SealedBid {
    /// What the contract is told first: Keccak-256 of the ABI encoding of chain, Manager, number, end of the round in
    /// seconds, node, rate and salt.
    pub fn commitment(&self) -> Hash256 {
        let DeploymentId { chain, contract, number } = self.deployment;
        let (ends, rate) = (U256::from(self.round_ends.seconds()), U256::from(self.rate.0));
        let words = (
            U256::from(chain),
            to_alloy(contract),
            U256::from(number),
            ends,
            to_alloy(self.node),
            rate,
            B256::from(self.salt.0),
        );
        Hash256(keccak256(words.abi_encode()).0)
    }
}
