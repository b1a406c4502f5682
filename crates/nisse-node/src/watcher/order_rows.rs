//! Rows by the number of an order, on one version of a market: what the log tells of orders that this node heeds.

use std::collections::BTreeSet;

use nisse_market::MarketAddresses;
use nisse_model::Address;
use nisse_store::{Database, DatabaseError, Rows as _, Table, WriteTransaction};

use super::own;

/// Whose orders are heeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listen<'a> {
    /// This node would run any of them.
    All,
    /// Those of these owners.
    Owners(&'a BTreeSet<Address>),
}

impl Listen<'_> {
    /// Whether an order is. What was told of own orders must have been taken up before.
    pub(super) fn heeds(
        self,
        transaction: &WriteTransaction,
        addresses: &MarketAddresses,
        number: u64,
    ) -> Result<bool, DatabaseError> {
        match self {
            Self::All => Ok(true),
            Self::Owners(owners) => own::is_any_ones(transaction, addresses, owners, number),
        }
    }
}

/// A table of such rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct OrderRows(pub(super) Table);

impl OrderRows {
    pub(super) fn put(
        self,
        transaction: &mut WriteTransaction,
        addresses: &MarketAddresses,
        number: u64,
        row: &[u8],
    ) -> Result<(), DatabaseError> {
        transaction.put(self.0, &key(&place(addresses.chain, addresses.manager), number), row)
    }

    pub(super) fn remove(
        self,
        transaction: &mut WriteTransaction,
        addresses: &MarketAddresses,
        number: u64,
    ) -> Result<(), DatabaseError> {
        transaction.remove(self.0, &key(&place(addresses.chain, addresses.manager), number)).map(drop)
    }

    /// The row of one order, within a write.
    pub(super) fn peek(
        self,
        transaction: &WriteTransaction,
        addresses: &MarketAddresses,
        number: u64,
    ) -> Result<Option<Vec<u8>>, DatabaseError> {
        transaction.get(self.0, &key(&place(addresses.chain, addresses.manager), number))
    }

    /// The row of one order, on the market of this Manager.
    pub(super) fn get(
        self,
        database: &Database,
        chain: u64,
        manager: Address,
        number: u64,
    ) -> Result<Option<Vec<u8>>, DatabaseError> {
        database.read(|rows| rows.get(self.0, &key(&place(chain, manager), number)))
    }

    /// Every row of one version of the market that reads.
    pub(super) fn read<T>(
        self,
        database: &Database,
        addresses: &MarketAddresses,
        read: impl Fn(u64, &[u8]) -> Option<T>,
    ) -> Result<Vec<T>, DatabaseError> {
        let place = place(addresses.chain, addresses.manager);
        let mut found = Vec::new();
        database.read(|rows| {
            rows.with_prefix(self.0, place.as_bytes(), &mut |key, row| {
                found.extend(whole(&key[place.len()..]).and_then(|number| read(number, row)));
                true
            })
        })?;
        Ok(found)
    }

    /// Forgets all of a chain.
    pub(super) fn forget(self, transaction: &mut WriteTransaction, chain: u64) -> Result<(), DatabaseError> {
        transaction.remove_prefix(self.0, format!("{chain}:").as_bytes()).map(drop)
    }
}

/// A number as rows and their keys hold it.
pub(super) fn whole(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

fn place(chain: u64, manager: Address) -> String {
    format!("{chain}:{manager}:")
}

fn key(place: &str, number: u64) -> Vec<u8> {
    [place.as_bytes(), &number.to_be_bytes()].concat()
}
