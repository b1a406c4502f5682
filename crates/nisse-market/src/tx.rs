//! Transactions that leave once: an intent has a name of the caller's, and is journalled before it is sent.

mod driver;
mod error;
mod fees;
mod queue;
mod record;
mod survey;

use std::fmt;

use alloy::primitives::{Bytes, Log, U256};
use nisse_model::Address;

pub use error::{QueueError, Revert};
pub use queue::{TxDriver, TxQueue, TxQueueOptions};
pub use survey::QueueSurvey;

/// A Keccak-256 hash of the chain: a block's or a transaction's. Printed as `0x` and 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ChainHash(pub [u8; 32]);

impl fmt::Display for ChainHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "0x{}", hex::encode(self.0))
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// A block by height and hash: only both together name it for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct BlockRef {
    /// Height.
    pub number: u64,
    /// Hash.
    pub hash: ChainHash,
}

/// What is to be sent, without nonce, gas and fees.
#[derive(Debug, Clone)]
pub(crate) struct TxIntent {
    /// `None` creates a contract.
    pub(crate) to: Option<Address>,
    pub(crate) value: U256,
    pub(crate) data: Bytes,
}

/// What became of an intent. Final: the same answer for ever.
#[derive(Debug, Clone, PartialEq)]
pub enum TxOutcome {
    /// It is in a block and did what it should.
    Mined(MinedTx),
    /// It is in a block and changed nothing.
    Reverted {
        /// Where.
        tx: MinedTx,
        /// Why, as far as a second run told.
        reason: Revert,
    },
    /// Its nonce was used by a transaction that this queue did not make; it will never be mined.
    Lost,
}

/// A transaction in a block.
#[derive(Debug, Clone, PartialEq)]
pub struct MinedTx {
    /// Its hash.
    pub hash: ChainHash,
    /// Its block.
    pub block: BlockRef,
    /// Gas burnt.
    pub gas_used: u64,
    /// The contract that it created.
    pub created: Option<Address>,
    /// What its contracts said. `None` once it is long over: the chain still has its receipt.
    pub(crate) logs: Option<Vec<Log>>,
}

pub(crate) fn to_alloy(address: Address) -> alloy::primitives::Address {
    alloy::primitives::Address::from(address.0)
}

pub(crate) fn to_model(address: alloy::primitives::Address) -> Address {
    Address(address.into())
}
