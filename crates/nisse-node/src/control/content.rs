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
