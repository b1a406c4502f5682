//! The sealed bids of this node until nothing of them is left: noted before they are sent, and once more when the market's
//! log tells of them, so that one whose note is lost still gives its stake back.

use nisse_market::{EventBatch, MarketAddresses, MarketEvent};
use nisse_model::{Address, AmountPerHour, Hash256, Timestamp};
use nisse_store::{Database, DatabaseError, Table, WriteTransaction};

use super::order_rows::OrderRows;

/// Bids, one after the other.
const COMMITTED: OrderRows = OrderRows(Table::new("committed"));
/// Bytes of a bid: commitment, end of its round in milliseconds, rate.
const BYTES: usize = 32 + 8 + 16;

/// A sealed bid of this node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Committed {
    /// The order's number.
    pub(crate) number: u64,
    /// What the contract knows of it.
    pub(crate) commitment: Hash256,
    pub(crate) round_ends: Timestamp,
    /// What it asks; `None` of one whose note was lost: it cannot be revealed.
    pub(crate) rate: Option<AmountPerHour>,
}

impl Committed {
    fn encode(&self) -> Vec<u8> {
        let rate = self.rate.unwrap_or_default().0.to_be_bytes();
        [&self.commitment.0[..], &self.round_ends.0.to_be_bytes(), &rate].concat()
    }

    fn decode(number: u64, bytes: &[u8; BYTES]) -> Option<Self> {
        let (commitment, rest) = bytes.split_first_chunk()?;
        let (ends, rest) = rest.split_first_chunk()?;
        let rate = AmountPerHour(u128::from_be_bytes(rest.try_into().ok()?));
        Some(Self {
            number,
            commitment: Hash256(*commitment),
            round_ends: Timestamp(u64::from_be_bytes(*ends)),
            rate: (rate.0 > 0).then_some(rate),
        })
    }
}

/// All that are listed on one version of the market.
pub(crate) fn committed_bids(
    database: &Database,
    addresses: &MarketAddresses,
) -> Result<Vec<Committed>, DatabaseError> {
    Ok(COMMITTED.read(database, addresses, |number, row| Some(bids(number, row)))?.concat())
}

/// Notes one for good: what it asks stands nowhere else.
pub(crate) fn note_committed(
    database: &Database,
    addresses: &MarketAddresses,
    bid: Committed,
) -> Result<(), DatabaseError> {
    database.write(|transaction| put(transaction, addresses, bid))
}

/// Takes up what a batch of events says of this node's.
pub(super) fn hear(
    transaction: &mut WriteTransaction,
    addresses: &MarketAddresses,
    operator: Address,
    batch: &EventBatch,
) -> Result<(), DatabaseError> {
    for at in &batch.committed {
        if let MarketEvent::BidCommitted { deployment: number, node, commitment, round_ends } = at.event
            && node == operator
        {
            let row = COMMITTED.peek(transaction, addresses, number)?.unwrap_or_default();
            if bids(number, &row).iter().all(|known| known.commitment != commitment) {
                put(transaction, addresses, Committed { number, commitment, round_ends, rate: None })?;
            }
        }
    }
    Ok(())
}

/// Forgets one of which nothing is left.
pub(crate) fn forget_committed(
    database: &Database,
    addresses: &MarketAddresses,
    bid: Committed,
) -> Result<(), DatabaseError> {
    database.write_lazily(|transaction| {
        let row = others(transaction, addresses, bid)?;
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

fn put(transaction: &mut WriteTransaction, addresses: &MarketAddresses, bid: Committed) -> Result<(), DatabaseError> {
    let mut row = others(transaction, addresses, bid)?;
    row.extend(bid.encode());
    COMMITTED.put(transaction, addresses, bid.number, &row)
}

/// The order's row without one bid.
fn others(
    transaction: &WriteTransaction,
    addresses: &MarketAddresses,
    bid: Committed,
) -> Result<Vec<u8>, DatabaseError> {
    let row = COMMITTED.peek(transaction, addresses, bid.number)?.unwrap_or_default();
    let others = bids(bid.number, &row).into_iter().filter(|known| known.commitment != bid.commitment);
    Ok(others.flat_map(|known| known.encode()).collect())
}

fn bids(number: u64, row: &[u8]) -> Vec<Committed> {
    row.as_chunks().0.iter().filter_map(|bytes| Committed::decode(number, bytes)).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use nisse_market::{BlockRef, ChainHash, EventAt};
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
    fn own_bids_are_listed_once_with_what_was_noted_of_them_and_each_is_forgotten_by_itself() {
        let disk = SimDisk::new(1);
        let database = Database::open(Arc::new(disk), Path::new("/index.redb")).expect("it opens");
        let addresses = market_addresses(1);
        let stranger = Address([2; 20]);
        let committed = vec![told(7, OWN, 1), told(7, stranger, 9), told(7, OWN, 2), told(8, OWN, 3), told(7, OWN, 1)];
        let batch = EventBatch { committed, ..EventBatch::default() };
        let noted = Committed {
            number: 7,
            commitment: Hash256([1; 32]),
            round_ends: Timestamp(9_000),
            rate: Some(AmountPerHour(40)),
        };
        note_committed(&database, &addresses, noted).expect("it is written");
        let hear = |transaction: &mut WriteTransaction| super::hear(transaction, &addresses, OWN, &batch);
        database.write(hear).expect("it is written");
        let listed = || {
            let mut listed = committed_bids(&database, &addresses).expect("they read");
            listed.sort_by_key(|bid| (bid.number, bid.commitment));
            assert!(listed.iter().all(|bid| bid.round_ends == Timestamp(9_000)), "{listed:?}");
            listed.iter().map(|bid| (bid.number, bid.commitment.0[0], bid.rate.map(|rate| rate.0))).collect::<Vec<_>>()
        };
        assert_eq!(listed(), [(7, 1, Some(40)), (7, 2, None), (8, 3, None)]);
        let forgotten = |number, commitment| {
            let bid = Committed { number, commitment: Hash256([commitment; 32]), round_ends: Timestamp(0), rate: None };
            forget_committed(&database, &addresses, bid).expect("it is written");
        };
        forgotten(7, 1);
        assert_eq!(listed(), [(7, 2, None), (8, 3, None)]);
        forgotten(7, 2);
        forgotten(7, 2);
        assert_eq!(listed(), [(8, 3, None)]);
        database.write(|transaction| super::forget(transaction, addresses.chain)).expect("it is written");
        assert_eq!(listed(), []);
    }
}
