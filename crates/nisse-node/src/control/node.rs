//! The node, the market that it follows, and what it earns there.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{NodeReputation, VaultStatus};

/// `nisse node status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeStatus {
    /// nisse's version.
    pub version: String,
    /// The operator's address.
    pub operator: String,
    /// The chain's id.
    pub chain: u64,
    /// Where other nodes and wallets reach the chain by JSON-RPC; absent while the embedded one is not served.
    pub chain_url: Option<String>,
    /// The market's Manager contract. This, and what else the chain alone knows, is absent while it does not answer.
    pub market: Option<String>,
    /// The market's address book: what `nisse up --contract` takes on another node.
    pub contract: Option<String>,
    /// The version of the market's contracts.
    pub market_version: Option<u64>,
    /// A newer version that the address book lists: used from the node's next start on.
    pub market_newer: Option<u64>,
    /// The chain's newest block.
    pub block: Option<u64>,
    /// The chain's clock.
    pub chain_time: u64,
    /// Staked TALOS.
    pub stake: Option<String>,
    /// TALOS that can be withdrawn.
    pub earned: Option<String>,
    /// Seconds of a heartbeat period; absent on a market without heartbeats.
    pub heartbeat_seconds: Option<u64>,
    /// When the period began in which this node last showed life; absent before the first.
    pub heartbeat_last: Option<u64>,
    /// What this node is known for; absent on a market that knows no reputation.
    pub reputation: Option<NodeReputation>,
    /// Whose agents run here.
    pub accept: String,
    /// Said where strangers' agents are accepted.
    pub isolation: Option<String>,
    /// TALOS per hour that others pay at least.
    pub price: String,
    /// TALOS per hour for one processor.
    pub price_cpu: String,
    /// TALOS per hour for one GiB of memory.
    pub price_memory: String,
    /// What the last free part of the node costs more than the first, in percent.
    pub price_load: u32,
    /// Whether it takes new work.
    pub draining: bool,
    /// What keeps the node from recording anything, from showing life, or from reaching the chain. Nothing is lost
    /// meanwhile.
    pub trouble: Option<String>,
    /// Processors lent and in use.
    pub cpu: [String; 2],
    /// Memory lent and in use.
    pub memory: [String; 2],
    /// Agents that are live.
    pub agents: usize,
    /// The vault.
    pub vault: VaultStatus,
    /// The operator's exceptions from the address check.
    pub exceptions: Vec<String>,
    /// Since when it is up.
    pub since: u64,
    /// Where it listens.
    pub api: String,
    /// Where agents are reached.
    pub public: String,
    /// Where the embedded chain's JSON-RPC is served, if it is.
    pub rpc: Option<String>,
}

/// `nisse market ls`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MarketList {
    /// Newest first.
    pub deployments: Vec<MarketEntry>,
    /// How many more there are, all of them older.
    pub older: u64,
}

/// One deployment on the market.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MarketEntry {
    /// (chain, contract, number).
    pub deployment: String,
    /// Name and version.
    pub agent_id: String,
    /// The deployer.
    pub owner: String,
    /// `open`, `assigned`, `running`, `stopped` and so on, as the contract says.
    pub state: String,
    /// The node it was given to; of an open one, the node whose bid leads.
    pub node: Option<String>,
    /// TALOS per hour, of the lease or of the bid that leads; 0 before a bid.
    pub rate: String,
    /// The most that it pays per hour; absent for a home lease.
    pub max_rate: Option<String>,
    /// Seconds for which bids are collected; 0: the first valid one wins.
    pub bid_window_seconds: u32,
    /// How its winner is chosen; with `market show` only.
    pub select: Option<String>,
    /// When its round of bids ends, or has ended, while it is open: Unix milliseconds of the chain's clock.
    #[serde(default)]
    pub bids_until: Option<u64>,
    /// From when on the sealed bids of that round are revealed; with `market show` only.
    #[serde(default)]
    pub reveals_from: Option<u64>,
    /// TALOS deposited, less what went back to the owner.
    pub deposited: String,
    /// TALOS settled and due.
    pub paid: String,
    /// When money began to run.
    pub started_at: Option<u64>,
    /// When the deposit is used up.
    pub ends_at: Option<u64>,
    /// Why this node did not bid.
    pub refused: Option<String>,
    /// The events of its life, oldest first; with `market show` only.
    #[serde(default)]
    pub events: Vec<MarketEventLine>,
}

/// `nisse market rates`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MarketRates {
    /// Deployments that were looked at, the newest ones.
    pub looked_at: u64,
    /// Paid leases among them that run now.
    pub leases: u64,
    /// TALOS per hour of the cheapest of these; absent where none runs.
    pub lowest: Option<String>,
    /// Of the one in the middle; of two, the cheaper one.
    pub median: Option<String>,
    /// Of the dearest.
    pub highest: Option<String>,
    /// Paid orders among them that no node has taken.
    pub orders: u64,
    /// The most that one of these pays.
    pub offered: Option<String>,
}

/// One event on the market.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MarketEventLine {
    /// Block number.
    pub block: u64,
    /// The chain's clock.
    pub time: u64,
    /// `deployed`, `bid`, `assigned`, `started` and so on.
    pub event: String,
    /// One sentence.
    pub detail: String,
}

/// `nisse node earnings`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeEarnings {
    /// TALOS that this home's keys can draw now.
    pub withdrawable: String,
    /// Of it, shares of slashes: for telling of silent nodes, and as the owner of what they ran.
    pub slashes: String,
    /// TALOS that they were ever credited with: leases run, and deposits that came back.
    pub earned: String,
    /// Paid leases of others, the newest first.
    pub leases: Vec<EarnedLease>,
    /// How many older ones are left out.
    pub older: u64,
}

/// What one lease pays this node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EarnedLease {
    /// (chain, contract, number).
    pub deployment: String,
    /// Name and version.
    pub agent_id: String,
    /// Who pays.
    pub owner: String,
    /// TALOS per hour.
    pub rate: String,
    /// TALOS settled.
    pub paid: String,
    /// TALOS due and not settled yet.
    pub due: String,
}

/// `nisse node withdraw`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeWithdrawn {
    /// TALOS drawn.
    pub amount: String,
    /// To whom.
    pub to: String,
}
