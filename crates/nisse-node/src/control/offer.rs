//! What nodes offer by their signature, and who asks them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::NodeReputation;

/// What an agent would take, and for whom it would run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OfferAsked {
    /// Who would deploy it; `nisse market offers` asks for the key that deploys here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// Thousandths of a processor.
    pub cpu_millis: u32,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Whether it needs a GPU.
    #[serde(default)]
    pub gpu: bool,
    /// Gas that its answers may burn in each hour.
    #[serde(default)]
    pub gas_budget: u64,
}

/// A node's offer: EIP-712 `Offer`, which `docs/bidding.md` describes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeOffer {
    /// The chain.
    pub chain: u64,
    /// The market's Manager contract.
    pub market: String,
    /// Whose offer it is.
    pub node: String,
    /// Who may take it.
    pub client: String,
    /// Thousandths of a processor.
    pub cpu_millis: u32,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Whether there is a GPU for it.
    pub gpu: bool,
    /// TALOS per hour.
    pub rate: String,
    /// Unix time in seconds, by the chain's clock: until then it can be taken.
    pub valid_until: u64,
    /// Each is used once.
    pub nonce: u64,
    /// 65 bytes in hex: `r`, `s` and 27 or 28.
    pub signature: String,
}

/// `nisse market offers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MarketOffers {
    /// The lowest price first.
    pub offers: Vec<MarketOffer>,
    /// What the others said, or why they said nothing.
    pub refusals: Vec<String>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MarketOffer {
    /// Whose.
    pub node: String,
    /// Where it answers.
    pub endpoint: String,
    /// TALOS per hour.
    pub rate: String,
    /// Absent on a market that knows no reputation.
    pub reputation: Option<NodeReputation>,
}
