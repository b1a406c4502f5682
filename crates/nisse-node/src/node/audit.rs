//! The audit log as its owner reads it.

use nisse_model::AuditLine;

use super::Node;
use crate::audit::{Deed, LISTED_MAX};
use crate::control::AuditEntry;
use crate::error::NodeError;
use crate::packages::on_disk;

impl Node {
    /// Lines of the audit log: from a number on, or the last ones.
    pub async fn audit(&self, from: Option<u64>, most: usize) -> Result<Vec<AuditEntry>, NodeError> {
        let most = most.min(LISTED_MAX);
        on_disk(&self.core, "read the audit log", move |core| {
            Ok(core.audit.lines(from, most)?.iter().map(AuditEntry::from).collect())
        })
        .await
    }

    /// Tells that somebody who reached the control API was not let in.
    pub fn refused_at_the_door(&self, method: &str, path: &str, why: &str) {
        let (by, about) = ("somebody on this machine".to_owned(), "the control API".to_owned());
        let outcome = format!("refused {method} {path}: {why}");
        self.core.audit.tried(Deed { by, act: "api.try", about, outcome });
    }
}

impl From<&AuditLine> for AuditEntry {
    fn from(line: &AuditLine) -> Self {
        Self {
            number: line.number,
            at: line.at.0,
            by: line.by.clone(),
            act: line.act.clone(),
            about: line.about.clone(),
            outcome: line.outcome.clone(),
            previous: line.previous.to_string(),
            hash: line.hash().to_string(),
        }
    }
}
