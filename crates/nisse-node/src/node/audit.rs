//! The audit log as its owner reads it.

use nisse_model::{AuditLine, Did, Scope};

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

    /// Tells that a device or an agent, which this home knows, asked for what it may not do.
    pub fn peer_tried(&self, peer: &Did, right: &Scope) {
        let (by, outcome) = (self.peer_name(peer), format!("refused: it may not {right}"));
        self.core.audit.tried(Deed { by, act: "api.try", about: "the control API".to_owned(), outcome });
    }

    /// Tells that somebody asked by a token for what it does not give, or by what is none.
    pub(super) fn token_tried(&self, holder: Option<Did>, outcome: &str) {
        let somebody = || "somebody on this machine".to_owned();
        let by = holder.map_or_else(somebody, |holder| format!("token of {holder}"));
        let (about, outcome) = ("the control API".to_owned(), outcome.to_owned());
        self.core.audit.tried(Deed { by, act: "api.try", about, outcome });
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
