//! Leases that run elsewhere and whose nodes are listened for, as the market's log tells of them.
//!
//! This is a list of whom to ask about, and what the contract says decides: an entry that a crash or a reorganisation
//! left behind costs a question, and one that it took is another node's to notice.

use std::collections::BTreeSet;

use nisse_market::{EventBatch, MarketAddresses, MarketEvent};
use nisse_model::Address;
use nisse_store::{Database, DatabaseError, Rows as _, Table, WriteTransaction};

use super::own;

/// By market and number: the node, and the unix second of the start.
const LIVING: Table = Table::new("living");

/// A lease that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LivingLease {
    /// Its deployment's number.
    pub(crate) number: u64,
    /// Who runs it.
    pub(crate) node: Address,
    /// Since which unix second.
    pub(crate) started: u64,
}

/// Whose leases are listened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listen<'a> {
    /// This node would run any of them.
    All,
    /// Those of these owners.
    Owners(&'a BTreeSet<Address>),
}

/// Every lease that is listened for on one version of the market.
pub(crate) fn living_leases(
    database: &Database,
    addresses: &MarketAddresses,
) -> Result<Vec<LivingLease>, DatabaseError> {
    let place = place(addresses);
    let mut leases = Vec::new();
    database.read(|rows| {
        rows.with_prefix(LIVING, place.as_bytes(), &mut |key, value| {
            leases.extend(read(&key[place.len()..], value));
            true
        })
    })?;
    Ok(leases)
}

/// Takes up what a batch of events says of leases. What was told of own orders in it must have been taken up before.
pub(super) fn hear(
    transaction: &mut WriteTransaction,
    addresses: &MarketAddresses,
    listen: Listen<'_>,
    batch: &EventBatch,
) -> Result<(), DatabaseError> {
    let place = place(addresses);
    for at in &batch.committed {
        match &at.event {
            MarketEvent::Started { deployment, node, started, .. } => {
                let heeded = match listen {
                    Listen::All => true,
                    Listen::Owners(owners) => own::is_any_ones(transaction, addresses, owners, *deployment)?,
                };
                if heeded {
                    let row = [&node.0[..], &started.seconds().to_be_bytes()].concat();
                    transaction.put(LIVING, &key(&place, *deployment), &row)?;
                }
            }
            MarketEvent::Stopped { deployment, .. }
            | MarketEvent::Expired { deployment, .. }
            | MarketEvent::Reopened { deployment, .. } => {
                transaction.remove(LIVING, &key(&place, *deployment))?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Forgets all leases on a chain.
pub(super) fn forget(transaction: &mut WriteTransaction, chain: u64) -> Result<(), DatabaseError> {
    transaction.remove_prefix(LIVING, format!("{chain}:").as_bytes()).map(drop)
}

fn read(number: &[u8], row: &[u8]) -> Option<LivingLease> {
    let (node, started) = row.split_first_chunk::<20>()?;
    let whole = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_be_bytes);
    Some(LivingLease { number: whole(number)?, node: Address(*node), started: whole(started)? })
}

fn place(addresses: &MarketAddresses) -> String {
    format!("{}:{}:", addresses.chain, addresses.manager)
}

fn key(place: &str, number: u64) -> Vec<u8> {
    [place.as_bytes(), &number.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use nisse_market::{BlockRef, ChainHash, EventAt, ReopenedFor};
    use nisse_model::{AmountPerHour, Timestamp};
    use nisse_testkit::SimDisk;

    use super::*;
    use crate::fixtures::{market_addresses, order};

    const OWN: Address = Address([1; 20]);
    const NODE: Address = Address([5; 20]);

    fn batch(events: Vec<MarketEvent>) -> EventBatch {
        let at = |event| EventAt {
            block: BlockRef::default(),
            time: Timestamp(0),
            tx: ChainHash([0; 32]),
            log_index: 0,
            contract: Address([4; 20]),
            event,
        };
        EventBatch { committed: events.into_iter().map(at).collect(), ..EventBatch::default() }
    }

    fn started(deployment: u64) -> MarketEvent {
        let (rate, started) = (AmountPerHour(1), Timestamp(deployment * 1_000));
        MarketEvent::Started { deployment, node: NODE, incarnation: 1, rate, started }
    }

    fn reopened(deployment: u64) -> MarketEvent {
        let (reason, bidding_ends) = (ReopenedFor::Silent, Timestamp(0));
        MarketEvent::Reopened { deployment, node: NODE, reason, bidding_ends }
    }

    /// The numbers that are listened for behind these batches.
    fn heard(all: bool, batches: &[EventBatch]) -> Vec<u64> {
        let database = Database::open(Arc::new(SimDisk::new(1)), Path::new("/index.redb")).expect("it opens");
        let (addresses, owners) = (market_addresses(9), BTreeSet::from([OWN]));
        let listen = if all { Listen::All } else { Listen::Owners(&owners) };
        for batch in batches {
            let heard = database.write_lazily(|rows| -> Result<(), DatabaseError> {
                own::hear(rows, &addresses, &owners, batch)?;
                hear(rows, &addresses, listen, batch)
            });
            heard.expect("it is written");
        }
        let leases = living_leases(&database, &addresses).expect("it reads");
        assert!(leases.iter().all(|lease| lease.node == NODE && lease.started == lease.number), "{leases:?}");
        assert_eq!(living_leases(&database, &market_addresses(8)).expect("it reads"), [], "each market has its own");
        database.write(|rows| forget(rows, addresses.chain)).expect("it is written");
        assert_eq!(living_leases(&database, &addresses).expect("it reads"), []);
        leases.into_iter().map(|lease| lease.number).collect()
    }

    #[test]
    fn own_leases_are_listened_for_and_strangers_by_whoever_would_run_them_until_they_end() {
        let deployed = |deployment, owner| MarketEvent::Deployed { deployment, owner, order: order(1) };
        let first = batch(vec![deployed(1, OWN), deployed(2, NODE), deployed(3, OWN), started(1), started(2)]);
        let second = batch(vec![started(3), MarketEvent::Expired { deployment: 1, node: NODE }, reopened(2)]);
        assert_eq!(heard(true, std::slice::from_ref(&first)), [1, 2]);
        assert_eq!(heard(false, std::slice::from_ref(&first)), [1]);
        assert_eq!(heard(true, &[first.clone(), second.clone()]), [3]);
        // Another took it over, or it started before its place in the log was read again.
        assert_eq!(heard(false, &[first, second, batch(vec![started(1), started(2)])]), [1, 3]);
    }
}
