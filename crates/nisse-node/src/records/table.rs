//! Rows of the index: the records of which the journal has let go, and the last record of each deployment.

use std::collections::BTreeMap;

use nisse_model::{DeploymentId, Hash256};
use nisse_store::{Database, DatabaseError, Rows as _, Table, WriteTransaction};

/// Records by deployment and position.
const RECORDS: Table = Table::new("records");
/// The last record of each deployment: its position and hash.
const LAST_RECORDS: Table = Table::new("last_records");
/// Records of one deployment that are kept behind the journal; older ones go when new ones come.
pub(super) const RECORDS_KEPT_MAX: u64 = 100_000;

/// Puts records into the table. Of one deployment, they come in order.
pub(super) fn put(database: &Database, records: &[(DeploymentId, u64, Vec<u8>)]) -> Result<(), DatabaseError> {
    database.write_lazily(|transaction| {
        let mut last = BTreeMap::new();
        for (deployment, seq, record) in records {
            put_one(transaction, deployment, *seq, record)?;
            last.insert(deployment, (*seq, record));
        }
        for (deployment, (seq, record)) in last {
            put_last_one(transaction, deployment, seq, Hash256::of(record))?;
        }
        Ok(())
    })
}

fn put_one(
    transaction: &mut WriteTransaction,
    deployment: &DeploymentId,
    seq: u64,
    record: &[u8],
) -> Result<(), DatabaseError> {
    transaction.put(RECORDS, &key(deployment, seq), record)?;
    match seq.checked_sub(RECORDS_KEPT_MAX) {
        Some(old) if old > 0 => transaction.remove(RECORDS, &key(deployment, old)).map(drop),
        _ => Ok(()),
    }
}

fn put_last_one(
    transaction: &mut WriteTransaction,
    deployment: &DeploymentId,
    seq: u64,
    hash: Hash256,
) -> Result<(), DatabaseError> {
    let name = deployment.to_string();
    let known = transaction.get(LAST_RECORDS, name.as_bytes())?;
    if known.and_then(|last| read_last(&last)).is_none_or(|(known, _)| known <= seq) {
        let mut last = seq.to_be_bytes().to_vec();
        last.extend(hash.0);
        transaction.put(LAST_RECORDS, name.as_bytes(), &last)?;
    }
    Ok(())
}

/// One record's bytes.
pub(super) fn get(database: &Database, deployment: &DeploymentId, seq: u64) -> Result<Option<Vec<u8>>, DatabaseError> {
    database.read(|transaction| transaction.get(RECORDS, &key(deployment, seq)))
}

/// The last record of a deployment: its position and hash.
pub(super) fn last(database: &Database, deployment: &DeploymentId) -> Result<Option<(u64, Hash256)>, DatabaseError> {
    let found = database.read(|transaction| transaction.get(LAST_RECORDS, deployment.to_string().as_bytes()))?;
    Ok(found.and_then(|last| read_last(&last)))
}

/// Every deployment that has a last record here.
pub(super) fn deployments(database: &Database) -> Result<Vec<DeploymentId>, DatabaseError> {
    let mut all = Vec::new();
    database.read(|transaction| {
        transaction.with_prefix(LAST_RECORDS, b"", &mut |key, _| {
            all.extend(std::str::from_utf8(key).ok().and_then(|text| text.parse::<DeploymentId>().ok()));
            true
        })
    })?;
    Ok(all)
}

fn read_last(bytes: &[u8]) -> Option<(u64, Hash256)> {
    let (seq, hash) = bytes.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*seq), Hash256(hash.try_into().ok()?)))
}

/// Forty-four bytes that sort by chain, contract, number and position.
fn key(deployment: &DeploymentId, seq: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(44);
    key.extend(deployment.chain.to_be_bytes());
    key.extend(deployment.contract.0);
    key.extend(deployment.number.to_be_bytes());
    key.extend(seq.to_be_bytes());
    key
}
