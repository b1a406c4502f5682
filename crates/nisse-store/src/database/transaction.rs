//! What can be done inside a transaction: rows by key, rows in order, marks.

use std::ops::Bound;

use redb::{ReadableTable, TableDefinition, TableError};

use super::{DatabaseError, KEY_BYTES_MAX, MARKS, VALUE_BYTES_MAX};
use crate::Position;

/// A table's name. It comes into being with its first row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table(&'static str);

impl Table {
    /// The table of that name; names that begin with `nisse.` are the database's own.
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    fn definition(self) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
        TableDefinition::new(self.0)
    }
}

type ReadTable = redb::ReadOnlyTable<&'static [u8], &'static [u8]>;

/// Rows as a transaction sees them.
pub trait Rows {
    /// One row's value.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, DatabaseError>;

    /// Hands each row between two keys to `each`, in key order, until it says `false`.
    fn range(
        &self,
        table: Table,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), DatabaseError>;

    /// Hands each row whose key begins with `prefix` to `each`, in key order, until it says `false`.
    fn with_prefix(
        &self,
        table: Table,
        prefix: &[u8],
        each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), DatabaseError> {
        self.range(table, Bound::Included(prefix), Bound::Unbounded, &mut |key, value| {
            key.starts_with(prefix) && each(key, value)
        })
    }

    /// The last record of a journal that was applied under this name.
    fn mark(&self, name: &str) -> Result<Option<Position>, DatabaseError> {
        let bytes = self.get(MARKS, name.as_bytes())?;
        Ok(bytes.and_then(|bytes| bytes.try_into().ok()).map(|bytes| Position(u64::from_le_bytes(bytes))))
    }
}

/// One state of the database, for reading.
pub struct ReadTransaction(redb::ReadTransaction);

impl ReadTransaction {
    pub(super) fn new(inner: redb::ReadTransaction) -> Self {
        Self(inner)
    }

    /// The table, unless it does not exist yet.
    fn table(&self, table: Table) -> Result<Option<ReadTable>, DatabaseError> {
        match self.0.open_table(table.definition()) {
            Ok(table) => Ok(Some(table)),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(DatabaseError::failed("open a table", error)),
        }
    }
}

impl Rows for ReadTransaction {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, DatabaseError> {
        self.table(table)?.map_or(Ok(None), |table| get(&table, key))
    }

    fn range(
        &self,
        table: Table,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), DatabaseError> {
        self.table(table)?.map_or(Ok(()), |table| range(&table, from, to, each))
    }
}

/// A change in the making. What it wrote, it sees.
pub struct WriteTransaction(redb::WriteTransaction);

impl WriteTransaction {
    pub(super) fn new(inner: redb::WriteTransaction) -> Self {
        Self(inner)
    }

    pub(super) fn commit(self) -> Result<(), DatabaseError> {
        self.0.commit().map_err(|error| DatabaseError::failed("commit a change", error))
    }

    fn table(&self, table: Table) -> Result<redb::Table<'_, &'static [u8], &'static [u8]>, DatabaseError> {
        self.0.open_table(table.definition()).map_err(|error| DatabaseError::failed("open a table", error))
    }

    /// Writes one row.
    pub fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), DatabaseError> {
        if key.len() > KEY_BYTES_MAX {
            return Err(DatabaseError::KeyTooLong { length: key.len() });
        }
        if value.len() > VALUE_BYTES_MAX {
            return Err(DatabaseError::ValueTooLong { length: value.len() });
        }
        let mut table = self.table(table)?;
        table.insert(key, value).map_err(|error| DatabaseError::failed("write a row", error))?;
        Ok(())
    }

    /// Removes one row and says whether there was one.
    pub fn remove(&mut self, table: Table, key: &[u8]) -> Result<bool, DatabaseError> {
        let mut table = self.table(table)?;
        let removed = table.remove(key).map_err(|error| DatabaseError::failed("remove a row", error))?;
        Ok(removed.is_some())
    }

    /// Removes all rows whose keys begin with `prefix` and says how many there were.
    pub fn remove_prefix(&mut self, table: Table, prefix: &[u8]) -> Result<u64, DatabaseError> {
        let mut table = self.table(table)?;
        let mut removed = 0;
        let range = (Bound::Included(prefix), end_of(prefix));
        let end = match &range.1 {
            Some(end) => Bound::Excluded(end.as_slice()),
            None => Bound::Unbounded,
        };
        let count = |_: &[u8], _: &[u8]| {
            removed += 1;
            false
        };
        table
            .retain_in::<&[u8], _>((range.0, end), count)
            .map_err(|error| DatabaseError::failed("remove rows", error))?;
        Ok(removed)
    }

    /// Notes that a journal's records up to and including `position` are applied, together with what was applied.
    pub fn set_mark(&mut self, name: &str, position: Position) -> Result<(), DatabaseError> {
        if let Some(from) = self.mark(name)?.filter(|from| *from > position) {
            return Err(DatabaseError::MarkWentBack { name: name.to_owned(), from, to: position });
        }
        self.put(MARKS, name.as_bytes(), &position.0.to_le_bytes())
    }
}

impl Rows for WriteTransaction {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, DatabaseError> {
        get(&self.table(table)?, key)
    }

    fn range(
        &self,
        table: Table,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), DatabaseError> {
        range(&self.table(table)?, from, to, each)
    }
}

fn get(table: &impl ReadableTable<&'static [u8], &'static [u8]>, key: &[u8]) -> Result<Option<Vec<u8>>, DatabaseError> {
    let row = table.get(key).map_err(|error| DatabaseError::failed("read a row", error))?;
    Ok(row.map(|value| value.value().to_vec()))
}

fn range(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    from: Bound<&[u8]>,
    to: Bound<&[u8]>,
    each: &mut dyn FnMut(&[u8], &[u8]) -> bool,
) -> Result<(), DatabaseError> {
    let failed = |error| DatabaseError::failed("read rows", error);
    if let (Bound::Included(first) | Bound::Excluded(first), Bound::Included(last) | Bound::Excluded(last)) = (from, to)
        && first >= last
        && (first, from, to) != (last, Bound::Included(first), Bound::Included(first))
    {
        return Ok(());
    }
    for row in table.range::<&[u8]>((from, to)).map_err(failed)? {
        let (key, value) = row.map_err(failed)?;
        if !each(key.value(), value.value()) {
            break;
        }
    }
    Ok(())
}

/// The first key behind all keys with that prefix, if there is one.
fn end_of(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}
