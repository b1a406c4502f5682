//! The blocks a node holds: append-only pack files, an index in memory, and pins that keep content.
//!
//! Order is the whole of its safety: blocks are synced before the pin that names them is written, a pack is synced
//! before the pack it replaces is removed, and every block is hashed again when it is read.

mod batch;
mod cache;
mod error;
mod gc;
mod hold;
mod pack;
mod pin;
mod pin_name;
mod pins;
mod public;
mod record;
mod verify;
mod walk;

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use nisse_model::{ByteSize, ContentId, Hash256};
use nisse_store::Disk;

pub use batch::Batch;
pub use cache::VERIFIED_BYTES_MAX;
use cache::VerifiedCache;
pub use error::{AddError, StoreError};
pub use gc::{Collected, GcError};
pub use hold::{LoosePin, PinHold};
use pack::Packs;
pub use pin::{Pin, PinError, PinState};
pub use pin_name::{PinKind, PinName};
use pins::PinLog;
pub use pins::{PIN_NAME_BYTES_MAX, PINS_MAX};
pub use public::PublicBlocks;
pub use verify::{FAULTS_MAX, Fault, MISSED_BY_MAX, Need, Verified};
pub(crate) use walk::DAG_BLOCKS_MAX;
pub use walk::WalkError;

use crate::VerifiedBlock;
use crate::unixfs::{Blocks, FileReader, Profile, ReadError, ReadLimits};

/// How a store is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreOptions {
    /// Bytes of pack files that adding may reach.
    pub quota: ByteSize,
    /// A pack takes no more blocks beyond this. Only the newest pack is checked byte by byte at start.
    pub pack_bytes_max: u64,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { quota: ByteSize(10 << 30), pack_bytes_max: 64 * 1024 * 1024 }
    }
}

/// A block store in one folder. Safe to share; reading never waits for a sync.
pub struct BlockStore {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    options: StoreOptions,
    // Taken in this order: pins, packs, index, holds.
    pins: Mutex<PinLog>,
    packs: Mutex<Packs>,
    index: RwLock<Index>,
    verified: VerifiedCache,
    holds: hold::Holds,
    next_batch: AtomicU64,
    /// Set once a sync failed: what is on disk is then unknown until the store is opened again.
    stopped: AtomicBool,
}

/// Where a block's record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Location {
    pack: u32,
    offset: u64,
    length: u32,
}

#[derive(Default)]
struct Index {
    /// By digest: the same bytes under CIDv0, CIDv1 or as raw are one block.
    blocks: HashMap<Hash256, Location>,
    /// Found spoilt since the store was opened; written anew when added again.
    damaged: HashSet<Hash256>,
    /// What open batches have put or counted on.
    held: HashMap<u64, HashSet<Hash256>>,
    /// What came from other nodes, so that anybody may have it: lost with the process.
    found: HashSet<Hash256>,
    /// How many pins reach each block.
    pinned: HashMap<Hash256, pin::Reaching>,
    /// What each pin reaches.
    reached: HashMap<String, pin::PinReach>,
    stored_bytes: u64,
    damaged_bytes: u64,
}

impl Index {
    /// Readers find the block here from now on.
    fn place(&mut self, digest: Hash256, location: Location) {
        self.blocks.insert(digest, location);
        self.damaged.remove(&digest);
    }
}

/// How full the store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Blocks held.
    pub blocks: u64,
    /// Of these, reached by a pin.
    pub pinned_blocks: u64,
    /// Bytes of pack files.
    pub stored: ByteSize,
    /// What adding may reach.
    pub quota: ByteSize,
    /// Pins.
    pub pins: u64,
    /// Bytes that were unreadable when the store was opened, or since.
    pub damaged: ByteSize,
    /// Bytes of the list of pins that were unreadable when the store was opened: a pin may be missing for each record.
    pub damaged_pins: ByteSize,
}

/// One block in a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Its id as a raw block, whatever it is linked as.
    pub cid: ContentId,
    /// Its bytes.
    pub bytes: ByteSize,
    /// Whether a pin reaches it.
    pub pinned: bool,
}

impl BlockStore {
    /// Opens the store in `folder`, making it when absent inside a folder that stands durably. Reads the index from the
    /// packs and checks each pin.
    pub fn open(disk: Arc<dyn Disk>, folder: PathBuf, options: StoreOptions) -> Result<Self, StoreError> {
        let opening = |source| StoreError::Io { action: "open", path: folder.clone(), source };
        disk.create_dir_all(&folder).map_err(opening)?;
        let log = PinLog::open(&*disk, &folder).map_err(opening)?;
        let mut index = Index::default();
        let packs = Packs::open(&*disk, &folder, &mut index).map_err(opening)?;
        disk.sync_dir(&folder).map_err(opening)?;
        if let Some(parent) = folder.parent() {
            disk.sync_dir(parent).map_err(opening)?;
        }
        let store = Self {
            disk,
            folder,
            options,
            pins: Mutex::new(log),
            packs: Mutex::new(packs),
            index: RwLock::new(index),
            verified: VerifiedCache::default(),
            holds: hold::Holds::default(),
            next_batch: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        };
        store.reach_all();
        Ok(store)
    }

