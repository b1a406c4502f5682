//! The sealed bids of this node that the market's log told of, until they are revealed or reclaimed: a list of what to ask
//! about, and the contract decides.

use nisse_market::{EventBatch, MarketAddresses, MarketEvent};
use nisse_model::{Address, Hash256};
use nisse_store::{Database, DatabaseError, Table, WriteTransaction};

use super::order_rows::OrderRows;

/// Commitments, one after the other.
const COMMITTED: OrderRows = OrderRows(Table::new("committed"));

/// A sealed bid of this node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Committed {
    /// The order's number.
    pub(crate) number: u64,
    /// What the contract knows of it.
    pub(crate) commitment: Hash256,
}

/// All that are listed on one version of the market.
pub(crate) fn committed_bids(
    database: &Database,
    addresses: &MarketAddresses,
) -> Result<Vec<Committed>, DatabaseError> {
    let rows = COMMITTED.read(database, addresses, |number, row| {
        let commitments = row.as_chunks().0.iter().map(move |bytes| Committed { number, commitment: Hash256(*bytes) });
        Some(commitments.collect::<Vec<_>>())
    })?;
    Ok(rows.concat())
}

/// Takes up what a batch of events says of this node's.
pub(super) fn hear(
    transaction: &mut WriteTransaction,
    addresses: &MarketAddresses,
    operator: Address,
    batch: &EventBatch,
) -> Result<(), DatabaseError> {
    for at in &batch.committed {
        if let MarketEvent::BidCommitted { deployment, node, commitment, .. } = &at.event
            && *node == operator
        {
            // The log is read at least once.
            let mut row = without(COMMITTED.peek(transaction, addresses, *deployment)?, *commitment);
            row.extend_from_slice(&commitment.0);
            COMMITTED.put(transaction, addresses, *deployment, &row)?;
        }
    }
    Ok(())
}

/// Forgets one of which the contract knows nothing any more.
pub(crate) fn forget_committed(
    database: &Database,
    addresses: &MarketAddresses,
    bid: Committed,
) -> Result<(), DatabaseError> {
    database.write_lazily(|transaction| {
        let row = without(COMMITTED.peek(transaction, addresses, bid.number)?, bid.commitment);
        match row.is_empty() {
            true => COMMITTED.remove(transaction, addresses, bid.number),
            false => COMMITTED.put(transaction, addresses, bid.number, &row),
        }
    })
}

/// Forgets all that was told of a chain.
pub(super) fn forget(transaction: &mut WriteTransaction, chain: u64) -> Result<(), DatabaseError> {
    COMMITTED.forget(transaction, chain)
}

fn without(row: Option<Vec<u8>>, commitment: Hash256) -> Vec<u8> {
    let row = row.unwrap_or_default();
    let others = row.as_chunks::<32>().0.iter().filter(|bytes| **bytes != commitment.0);
    others.flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use nisse_market::{BlockRef, ChainHash, EventAt};
    use nisse_model::Timestamp;
    use nisse_testkit::SimDisk;

    use super::*;
    use crate::fixtures::market_addresses;

    const OWN: Address = Address([1; 20]);

    fn told(number: u64, node: Address, commitment: u8) -> EventAt {
        let commitment = Hash256([commitment; 32]);
        let event = MarketEvent::BidCommitted { deployment: number, node, commitment, round_ends: Timestamp(9_000) };
        let block = BlockRef { number: 1, hash: ChainHash::default() };
        EventAt { block, time: Timestamp(0), tx: ChainHash::default(), log_index: 0, contract: OWN, event }
    }

    #[test]
    fn own_commitments_are_listed_once_and_each_is_forgotten_by_itself() {
        let disk = SimDisk::new(1);
        let database = Database::open(Arc::new(disk), Path::new("/index.redb")).expect("it opens");
        let addresses = market_addresses(1);
        let stranger = Address([2; 20]);
        let committed = vec![told(7, OWN, 1), told(7, stranger, 9), told(7, OWN, 2), told(8, OWN, 3), told(7, OWN, 1)];
        let batch = EventBatch { committed, ..EventBatch::default() };
        let hear = |transaction: &mut WriteTransaction| super::hear(transaction, &addresses, OWN, &batch);
        database.write(hear).expect("it is written");
        let listed = || {
            let mut listed = committed_bids(&database, &addresses).expect("they read");
            listed.sort();
            listed.iter().map(|bid| (bid.number, bid.commitment.0[0])).collect::<Vec<_>>()
        };
        assert_eq!(listed(), [(7, 1), (7, 2), (8, 3)]);
        let forgotten = |number, commitment| {
            let bid = Committed { number, commitment: Hash256([commitment; 32]) };
            forget_committed(&database, &addresses, bid).expect("it is written");
        };
        forgotten(7, 1);
        assert_eq!(listed(), [(7, 2), (8, 3)]);
        forgotten(7, 2);
        forgotten(7, 2);
        assert_eq!(listed(), [(8, 3)]);
        database.write(|transaction| super::forget(transaction, addresses.chain)).expect("it is written");
        assert_eq!(listed(), []);
    }
}
