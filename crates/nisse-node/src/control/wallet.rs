//! The home's wallets; never a key.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A key that owns something on the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Wallet {
    /// `operator`, or `deployer`.
    pub name: String,
    /// Its address.
    pub address: String,
    /// TALOS that it holds. This, and what else the chain alone knows, is absent while it does not answer.
    pub balance: Option<String>,
    /// What it pays gas with, in the chain's own coin.
    pub gas: Option<String>,
    /// TALOS that it staked as a node; absent for a key that runs none.
    pub stake: Option<String>,
    /// What is wrong with it, in one sentence: a stake that takes no orders.
    pub warning: Option<String>,
}

/// Whom an export of the vault is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportRequest {
    /// Recipients of age, `age1…`: each can read it alone.
    pub recipients: Vec<String>,
}
