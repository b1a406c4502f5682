//! Opening the chain: log, then snapshot, then the rest of the log run again.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, RwLock};

use alloy::primitives::U256;
use nisse_model::{Address, Amount};
use nisse_store::{Clock, Disk, Entropy, Journal, JournalError};

use super::record::{BlockRecord, GenesisRecord, Record, RecordError};
use super::snapshot::{self, SNAPSHOT_BYTES_MAX, Snapshot};
use super::state::State;
use super::{EmbeddedChain, Filters, Inner, Writer};

/// Transactions between two snapshots of the state.
pub(super) const SNAPSHOT_TRANSACTIONS: u64 = 2_000;
/// The snapshot's file in the chain's folder.
const SNAPSHOT_FILE: &str = "snapshot";

/// How a chain is opened.
#[derive(Debug, Clone)]
pub struct ChainOptions {
    /// The id of a chain that is born now; a chain that already exists keeps its own. See [`super::draw_chain_id`].
    /// `None` where one has lived already: a log that is gone is refused, never begun anew.
    pub new_chain_id: Option<u64>,
    /// When given, a chain with another id is refused.
    pub expect_chain_id: Option<u64>,
    /// Native money that exists at birth, in wei. nisse itself needs none: gas is free on this chain.
    pub allocations: Vec<(Address, Amount)>,
    /// Serves the `nisse_*` methods that move the clock and undo blocks.
    pub dev: bool,
}

