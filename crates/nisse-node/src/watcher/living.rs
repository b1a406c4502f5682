//! Leases that run elsewhere and whose nodes are listened for, as the market's log tells of them.
//!
//! This is a list of whom to ask about, and what the contract says decides: an entry that a crash or a reorganisation
//! left behind costs a question, and one that it took is another node's to notice.

use nisse_market::{EventBatch, MarketAddresses, MarketEvent};
use nisse_model::Address;
use nisse_store::{Database, DatabaseError, Table, WriteTransaction};

use super::order_rows::{Listen, OrderRows, whole};

/// The node, and the unix second of the start.
const LIVING: OrderRows = OrderRows(Table::new("living"));

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

/// Every lease that is listened for on one version of the market.
pub(crate) fn living_leases(
    database: &Database,
    addresses: &MarketAddresses,
) -> Result<Vec<LivingLease>, DatabaseError> {
    LIVING.read(database, addresses, |number, row| {
        let (node, started) = row.split_first_chunk::<20>()?;
        Some(LivingLease { number, node: Address(*node), started: whole(started)? })
    })
}

/// Takes up what a batch of events says of leases.
pub(super) fn hear(
    transaction: &mut WriteTransaction,
    addresses: &MarketAddresses,
    listen: Listen<'_>,
    batch: &EventBatch,
) -> Result<(), DatabaseError> {
    for at in &batch.committed {
        match &at.event {
            MarketEvent::Started { deployment, node, started, .. }
                if listen.heeds(transaction, addresses, *deployment)? =>
            {
                let row = [&node.0[..], &started.seconds().to_be_bytes()].concat();
                LIVING.put(transaction, addresses, *deployment, &row)?;
            }
            MarketEvent::Stopped { deployment, .. }
            | MarketEvent::Expired { deployment, .. }
            | MarketEvent::Reopened { deployment, .. } => LIVING.remove(transaction, addresses, *deployment)?,
            _ => {}
        }
    }
    Ok(())
}

/// Forgets all leases on a chain.
pub(super) fn forget(transaction: &mut WriteTransaction, chain: u64) -> Result<(), DatabaseError> {
    LIVING.forget(transaction, chain)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::sync::Arc;

    use nisse_market::{BlockRef, ChainHash, EventAt, ReopenedFor};
    use nisse_model::{AmountPerHour, Timestamp};
    use nisse_testkit::SimDisk;

    use super::*;
    use crate::fixtures::{market_addresses, order};
    use crate::watcher::own;

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
