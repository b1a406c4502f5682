//! Records found again: in the journal, stretch by stretch, and in the index behind it.

use nisse_model::DeploymentId;
use nisse_store::Position;

use super::{KEPT_AT_ONCE, RecordError, Records, lock, record_of, table};
use crate::entry::Entry;

/// Records of one deployment, as they were read.
#[derive(Default)]
pub(super) struct Stretch {
    deployment: Option<DeploymentId>,
    records: Vec<Read>,
}

#[derive(Clone)]
struct Read {
    seq: u64,
    record: Vec<u8>,
    /// Whether it stands only as long as no closing follows.
    opening: bool,
}

impl Records {
    /// One durable record's bytes. Reads a segment of the journal: call it where blocking is no harm.
    pub(crate) fn get(&self, deployment: &DeploymentId, seq: u64) -> Result<Option<Vec<u8>>, RecordError> {
        if let Some(record) = lock(&self.read).find(deployment, seq) {
            return Ok(Some(record.record.clone()));
        }
        for last in [false, true] {
            match self.look(deployment, seq)? {
                // Its answer may have begun since it was asked whether it had, and have ended since: then the second
                // look finds the closing. What it does not find never comes.
                Some(Read { opening: true, .. }) if !last => {}
                Some(Read { record, .. }) => return Ok(Some(record)),
                None => break,
            }
        }
        Ok(table::get(&self.database, deployment, seq)?)
    }

    fn look(&self, deployment: &DeploymentId, seq: u64) -> Result<Option<Read>, RecordError> {
        let begin = {
            let places = lock(&self.places);
            if places.is_open(deployment, seq) {
                return Err(RecordError::Open(seq));
            }
            places.begin(deployment, seq)
        };
        let Some(begin) = begin else { return Ok(None) };
        let mut stretch = self.read_stretch(*deployment, begin, seq)?;
        let found = stretch.find(deployment, seq).cloned();
        // What may yet be replaced is never kept.
        stretch.records.retain(|read| !read.opening);
        *lock(&self.read) = stretch;
        Ok(found)
    }

    /// The records of one deployment from a mark to its next one, or as far as `seq`.
    fn read_stretch(&self, deployment: DeploymentId, begin: Position, seq: u64) -> Result<Stretch, RecordError> {
        let mut stretch = Stretch { deployment: Some(deployment), records: Vec::new() };
        self.journal.read::<RecordError>(begin, |_, bytes| {
            // An entry of a newer nisse holds no record that this one gave.
            let Ok(entry) = Entry::decode(bytes) else { return Ok(true) };
            let opening = matches!(entry, Entry::Opening(_));
            let Some((found, number, record)) = record_of(entry) else { return Ok(true) };
            if found == deployment {
                if number > seq {
                    return Ok(false);
                }
                stretch.records.retain(|known| known.seq < number);
                stretch.records.push(Read { seq: number, record, opening });
            }
            Ok(true)
        })?;
        Ok(stretch)
    }

    /// Puts the newest of the records before `end` into the index, so that the journal may let them go.
    pub(crate) fn keep_before(&self, end: Position) -> Result<(), RecordError> {
        let Some(begin) = lock(&self.places).keep_from(table::RECORDS_KEPT_MAX, end) else { return Ok(()) };
        let mut batch = Vec::with_capacity(KEPT_AT_ONCE);
        self.journal.read::<RecordError>(begin, |position, bytes| {
            if position >= end {
                return Ok(false);
            }
            batch.extend(Entry::decode(bytes).ok().and_then(record_of));
            if batch.len() >= KEPT_AT_ONCE {
                table::put(&self.database, &batch)?;
                batch.clear();
            }
            Ok(true)
        })?;
        Ok(table::put(&self.database, &batch)?)
    }
}

impl Stretch {
    fn find(&self, deployment: &DeploymentId, seq: u64) -> Option<&Read> {
        let known = self.deployment.as_ref() == Some(deployment);
        let place = self.records.binary_search_by_key(&seq, |read| read.seq).ok().filter(|_| known)?;
        Some(&self.records[place])
    }
}
