//! Reads a CAR from someone who is not trusted: each block is hashed on arrival and must have been asked for.
//!
//! What may come is the root, and then the links of what came and was verified. Anything else ends the transfer:
//! an unsolicited block, a second copy, a block that hashes to something else, a stream that stops early.

use std::collections::HashSet;
use std::io;
use std::ops::Deref;

use bytes::{Bytes, BytesMut};
use nisse_model::{CidCodec, ContentId, ParseContentIdError};

use super::DagScope;
use crate::unixfs::{FileReader, MemoryBlocks, Node, NodeError, ReadError, ReadLimits};
use crate::varint::{self, VarintError};
use crate::{BLOCK_BYTES_MAX, Batch, BlockStore, StoreError, VerifiedBlock, VerifyError};

/// Bytes of a CAR's header; one with a single root has 59.
pub const CAR_HEADER_BYTES_MAX: u64 = 1024;
/// Bytes of a binary content id.
const CID_BYTES_MAX: usize = 36;
/// Bytes asked of a stream at once.
const PIECE_BYTES: usize = 256 * 1024;

/// How much one CAR may bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CarLimits {
    /// Bytes of all blocks.
    pub bytes_max: u64,
    /// Blocks, those that were named but did not come yet included.
    pub blocks_max: usize,
}

impl CarLimits {
    /// For a file of at most this size, with room for the nodes that join it.
    pub fn file_bytes(bytes_max: u64) -> Self {
        let nodes = bytes_max / 16 + BLOCK_BYTES_MAX as u64;
        Self {
            bytes_max: bytes_max.saturating_add(nodes),
            blocks_max: usize::try_from(1024 + bytes_max / 1024).unwrap_or(usize::MAX),
        }
    }
}

/// A push parser: give it pieces as they come, take verified blocks out, end with [`CarReader::finish`].
#[derive(Debug)]
pub struct CarReader {
    buffer: BytesMut,
    has_header: bool,
    scope: DagScope,
    wanted: HashSet<ContentId>,
    seen: HashSet<ContentId>,
    limits: CarLimits,
    received_bytes: u64,
}

impl CarReader {
    /// Expects `root` and what lies beneath it within `scope`.
    pub fn new(root: ContentId, scope: DagScope, limits: CarLimits) -> Self {
        Self {
            buffer: BytesMut::new(),
            has_header: false,
            scope,
            wanted: HashSet::from([root]),
            seen: HashSet::new(),
            limits,
            received_bytes: 0,
        }
    }

    /// Takes a piece of the stream. Take out all blocks before the next piece, so that no more than one is buffered.
    pub fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// The next block, verified, or `None` until more was pushed. After an error the transfer is over.
    pub fn next_block(&mut self) -> Result<Option<VerifiedBlock>, CarError> {
        if !self.has_header {
            let Some(header) = self.section(CAR_HEADER_BYTES_MAX)? else { return Ok(None) };
            check_header(&header)?;
            self.has_header = true;
        }
        let Some(section) = self.section((BLOCK_BYTES_MAX + CID_BYTES_MAX) as u64)? else { return Ok(None) };
        let id_length = if section.starts_with(&[0x12, 0x20]) { 34 } else { CID_BYTES_MAX };
        let cid = ContentId::from_bytes(&section[..id_length.min(section.len())])?;
        if self.seen.contains(&cid) {
            return Err(CarError::Duplicate(cid));
        }
        if !self.wanted.remove(&cid) {
            return Err(CarError::Unsolicited(cid));
        }
        let block = VerifiedBlock::check(cid, section.slice(id_length..))?;
        self.received_bytes += block.bytes().len() as u64;
        if self.received_bytes > self.limits.bytes_max {
            return Err(CarError::TooLarge(self.limits.bytes_max));
        }
        self.seen.insert(cid);
        if cid.codec() == CidCodec::DagPb && self.scope != DagScope::Block {
            let node = Node::decode(block.shared()).map_err(|source| CarError::Node { cid, source })?;
            let seen = &self.seen;
            self.wanted.extend(self.scope.links(&node).filter(|link| !seen.contains(link)));
        }
        if self.seen.len() + self.wanted.len() > self.limits.blocks_max {
            return Err(CarError::TooManyBlocks(self.limits.blocks_max));
        }
        Ok(Some(block))
    }

    /// Bytes of the blocks so far.
    pub fn received_bytes(&self) -> u64 {
        self.received_bytes
    }

