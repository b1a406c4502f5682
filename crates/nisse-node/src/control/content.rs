//! The content store.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// What stays though nothing pins it, in one sentence: for want of room on the disk, or for a damaged block.
    pub left: Option<String>,
}

/// Who has a file besides this node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContentProviders {
    /// Its id.
    pub cid: String,
    /// Whether all of it is held here.
    pub held: bool,
    /// The routers and gateways of the configuration, which were asked.
    pub asked: Vec<String>,
    /// Those who may have it, in the order in which they would be asked.
    pub providers: Vec<ContentProvider>,
}

/// Somebody who may have a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContentProvider {
    /// Where it is reached.
    pub url: String,
    /// Who named it: `router` or `gateway`.
    pub named_by: String,
    /// Why its first block cannot be had there; null where it came and is what its id says.
    pub trouble: Option<String>,
}

/// Where others find a file that this node provides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContentProvided {
    /// Its id.
    pub cid: String,
    /// Where anybody reads it.
    pub url: String,
    /// This node's gateway as routers name it.
    pub multiaddr: String,
    /// This node among IPFS peers.
    pub peer: String,
}
