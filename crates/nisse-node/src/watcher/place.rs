//! Where the cursor stands in the log of a version of the market, on disk.
//!
//! Together with the place stands whether blocks left the chain before it and leases have yet to be read again: a crash
//! between the two must not lose what only that look finds.

use nisse_market::{CursorPosition, MarketAddresses};
use nisse_store::{Database, DatabaseError, Rows as _, Table, WriteTransaction};

use super::{awaited, committed, living, own, providers};
use crate::heartbeats::forget_told;

/// Where cursors stand.
const CURSOR: Table = Table::new("cursor");

/// The place in one log.
pub(super) struct Place<'a> {
    database: &'a Database,
    place: String,
    check: String,
    first: String,
}

impl<'a> Place<'a> {
    pub(super) fn new(database: &'a Database, addresses: &MarketAddresses) -> Self {
        let place = format!("{}:{}", addresses.chain, addresses.manager);
        let check = format!("{place}:check");
        let first = format!("{}:{}:first", addresses.chain, addresses.book);
        Self { database, place, check, first }
    }

    /// The block in which the log of every version begins, once it was found.
    pub(super) fn first(&self) -> Result<Option<u64>, DatabaseError> {
        let row = self.database.read(|rows| rows.get(CURSOR, self.first.as_bytes()))?;
        Ok(row.and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes))
    }

    /// Keeps the block in which the log begins. Not synced: it can be found again.
    pub(super) fn begin_at(&self, first: u64) -> Result<(), DatabaseError> {
        self.database.write_lazily(|transaction| transaction.put(CURSOR, self.first.as_bytes(), &first.to_be_bytes()))
    }

    /// Where the cursor stood, and whether leases are to be read again as after a reorganisation.
    pub(super) fn read(&self) -> Result<(CursorPosition, bool), DatabaseError> {
        let (place, check) = self.database.read(|rows| -> Result<_, DatabaseError> {
            Ok((rows.get(CURSOR, self.place.as_bytes())?, rows.get(CURSOR, self.check.as_bytes())?))
        })?;
        // A place that does not read is a place that is not known: everything is told again, and known already.
        let position = place.and_then(|bytes| CursorPosition::from_bytes(&bytes).ok()).unwrap_or_default();
        Ok((position, check.is_some()))
    }

    /// The cursor went on to `position`, together with `more` that was learnt on the way. With `reorganised`, leases are
    /// to be read again.
    ///
    /// Not synced: after a crash some of the log is told again, and every event of it is held against the contract.
    pub(super) fn write(
        &self,
        position: &CursorPosition,
        reorganised: bool,
        more: impl FnOnce(&mut WriteTransaction) -> Result<(), DatabaseError>,
    ) -> Result<(), DatabaseError> {
        self.database.write_lazily(|transaction| {
            more(transaction)?;
            if reorganised {
                transaction.put(CURSOR, self.check.as_bytes(), &[])?;
            }
            transaction.put(CURSOR, self.place.as_bytes(), &position.to_bytes())
        })
    }

    /// Leases were read again.
    pub(super) fn checked(&self) -> Result<(), DatabaseError> {
        self.database.write_lazily(|transaction| transaction.remove(CURSOR, self.check.as_bytes()).map(drop))
    }
}

/// Forgets every place in the log of a chain with what was learnt from it, so that it is told from its first block.
pub(crate) fn forget_places(database: &Database, chain: u64) -> Result<(), DatabaseError> {
    let prefix = format!("{chain}:");
    database.write(|transaction| {
        own::forget(transaction, chain)?;
        living::forget(transaction, chain)?;
        providers::forget(transaction, chain)?;
        awaited::forget(transaction, chain)?;
        committed::forget(transaction, chain)?;
        forget_told(transaction, chain)?;
        transaction.remove_prefix(CURSOR, prefix.as_bytes()).map(drop)
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use nisse_testkit::SimDisk;

    use super::*;
    use crate::fixtures::market_addresses;

    fn open(disk: &SimDisk) -> Database {
        Database::open(Arc::new(disk.clone()), Path::new("/index.redb")).expect("it opens")
    }

    #[test]
    fn a_look_that_a_reorganisation_calls_for_is_owed_until_it_was_done() {
        let disk = SimDisk::new(1);
        let database = open(&disk);
        let place = Place::new(&database, &market_addresses(3));
        let position = CursorPosition::default();
        assert_eq!(place.read().expect("it reads"), (position.clone(), false));
        let nothing = |_: &mut WriteTransaction| Ok(());
        place.write(&position, true, nothing).expect("it is written");
        place.write(&position, false, nothing).expect("it is written");
        database.flush().expect("it is synced");
        drop(database);

        let database = open(&disk);
        let place = Place::new(&database, &market_addresses(3));
        assert!(place.read().expect("it reads").1, "a restart came before the look");
        place.checked().expect("it is written");
        assert!(!place.read().expect("it reads").1);
        place.write(&position, true, nothing).expect("it is written");
        assert_eq!(place.first().expect("it reads"), None);
        place.begin_at(1 << 40).expect("it is written");
        assert_eq!(place.first().expect("it reads"), Some(1 << 40));
        forget_places(&database, 7).expect("it is written");
        assert!(!place.read().expect("it reads").1, "a chain made anew owes nothing");
        assert_eq!(place.first().expect("it reads"), None, "and begins where it begins");
    }
}