    /// The block, hashed again, or `None` when it is not held.
    pub fn get_block(&self, cid: &ContentId) -> Result<Option<VerifiedBlock>, StoreError> {
        let (file, location) = {
            let index = self.read_index();
            let Some(location) = index.blocks.get(&cid.digest()).copied() else { return Ok(None) };
            // Opened under the lock, so that a collection cannot remove the pack in between.
            (pack::open_read(&*self.disk, &self.folder, location.pack), location)
        };
        let pack = pack::path(&self.folder, location.pack);
        let damaged = || StoreError::Damaged { cid: *cid, path: pack.clone(), offset: location.offset };
        let body = match file.and_then(|file| record::read_body(&*file, location.offset, location.length)) {
            Ok(body) => body,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.mark_damaged(cid);
                return Err(damaged());
            }
            Err(source) => return Err(StoreError::Io { action: "read", path: pack, source }),
        };
        VerifiedBlock::check(*cid, Bytes::from(body)).map(Some).map_err(|_| {
            self.mark_damaged(cid);
            damaged()
        })
    }

    /// Whether the block is held (not whether it is still readable).
    pub fn has(&self, cid: &ContentId) -> bool {
        self.block_bytes(&cid.digest()).is_some()
    }

    /// Whether a pin reaches the block, so that a collection leaves it.
    pub fn is_pinned(&self, cid: &ContentId) -> bool {
        self.read_index().pinned.contains_key(&cid.digest())
    }

    /// Whether every block beneath `root` is held, as far as is known. Nodes are read, leaves are not.
    pub fn is_whole(&self, root: &ContentId) -> bool {
        walk::reach(self, &[*root]).broken.is_none()
    }

    /// Whether a pin of a public kind reaches the block: only then may strangers and agents read it.
    pub fn is_public(&self, cid: &ContentId) -> bool {
        self.read_index().pinned.get(&cid.digest()).is_some_and(|reaching| reaching.public > 0)
    }

    /// Keeps one block after checking that it is what `cid` names. Durable on return; not pinned.
    pub fn put_verified_block(&self, cid: ContentId, bytes: &[u8]) -> Result<(), StoreError> {
        let block = VerifiedBlock::check(cid, bytes)?;
        let batch = self.batch();
        batch.put(&block)?;
        batch.commit()
    }

    /// Adds a file. Durable on return; not pinned.
    pub fn add_bytes(&self, bytes: &[u8], profile: Profile) -> Result<ContentId, AddError> {
        self.add_reader(&mut &*bytes, profile)
    }

    /// Adds a file from a stream, of which no more than one chunk is held. Durable on return; not pinned.
    pub fn add_reader(&self, reader: &mut dyn io::Read, profile: Profile) -> Result<ContentId, AddError> {
        let batch = self.batch();
        let cid = batch.add(reader, profile)?;
        batch.commit()?;
        Ok(cid)
    }

    /// A whole file of at most `bytes_max` bytes.
    pub fn read_file(&self, cid: ContentId, bytes_max: u64) -> Result<Vec<u8>, ReadError> {
        FileReader::open(self, cid, ReadLimits::bytes(bytes_max))?.read_to_vec()
    }

    /// All blocks, by id.
    pub fn ls(&self) -> Vec<Listed> {
        let index = self.read_index();
        let listed = |(digest, location): (&Hash256, &Location)| Listed {
            cid: ContentId::raw(*digest),
            bytes: ByteSize(u64::from(location.length)),
            pinned: index.pinned.contains_key(digest),
        };
        let mut blocks: Vec<Listed> = index.blocks.iter().map(listed).collect();
        blocks.sort_by_key(|block| block.cid);
        blocks
    }

    /// How full it is.
    pub fn usage(&self) -> Usage {
        let damaged_pins = ByteSize(self.lock_pins().damaged_bytes);
        let index = self.read_index();
        Usage {
            blocks: index.blocks.len() as u64,
            pinned_blocks: index.pinned.len() as u64,
            stored: ByteSize(index.stored_bytes),
            quota: self.options.quota,
            pins: index.reached.len() as u64,
            damaged: ByteSize(index.damaged_bytes),
            damaged_pins,
        }
    }

    fn block_bytes(&self, digest: &Hash256) -> Option<u64> {
        let index = self.read_index();
        let location = index.blocks.get(digest).filter(|_| !index.damaged.contains(digest));
        location.map(|location| u64::from(location.length))
    }

    fn mark_damaged(&self, cid: &ContentId) {
        let mut index = self.write_index();
        if index.damaged.insert(cid.digest()) {
            let length = index.blocks.get(&cid.digest()).map_or(0, |location| u64::from(location.length));
            index.damaged_bytes += length;
            tracing::error!(%cid, "a block on disk is damaged; add or fetch it again");
        }
    }

    fn check_running(&self) -> Result<(), StoreError> {
        if self.stopped.load(Ordering::Acquire) { Err(StoreError::Stopped) } else { Ok(()) }
    }

    /// No sync is ever tried again: the kernel may have marked the lost pages clean.
    fn stop(&self, source: io::Error) -> StoreError {
        self.stopped.store(true, Ordering::Release);
        StoreError::Io { action: "sync", path: self.folder.clone(), source }
    }

    // A panic while a lock was held leaves maps that are still whole, so a poisoned lock is taken all the same.
    fn read_index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_index(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_packs(&self) -> MutexGuard<'_, Packs> {
        self.packs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_pins(&self) -> MutexGuard<'_, PinLog> {
        self.pins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Blocks for BlockStore {
    fn block(&self, cid: &ContentId) -> Result<Option<VerifiedBlock>, StoreError> {
        self.get_block(cid)
    }
}
