//! The state of agents: per owner and agent name an ordered map with a root hash (DESIGN §5.3).
//!
//! The journal is the truth and this is its result: applying the same record again changes nothing, and a change is
//! durable only after [`StateStore::flush`]. How the root hash is made is told in [`root`](mod@root); how an export
//! looks, in [`snapshot`](mod@snapshot).

mod error;
mod overlay;
mod root;
mod scope;
mod snapshot;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use nisse_model::{Address, AgentName, Hash256};

pub use error::StateError;
pub use overlay::Overlay;
pub use root::state_root;
pub use snapshot::{SNAPSHOT_BYTES_MAX, Snapshot};

use crate::{Database, DatabaseError, Disk, Position, Rows, Table, WriteTransaction};
use root::{Nodes, Slot};
use scope::{Meta, Scope};

/// Longest key; a key has at least one byte.
pub const STATE_KEY_BYTES_MAX: usize = 512;
/// Longest value.
pub const STATE_VALUE_BYTES_MAX: usize = 1 << 20;
/// Most bytes that one agent's state may be allowed to hold, keys and values together.
pub const STATE_BYTES_MAX: u64 = 256 << 20;
/// Most keys that one listing returns.
pub const STATE_KEYS_LISTED_MAX: usize = 1000;
/// Most bytes that one invocation may write, keys and values together: its record must fit into the journal.
pub const OVERLAY_BYTES_MAX: u64 = 8 << 20;

/// Scope → [`Meta`].
const META: Table = Table::new("state.meta");
/// Scope and key → value.
const ENTRIES: Table = Table::new("state.entries");
/// Scope and path in the tree → sixteen slots.
const NODES: Table = Table::new("state.nodes");

const APPLIED_MARK: &str = "journal";

/// One write of an invocation, as it stands in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateWrite {
    /// Which entry.
    pub key: String,
    /// Its new value; `None` removes the entry.
    pub value: Option<Vec<u8>>,
}

/// How much an agent's state holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StateUsage {
    /// Bytes of all keys and values together: what a quota limits.
    pub bytes: u64,
    /// Entries.
    pub keys: u64,
}

/// The states of all agents of a home, in one database.
#[derive(Debug, Clone)]
pub struct StateStore {
    database: Arc<Database>,
}

impl StateStore {
    /// Opens the database file at `path`, created when absent.
    pub fn open(disk: Arc<dyn Disk>, path: &Path) -> Result<Self, StateError> {
        Ok(Self { database: Arc::new(Database::open(disk, path)?) })
    }

    /// One agent's state. Nothing is made until something is written.
    pub fn agent(&self, owner: Address, name: &AgentName) -> AgentState {
        AgentState { database: self.database.clone(), scope: Scope::new(owner, name) }
    }

    /// All agents that have or had a state.
    pub fn agents(&self) -> Result<Vec<(Address, AgentName)>, StateError> {
        let mut agents = Vec::new();
        self.database.read(|rows| {
            rows.with_prefix(META, &[], &mut |key, _| {
                agents.extend(Scope::decode(key));
                true
            })
        })?;
        Ok(agents)
    }

    /// Notes that the journal's records up to and including `position` were applied, to whichever agents they concern.
    pub fn set_applied_up_to(&self, position: Position) -> Result<(), StateError> {
        Ok(self.database.write_lazily(|rows| rows.set_mark(APPLIED_MARK, position))?)
    }

    /// The last record noted by [`StateStore::set_applied_up_to`]: recovery goes on behind it.
    pub fn applied_up_to(&self) -> Result<Option<Position>, StateError> {
        Ok(self.database.mark(APPLIED_MARK)?)
    }

    /// Makes everything applied so far durable and returns the last record noted as applied: the journal may be
    /// truncated before it.
    pub fn flush(&self) -> Result<Option<Position>, StateError> {
        let applied = self.applied_up_to()?;
        self.database.flush()?;
        Ok(applied)
    }
}

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
            let mut nodes = Preview { rows, scope: &self.scope, changed: BTreeMap::new() };
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
            let mut nodes = Stored { rows, scope: &self.scope };
            meta.root = root::update(&mut nodes, &mut Vec::new(), meta.root, &leaves(writes))?;
            meta.applied = Some(position);
            self.scope.set_meta(rows, &meta)?;
            Ok(meta.root.hash())
        })
    }

    /// The whole state as bytes: see [`snapshot`](mod@snapshot).
    pub fn export(&self) -> Result<Vec<u8>, StateError> {
        self.database.read(|rows| {
            let meta = self.scope.meta(rows)?;
            let skip = self.scope.bytes().len();
            let mut writer = snapshot::SnapshotWriter::new(meta.usage, meta.root.hash())?;
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
            meta.root = root::update(&mut Stored { rows, scope: &self.scope }, &mut Vec::new(), meta.root, &leaves)?;
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

fn check_key(key: &str) -> Result<(), StateError> {
    if key.is_empty() || key.len() > STATE_KEY_BYTES_MAX {
        return Err(StateError::Key { length: key.len() });
    }
    Ok(())
}

fn check_value(value: &[u8]) -> Result<(), StateError> {
    if value.len() > STATE_VALUE_BYTES_MAX {
        return Err(StateError::Value { length: value.len() });
    }
    Ok(())
}

/// The tree's nodes inside a change.
struct Stored<'a> {
    rows: &'a mut WriteTransaction,
    scope: &'a Scope,
}

impl Nodes for Stored<'_> {
    fn load(&self, path: &[u8]) -> Result<[Slot; 16], DatabaseError> {
        self.scope.node(self.rows, path)
    }

    fn store(&mut self, path: &[u8], slots: Option<&[Slot; 16]>) -> Result<(), DatabaseError> {
        let key = self.scope.below(path);
        match slots {
            Some(slots) => self.rows.put(NODES, &key, &root::encode_node(slots)),
            None => self.rows.remove(NODES, &key).map(drop),
        }
    }
}

/// The tree's nodes under changes that are never stored.
struct Preview<'a, R> {
    rows: &'a R,
    scope: &'a Scope,
    changed: BTreeMap<Vec<u8>, [Slot; 16]>,
}

impl<R: Rows> Nodes for Preview<'_, R> {
    fn load(&self, path: &[u8]) -> Result<[Slot; 16], DatabaseError> {
        self.changed.get(path).map_or_else(|| self.scope.node(self.rows, path), |slots| Ok(*slots))
    }

    fn store(&mut self, path: &[u8], slots: Option<&[Slot; 16]>) -> Result<(), DatabaseError> {
        if let Some(slots) = slots {
            self.changed.insert(path.to_owned(), *slots);
        }
        Ok(())
    }
}
