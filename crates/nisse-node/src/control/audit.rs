//! The audit log.

use nisse_model::{AuditLine, Hash256, ParseHashError, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditEntry {
    /// Its place: the first line of a home is 0.
    pub number: u64,
    /// When it was written: Unix milliseconds.
    pub at: u64,
    /// Who did it: `owner`, `agent NAME`, `node`.
    pub by: String,
    /// What: `secret.set`, `vault.unlock`, `agent.start` and so on.
    pub act: String,
    /// What it was done to.
    pub about: String,
    /// `asked`, `done`, or what came of it.
    pub outcome: String,
    /// The hash of the line before, 64 hex digits; zeros for the first.
    pub previous: String,
    /// Its own hash.
    pub hash: String,
}

impl AuditEntry {
    /// The line as it was written, whose hash has to be the one that stands here.
    pub fn line(&self) -> Result<AuditLine, ParseHashError> {
        let previous: Hash256 = self.previous.parse()?;
        let Self { number, at, by, act, about, outcome, .. } = self.clone();
        Ok(AuditLine { number, at: Timestamp(at), by, act, about, outcome, previous })
    }
}
