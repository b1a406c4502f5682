//! Orders that are a node's and that it has not started yet, as the market's log tells of them.
//!
//! This is a list of what to ask about, as that of the leases that run (`living.rs`): the contract decides.

use nisse_market::{EventBatch, MarketAddresses, MarketEvent};
use nisse_store::{Database, DatabaseError, Table, WriteTransaction};

use super::order_rows::{Listen, OrderRows, whole};

/// The unix second until which its node may start it.
const AWAITED: OrderRows = OrderRows(Table::new("awaited"));

/// An order that is to be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AwaitedStart {
    /// Its deployment's number.
    pub(crate) number: u64,
    /// The last unix second in which its node may say that it has started it.
    pub(crate) until: u64,
}

/// Every order of one version of the market whose start is awaited.
pub(crate) fn awaited_starts(
    database: &Database,
    addresses: &MarketAddresses,
) -> Result<Vec<AwaitedStart>, DatabaseError> {
    AWAITED.read(database, addresses, |number, row| Some(AwaitedStart { number, until: whole(row)? }))
}

/// Takes up what a batch of events says of assignments.
pub(super) fn hear(
    transaction: &mut WriteTransaction,
    addresses: &MarketAddresses,
    listen: Listen<'_>,
    batch: &EventBatch,
) -> Result<(), DatabaseError> {
    for at in &batch.committed {
        match &at.event {
            MarketEvent::Assigned { deployment, ack_by: Some(until), .. }
                if listen.heeds(transaction, addresses, *deployment)? =>
            {
                AWAITED.put(transaction, addresses, *deployment, &until.seconds().to_be_bytes())?;
            }
            MarketEvent::Started { deployment, .. }
            | MarketEvent::Reopened { deployment, .. }
            | MarketEvent::Stopped { deployment, .. } => AWAITED.remove(transaction, addresses, *deployment)?,
            _ => {}
        }
    }
    Ok(())
}

/// Forgets one whose start is awaited no more: a reorganisation may have taken the word of its end.
pub(crate) fn forget_start(database: &Database, addresses: &MarketAddresses, number: u64) -> Result<(), DatabaseError> {
    database.write_lazily(|transaction| AWAITED.remove(transaction, addresses, number))
}

/// Forgets all that is awaited on a chain.
pub(super) fn forget(transaction: &mut WriteTransaction, chain: u64) -> Result<(), DatabaseError> {
    AWAITED.forget(transaction, chain)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::sync::Arc;

    use nisse_market::{BlockRef, ChainHash, EventAt, ReopenedFor, StoppedBy};
    use nisse_model::{Address, Amount, AmountPerHour, Timestamp};
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

    fn assigned(deployment: u64, until: u64) -> MarketEvent {
        let (rate, ack_by) = (AmountPerHour(1), (until > 0).then_some(Timestamp(until * 1_000)));
        MarketEvent::Assigned { deployment, node: NODE, rate, ack_by }
    }

    #[test]
    fn who_has_an_order_and_has_not_started_it_is_waited_for_until_the_log_says_more() {
        let database = Database::open(Arc::new(SimDisk::new(1)), Path::new("/index.redb")).expect("it opens");
        let (addresses, owners) = (market_addresses(9), BTreeSet::from([OWN]));
        let told = |listen, events| {
            let batch = batch(events);
            let heard = database.write_lazily(|rows| -> Result<(), DatabaseError> {
                own::hear(rows, &addresses, &owners, &batch)?;
                hear(rows, &addresses, listen, &batch)
            });
            heard.expect("it is written");
            let starts = awaited_starts(&database, &addresses).expect("it reads");
            starts.into_iter().map(|start| (start.number, start.until)).collect::<Vec<_>>()
        };
        let mine = MarketEvent::Deployed { deployment: 2, owner: OWN, order: order(1) };
        let own = told(Listen::Owners(&owners), vec![mine, assigned(1, 60), assigned(2, 70)]);
        assert_eq!(own, [(2, 70)], "strangers' orders are nothing to this node");
        let all = told(Listen::All, vec![assigned(3, 80), assigned(4, 90), assigned(5, 95), assigned(6, 0)]);
        assert_eq!(all, [(2, 70), (3, 80), (4, 90), (5, 95)], "and one at home may take its time");
        let (rate, started) = (AmountPerHour(1), Timestamp(0));
        let ended = told(
            Listen::All,
            vec![
                MarketEvent::Started { deployment: 2, node: NODE, incarnation: 1, rate, started },
                MarketEvent::Stopped { deployment: 3, node: None, by: StoppedBy::Owner, refund: Amount(0) },
                MarketEvent::Reopened {
                    deployment: 4,
                    node: NODE,
                    reason: ReopenedFor::NoAck,
                    bidding_ends: Timestamp(0),
                },
            ],
        );
        assert_eq!(ended, [(5, 95)]);
        forget_start(&database, &addresses, 5).expect("it is written");
        assert_eq!(told(Listen::All, vec![assigned(7, 99)]), [(7, 99)]);
        database.write(|rows| forget(rows, addresses.chain)).expect("it is written");
        assert_eq!(awaited_starts(&database, &addresses).expect("it reads"), []);
    }
}
