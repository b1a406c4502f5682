//! Looking a queue's journal through as it lies there.

use std::path::Path;

use nisse_model::Address;
use nisse_store::{Disk, Journal};

use super::record::{Record, Signed};
use super::{QueueError, TxQueue};
use crate::market::first_creation;

/// Whose a queue's journal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueSurvey {
    /// The key and the chain; `None` for a queue that never sent anything.
    pub of: Option<(Address, u64)>,
    /// Records that are held.
    pub records: u64,
    /// Whether it made the first contracts of a market, as a home's operator does on a chain of its own.
    pub made_a_market: bool,
}

impl TxQueue {
    /// Reads the journal in `folder` and changes nothing on the disk.
    pub fn survey(disk: &dyn Disk, folder: &Path) -> Result<QueueSurvey, QueueError> {
        let (mut of, mut made_a_market) = (None, false);
        let first = first_creation();
        let survey = Journal::survey(disk, folder, |_, bytes| -> Result<(), QueueError> {
            let record = Record::decode(bytes)?;
            made_a_market |= record.intents().any(|intent| intent == first);
            if let Record::Adopted { chain_id, key, .. } = record {
                of = Some((key, chain_id));
            }
            Ok(())
        })?;
        Ok(QueueSurvey { of, records: survey.records(), made_a_market })
    }
}

impl Record {
    /// The names of what it is about.
    fn intents(&self) -> impl Iterator<Item = &str> {
        let batch: &[Signed] = match self {
            Self::Signed(signed) => std::slice::from_ref(signed),
            Self::Batch(batch) => batch,
            _ => &[],
        };
        let over = match self {
            Self::Done { intent, .. } | Self::Known { intent, .. } => Some(intent.as_str()),
            _ => None,
        };
        batch.iter().map(|signed| signed.intent.as_str()).chain(over)
    }
}
