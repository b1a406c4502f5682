//! What this node's last heartbeats said of its leases: the leaves under each root, for whoever asks for a proof.

use nisse_market::LeaseState;
use nisse_model::{Address, DeploymentId, Hash256};
use nisse_store::{Database, DatabaseError, Rows as _, Table, WriteTransaction};

/// By chain and period: the block, and then each lease.
const TOLD: Table = Table::new("heartbeats");
/// Heartbeats that are kept, the newest ones: two hours of ten minutes each.
const KEPT: usize = 12;
/// Bytes of a lease: Manager, number, records, state root, record hash.
const LEASE_BYTES: usize = 20 + 8 + 8 + 32 + 32;

/// A heartbeat that the chain has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) period: u64,
    /// The height at which it was mined.
    pub(crate) block: u64,
    /// In the order of their leaves.
    pub(crate) leases: Vec<LeaseState>,
}

impl Told {
    /// Keeps it, and lets go of those that are too old.
    pub(super) fn keep(&self, database: &Database, chain: u64) -> Result<(), DatabaseError> {
        let mut row = self.block.to_be_bytes().to_vec();
        for LeaseState { deployment, records, state_root, record_hash } in &self.leases {
            row.extend(deployment.contract.0);
            row.extend(deployment.number.to_be_bytes());
            row.extend(records.to_be_bytes());
            row.extend(state_root.0);
            row.extend(record_hash.0);
        }
        database.write_lazily(|transaction| {
            transaction.put(TOLD, &key(chain, self.period), &row)?;
            let mut kept = Vec::new();
            transaction.with_prefix(TOLD, place(chain).as_bytes(), &mut |key, _| {
                kept.push(key.to_vec());
                true
            })?;
            // They come in the order of their periods.
            for key in kept.iter().rev().skip(KEPT) {
                transaction.remove(TOLD, key)?;
            }
            Ok(())
        })
    }

    /// The newest that has a lease, and the lease's place in it.
    pub(crate) fn last_of(
        database: &Database,
        deployment: DeploymentId,
    ) -> Result<Option<(Self, usize)>, DatabaseError> {
        let mut rows = Vec::new();
        let prefix = place(deployment.chain);
        database.read(|all| {
            all.with_prefix(TOLD, prefix.as_bytes(), &mut |key, row| {
                rows.push((key[prefix.len()..].to_vec(), row.to_vec()));
                true
            })
        })?;
        let found = rows.into_iter().rev().filter_map(|(period, row)| Self::read(deployment.chain, &period, &row));
        let with_place = |told: Self| {
            let place = told.leases.iter().position(|lease| lease.deployment == deployment)?;
            Some((told, place))
        };
        Ok(found.filter_map(with_place).next())
    }

    fn read(chain: u64, period: &[u8], row: &[u8]) -> Option<Self> {
        let period = u64::from_be_bytes(period.try_into().ok()?);
        let (block, rest) = row.split_first_chunk()?;
        let leases =
            rest.as_chunks::<LEASE_BYTES>().0.iter().map(|bytes| lease(chain, bytes)).collect::<Option<_>>()?;
        Some(Self { period, block: u64::from_be_bytes(*block), leases })
    }
}

fn lease(chain: u64, bytes: &[u8; LEASE_BYTES]) -> Option<LeaseState> {
    let (contract, rest) = bytes.split_first_chunk()?;
    let (number, rest) = rest.split_first_chunk()?;
    let (records, rest) = rest.split_first_chunk()?;
    let (state_root, rest) = rest.split_first_chunk()?;
    let deployment = DeploymentId { chain, contract: Address(*contract), number: u64::from_be_bytes(*number) };
    Some(LeaseState {
        deployment,
        records: u64::from_be_bytes(*records),
        state_root: Hash256(*state_root),
        record_hash: Hash256(rest.try_into().ok()?),
    })
}

/// Forgets all of a chain.
pub(crate) fn forget_told(transaction: &mut WriteTransaction, chain: u64) -> Result<(), DatabaseError> {
    transaction.remove_prefix(TOLD, place(chain).as_bytes()).map(drop)
}

fn place(chain: u64) -> String {
    format!("{chain}:")
}

fn key(chain: u64, period: u64) -> Vec<u8> {
    [place(chain).as_bytes(), &period.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use nisse_testkit::SimDisk;

    use super::*;

    fn lease(number: u64, records: u64) -> LeaseState {
        let deployment = DeploymentId { chain: 7, contract: Address([9; 20]), number };
        let hash = |part: &[u8]| Hash256::of_parts(&[part, &records.to_be_bytes()]);
        LeaseState { deployment, records, state_root: hash(b"state"), record_hash: hash(b"record") }
    }

    #[test]
    fn the_newest_heartbeat_of_a_lease_is_found_and_old_ones_are_let_go() {
        let database = Database::open(Arc::new(SimDisk::new(1)), Path::new("/index.redb")).expect("it opens");
        let of = |number| Told::last_of(&database, lease(number, 0).deployment).expect("it reads");
        assert_eq!(of(1), None);
        for period in 1..=20 {
            let mut leases = vec![lease(3, period), lease(1, period)];
            if period == 10 || period == 2 {
                leases.push(lease(2, period));
            }
            Told { period, block: period * 100, leases }.keep(&database, 7).expect("it is written");
        }
        let (told, place) = of(1).expect("the last one");
        assert_eq!((told.period, told.block, place, told.leases[place]), (20, 2_000, 1, lease(1, 20)));
        assert_eq!(of(2).map(|(told, place)| (told.period, place)), Some((10, 2)));
        assert_eq!(of(4), None);
        Told { period: 21, block: 1, leases: vec![] }.keep(&database, 7).expect("it is written");
        Told { period: 22, block: 1, leases: vec![] }.keep(&database, 7).expect("it is written");
        assert_eq!(of(2), None, "two hours have passed");
        database.write(|transaction| forget_told(transaction, 7)).expect("it is written");
        assert_eq!(of(1), None);
    }
}
