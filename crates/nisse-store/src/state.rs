//! The state of agents: per owner and agent name an ordered map with a root hash (DESIGN §5.3).
//!
//! The journal is the truth and this is its result: applying the same record again changes nothing, and a change is
//! durable only after [`StateStore::flush`]. How the root hash is made is told at [`state_root`]; how an export looks,
//! in `state/snapshot.rs`.

mod agent;
mod error;
mod nodes;
mod overlay;
mod root;
mod scope;
mod snapshot;

use std::path::Path;
use std::sync::Arc;

use nisse_model::{Address, AgentName};

pub use agent::AgentState;
pub use error::StateError;
pub use overlay::Overlay;
pub use root::state_root;
pub use snapshot::{SNAPSHOT_BYTES_MAX, Snapshot};

use crate::{Database, Disk, Rows, Table};
use scope::Scope;

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

/// Scope → what is known of the state besides its entries.
const META: Table = Table::new("state.meta");
/// Scope and key → value.
const ENTRIES: Table = Table::new("state.entries");
/// Scope and path in the tree → sixteen slots.
const NODES: Table = Table::new("state.nodes");

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
        AgentState::new(self.database.clone(), Scope::new(owner, name))
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

    /// Makes everything applied so far durable, each agent's mark ([`AgentState::applied`]) with its state: the journal
    /// may be truncated before what was applied.
    pub fn flush(&self) -> Result<(), StateError> {
        Ok(self.database.flush()?)
    }
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
