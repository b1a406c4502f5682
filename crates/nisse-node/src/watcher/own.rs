//! The orders of this home's keys, as the market's log tells of them: the contract has no list by owner, and strangers'
//! deployments are many.
//!
//! Numbers are given out in sequence, so what was told of the log is known by the first and the last one, for each owner:
//! a key may come later than others. An order that ended stays listed until no reorganisation can bring it back.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use nisse_market::{EventBatch, MarketAddresses, MarketEvent, REORG_DEPTH_MAX};
use nisse_model::Address;
use nisse_store::{Database, DatabaseError, Rows, Table, WriteTransaction};

use crate::core::Core;
use crate::packages;

/// By market, owner and number: empty, or the block in which it ended. Under market and owner alone: the numbers that
/// were told.
const ORDERS: Table = Table::new("orders");

/// What is known of one owner's orders on one version of the market.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct OwnOrders {
    /// Newest first.
    pub(crate) numbers: Vec<u64>,
    /// The deployments that were told of, whoever's.
    pub(crate) told: Option<RangeInclusive<u64>>,
}

impl OwnOrders {
    pub(crate) fn read(
        database: &Database,
        addresses: &MarketAddresses,
        owner: Address,
    ) -> Result<Self, DatabaseError> {
        let place = place(addresses, owner);
        database.read(|rows| {
            let mut numbers = Vec::new();
            rows.with_prefix(ORDERS, place.as_bytes(), &mut |key, _| {
                numbers.extend(number(&key[place.len()..]));
                true
            })?;
            numbers.reverse();
            Ok(Self { numbers, told: told(rows, &place)? })
        })
    }
}

/// The numbers of all orders of this home's keys on one version of the market.
pub(crate) fn own_numbers(core: &Core, addresses: &MarketAddresses) -> Result<BTreeSet<u64>, DatabaseError> {
    let mut numbers = BTreeSet::new();
    for owner in packages::own_keys(core) {
        numbers.extend(OwnOrders::read(&core.database, addresses, owner)?.numbers);
    }
    Ok(numbers)
}

