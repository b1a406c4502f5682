//! Lets old segments of the journal go once all that they hold has been applied.

use std::sync::Arc;

use nisse_orchestrator::Orchestrator;
use nisse_store::Position;

use super::Driver;
use crate::core::Core;
use crate::entry::Entry;
use crate::error::chain;

/// Records in the journal beyond which it is compacted.
const JOURNAL_RECORDS_MAX: u64 = 200_000;

impl Driver {
    /// The records before the place where the journal stood a minute ago have all been applied by now, so they go;
    /// a snapshot of the orchestrator stands for their decisions.
    pub(super) async fn compact(&mut self) {
        // A disk that takes nothing now would stop the databases until the next start.
        if self.core.trouble().is_some() {
            return;
        }
        self.core.flush();
        let (first, next) = (self.core.journal.first(), self.core.journal.next());
        let Some(settled) = self.settled.replace(next) else { return };
        // An answer that waits for the chain stands nowhere but in the journal.
        let settled = self.mark_outbox(settled);
        if next.0 - first.0 > JOURNAL_RECORDS_MAX
            && let Err(error) = compact(&self.core, &self.orchestrator, settled).await
        {
            tracing::warn!(error, "the journal was not compacted");
        }
    }
}

async fn compact(core: &Core, orchestrator: &Orchestrator, settled: Position) -> Result<(), String> {
    let journal = &core.journal;
    let snapshot = Entry::Snapshot(orchestrator.compacted()).encode();
    let commit = journal.append(&snapshot).map_err(|error| chain(&error))?;
    commit.durable().await.map_err(|error| chain(&error))?;
    let records = Arc::clone(&core.records);
    let kept = tokio::task::spawn_blocking(move || records.keep_before(settled)).await;
    kept.expect("keeping records does not panic").map_err(|error| chain(&error))?;
    core.database.flush().map_err(|error| chain(&error))?;
    core.states.flush().map_err(|error| chain(&error))?;
    let commit = journal.truncate_before(settled).map_err(|error| chain(&error))?;
    let first = commit.durable().await.map_err(|error| chain(&error))?;
    core.records.forget_before(first);
    Ok(())
}
