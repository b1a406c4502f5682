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
