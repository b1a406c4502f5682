//! Lets old segments of the journal go once all that they hold is in place elsewhere.

use std::sync::Arc;

use nisse_store::Position;

use super::Driver;
use super::held::End;
use crate::core::Core;
use crate::entry::Entry;
use crate::error::chain;

impl Driver {
    /// Cuts the journal where it has grown too long.
    pub(super) async fn compact(&mut self) -> Result<(), End> {
        // A disk that takes nothing now would stop the databases until the next start.
        if self.core.trouble().is_some() {
            return Ok(());
        }
        self.core.flush();
        let journal = &self.core.journal;
        if journal.next().0 - journal.first().0 <= self.core.options.journal.records_max {
            return Ok(());
        }
        // Stands for all decisions before.
        let snapshot = Entry::Snapshot(self.orchestrator.compacted()).encode();
        let written = async { Core::append(journal, &[&snapshot]).await?.durable().await };
        let snapshot = match written.await {
            Ok(snapshot) => snapshot,
            Err(error) => {
                tracing::warn!(error = chain(&error), "the journal was not compacted");
                return Ok(());
            }
        };
        let settled = self.core.unapplied.settled(snapshot);
        // What was handed on before that is in the queue by now, and no more is waited for.
        for _ in 0..self.outward.len() {
            let Ok(outward) = self.outward.try_recv() else { break };
            let effects = self.outward(outward);
            self.carry_out(effects).await?;
        }
        // An answer that waits for the chain stands nowhere but in the journal.
        let settled = self.mark_outbox(settled);
        match cut(&self.core, settled).await {
            Ok(()) if settled < snapshot => {
                tracing::debug!(%settled, %snapshot, "the journal is held behind its snapshot");
            }
            Ok(()) => {}
            Err(error) => tracing::warn!(error, "the journal was not compacted"),
        }
        Ok(())
    }
}

async fn cut(core: &Core, settled: Position) -> Result<(), String> {
    let records = Arc::clone(&core.records);
    let kept = tokio::task::spawn_blocking(move || records.keep_before(settled)).await;
    kept.expect("keeping records does not panic").map_err(|error| chain(&error))?;
    core.database.flush().map_err(|error| chain(&error))?;
    core.states.flush().map_err(|error| chain(&error))?;
    let commit = core.journal.truncate_before(settled).map_err(|error| chain(&error))?;
    let first = commit.durable().await.map_err(|error| chain(&error))?;
    core.records.forget_before(first);
    Ok(())
}
