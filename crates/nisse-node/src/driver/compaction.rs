//! Lets old segments of the journal go once all that they hold is in place elsewhere.
//!
//! The driver says how far that is; the work on the disk is done beside it, one at a time, while it goes on deciding.

use std::sync::Arc;

use nisse_store::Position;

use super::Driver;
use super::held::{End, Fate, fate};
use crate::core::Core;
use crate::entry::Entry;
use crate::error::chain;

impl Driver {
    /// Makes what was written without a sync durable, and cuts the journal where it has grown too long.
    pub(super) async fn compact(&mut self) -> Result<(), End> {
        // A disk that takes nothing now would stop the databases until the next start.
        if self.core.disk_trouble().is_some() {
            return Ok(());
        }
        // The work of the time before may not be done.
        let Ok(turn) = Arc::clone(&self.compacting).try_acquire_owned() else { return Ok(()) };
        let settled = if self.is_worth_cutting() { self.settled().await? } else { None };
        let core = Arc::clone(&self.core);
        self.core.supervisor.spawn("compaction", |_| async move {
            let own = Arc::clone(&core);
            let work = move || {
                let _turn = turn;
                own.flush();
                settled.map_or(Ok(()), |settled| cut(&own, settled))
            };
            // One that is cut off by the end of the node is done by the next.
            if let Ok(Err(error)) = core.supervisor.blocking("compaction", work).await {
                tracing::warn!(error, "the journal was not compacted");
            }
        });
        Ok(())
    }

    /// Whether the journal is too long, and a cut as far as it may go now would take something off it.
    fn is_worth_cutting(&self) -> bool {
        let (core, journal) = (&self.core, &self.core.journal);
        let settled = core.unapplied.settled(journal.durable());
        let reach = core.ledger.oldest_waiting().map_or(settled, |oldest| oldest.min(settled));
        journal.next().0 - journal.first().0 > core.options.journal.records_max && journal.can_truncate_before(reach)
    }

    /// How far the journal may be cut, behind a snapshot that stands for all decisions before it.
    async fn settled(&mut self) -> Result<Option<Position>, End> {
        let snapshot = Entry::Snapshot(self.orchestrator.compacted()).encode();
        let journal = &self.core.journal;
        let written = async { Core::append(journal, &[&snapshot]).await?.durable().await };
        let snapshot = match written.await {
            Ok(snapshot) => snapshot,
            Err(error) if fate(&error) == Fate::Final => return Err(End::Failed(chain(&error))),
            Err(error) => {
                tracing::warn!(error = chain(&error), "the journal was not compacted");
                return Ok(None);
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
        if settled < snapshot {
            tracing::debug!(%settled, %snapshot, "the journal is held behind its snapshot");
        }
        Ok(Some(settled))
    }
}

fn cut(core: &Core, settled: Position) -> Result<(), String> {
    core.records.keep_before(settled).map_err(|error| chain(&error))?;
    core.database.flush().map_err(|error| chain(&error))?;
    core.states.flush().map_err(|error| chain(&error))?;
    let commit = core.journal.truncate_before(settled).map_err(|error| chain(&error))?;
    let first = commit.wait().map_err(|error| chain(&error))?;
    core.records.forget_before(first);
    Ok(())
}
