//! One agent's state: read, applied to from the journal, exported and replaced.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use nisse_model::Hash256;

use super::nodes::{Preview, Stored};
use super::scope::{Meta, Scope};
use super::snapshot::{Snapshot, SnapshotWriter};
use super::{ENTRIES, NODES, STATE_KEYS_LISTED_MAX, StateError, StateUsage, StateWrite, check_key, check_value, root};
use crate::{Database, DatabaseError, Position, Rows, WriteTransaction};

/// One agent's state. Clones show the same state.
#[derive(Clone)]
pub struct AgentState {
    database: Arc<Database>,
    scope: Scope,
}

impl fmt::Debug for AgentState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "AgentState({:?})", Scope::decode(self.scope.bytes()))
    }
}

impl AgentState {
    pub(super) fn new(database: Arc<Database>, scope: Scope) -> Self {
        Self { database, scope }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.database.read(|rows| rows.get(ENTRIES, &self.scope.entry(key)))?)
    }

    /// Keys that begin with `prefix` and come after `after`, in byte order, at most `limit` and never more than
    /// [`STATE_KEYS_LISTED_MAX`].
    pub fn keys(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, StateError> {
        let limit = limit.min(STATE_KEYS_LISTED_MAX);
        let mut keys = Vec::new();
        if limit == 0 {
            return Ok(keys);
        }
        let start = self.scope.entry(prefix);
        let after = after.map(|after| self.scope.entry(after)).filter(|after| *after >= start);
        let from = after.as_deref().map_or(Bound::Included(start.as_slice()), Bound::Excluded);
        let skip = self.scope.bytes().len();
        self.database.read(|rows| {
            rows.range(ENTRIES, from, Bound::Unbounded, &mut |key, _| {
                let inside = key.starts_with(&start);
                if inside {
                    keys.push(String::from_utf8_lossy(&key[skip..]).into_owned());
                }
                inside && keys.len() < limit
            })
        })?;
        Ok(keys)
    }

    /// How much the state holds.
    pub fn usage(&self) -> Result<StateUsage, StateError> {
        Ok(self.meta()?.usage)
    }

    /// The root hash.
    pub fn root(&self) -> Result<Hash256, StateError> {
        Ok(self.meta()?.root.hash())
    }

    /// The last record of the journal that was applied.
    pub fn applied(&self) -> Result<Option<Position>, StateError> {
        Ok(self.meta()?.applied)
    }

    /// The root hash that [`AgentState::apply`] would give, with nothing changed: an invocation's record names it
    /// before the record is committed.
    pub fn root_after(&self, writes: &[StateWrite]) -> Result<Hash256, StateError> {
        let leaves = leaves(writes);
        Ok(self.database.read(|rows| {
            let meta = self.scope.meta(rows)?;
            let mut nodes = Preview::new(rows, &self.scope);
            Ok::<_, DatabaseError>(root::update(&mut nodes, &mut Vec::new(), meta.root, &leaves)?.hash())
        })?)
    }

    /// Applies one record's writes in order and returns the root hash behind them. A record at or before the last one
    /// applied changes nothing. Quotas were held before the record was committed, so none is asked here; keys and
    /// values over the limits are refused, since no honest record holds them.
    pub fn apply(&self, position: Position, writes: &[StateWrite]) -> Result<Hash256, StateError> {
        for write in writes {
            check_key(&write.key)?;
            check_value(write.value.as_deref().unwrap_or_default())?;
        }
        self.database.write_lazily(|rows| {
            let mut meta = self.scope.meta(rows)?;
            if meta.applied.is_some_and(|applied| applied >= position) {
                return Ok(meta.root.hash());
            }
            for write in writes {
                self.write(rows, &mut meta.usage, &write.key, write.value.as_deref())?;
            }
            let mut nodes = Stored::new(rows, &self.scope);
            meta.root = root::update(&mut nodes, &mut Vec::new(), meta.root, &leaves(writes))?;
            meta.applied = Some(position);
            self.scope.set_meta(rows, &meta)?;
            Ok(meta.root.hash())
        })
    }

    /// The whole state as bytes: see [`Snapshot`].
    pub fn export(&self) -> Result<Vec<u8>, StateError> {
        self.database.read(|rows| {
            let meta = self.scope.meta(rows)?;
            let skip = self.scope.bytes().len();
            let mut writer = SnapshotWriter::new(meta.usage, meta.root.hash())?;
            rows.with_prefix(ENTRIES, self.scope.bytes(), &mut |key, value| {
                writer.entry(&key[skip..], value);
                true
            })?;
            Ok(writer.finish())
        })
    }

    /// Replaces the whole state by a checked export, as of the record at `position`; a record at or before the last one
    /// applied changes nothing. Rollback, restore and move all are this.
    pub fn import(&self, position: Position, snapshot: &Snapshot<'_>) -> Result<Hash256, StateError> {
        self.replace(position, Some(snapshot))
    }

    /// Removes the whole state. What was applied stays known, so that an old record can't bring some of it back.
    pub fn destroy(&self, position: Position) -> Result<(), StateError> {
        self.replace(position, None).map(drop)
    }

    fn replace(&self, position: Position, snapshot: Option<&Snapshot<'_>>) -> Result<Hash256, StateError> {
        self.database.write_lazily(|rows| {
            let mut meta = self.scope.meta(rows)?;
            if meta.applied.is_some_and(|applied| applied >= position) {
                return Ok(meta.root.hash());
            }
            rows.remove_prefix(ENTRIES, self.scope.bytes())?;
            rows.remove_prefix(NODES, self.scope.bytes())?;
            meta = Meta { applied: Some(position), ..Meta::default() };
            let mut leaves = BTreeMap::new();
            for (key, value) in snapshot.into_iter().flat_map(Snapshot::entries) {
                self.write(rows, &mut meta.usage, key, Some(value))?;
                leaves.insert(Hash256::of(key.as_bytes()), Some(root::leaf(key, value)));
            }
            let leaves: Vec<_> = leaves.into_iter().collect();
            meta.root = root::update(&mut Stored::new(rows, &self.scope), &mut Vec::new(), meta.root, &leaves)?;
            self.scope.set_meta(rows, &meta)?;
            Ok(meta.root.hash())
        })
    }

    fn write(
        &self,
        rows: &mut WriteTransaction,
        usage: &mut StateUsage,
        key: &str,
        value: Option<&[u8]>,
    ) -> Result<(), DatabaseError> {
        let entry = self.scope.entry(key);
        if let Some(old) = rows.get(ENTRIES, &entry)? {
            usage.bytes -= (key.len() + old.len()) as u64;
            usage.keys -= 1;
        }
        match value {
            Some(value) => {
                usage.bytes += (key.len() + value.len()) as u64;
                usage.keys += 1;
                rows.put(ENTRIES, &entry, value)
            }
            None => rows.remove(ENTRIES, &entry).map(drop),
        }
    }

    fn meta(&self) -> Result<Meta, StateError> {
        Ok(self.database.read(|rows| self.scope.meta(rows))?)
    }
}

/// The last write of each key as a change of the tree, in the order of the tree.
fn leaves(writes: &[StateWrite]) -> Vec<(Hash256, Option<Hash256>)> {
    let leaf = |write: &StateWrite| {
        let value = write.value.as_ref().map(|value| root::leaf(&write.key, value));
        (Hash256::of(write.key.as_bytes()), value)
    };
    writes.iter().map(leaf).collect::<BTreeMap<_, _>>().into_iter().collect()
}
