//! The vault and what is in it; never a value.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `nisse vault status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VaultStatus {
    /// Whether it gives and takes nothing until it is unlocked.
    pub sealed: bool,
    /// What unlocks it, each by itself: `passphrase`, `systemd credential`, `key file`.
    pub unlocked_by: Vec<String>,
    /// Why that protects from little, where it does.
    pub weak: Option<String>,
    /// Whether systemd gave a credential to this unit.
    pub credential: bool,
    /// Why it was not unlocked at its start, where something at hand should have done it.
    pub trouble: Option<String>,
}

/// A secret, without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretEntry {
    /// Its name.
    pub name: String,
    /// How often its value was set.
    pub version: u64,
    /// When, the last time: Unix milliseconds.
    pub changed: u64,
    /// Live agents that may use it.
    pub agents: Vec<String>,
}

/// A secret that was set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretSet {
    /// Its name.
    pub name: String,
    /// How often its value was set.
    pub version: u64,
}
