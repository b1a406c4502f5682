//! How far what was committed elsewhere was applied to a space.

use nisse_store::{DatabaseError, Position, Rows as _, Table, WriteTransaction};

use super::{Store, StoreError};

/// By space and name of whoever committed it: a position in its journal, and how many of its changes.
const APPLIED: Table = Table::new("space.applied");
const VERSION: u8 = 1;

/// That the first `count` changes that somebody committed at a position were applied, and all before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Applied {
    pub(crate) by: String,
    pub(crate) position: Position,
    pub(crate) count: u32,
}

impl Store {
    /// How far what was committed under this name was applied.
    pub(crate) fn applied(&self, by: &str) -> Result<Option<(Position, u32)>, StoreError> {
        let row = self.database.read(|rows| rows.get(APPLIED, &self.applied_key(by)))?;
        let Some(row) = row else { return Ok(None) };
        let damaged = || StoreError::Register(format!("how far `{by}` was applied is damaged"));
        let [VERSION, rest @ ..] = row.as_slice() else { return Err(damaged()) };
        let (position, count) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
        let count = count.try_into().map_err(|_| damaged())?;
        Ok(Some((Position(u64::from_be_bytes(*position)), u32::from_be_bytes(count))))
    }

    pub(super) fn put_applied(&self, rows: &mut WriteTransaction, applied: &Applied) -> Result<(), DatabaseError> {
        let Applied { by, position, count } = applied;
        let row = [&[VERSION][..], &position.0.to_be_bytes(), &count.to_be_bytes()].concat();
        rows.put(APPLIED, &self.applied_key(by), &row)
    }

    fn applied_key(&self, by: &str) -> Vec<u8> {
        [self.space.0.0.as_slice(), by.as_bytes()].concat()
    }
}
