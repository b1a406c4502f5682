//! Where content comes from. The node's own store is one source; anything further away implements the same trait and
//! verifies each block before it is put into the store.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nisse_model::ContentId;
use nisse_store::Clock;

use crate::block_store::{BlockStore, PublicBlocks};
use crate::download::DownloadError;
use crate::unixfs::{Blocks, FileReader, ReadError, ReadLimits};

/// Who reads what is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// The node itself: all that is held.
    Node,
    /// An agent, by a CID of its choice: what is public and nothing else.
    Agent,
}

/// How much one fetch may take, and for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchLimits {
    /// File bytes.
    pub bytes_max: u64,
    /// Time from the call to the last byte.
    pub deadline: Duration,
    /// For whom.
    pub reader: Reader,
}

/// A file that was fetched whole, every block of it verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// What was asked for.
    pub cid: ContentId,
    /// The file.
    pub bytes: Bytes,
}

/// What a source answers with.
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Fetched, FetchError>> + Send + 'a>>;

/// A place that content can be fetched from.
pub trait BlockSource: Send + Sync {
    /// Its name in logs and errors.
    fn name(&self) -> &str;

    /// The whole file behind `cid`, verified block by block.
    fn fetch(&self, cid: ContentId, limits: FetchLimits) -> Fetching<'_>;
}

/// The node's own store. Answers from memory or disk, within the deadline, without waiting for anyone but the disk.
pub struct LocalSource {
    store: Arc<BlockStore>,
    clock: Arc<dyn Clock>,
}

impl LocalSource {
    /// Fetches from `store`.
    pub fn new(store: Arc<BlockStore>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Reads the file at once. It waits for the disk: not for a thread that others wait for.
    pub fn read(&self, cid: ContentId, limits: FetchLimits) -> Result<Fetched, FetchError> {
        let start = self.clock.elapsed();
        let failed = |source| match source {
            ReadError::NotHeld { cid: missing } => {
                FetchError::NotFound { cid, missing, source_name: "local".to_owned() }
            }
            source => FetchError::Read { cid, source },
        };
        let public = PublicBlocks::of(&self.store);
        let blocks: &dyn Blocks = match limits.reader {
            Reader::Node => &*self.store,
            Reader::Agent => &public,
        };
        let reader = FileReader::open(blocks, cid, ReadLimits::bytes(limits.bytes_max)).map_err(failed)?;
        let mut bytes = Vec::new();
        for part in reader {
            bytes.extend_from_slice(&part.map_err(failed)?);
            if self.clock.elapsed().saturating_sub(start) > limits.deadline {
                return Err(FetchError::Deadline { cid, deadline: limits.deadline });
            }
        }
        Ok(Fetched { cid, bytes: Bytes::from(bytes) })
    }
}

impl BlockSource for LocalSource {
    fn name(&self) -> &str {
        "local"
    }

    fn fetch(&self, cid: ContentId, limits: FetchLimits) -> Fetching<'_> {
        Box::pin(async move { self.read(cid, limits) })
    }
}

/// Why content could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The source does not have all of it.
    #[error("fetch {cid} from {source_name}: block {missing} is not there")]
    NotFound {
        /// What was asked for.
        cid: ContentId,
        /// The first block that is missing.
        missing: ContentId,
        /// Which source.
        source_name: String,
    },
    /// It came, and is refused.
    #[error("fetch {cid}")]
    Read {
        /// What was asked for.
        cid: ContentId,
        /// Why.
        source: ReadError,
    },
    /// It took too long.
    #[error("fetch {cid} within {} ms", .deadline.as_millis())]
    Deadline {
        /// What was asked for.
        cid: ContentId,
        /// How long it could take.
        deadline: Duration,
    },
    /// Other nodes were asked.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// Whoever was asked is going down.
    #[error("fetch {cid}: it was cut off")]
    CutOff {
        /// What was asked for.
        cid: ContentId,
    },
}

impl FetchError {
    /// What to do about it, if there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { cid, .. } => Some(format!("add the file that {cid} names with `nisse content add FILE`")),
            Self::Read { source, .. } => source.hint(),
            Self::Download(_) | Self::Deadline { .. } | Self::CutOff { .. } => None,
        }
    }
}
