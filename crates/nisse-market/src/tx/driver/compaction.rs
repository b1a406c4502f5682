//! What keeps a queue small: logs of what is long over are let go, and the journal is written anew from what still counts.
//!
//! No name is ever forgotten: one that was would be sent again. What counts is told again behind the old records, and
//! these go only once it is durable; to be told twice changes nothing, so a crash at any point does no harm.

use std::collections::HashSet;

use alloy::eips::eip2718::Encodable2718;
use alloy::primitives::{B256, Bytes};

use super::{Driver, Intent, KEPT_RAW_MAX};
use crate::tx::record::{Record, Signed};
use crate::tx::{QueueError, TxOutcome};

/// Outcomes whose logs are held, the newest ones. Those of older ones the chain has.
const LOGS_HELD_MAX: usize = 1_024;
/// Bytes of records that are told again in one write.
const TOLD_BYTES_MAX: usize = 4 << 20;

impl Driver {
    /// An intent that was over when the journal was written anew.
    pub(super) fn know(&mut self, name: String, content: B256, outcome: TxOutcome) {
        let has_logs = !matches!(&outcome, TxOutcome::Mined(tx) if tx.logs.is_none());
        self.intents.insert(name.clone(), Intent { content, outcome: Some(outcome) });
        if has_logs {
            self.hold_logs(name);
        }
    }

    /// Keeps a mined transaction's bytes for a while.
    pub(super) fn keep(&mut self, nonce: u64, raw: Bytes) {
        self.kept.retain(|(kept, _)| *kept != nonce);
        self.kept.push_back((nonce, raw));
        if self.kept.len() > KEPT_RAW_MAX {
            self.kept.pop_front();
        }
    }

    /// Holds the logs of an intent that is over, and lets go those of the oldest one.
    pub(super) fn hold_logs(&mut self, name: String) {
        // One that is told again counts as it did the last time.
        self.with_logs.retain(|held| *held != name);
        self.with_logs.push_back(name);
        if self.with_logs.len() <= LOGS_HELD_MAX {
            return;
        }
        let oldest = self.with_logs.pop_front().and_then(|name| self.intents.get_mut(&name));
        if let Some(Intent { outcome: Some(TxOutcome::Mined(tx)), .. }) = oldest {
            tx.logs = None;
        }
    }

    /// Writes the journal anew when more has ended since the last time than it would tell again, and not too often.
    pub(super) async fn compact_when_due(&mut self) {
        let due = self.options.compact_after.max(self.intents.len() / 2);
        if self.outcomes < due {
            return;
        }
        // Where it fails, the old records stand, and it is tried again as many outcomes later.
        self.outcomes = 0;
        if let Err(error) = self.compact().await {
            tracing::warn!(%error, "the journal of transactions was not written anew");
        }
    }

    async fn compact(&mut self) -> Result<(), QueueError> {
        let begun = self.journal.next();
        let (mut told, mut bytes) = (Vec::new(), 0);
        for record in self.all_that_counts() {
            let record = record.encode();
            bytes += record.len();
            told.push(record);
            if bytes >= TOLD_BYTES_MAX {
                self.tell_again(&std::mem::take(&mut told)).await?;
                bytes = 0;
            }
        }
        self.tell_again(&told).await?;
        self.journal.truncate_before(begun)?.durable().await?;
        Ok(())
    }

    async fn tell_again(&self, records: &[Vec<u8>]) -> Result<(), QueueError> {
        let records: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
        self.journal.append_batch(&records)?.durable().await?;
        Ok(())
    }

    fn all_that_counts(&self) -> impl Iterator<Item = Record> + '_ {
        let adopted = self.next_nonce.map(|nonce| Record::Adopted {
            chain_id: self.options.chain_id,
            key: self.signer.address(),
            nonce,
        });
        let held: HashSet<&String> = self.with_logs.iter().collect();
        let older = self.intents.keys().filter(move |name| !held.contains(name));
        // The oldest logs come first, so that they are the first to be let go after a restart as well.
        let known = older.chain(&self.with_logs).filter_map(|name| {
            let Intent { content, outcome } = self.intents.get(name)?;
            Some(Record::Known { intent: name.clone(), content: *content, outcome: outcome.clone()? })
        });
        let kept = self.kept.iter().map(|(nonce, raw)| Record::Kept { nonce: *nonce, raw: raw.clone() });
        let waiting = self.pending.iter().flat_map(|(nonce, pending)| {
            pending.attempts.iter().map(|attempt| {
                let raw = attempt.encoded_2718().into();
                Record::Signed(Signed { intent: pending.intent.clone(), nonce: *nonce, raw })
            })
        });
        adopted.into_iter().chain(known).chain(kept).chain(waiting)
    }
}