/// Why a chain does not open. Each text completes "failed to …".
#[derive(Debug, thiserror::Error)]
pub enum OpenChainError {
    /// The block log cannot be read or written.
    #[error("open the block log")]
    Log(#[from] JournalError),
    /// A record of the log is not one of ours.
    #[error("take record {index} of the block log")]
    Record {
        /// Its place in the log, from 0.
        index: u64,
        /// What is wrong with it.
        source: RecordError,
    },
    /// The log belongs to another chain.
    #[error("open chain {found} as chain {expected}: this folder holds another chain")]
    OtherChain {
        /// The id that was asked for.
        expected: u64,
        /// The id in the log.
        found: u64,
    },
    /// The first record, and only the first, carries the chain's parameters.
    #[error("take record {0} of the block log: the chain's parameters stand in the first record and nowhere else")]
    Genesis(u64),
    /// Running a block again gives another result.
    #[error("replay block {0}: it comes out differently than when it was made")]
    Replay(u64),
    /// A chain lived here once and its log holds nothing any more.
    #[error("find the block log in {}: a chain lived in this folder and is gone", .0.display())]
    Gone(PathBuf),
    /// The folder cannot be used.
    #[error("use the chain's folder")]
    Folder(#[from] io::Error),
}

impl OpenChainError {
    /// Whether what is there is no sound chain of this home's. A disk that fails now, or the format of a newer program,
    /// says nothing about the chain.
    pub fn is_lost(&self) -> bool {
        match self {
            Self::Log(error) => matches!(error, JournalError::Damaged { .. } | JournalError::Gap { .. }),
            Self::Record { source, .. } => matches!(source, RecordError::Malformed),
            Self::OtherChain { .. } | Self::Genesis(_) | Self::Replay(_) | Self::Gone(_) => true,
            Self::Folder(_) => false,
        }
    }
}

impl EmbeddedChain {
    /// Opens the chain in `folder`, or makes a new one when its log is empty.
    pub fn open(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        entropy: &dyn Entropy,
        folder: &Path,
        options: ChainOptions,
    ) -> Result<Self, OpenChainError> {
        disk.create_dir_all(folder)?;
        let mut found = Log::default();
        let log = Journal::open(disk.clone(), entropy, &folder.join("blocks"), |position, bytes| {
            found.take(position.0, bytes)
        })?;
        let genesis = match found.genesis {
            Some(genesis) => genesis,
            None => {
                let genesis = new_genesis(&options, clock.as_ref());
                let genesis = genesis.ok_or_else(|| OpenChainError::Gone(folder.to_owned()))?;
                log.append(&Record::Genesis(genesis.clone()).encode())?.wait()?;
                genesis
            }
        };
        if let Some(expected) = options.expect_chain_id.filter(|expected| *expected != genesis.chain_id) {
            return Err(OpenChainError::OtherChain { expected, found: genesis.chain_id });
        }
        let snapshot = snapshot_of(disk.as_ref(), folder, &found.blocks);
        let state = run_again(&genesis, found.blocks, snapshot)?;
        tracing::debug!(chain = state.chain_id, head = state.head().number(), "opened the embedded chain");
        Ok(Self {
            inner: Arc::new(Inner {
                folder: folder.to_owned(),
                dev: options.dev,
                genesis,
                disk,
                clock,
                state: RwLock::new(state),
                writer: Mutex::new(Writer { log, ahead_seconds: 0, next_timestamp: None }),
                failure: OnceLock::new(),
                filters: Mutex::new(Filters::default()),
                failing: Mutex::default(),
            }),
        })
    }

    /// Writes a snapshot of the state. One that cannot be written is only a slower start.
    pub(super) fn save_snapshot(&self) {
        let (number, bytes) = {
            let state = self.read();
            let (number, hash) = (state.head().number(), state.head().hash);
            (number, snapshot::encode(number, hash, &state.database))
        };
        if let Err(error) = self.inner.disk.replace(&self.inner.folder.join(SNAPSHOT_FILE), &bytes) {
            tracing::warn!(block = number, %error, "could not write a snapshot of the chain's state");
        }
    }
}

fn new_genesis(options: &ChainOptions, clock: &dyn Clock) -> Option<GenesisRecord> {
    let allocation =
        |(address, wei): &(Address, Amount)| (alloy::primitives::Address::from(address.0), U256::from(wei.0));
    Some(GenesisRecord {
        chain_id: options.expect_chain_id.unwrap_or(options.new_chain_id?),
        timestamp: clock.now().seconds(),
        allocations: options.allocations.iter().map(allocation).collect(),
    })
}

/// What the log holds once abandoned blocks are left out.
#[derive(Default)]
pub(super) struct Log {
    pub(super) genesis: Option<GenesisRecord>,
    pub(super) blocks: Vec<BlockRecord>,
}

impl Log {
    pub(super) fn take(&mut self, index: u64, bytes: &[u8]) -> Result<(), OpenChainError> {
        match Record::decode(bytes).map_err(|source| OpenChainError::Record { index, source })? {
            Record::Genesis(genesis) if index == 0 => self.genesis = Some(genesis),
            Record::Block(block) if self.genesis.is_some() => self.blocks.push(*block),
            Record::Reorg(to) if self.genesis.is_some() => {
                self.blocks.truncate(usize::try_from(to).unwrap_or(usize::MAX));
            }
            _ => return Err(OpenChainError::Genesis(index)),
        }
        Ok(())
    }
}

/// The snapshot, where it is whole and of one of these blocks.
pub(super) fn snapshot_of(disk: &dyn Disk, folder: &Path, blocks: &[BlockRecord]) -> Option<Snapshot> {
    let path = folder.join(SNAPSHOT_FILE);
    let bytes = if disk.exists(&path) { disk.read(&path, SNAPSHOT_BYTES_MAX).unwrap_or_default() } else { Vec::new() };
    snapshot::decode(&bytes).filter(|snapshot| {
        let place = snapshot.number.checked_sub(1).and_then(|index| usize::try_from(index).ok());
        place.and_then(|index| blocks.get(index)).is_some_and(|block| block.hash == snapshot.hash)
    })
}

/// The state behind these blocks: each is held against its hash, and run from the snapshot on.
pub(super) fn run_again(
    genesis: &GenesisRecord,
    blocks: Vec<BlockRecord>,
    mut snapshot: Option<Snapshot>,
) -> Result<State, OpenChainError> {
    let mut state = State::genesis(genesis);
    for block in blocks {
        let number = state.head().number() + 1;
        let taken = if snapshot.is_some() { state.adopt(block) } else { state.replay(block) };
        if !taken {
            return Err(OpenChainError::Replay(number));
        }
        if let Some(reached) = snapshot.take_if(|snapshot| snapshot.number == number) {
            state.adopt_database(reached.database);
        }
    }
    Ok(state)
}
