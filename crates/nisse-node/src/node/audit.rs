//! The audit log as its owner reads it.

use nisse_model::{AuditLine, Did, Scope};

use super::Node;
use crate::audit::{self, Deed, LISTED_MAX};
use crate::caller;
use crate::control::AuditEntry;
use crate::error::NodeError;
use crate::packages::on_disk;

/// How often something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frequency {
    /// Each time has its lines.
    Each,
    /// One line a minute tells how often.
    Often,
}

impl Node {
    /// Lines of the audit log: from a number on, or the last ones.
    pub async fn audit(&self, from: Option<u64>, most: usize) -> Result<Vec<AuditEntry>, NodeError> {
        let most = most.min(LISTED_MAX);
        on_disk(&self.core, "read the audit log", move |core| {
            Ok(core.audit.lines(from, most)?.iter().map(AuditEntry::from).collect())
        })
        .await
    }

    /// Does what was asked for by the control API, with its lines in the audit log: one before it is begun, which is not done
    /// without it, and one of what came of it before that is answered. Whoever goes away meanwhile leaves the first one alone.
    /// What is done by somebody with a part of the owner's rights, and what is done often, is one line a minute of each kind.
    pub async fn telling<T>(
        &self,
        act: &str,
        about: &str,
        frequency: Frequency,
        doing: impl Future<Output = T>,
        outcome: impl FnOnce(&T) -> (String, Option<String>),
    ) -> Result<T, NodeError> {
        let (by, is_bounded) = (caller::caller(), caller::is_bounded());
        let tell = async |outcome: String, about: &str| {
            let deed = Deed { by: by.clone(), act: act.to_owned().into(), about: about.to_owned(), outcome };
            // What was done is told of each; whoever makes up names and reasons for what is not done fills no log.
            let kind = deed.outcome.split(':').next().unwrap_or_default();
            let key = if kind == "done" { format!("{by} {kind} {about}") } else { format!("{by} {kind}") };
            let written = match (is_bounded, frequency) {
                (true, _) => self.core.audit.counted(deed, key).await,
                (false, Frequency::Often) => self.core.audit.often(deed).await,
                (false, Frequency::Each) => self.core.audit.note(deed).await,
            };
            audit::unless_it_takes_away(act, written)
        };
        tell("asked".to_owned(), about).await.map_err(|error| audit::unwritten(&error))?;
        let done = doing.await;
        let (outcome, more) = outcome(&done);
        tell(outcome, more.as_deref().unwrap_or(about)).await.map_err(|error| audit::done_and_unwritten(&error))?;
        Ok(done)
    }

    /// Tells that a device or an agent, which this home knows, asked for what it may not do.
    pub fn peer_tried(&self, peer: &Did, right: &Scope) {
        let (by, outcome) = (self.peer_name(peer), format!("refused: it may not {right}"));
        self.core.audit.tried(Deed { by, act: "api.try".into(), about: "the control API".to_owned(), outcome });
    }

    /// Tells that somebody asked by a token for what it does not give, or by what is none.
    pub(super) fn token_tried(&self, holder: Option<Did>, outcome: &str) {
        let somebody = || "somebody on this machine".to_owned();
        let by = holder.map_or_else(somebody, |holder| format!("token of {holder}"));
        let (about, outcome) = ("the control API".to_owned(), outcome.to_owned());
        self.core.audit.tried(Deed { by, act: "api.try".into(), about, outcome });
    }

    /// Tells that somebody who reached the control API was not let in.
    pub fn refused_at_the_door(&self, method: &str, path: &str, why: &str) {
        let (by, about) = ("somebody on this machine".to_owned(), "the control API".to_owned());
        let outcome = format!("refused {method} {path}: {why}");
        self.core.audit.tried(Deed { by, act: "api.try".into(), about, outcome });
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
