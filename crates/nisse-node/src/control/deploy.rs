//! Packages on their way to the node: deployed, or swapped to.

use base64::Engine as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A package to deploy or to update to. Nothing is read from the caller's disk by the node: the artifact is sent, or lies
/// where its CID finds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PackageUpload {
    /// `agent.yaml`, as it stands on disk.
    pub manifest: String,
    /// The artifact, base64; empty or absent with `artifact_cid`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub artifact: String,
    /// The CID under which the artifact lies in IPFS, in its place: the node fetches it, publishes it under this very CID
    /// and holds it from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_cid: Option<String>,
    /// `key=value` settings over the manifest's `config:`.
    #[serde(default)]
    pub set: Vec<String>,
}

impl PackageUpload {
    /// A manifest and its artifact, both sent.
    pub fn of(manifest: String, artifact: &[u8]) -> Self {
        let artifact = base64::engine::general_purpose::STANDARD.encode(artifact);
        Self { manifest, artifact, artifact_cid: None, set: Vec::new() }
    }

    /// A manifest whose artifact lies in IPFS.
    pub fn by_cid(manifest: String, artifact_cid: String) -> Self {
        Self { manifest, artifact: String::new(), artifact_cid: Some(artifact_cid), set: Vec::new() }
    }

    /// With `key=value` settings over the manifest's `config:`.
    pub fn set(self, set: Vec<String>) -> Self {
        Self { set, ..self }
    }
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
    /// Seconds for which bids are collected, of which the lowest wins; with `payment` only. Without it the first valid
    /// bid wins.
    #[serde(default)]
    pub bid_window_seconds: Option<u32>,
    /// How the winner is chosen: `lowest-price` (as without it), `highest-reputation`, `score`, `sealed-price` or
    /// `sealed-score`; with `payment` only.
    #[serde(default)]
    pub select: Option<String>,
    /// Ask the nodes for signed offers and take the best at once, without a round of bids; with `payment` only.
    #[serde(default)]
    pub instant: bool,
    /// Which of the home's keys deploys: `operator` or `deployer`.
    #[serde(default)]
    pub key: Option<String>,
    /// How long to wait until it is live; 0 returns at once. Without it 180 s, and 10 s for a node that takes what this
    /// one refused.
    #[serde(default)]
    pub wait_ms: Option<u64>,
    /// The space that is to own it, by its name here or the first digits of its id; at home only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<String>,
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
    /// As `state` in its status.
    pub state: String,
    /// As `reason` in its status.
    pub reason: Option<String>,
    /// As `hint` in its status.
    pub hint: Option<String>,
    /// Its URL.
    pub endpoint: String,
    /// From the request to this answer.
    pub elapsed_ms: u64,
    /// What happened, in order.
    pub steps: Vec<Step>,
}

/// One step on the way to a live agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// `packed`, `published`, `deployed`, `bid`, `assigned`, `fetched`, `verified`, `compiled`, `started`, `acknowledged`;
    /// `refused` by this node, `reopened` after another one gave it up.
    pub name: String,
    /// One sentence.
    pub detail: String,
    /// Milliseconds since the request.
    pub at_ms: u64,
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
