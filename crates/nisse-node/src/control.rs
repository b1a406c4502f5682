//! What an owner can ask of a running node and what they are told: the shapes of the control API.
//!
//! These types cross the wire under `/api/v1`, so a field is added, never renamed. Money is a decimal text in TALOS,
//! times are milliseconds since 1970, hashes and ids are texts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A package to deploy or to update to. Everything is sent; nothing is read from the caller's disk by the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PackageUpload {
    /// `agent.yaml`, as it stands on disk.
    pub manifest: String,
    /// The artifact, base64.
    pub artifact: String,
    /// `key=value` settings over the manifest's `config:`.
    #[serde(default)]
    pub set: Vec<String>,
}

/// `nisse deploy`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeployRequest {
    /// What to run.
    pub package: PackageUpload,
    /// TALOS to pay for a lease on the market; absent for a home lease on this node.
    #[serde(default)]
    pub payment: Option<String>,
    /// The most to pay per hour; with `payment` only. Default: the payment itself.
    #[serde(default)]
    pub max_rate: Option<String>,
    /// Which of the home's keys deploys: `operator` or `deployer`.
    #[serde(default)]
    pub key: Option<String>,
    /// How long to wait until it is live; 0 returns at once. Without it 60 s, and 10 s for a node that takes what this
    /// one refused.
    #[serde(default)]
    pub wait_ms: Option<u64>,
}

/// What `nisse deploy --json` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deployed {
    /// (chain, contract, number).
    pub deployment: String,
    /// Name and version.
    pub agent_id: String,
    /// The artifact.
    pub cid: String,
    /// `agent.yaml`.
    pub manifest_cid: String,
    /// The node that runs it, when one does.
    pub node: Option<String>,
    /// As in [`AgentStatus::state`].
    pub state: String,
    /// As in [`AgentStatus::reason`].
    pub reason: Option<String>,
    /// As in [`AgentStatus::hint`].
    pub hint: Option<String>,
    /// Its URL.
    pub endpoint: String,
    /// From the request to this answer.
    pub elapsed_ms: u64,
    /// What happened, with times.
    pub steps: Vec<Step>,
}

/// One step on the way to a live agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// `packed`, `published`, `deployed`, `bid`, `assigned`, `fetched`, `compiled`, `started`, `acknowledged`.
    pub name: String,
    /// One sentence.
    pub detail: String,
    /// Milliseconds since the request.
    pub at_ms: u64,
}

/// `nisse status AGENT`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgentStatus {
    /// Name and version.
    pub agent_id: String,
    /// The version alone.
    pub version: String,
    /// `preparing`, `starting`, `running`, `paused`, `stopped` or `failed`; for an order of this home that this node does
    /// not run, what the market says of it: `unverified`, `open`, `assigned`, `running`, `paused`, `stopped`, `expired`.
    pub state: String,
    /// One sentence about the state where there is something to say.
    pub reason: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// (chain, contract, number).
    pub deployment: String,
    /// The deployer's address.
    pub owner: String,
    /// The node that runs it.
    pub node: Option<String>,
    /// Its URL.
    pub endpoint: String,
    /// Since when it is in this state.
    pub since: Option<u64>,
    /// How often the node came up and found it live.
    pub restarts: u32,
    /// Linear memories and host buffers now.
    pub memory_bytes: u64,
    /// Since the node came up.
    pub fuel_used: u64,
    /// Invocations since the node came up.
    pub invocations: u64,
    /// What its state holds.
    pub state_bytes: u64,
    /// Root of its state.
    pub state_root: String,
    /// When its alarm is due.
    pub alarm: Option<u64>,
    /// Its permissions as granted.
    pub permissions: Vec<String>,
    /// The artifact.
    pub cid: String,
    /// `agent.yaml`.
    pub manifest_cid: String,
    /// Why the last update was refused.
    pub update_refused: Option<String>,
    /// What its answers on chain burnt; absent for an agent that never published one.
    pub gas: Option<GasStatus>,
    /// What it pays.
    pub lease: LeaseStatus,
}

/// Gas that a deployment's own transactions burnt, by their receipts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GasStatus {
    /// So far.
    pub spent: u64,
    /// Allowed by now: the deployment's budget for each started hour of its lease.
    pub allowed: Option<u64>,
    /// Why nothing is published now.
    pub refused: Option<String>,
}

