//! Invocation records by (deployment, position): an index over what the journal already holds.
//!
//! The journal is the truth; this table is written in batches without a sync of its own and filled again from the
//! journal at start.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nisse_model::{DeploymentId, Hash256};
use nisse_store::{Database, DatabaseError, Rows as _, Table, WriteTransaction};
use tokio::sync::{mpsc, oneshot};

use crate::supervisor::Stop;

/// Records by deployment and position.
const RECORDS: Table = Table::new("records");
/// The last record of each deployment: its position and hash.
const LAST_RECORDS: Table = Table::new("last_records");
/// Records of one deployment that are kept; older ones go when new ones come.
const RECORDS_KEPT_MAX: u64 = 100_000;
/// Records that may wait for a batch.
const WAITING_MAX: usize = 4_096;
/// How long the first record of a batch waits for more.
const BATCH_WAIT: Duration = Duration::from_millis(20);

/// What the table's task is sent.
pub(crate) enum ToTable {
    /// One record.
    Put(NewRecord),
    /// Answered once everything before it is in the table.
    Barrier(oneshot::Sender<()>),
}

/// One record on its way to the table.
pub(crate) struct NewRecord {
    deployment: DeploymentId,
    seq: u64,
    record: Vec<u8>,
}

/// Sends records to the table.
#[derive(Clone)]
pub(crate) struct RecordWriter(mpsc::Sender<ToTable>);

impl RecordWriter {
    /// A writer and the task that it speaks to.
    pub(crate) fn new() -> (Self, mpsc::Receiver<ToTable>) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        (Self(sender), receiver)
    }

    /// Queues one record; waits when the table lags behind.
    pub(crate) async fn put(&self, deployment: DeploymentId, seq: u64, record: Vec<u8>) {
        // Without the task the node is going down, and the next start reads the record from the journal.
        let _ = self.0.send(ToTable::Put(NewRecord { deployment, seq, record })).await;
    }

    /// Waits until every record that was put before is in the table.
    pub(crate) async fn settled(&self) {
        let (done, reached) = oneshot::channel();
        if self.0.send(ToTable::Barrier(done)).await.is_ok() {
            let _ = reached.await;
        }
    }
}

/// Writes batches until the node stops.
pub(crate) async fn run(database: Arc<Database>, mut receiver: mpsc::Receiver<ToTable>, mut stop: Stop) {
    let mut waiting = Vec::new();
    loop {
        let received = tokio::select! {
            count = receiver.recv_many(&mut waiting, WAITING_MAX) => count,
            () = stop.requested() => 0,
        };
        let asked = waiting.iter().any(|one| matches!(one, ToTable::Barrier(_)));
        if received > 0 && !asked && !stop.is_requested() {
            tokio::time::sleep(BATCH_WAIT).await;
        }
        while let Ok(one) = receiver.try_recv() {
            waiting.push(one);
        }
        let (mut batch, mut barriers) = (Vec::new(), Vec::new());
        for one in waiting.drain(..) {
            match one {
                ToTable::Put(record) => batch.push(record),
                ToTable::Barrier(done) => barriers.push(done),
            }
        }
        if let Err(error) = write(&database, &batch) {
            tracing::error!(error = crate::error::chain(&error), "records were not indexed");
            return;
        }
        for done in barriers {
            let _ = done.send(());
        }
        if received == 0 {
            return;
        }
    }
}

fn write(database: &Database, batch: &[NewRecord]) -> Result<(), DatabaseError> {
    if batch.is_empty() {
        return Ok(());
    }
    database.write_lazily(|transaction| {
        for NewRecord { deployment, seq, record } in batch {
            put(transaction, deployment, *seq, record)?;
        }
        put_last(transaction, batch.iter().map(|new| (&new.deployment, new.seq, new.record.as_slice())))
    })
}

fn put(
    transaction: &mut WriteTransaction,
    deployment: &DeploymentId,
    seq: u64,
    record: &[u8],
) -> Result<(), DatabaseError> {
    let mut key = prefix(deployment);
    key.extend(seq.to_be_bytes());
    transaction.put(RECORDS, &key, record)?;
    if seq > RECORDS_KEPT_MAX {
        let length = key.len() - 8;
        key.truncate(length);
        key.extend((seq - RECORDS_KEPT_MAX).to_be_bytes());
        transaction.remove(RECORDS, &key)?;
    }
    Ok(())
}

/// Notes the last record of each deployment in a batch.
fn put_last<'a>(
    transaction: &mut WriteTransaction,
    batch: impl Iterator<Item = (&'a DeploymentId, u64, &'a [u8])>,
) -> Result<(), DatabaseError> {
    let mut last: BTreeMap<&DeploymentId, (u64, &[u8])> = BTreeMap::new();
    for (deployment, seq, record) in batch {
        let known = last.entry(deployment).or_insert((seq, record));
        if known.0 <= seq {
            *known = (seq, record);
        }
    }
    for (deployment, (seq, record)) in last {
        let name = deployment.to_string();
        let known = transaction.get(LAST_RECORDS, name.as_bytes())?;
        if known.and_then(|last| read_last(&last)).is_none_or(|(known, _)| known <= seq) {
            let mut last = seq.to_be_bytes().to_vec();
            last.extend(Hash256::of(record).0);
            transaction.put(LAST_RECORDS, name.as_bytes(), &last)?;
        }
    }
    Ok(())
}

fn read_last(bytes: &[u8]) -> Option<(u64, Hash256)> {
    let (seq, hash) = bytes.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*seq), Hash256(hash.try_into().ok()?)))
}

/// Puts a record that the journal holds back into the table. Used at start only.
pub(crate) fn restore(database: &Database, records: &[(DeploymentId, u64, Vec<u8>)]) -> Result<(), DatabaseError> {
    database.write_lazily(|transaction| {
        for (deployment, seq, record) in records {
            put(transaction, deployment, *seq, record)?;
        }
        put_last(transaction, records.iter().map(|(deployment, seq, record)| (deployment, *seq, record.as_slice())))
    })
}

/// One record's bytes.
pub(crate) fn get(database: &Database, deployment: &DeploymentId, seq: u64) -> Result<Option<Vec<u8>>, DatabaseError> {
    database.read(|transaction| transaction.get(RECORDS, &key(deployment, seq)))
}

/// The last record of a deployment: its position and hash.
pub(crate) fn last(database: &Database, deployment: &DeploymentId) -> Result<Option<(u64, Hash256)>, DatabaseError> {
    let found = database.read(|transaction| transaction.get(LAST_RECORDS, deployment.to_string().as_bytes()))?;
    Ok(found.and_then(|last| read_last(&last)))
}

/// Every deployment that ever made a record here.
pub(crate) fn deployments(database: &Database) -> Result<Vec<DeploymentId>, DatabaseError> {
    let mut all = Vec::new();
    database.read(|transaction| {
        transaction.with_prefix(LAST_RECORDS, b"", &mut |key, _| {
            all.extend(std::str::from_utf8(key).ok().and_then(|text| text.parse::<DeploymentId>().ok()));
            true
        })
    })?;
    Ok(all)
}

/// Thirty-six bytes that sort by chain, contract and number.
fn prefix(deployment: &DeploymentId) -> Vec<u8> {
    let mut key = Vec::with_capacity(48);
    key.extend(deployment.chain.to_be_bytes());
    key.extend(deployment.contract.0);
    key.extend(deployment.number.to_be_bytes());
    key
}

fn key(deployment: &DeploymentId, seq: u64) -> Vec<u8> {
    let mut key = prefix(deployment);
    key.extend(seq.to_be_bytes());
    key
}