/// Whether an order is listed as one of these owners'.
pub(super) fn is_any_ones(
    rows: &impl Rows,
    addresses: &MarketAddresses,
    owners: &BTreeSet<Address>,
    number: u64,
) -> Result<bool, DatabaseError> {
    for owner in owners {
        if rows.get(ORDERS, &key(&place(addresses, *owner), number))?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Takes up what a batch of events says of the orders of these keys. An end of what is nobody's here is passed over.
pub(super) fn hear(
    transaction: &mut WriteTransaction,
    addresses: &MarketAddresses,
    owners: &BTreeSet<Address>,
    batch: &EventBatch,
) -> Result<(), DatabaseError> {
    for owner in owners {
        hear_one(transaction, &place(addresses, *owner), *owner, batch)?;
    }
    Ok(())
}

fn hear_one(
    transaction: &mut WriteTransaction,
    place: &str,
    own: Address,
    batch: &EventBatch,
) -> Result<(), DatabaseError> {
    if let Some(lowest) = batch.reverted.iter().map(|block| block.number).min() {
        for key in ended(transaction, place, |block| block >= lowest)? {
            transaction.put(ORDERS, &key, &[])?;
        }
    }
    let before = told(transaction, place)?;
    let mut now = before.clone();
    for at in &batch.committed {
        match &at.event {
            MarketEvent::Deployed { deployment, owner, .. } => {
                now = Some(further(now, *deployment));
                if *owner == own {
                    transaction.put(ORDERS, &key(place, *deployment), &[])?;
                }
            }
            MarketEvent::Stopped { deployment, .. } | MarketEvent::Expired { deployment, .. } => {
                let key = key(place, *deployment);
                if transaction.get(ORDERS, &key)?.is_some() {
                    transaction.put(ORDERS, &key, &at.block.number.to_be_bytes())?;
                }
            }
            _ => {}
        }
    }
    let Some((first, last)) = now.filter(|now| before.as_ref() != Some(now)).map(RangeInclusive::into_inner) else {
        return Ok(());
    };
    transaction.put(ORDERS, place.as_bytes(), &[first.to_be_bytes(), last.to_be_bytes()].concat())?;
    let beyond_recall = batch.head.number.saturating_sub(REORG_DEPTH_MAX as u64);
    let over = ended(transaction, place, |block| block < beyond_recall)?;
    over.iter().try_for_each(|key| transaction.remove(ORDERS, key).map(drop))
}

/// What was told, with one more. Where some between were not, those before are not known to be all.
fn further(told: Option<RangeInclusive<u64>>, number: u64) -> RangeInclusive<u64> {
    match told {
        Some(told) if told.contains(&number) => told,
        Some(told) if told.end() + 1 == number => *told.start()..=number,
        _ => number..=number,
    }
}

/// Forgets all orders on a chain.
pub(super) fn forget(transaction: &mut WriteTransaction, chain: u64) -> Result<(), DatabaseError> {
    transaction.remove_prefix(ORDERS, format!("{chain}:").as_bytes()).map(drop)
}

/// The keys of orders that ended in such a block.
fn ended(rows: &impl Rows, place: &str, which: impl Fn(u64) -> bool) -> Result<Vec<Vec<u8>>, DatabaseError> {
    let mut ended = Vec::new();
    rows.with_prefix(ORDERS, place.as_bytes(), &mut |key, value| {
        if key.len() > place.len() && number(value).is_some_and(&which) {
            ended.push(key.to_vec());
        }
        true
    })?;
    Ok(ended)
}

/// What the keys of an owner's rows begin with.
fn place(addresses: &MarketAddresses, owner: Address) -> String {
    format!("{}:{}:{owner}:", addresses.chain, addresses.manager)
}

fn key(place: &str, number: u64) -> Vec<u8> {
    [place.as_bytes(), &number.to_be_bytes()].concat()
}

fn number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

fn told(rows: &impl Rows, place: &str) -> Result<Option<RangeInclusive<u64>>, DatabaseError> {
    let row = rows.get(ORDERS, place.as_bytes())?;
    Ok(row.and_then(|bytes| Some(number(bytes.get(..8)?)?..=number(bytes.get(8..)?)?)))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use nisse_market::{BlockRef, EventAt, StoppedBy};
    use nisse_model::{Amount, Timestamp};
    use nisse_testkit::SimDisk;

    use super::*;
    use crate::fixtures::{market_addresses, order};

    const OWN: Address = Address([1; 20]);
    const OTHER: Address = Address([2; 20]);

    fn batch(block: u64, events: Vec<MarketEvent>) -> EventBatch {
        let head = BlockRef { number: block, ..BlockRef::default() };
        let at = |event| EventAt {
            block: head,
            time: Timestamp(0),
            tx: nisse_market::ChainHash([0; 32]),
            log_index: 0,
            contract: Address([4; 20]),
            event,
        };
        EventBatch { committed: events.into_iter().map(at).collect(), head, ..EventBatch::default() }
    }

    fn deployed(deployment: u64, owner: Address) -> MarketEvent {
        MarketEvent::Deployed { deployment, owner, order: order(1) }
    }

    fn stopped(deployment: u64) -> MarketEvent {
        MarketEvent::Stopped { deployment, node: None, by: StoppedBy::Owner, refund: Amount(0) }
    }

    struct Index(Database);

    impl Index {
        fn new() -> Self {
            Self(Database::open(Arc::new(SimDisk::new(1)), Path::new("/index.redb")).expect("it opens"))
        }

        /// What is known of `OWN` after a batch that these keys of the home hear of.
        fn hear(&self, owners: &[Address], batch: &EventBatch) -> OwnOrders {
            let owners = owners.iter().copied().collect();
            self.0.write_lazily(|rows| hear(rows, &market_addresses(9), &owners, batch)).expect("it is written");
            self.known(9, OWN)
        }

        fn known(&self, manager: u8, owner: Address) -> OwnOrders {
            OwnOrders::read(&self.0, &market_addresses(manager), owner).expect("it reads")
        }
    }

    #[test]
    fn own_orders_are_known_among_strangers_until_their_end_is_beyond_recall() {
        let index = Index::new();
        assert_eq!(index.known(9, OWN), OwnOrders::default());
        let hear = |block, events| index.hear(&[OWN], &batch(block, events));
        let known = hear(10, vec![deployed(4, OWN), deployed(5, OTHER), deployed(6, OWN)]);
        assert_eq!(known, OwnOrders { numbers: vec![6, 4], told: Some(4..=6) });
        let known = hear(11, vec![deployed(7, OTHER), stopped(4), stopped(5)]);
        assert_eq!(known, OwnOrders { numbers: vec![6, 4], told: Some(4..=7) }, "a reorganisation may undo its end");
        let known = hear(11 + REORG_DEPTH_MAX as u64, vec![deployed(8, OTHER)]);
        assert_eq!(known.numbers, [6, 4]);
        let known = hear(12 + REORG_DEPTH_MAX as u64, vec![deployed(9, OTHER)]);
        assert_eq!(known, OwnOrders { numbers: vec![6], told: Some(4..=9) });

        assert_eq!(index.known(10, OWN), OwnOrders::default(), "each version of the market has its own numbers");
        index.0.write(|rows| forget(rows, 7)).expect("it is written");
        assert_eq!(index.known(9, OWN), OwnOrders::default());
    }

    #[test]
    fn an_end_that_a_reorganisation_undid_is_none() {
        let index = Index::new();
        index.hear(&[OWN], &batch(10, vec![deployed(1, OWN), stopped(1)]));
        let undone = EventBatch { reverted: vec![BlockRef { number: 10, ..BlockRef::default() }], ..batch(10, vec![]) };
        index.hear(&[OWN], &undone);
        let known = index.hear(&[OWN], &batch(12 + REORG_DEPTH_MAX as u64, vec![deployed(2, OTHER)]));
        assert_eq!(known.numbers, [1]);
    }

    #[test]
    fn a_key_that_comes_later_is_told_from_there_on_alone() {
        let index = Index::new();
        index.hear(&[OTHER], &batch(10, vec![deployed(1, OWN), deployed(2, OTHER)]));
        let known = index.hear(&[OWN, OTHER], &batch(11, vec![deployed(3, OWN)]));
        assert_eq!(known, OwnOrders { numbers: vec![3], told: Some(3..=3) });
        assert_eq!(index.known(9, OTHER), OwnOrders { numbers: vec![2], told: Some(1..=3) });
        // It was away for one of them.
        index.hear(&[OTHER], &batch(12, vec![deployed(4, OTHER)]));
        let known = index.hear(&[OWN, OTHER], &batch(13, vec![deployed(5, OTHER)]));
        assert_eq!(known, OwnOrders { numbers: vec![3], told: Some(5..=5) });
    }
}
