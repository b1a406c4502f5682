//! What the market's contracts know of nodes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a node is known for: facts of the contracts, which fade by half in 90 days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeReputation {
    /// From 0 to 10,000: paid time as a share of itself, of faults, and of the 30 days that a newcomer lacks.
    pub score: u16,
    /// Its score is below 2,500: an order that chooses by reputation goes to others first, but for one in five.
    pub newcomer: bool,
    /// Seconds of paid work that were counted.
    pub worked_seconds: u64,
    /// Seconds of work that missed heartbeat periods and slashes took.
    pub fault_seconds: u64,
}

/// `nisse market nodes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MarketNodes {
    /// Those that registered last come first.
    pub nodes: Vec<MarketNode>,
    /// How many more there are, all of them older.
    pub older: u64,
}

/// A registered node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MarketNode {
    /// Its operator's address.
    pub operator: String,
    /// Where it answers.
    pub endpoint: String,
    /// TALOS at stake.
    pub stake: String,
    /// Of them, not held for leases.
    pub free: String,
    /// Processors that it lends.
    pub cpu: String,
    /// Memory that it lends.
    pub memory: String,
    /// Whether it wants no new leases.
    pub paused: bool,
    /// When it registered.
    pub registered: u64,
    /// Absent on a market that knows no reputation.
    pub reputation: Option<NodeReputation>,
}
