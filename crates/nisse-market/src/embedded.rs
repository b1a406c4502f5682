//! The embedded chain: a one-node EVM chain that lives in the home folder and needs nothing installed.
//!
//! The block log is the truth: a block exists once its record is durable. Accounts are kept in memory and rebuilt by
//! running the log again, from the last snapshot on. One transaction makes one block, at once; the base fee is zero.

mod block;
mod budget;
mod copy;
mod dev;
mod evm;
mod json;
mod open;
mod query;
mod record;
mod rpc;
mod send;
mod snapshot;
mod state;
mod survey;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use nisse_model::Timestamp;
use nisse_store::{Clock, Disk, Entropy, Journal};

pub(crate) use copy::{ChainCopy, Ran};
pub use json::{RPC_BATCH_MAX, RPC_BODY_BYTES_MAX};
pub use open::{ChainOptions, OpenChainError};
pub use record::RecordError;
pub use rpc::RpcError;
pub(crate) use rpc::UNAVAILABLE;
pub use survey::{BLOCKS_RUN_AGAIN_MAX, ChainSurvey};

use dev::Failing;
use query::Filter;
use record::GenesisRecord;
use state::State;

/// Bits of a drawn chain id: what a JSON number holds exactly.
const CHAIN_ID_BITS: u32 = 53;

/// Draws the chain id of a new home: 53 random bits, above every id in public use (DESIGN §5.7).
pub fn draw_chain_id(entropy: &dyn Entropy) -> u64 {
    // The top bit is set, so that the id is never one of the small ones that wallets know.
    (entropy.next_u64() >> (64 - CHAIN_ID_BITS)) | 1 << (CHAIN_ID_BITS - 1)
}

/// A running embedded chain. Cheap to clone; all clones are the same chain.
#[derive(Clone)]
pub struct EmbeddedChain {
    inner: Arc<Inner>,
}

struct Inner {
    folder: PathBuf,
    dev: bool,
    genesis: GenesisRecord,
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    /// What readers see. Held for writing only while a durable block is put on top.
    state: RwLock<State>,
    /// Held by whoever makes a block, through its fsync; readers do not wait for it.
    writer: Mutex<Writer>,
    /// Why an append failed: what is on disk is unknown from then on, so nothing is written any more.
    failure: OnceLock<String>,
    filters: Mutex<Filters>,
    /// Development only: the calls that fail.
    failing: Mutex<Failing>,
}

/// What making a block needs.
struct Writer {
    log: Journal,
    /// Development only: seconds that the chain's clock is ahead.
    ahead_seconds: u64,
    /// Development only: the next block's time.
    next_timestamp: Option<u64>,
}

#[derive(Default)]
struct Filters {
    next: u64,
    open: BTreeMap<u64, Filter>,
}

impl EmbeddedChain {
    /// The chain's id.
    pub fn chain_id(&self) -> u64 {
        self.read().chain_id
    }

    /// Height and hash of the newest block.
    pub fn head(&self) -> (u64, [u8; 32]) {
        let state = self.read();
        (state.head().number(), state.head().hash.0)
    }

    /// The chain's clock: the time that a block made now would carry.
    pub fn time(&self) -> Timestamp {
        // The clock's offset changes only on a development chain; a block being made is not waited for.
        let (ahead, next) = match self.inner.writer.try_lock() {
            Ok(writer) => (writer.ahead_seconds, writer.next_timestamp),
            Err(_) => (0, None),
        };
        let now = next.unwrap_or_else(|| self.inner.clock.now().seconds().saturating_add(ahead));
        Timestamp(now.max(self.read().head().header.timestamp).saturating_mul(1000))
    }

    /// Why no block is made any more until the chain is opened again. A disk that is full for a while is no such reason.
    pub fn failure(&self) -> Option<&str> {
        self.inner.failure.get().map(String::as_str)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.inner.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, State> {
        self.inner.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.inner.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn filters(&self) -> MutexGuard<'_, Filters> {
        self.inner.filters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for EmbeddedChain {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (number, _) = self.head();
        formatter.debug_struct("EmbeddedChain").field("chain_id", &self.chain_id()).field("head", &number).finish()
    }
}