/// The money of a lease. At home everything is zero and nothing ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeaseStatus {
    /// TALOS per hour.
    pub rate: String,
    /// TALOS paid out or owed to the node so far.
    pub paid: String,
    /// TALOS left.
    pub balance: String,
    /// When it is used up; absent at home.
    pub ends_at: Option<u64>,
    /// Set when less than 24 hours are left.
    pub warning: Option<String>,
}

/// `nisse invoke AGENT --event JSON`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InvokeRequest {
    /// The event's data as JSON; `null` without it.
    #[serde(default)]
    pub data: Option<serde_json::Value>,
    /// The event's data as bytes, base64, in the place of `data`.
    #[serde(default)]
    pub base64: Option<String>,
    /// Media type of the data. Without it `application/json`, and `application/octet-stream` with `base64`.
    #[serde(default)]
    pub content_type: Option<String>,
    /// The event's type; `manual` without it.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
}

/// What the handler answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Invoked {
    /// The invocation's id.
    pub invocation: String,
    /// Position in the deployment's chain of records.
    pub seq: u64,
    /// Media type of `data`.
    pub content_type: String,
    /// The answer as text where it is UTF-8.
    pub text: Option<String>,
    /// The answer as base64 where it is not.
    pub base64: Option<String>,
    /// Fuel burnt.
    pub fuel: u64,
}

/// `nisse fund AGENT AMOUNT`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FundRequest {
    /// TALOS.
    pub amount: String,
}

/// One line of an agent's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogLine {
    /// Counts from 1 for each agent; a gap is a dropped line.
    pub number: u64,
    /// When.
    pub time: u64,
    /// `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// The line, free of control characters.
    pub text: String,
}

/// `nisse node status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeStatus {
    /// nisse's version.
    pub version: String,
    /// The operator's address.
    pub operator: String,
    /// The chain's id.
    pub chain: u64,
    /// The market's Manager contract.
    pub market: String,
    /// The version of the market's contracts.
    pub market_version: u64,
    /// A newer version that the address book lists: used from the node's next start on.
    pub market_newer: Option<u64>,
    /// The chain's newest block.
    pub block: u64,
    /// The chain's clock.
    pub chain_time: u64,
    /// Staked TALOS.
    pub stake: String,
    /// TALOS that can be withdrawn.
    pub earned: String,
    /// Whose agents run here.
    pub accept: String,
    /// Said where strangers' agents are accepted.
    pub isolation: Option<String>,
    /// TALOS per hour.
    pub price: String,
    /// Whether it takes new work.
    pub draining: bool,
    /// Processors lent and in use.
    pub cpu: [String; 2],
    /// Memory lent and in use.
    pub memory: [String; 2],
    /// Agents that are live.
    pub agents: usize,
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
    /// The node it was given to.
    pub node: Option<String>,
    /// TALOS per hour.
    pub rate: String,
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

/// `nisse receipt show`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReceiptBundle {
    /// (chain, contract, number).
    pub deployment: String,
    /// Position in the deployment's chain of records, from 1.
    pub seq: u64,
    /// SHA-256 of `record`.
    pub record_hash: String,
    /// Hash of the record before.
    pub previous: String,
    /// The invocation record, hex of its CBOR.
    pub record: String,
    /// The node's address.
    pub node: String,
    /// EIP-712 signature over (chain, contract, deployment, seq, recordHash), hex.
    pub signature: String,
}

/// One file or block that the content store holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContentEntry {
    /// Its id.
    pub cid: String,
    /// Bytes of its own block.
    pub bytes: u64,
    /// Whether a pin holds it, itself or as a part of something.
    pub pinned: bool,
    /// Names of the pins that name it.
    pub pins: Vec<String>,
}

/// What was added to the content store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContentAdded {
    /// Its id.
    pub cid: String,
    /// Its size.
    pub bytes: u64,
}

/// What a collection freed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContentCollected {
    /// Blocks dropped.
    pub blocks: u64,
    /// Bytes given back.
    pub bytes: u64,
}

/// `nisse update AGENT DIR`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateRequest {
    /// What to run from now on.
    pub package: PackageUpload,
    /// Whether a lower version is meant.
    #[serde(default)]
    pub allow_downgrade: bool,
}

/// What `nisse destroy` leaves behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Destroyed {
    /// Name and version.
    pub agent_id: String,
    /// The state's export in the content store, pinned until `content rm`.
    pub state_cid: Option<String>,
}
