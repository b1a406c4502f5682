//! Orders that are a node's and that it has not started yet, as the market's log tells of them.
//!
//! This is a list of what to ask about, as that of the leases that run (`living.rs`): the contract decides.

use nisse_market::{EventBatch, MarketAddresses, MarketEvent};
use nisse_store::{Database, DatabaseError, Rows as _, Table, WriteTransaction};

use super::living::Listen;
use super::own;

/// By market and number: the unix second until which its node may start it.
const AWAITED: Table = Table::new("awaited");

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
    let place = place(addresses);
    let mut starts = Vec::new();
    database.read(|rows| {
        rows.with_prefix(AWAITED, place.as_bytes(), &mut |key, value| {
            let whole = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_be_bytes);
            if let (Some(number), Some(until)) = (whole(&key[place.len()..]), whole(value)) {
                starts.push(AwaitedStart { number, until });
            }
            true
        })
    })?;
    Ok(starts)
}

/// Takes up what a batch of events says of assignments. What was told of own orders in it must have been taken up before.
pub(super) fn hear(
    transaction: &mut WriteTransaction,
    addresses: &MarketAddresses,
    listen: Listen<'_>,
    batch: &EventBatch,
) -> Result<(), DatabaseError> {
    let place = place(addresses);
    for at in &batch.committed {
        match &at.event {
            MarketEvent::Assigned { deployment, ack_by: Some(until), .. } => {
                let heeded = match listen {
                    Listen::All => true,
                    Listen::Owners(owners) => own::is_any_ones(transaction, addresses, owners, *deployment)?,
                };
                if heeded {
                    transaction.put(AWAITED, &key(&place, *deployment), &until.seconds().to_be_bytes())?;
                }
            }
            MarketEvent::Started { deployment, .. }
            | MarketEvent::Reopened { deployment, .. }
            | MarketEvent::Stopped { deployment, .. } => {
                transaction.remove(AWAITED, &key(&place, *deployment))?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Forgets all that is awaited on a chain.
pub(super) fn forget(transaction: &mut WriteTransaction, chain: u64) -> Result<(), DatabaseError> {
    transaction.remove_prefix(AWAITED, format!("{chain}:").as_bytes()).map(drop)
}

fn place(addresses: &MarketAddresses) -> String {
    format!("{}:{}:", addresses.chain, addresses.manager)
}

fn key(place: &str, number: u64) -> Vec<u8> {
    [place.as_bytes(), &number.to_be_bytes()].concat()
}
