//! Whose home it is, and the devices and agents that act for them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `nisse identity show`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IdentityStatus {
    /// The identity, `did:key:…`; none: this home belongs to nobody yet.
    pub identity: Option<String>,
    /// This device's key, if it has one.
    pub device: Option<String>,
    /// What this device is called.
    pub name: Option<String>,
    /// Whether this device may act for the identity.
    pub admitted: bool,
    /// Wallets that are bound to the identity.
    pub wallets: Vec<String>,
    /// Where this device listens for the others.
    pub addresses: Vec<String>,
    /// What others are given to find it, while it listens.
    pub ticket: Option<String>,
    /// Why it does not listen, though it should.
    pub trouble: Option<String>,
}

/// A device or an agent of the identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceEntry {
    /// What it is called.
    pub name: String,
    /// Its key, `did:key:…`.
    pub device: String,
    /// `device` or `agent`.
    pub kind: String,
    /// Whether it is the one that answers.
    pub this: bool,
    /// What an agent may do.
    pub can: Vec<String>,
    /// When an agent may no longer do so: Unix milliseconds.
    pub expires: Option<u64>,
}

/// A device or an agent that was cut off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceRevoked {
    /// It.
    #[serde(flatten)]
    pub device: DeviceEntry,
    /// Secrets whose values it knows, since it set them last, as far as the audit log goes back.
    pub knows: Vec<String>,
}

/// Who is to join by a code that is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PairingRequest {
    /// What an agent may do: words such as `logs`, or commands such as `/audit/lines`. Without it a device joins, which may do
    /// all that the identity may.
    pub can: Option<Vec<String>>,
    /// The one agent that all of it is about.
    pub agent: Option<String>,
    /// For how long: milliseconds.
    pub expires_ms: Option<u64>,
}

/// A code that is shown, and how it goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PairingStatus {
    /// `open`, `paired` or `ended`.
    pub state: String,
    /// What the other machine is given, while it is open: this device's key, and where it listens.
    pub ticket: Option<String>,
    /// The code that is typed there; told to whoever opened it, and not again.
    pub code: Option<String>,
    /// Tells it from the ones before: the newest is the one that counts.
    pub number: u64,
    /// For so many milliseconds more.
    pub left_ms: u64,
    /// How many wrong codes may still be given.
    pub tries_left: u8,
    /// Who joined.
    pub device: Option<DeviceEntry>,
    /// Why nobody can join any more.
    pub why: Option<String>,
}

/// What a device is to be called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceName {
    /// The new name.
    pub name: String,
}
