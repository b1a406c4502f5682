//! Brings decisions into the journal, and holds what the disk refuses.
//!
//! A write that the disk refuses (no space, as a rule) leaves nothing behind: the journal has cut its tail back, so the
//! same decisions go out again until they are taken. Nothing else is decided meanwhile, nothing is acted upon, and
//! agents go on answering. A sync that fails is another matter: what reached the disk nobody knows, and a second sync
//! may say "done" of what was lost. It is never tried again; the node ends, and its next start reads what stands.

use std::sync::Arc;
use std::time::Duration;

use nisse_orchestrator::Decision;
use nisse_store::{Journal, JournalError};
use tokio::time::sleep;

use super::Driver;
use super::handle::Message;
use crate::core::Core;
use crate::entry::Entry;
use crate::error::chain;

/// The first rest before a refused decision goes out again; it doubles.
const REFUSED_RETRY_FIRST: Duration = Duration::from_millis(250);
/// The longest such rest: how long a node stands still after there is room again.
const REFUSED_RETRY_MAX: Duration = Duration::from_secs(5);
/// Messages that are put aside while something is held: what was on its way, and no more is let in.
const ASIDE_MAX: usize = 2 * super::handle::QUEUE_MAX;

/// Why the driver ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The node is told to stop. What is held was never acted upon, and its news is told again after the next start.
    Stopping,
    /// The journal takes nothing any more.
    Failed(String),
}

/// What a journal's error means for what it did not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It stands nowhere: it may go out again.
    Refused,
    /// Nobody knows, or it is never taken.
    Final,
}

pub(crate) fn fate(error: &JournalError) -> Fate {
    match error {
        JournalError::Refused(_) => Fate::Refused,
        JournalError::Poisoned(_)
        | JournalError::Closed
        | JournalError::TooLong { .. }
        | JournalError::QueueFull
        | JournalError::Disk { .. }
        | JournalError::Damaged { .. }
        | JournalError::Gap { .. }
        | JournalError::Newer { .. } => Fate::Final,
    }
}

impl Driver {
    /// Makes decisions durable, however long the disk refuses them.
    pub(super) async fn record(&mut self, decisions: &[Decision]) -> Result<(), End> {
        if decisions.is_empty() {
            return Ok(());
        }
        let entries: Vec<Vec<u8>> =
            decisions.iter().map(|decision| Entry::Decision(decision.clone()).encode()).collect();
        let records: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
        let mut rest = REFUSED_RETRY_FIRST;
        while let Err(error) = write(&self.core.journal, &records).await {
            if fate(&error) == Fate::Final {
                return Err(End::Failed(chain(&error)));
            }
            self.say_held(&error);
            self.hold(rest).await?;
            rest = (rest * 2).min(REFUSED_RETRY_MAX);
        }
        if self.trouble.send_replace(None).is_some() {
            tracing::info!("decisions reach the journal again");
        }
        for decision in decisions {
            self.core.announce(decision);
        }
        Ok(())
    }

    /// Said once, to the log and to whoever asks.
    fn say_held(&self, error: &JournalError) {
        let words: Arc<str> = format!("the node's disk refuses what it decides: failed to {}", chain(error)).into();
        let first = self.trouble.send_replace(Some(Arc::clone(&words))).is_none();
        if first {
            tracing::error!(trouble = &*words, "a decision is held until there is room on the disk");
        }
    }

    /// Decides nothing for a while. Whoever wants to see how things stand is shown; the rest is put aside.
    async fn hold(&mut self, rest: Duration) -> Result<(), End> {
        let mut over = std::pin::pin!(sleep(rest));
        loop {
            let room = self.aside.len() < ASIDE_MAX;
            let message = tokio::select! {
                biased;
                () = self.stop.requested() => return Err(End::Stopping),
                message = self.messages.recv(), if room => message.ok_or(End::Stopping)?,
                () = &mut over => return Ok(()),
            };
            match message {
                Message::Glance(look) => look(&self.orchestrator),
                Message::Routes => self.core.publish_routes(&self.orchestrator),
                other => self.aside.push_back(other),
            }
        }
    }
}

async fn write(journal: &Journal, records: &[&[u8]]) -> Result<(), JournalError> {
    let commit = Core::append(journal, records).await?;
    commit.durable().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use nisse_testkit::{Fault, SimDisk, SimEntropy};

    use super::*;

    fn journal(disk: &SimDisk, mut each: impl FnMut(&[u8])) -> Journal {
        Journal::open(Arc::new(disk.clone()), &SimEntropy::new(7), Path::new("/home/journal"), |_, bytes| {
            each(bytes);
            Ok::<_, JournalError>(())
        })
        .expect("the journal opens")
    }

    #[tokio::test]
    async fn what_a_full_disk_refuses_stands_nowhere_and_goes_out_again() {
        let disk = SimDisk::new(1);
        let taking = journal(&disk, |_| {});
        disk.fail(Fault::NoSpace(0));
        for _ in 0..3 {
            let refused = write(&taking, &[b"one", b"two"]).await.expect_err("there is no room");
            assert_eq!(fate(&refused), Fate::Refused, "{refused}");
        }
        disk.heal();
        write(&taking, &[b"one", b"two"]).await.expect("there is room again");
        drop(taking);
        let mut found = Vec::new();
        drop(journal(&disk, |bytes| found.push(bytes.to_vec())));
        assert_eq!(found, [b"one", b"two"]);
    }

    #[tokio::test]
    async fn what_a_failed_sync_left_behind_is_never_written_again() {
        let disk = SimDisk::new(1);
        let taking = journal(&disk, |_| {});
        disk.fail(Fault::Sync(0));
        for _ in 0..2 {
            let lost = write(&taking, &[b"one"]).await.expect_err("its fate is unknown");
            assert_eq!(fate(&lost), Fate::Final, "{lost}");
        }
    }
}
