//! One agent: where it stands, what it pays, what it is asked and what it answers.

use nisse_model::PackageRef;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// The space that owns it; absent for an agent that is the home's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<AgentSpace>,
}

/// The space that owns an agent: its admins control it, and the home's owner, who is its host, does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgentSpace {
    /// Its id.
    pub space: String,
    /// What the home that runs the agent calls it; absent where that home does not hold it any more.
    pub name: Option<String>,
    /// The identity of the home that runs the agent.
    pub host: Option<String>,
}

/// `nisse ls`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgentList {
    /// Live agents first, then orders that this node does not run, then what ended.
    pub agents: Vec<AgentStatus>,
    /// Orders of this home, or deployments that may be, that are too old to be looked through.
    pub older: u64,
    /// What may be missing from the list, in one sentence; absent where nothing can be.
    pub incomplete: Option<String>,
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
    /// Counts from 1 for each agent, over restarts of the node; a gap is a line that was dropped or lost.
    pub number: u64,
    /// When.
    pub time: u64,
    /// `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// The line, free of control characters.
    pub text: String,
}

/// The package that a rollback goes back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RollbackTo {
    /// Name and version.
    pub agent_id: String,
    /// CID of agent.yaml.
    pub manifest_cid: String,
    /// CID of the artifact.
    pub cid: String,
    /// SHA-256 of the configuration, as hex.
    pub config_hash: String,
}

impl RollbackTo {
    /// This package.
    pub fn package(package: &PackageRef) -> Self {
        Self {
            agent_id: package.agent_id.to_string(),
            manifest_cid: package.manifest_cid.to_string(),
            cid: package.artifact_cid.to_string(),
            config_hash: package.config_hash.to_string(),
        }
    }
}

/// What `nisse destroy` leaves behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Destroyed {
    /// Name and version.
    pub agent_id: String,
    /// The state's export in the content store, pinned until `content rm`.
    pub state_cid: Option<String>,
}