    /// Whether all that was asked for has come.
    pub fn is_complete(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Call it at the end of the stream: nothing may be missing and nothing left over.
    pub fn finish(self) -> Result<(), CarError> {
        if !self.buffer.is_empty() || !self.has_header {
            return Err(CarError::Truncated(self.buffer.len()));
        }
        match self.wanted.iter().min() {
            Some(cid) => Err(CarError::Missing { cid: *cid, count: self.wanted.len() }),
            None => Ok(()),
        }
    }

    fn section(&mut self, bytes_max: u64) -> Result<Option<Bytes>, CarError> {
        let Some((length, head)) = varint::read(&self.buffer)? else { return Ok(None) };
        if length == 0 || length > bytes_max {
            return Err(CarError::Section { bytes: length, bytes_max });
        }
        let end = head + length as usize;
        if self.buffer.len() < end {
            self.buffer.reserve(end - self.buffer.len());
            return Ok(None);
        }
        Ok(Some(self.buffer.split_to(end).freeze().slice(head..)))
    }
}

/// The roots are not looked at: what is wanted was known before.
fn check_header(header: &[u8]) -> Result<(), CarError> {
    let mut decoder = minicbor::Decoder::new(header);
    let mut version = None;
    let mut read = || -> Result<(), minicbor::decode::Error> {
        for _ in 0..decoder.map()?.unwrap_or(0).min(8) {
            if decoder.str()? == "version" {
                version = Some(decoder.u64()?);
            } else {
                decoder.skip()?;
            }
        }
        Ok(())
    };
    read().map_err(|_| CarError::Header)?;
    match version {
        Some(1) => Ok(()),
        Some(other) => Err(CarError::Version(other)),
        None => Err(CarError::Header),
    }
}

/// What a CAR brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Blocks.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Puts all blocks of a CAR into a batch. Each block is put once it is verified; the caller commits, or drops the
/// batch after an error.
pub fn receive<S: Deref<Target = BlockStore>>(
    batch: &Batch<S>,
    stream: &mut dyn io::Read,
    mut reader: CarReader,
) -> Result<Received, ReceiveError> {
    let mut blocks = 0;
    pump(stream, &mut reader, |block| {
        blocks += 1;
        batch.put(&block).map_err(ReceiveError::Store)
    })?;
    let bytes = reader.received_bytes();
    reader.finish()?;
    Ok(Received { blocks, bytes })
}

/// Verifies a CAR of one file and puts the file together in memory, keeping nothing.
pub fn assemble(stream: &mut dyn io::Read, root: ContentId, bytes_max: u64) -> Result<Vec<u8>, ReceiveError> {
    let mut reader = CarReader::new(root, DagScope::Entity, CarLimits::file_bytes(bytes_max));
    let mut blocks = MemoryBlocks::default();
    pump(stream, &mut reader, |block| {
        blocks.insert(block);
        Ok(())
    })?;
    reader.finish()?;
    Ok(FileReader::open(&blocks, root, ReadLimits::bytes(bytes_max))?.read_to_vec()?)
}

fn pump(
    stream: &mut dyn io::Read,
    reader: &mut CarReader,
    mut keep: impl FnMut(VerifiedBlock) -> Result<(), ReceiveError>,
) -> Result<(), ReceiveError> {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(count) => reader.push(&piece[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(ReceiveError::Stream(error)),
        }
        while let Some(block) = reader.next_block()? {
            keep(block)?;
        }
    }
}

/// Why a CAR is refused.
#[derive(Debug, thiserror::Error)]
pub enum CarError {
    /// The first section is not a CAR header.
    #[error("read the header of a CAR")]
    Header,
    /// Another version.
    #[error("read a CAR of version {0}: version 1 is taken")]
    Version(u64),
    /// A length past 64 bits.
    #[error("read the length of a CAR section")]
    Length(#[from] VarintError),
    /// A section that is empty or larger than any block.
    #[error("read a CAR section of {bytes} bytes: 1 to {bytes_max} are taken")]
    Section {
        /// Its length.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// An id that is not taken.
    #[error("read the id of a block in a CAR")]
    Cid(#[from] ParseContentIdError),
    /// Other bytes than the id names.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// A dag-pb block that is not UnixFS.
    #[error("read node {cid}")]
    Node {
        /// Which.
        cid: ContentId,
        /// What is wrong with it.
        source: NodeError,
    },
    /// A block that nobody asked for.
    #[error("take block {0}: it was not asked for")]
    Unsolicited(ContentId),
    /// A block that came before.
    #[error("take block {0}: it came already")]
    Duplicate(ContentId),
    /// The stream ended inside a section.
    #[error("read a whole CAR: it ends inside a section, after {0} bytes of it")]
    Truncated(usize),
    /// The stream ended before all blocks had come.
    #[error("read a whole CAR: {count} blocks did not come, among them {cid}")]
    Missing {
        /// One of them.
        cid: ContentId,
        /// How many, as far as is known.
        count: usize,
    },
    /// Too many bytes.
    #[error("take a CAR of more than {0} bytes")]
    TooLarge(u64),
    /// Too many blocks.
    #[error("take a CAR of more than {0} blocks")]
    TooManyBlocks(usize),
}

/// Why the content of a CAR could not be received.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// The stream failed.
    #[error("read the stream of a CAR")]
    Stream(#[source] io::Error),
    /// The CAR is refused.
    #[error(transparent)]
    Car(#[from] CarError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The blocks do not make a file.
    #[error(transparent)]
    Read(#[from] ReadError),
}
