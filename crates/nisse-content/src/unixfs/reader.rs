//! Reads a file back from its blocks, one block at a time, trusting no size that a node claims.
//!
//! A node's claim is held against its children: each child must give exactly the bytes that its parent promised, at
//! least one, so a small tree cannot unfold into a large file than was asked for.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use nisse_model::{CidCodec, ContentId, Hash256};

use super::node::{Node, NodeError, NodeKind};
use crate::{StoreError, VerifiedBlock};

/// Levels of nodes above the leaves. Kubo's widest default holds a tebibyte in three.
pub const DAG_DEPTH_MAX: usize = 8;

/// Where verified blocks come from: the store, or memory.
pub trait Blocks {
    /// The block, checked against its id, or `None` when it is not here.
    fn block(&self, cid: &ContentId) -> Result<Option<VerifiedBlock>, StoreError>;
}

impl<T: Blocks + ?Sized> Blocks for &T {
    fn block(&self, cid: &ContentId) -> Result<Option<VerifiedBlock>, StoreError> {
        (**self).block(cid)
    }
}

impl<T: Blocks + ?Sized> Blocks for Arc<T> {
    fn block(&self, cid: &ContentId) -> Result<Option<VerifiedBlock>, StoreError> {
        (**self).block(cid)
    }
}

/// Verified blocks in memory, for content that is read once and not kept.
#[derive(Debug, Default)]
pub struct MemoryBlocks(HashMap<Hash256, Bytes>);

impl MemoryBlocks {
    /// Keeps one block.
    pub fn insert(&mut self, block: VerifiedBlock) {
        self.0.insert(block.cid().digest(), block.into_bytes());
    }
}

impl Blocks for MemoryBlocks {
    fn block(&self, cid: &ContentId) -> Result<Option<VerifiedBlock>, StoreError> {
        Ok(self.0.get(&cid.digest()).map(|bytes| VerifiedBlock::known(*cid, bytes.clone())))
    }
}

/// How much one read may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadLimits {
    /// File bytes.
    pub bytes_max: u64,
    /// Blocks visited, a repeated one counted each time.
    pub blocks_max: u64,
    /// Levels of nodes, at most [`DAG_DEPTH_MAX`].
    pub depth_max: usize,
}

impl ReadLimits {
    /// A file of at most this size, in blocks of any sensible size.
    pub fn bytes(bytes_max: u64) -> Self {
        Self { bytes_max, blocks_max: 1024 + bytes_max / 1024, depth_max: DAG_DEPTH_MAX }
    }
}

/// The bytes of a file in order, as an iterator over blocks.
pub struct FileReader<B> {
    blocks: B,
    limits: ReadLimits,
    root: ContentId,
    /// What comes next stands last.
    pending: Vec<Pending>,
    file_bytes: u64,
    position: u64,
    window: Range<u64>,
    visited: u64,
}

enum Pending {
    Data(Bytes),
    Child { cid: ContentId, bytes: u64, depth: usize },
}

impl<B: Blocks> FileReader<B> {
    /// Reads the root block and checks what it claims.
    pub fn open(blocks: B, root: ContentId, limits: ReadLimits) -> Result<Self, ReadError> {
        let mut reader =
            Self { blocks, limits, root, pending: vec![], file_bytes: 0, position: 0, window: 0..0, visited: 0 };
        let block = reader.fetch(root)?;
        let file_bytes = match root.codec() {
            CidCodec::Raw => block.bytes().len() as u64,
            CidCodec::DagPb => {
                let node = decode(root, &block)?;
                let claim = node.file_bytes.unwrap_or(node.data.len() as u64);
                reader.check_total(claim)?;
                reader.expand(root, node, claim, 1)?;
                claim
            }
        };
        reader.check_total(file_bytes)?;
        if root.codec() == CidCodec::Raw {
            reader.pending.push(Pending::Data(block.into_bytes()));
        }
        reader.file_bytes = file_bytes;
        reader.window = 0..file_bytes;
        Ok(reader)
    }

    /// Bytes of the whole file.
    pub fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// Narrows what is read to a part of the file; blocks outside it are not touched.
    pub fn range(mut self, window: Range<u64>) -> Self {
        self.window = window.start.min(self.file_bytes)..window.end.min(self.file_bytes);
        self
    }

    /// All of it in memory.
    pub fn read_to_vec(self) -> Result<Vec<u8>, ReadError> {
        // The claim may be a lie until the last block was read, so room is made step by step past the first megabytes.
        let room = (self.window.end - self.window.start).min(16 * 1024 * 1024);
        let mut bytes = Vec::with_capacity(usize::try_from(room).unwrap_or(0));
        for part in self {
            bytes.extend_from_slice(&part?);
        }
        Ok(bytes)
    }

    fn check_total(&self, bytes: u64) -> Result<(), ReadError> {
        if bytes > self.limits.bytes_max {
            return Err(ReadError::TooLarge { cid: self.root, bytes, bytes_max: self.limits.bytes_max });
        }
        Ok(())
    }

    fn fetch(&mut self, cid: ContentId) -> Result<VerifiedBlock, ReadError> {
        self.visited += 1;
        if self.visited > self.limits.blocks_max {
            return Err(ReadError::TooManyBlocks { cid: self.root, blocks_max: self.limits.blocks_max });
        }
        self.blocks.block(&cid)?.ok_or(ReadError::NotHeld { cid })
    }

    /// Puts a node's own bytes and its children in line, after checking that they add up to what was promised.
    fn expand(&mut self, cid: ContentId, node: Node, promised: u64, depth: usize) -> Result<(), ReadError> {
        match node.kind {
            NodeKind::File | NodeKind::Raw => {}
            kind => return Err(ReadError::NotAFile { cid, kind }),
        }
        if depth > self.limits.depth_max.min(DAG_DEPTH_MAX) && !node.links.is_empty() {
            return Err(ReadError::TooDeep { cid, depth_max: self.limits.depth_max.min(DAG_DEPTH_MAX) });
        }
        let wrong = |found| ReadError::Size { cid, promised, found };
        let beneath = node.child_bytes.iter().try_fold(node.data.len() as u64, |sum, bytes| sum.checked_add(*bytes));
        let sum = beneath.ok_or(wrong(u64::MAX))?;
        if sum != promised || node.file_bytes.unwrap_or(sum) != sum {
            return Err(wrong(sum));
        }
        if node.links.len() != node.child_bytes.len() {
            return Err(ReadError::Children { cid, links: node.links.len(), sizes: node.child_bytes.len() });
        }
        for (link, bytes) in node.links.iter().zip(&node.child_bytes).rev() {
            if *bytes == 0 {
                return Err(ReadError::EmptyChild { cid, child: link.cid });
            }
            self.pending.push(Pending::Child { cid: link.cid, bytes: *bytes, depth: depth + 1 });
        }
        if !node.data.is_empty() {
            self.pending.push(Pending::Data(node.data));
        }
        Ok(())
    }

    fn step(&mut self) -> Result<Option<Bytes>, ReadError> {
        while self.position < self.window.end {
            match self.pending.pop() {
                None => break,
                Some(Pending::Data(data)) => {
                    let start = self.position;
                    self.position += data.len() as u64;
                    let inside =
                        |at: u64| usize::try_from(at.saturating_sub(start)).map_or(data.len(), |at| at.min(data.len()));
                    let part = data.slice(inside(self.window.start)..inside(self.window.end));
                    if !part.is_empty() {
                        return Ok(Some(part));
                    }
                }
                Some(Pending::Child { bytes, .. }) if self.position + bytes <= self.window.start => {
                    self.position += bytes
                }
                Some(Pending::Child { cid, bytes, depth }) => {
                    let block = self.fetch(cid)?;
                    match cid.codec() {
                        CidCodec::Raw => {
                            let found = block.bytes().len() as u64;
                            if found != bytes {
                                return Err(ReadError::Size { cid, promised: bytes, found });
                            }
                            self.pending.push(Pending::Data(block.into_bytes()));
                        }
                        CidCodec::DagPb => {
                            let node = decode(cid, &block)?;
                            self.expand(cid, node, bytes, depth)?;
                        }
                    }
                }
            }
        }
        Ok(None)
    }
}

impl<B: Blocks> Iterator for FileReader<B> {
    type Item = Result<Bytes, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            self.pending.clear();
        }
        step.transpose()
    }
}

pub(crate) fn decode(cid: ContentId, block: &VerifiedBlock) -> Result<Node, ReadError> {
    Node::decode(block.shared()).map_err(|source| ReadError::Node { cid, source })
}

/// Why a file, or a path to one, cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A block is not in the store.
    #[error("find block {cid}: it is not held here")]
    NotHeld {
        /// Which.
        cid: ContentId,
    },
    /// The store failed, or found other bytes than it wrote.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A dag-pb block that is not UnixFS.
    #[error("read node {cid}")]
    Node {
        /// Which.
        cid: ContentId,
        /// What is wrong with it.
        source: NodeError,
    },
    /// A directory or a link where a file was asked for, or the reverse.
    #[error("read {cid} as a file: it is a {}", .kind.word())]
    NotAFile {
        /// Which.
        cid: ContentId,
        /// What it is.
        kind: NodeKind,
    },
    /// A path goes on inside something that is no folder.
    #[error("look up `{name}` in {cid}: it is a file")]
    NotADirectory {
        /// Which.
        cid: ContentId,
        /// The name that was looked up.
        name: String,
    },
    /// A sharded folder.
    #[error("look up `{name}` in {cid}: it is a sharded (HAMT) directory, and only flat ones are read")]
    Sharded {
        /// Which.
        cid: ContentId,
        /// The name that was looked up.
        name: String,
    },
    /// No such name.
    #[error("find `{name}` in directory {cid}")]
    NoSuchName {
        /// Which folder.
        cid: ContentId,
        /// The name that was looked up.
        name: String,
    },
    /// A path of too many names.
    #[error("follow a path of {0} names: at most {max} are followed", max = super::PATH_SEGMENTS_MAX)]
    PathTooLong(usize),
    /// A node or leaf does not hold what its parent, or it itself, promised.
    #[error("read {cid}: {promised} bytes were promised and {found} are there")]
    Size {
        /// Which block.
        cid: ContentId,
        /// What was promised.
        promised: u64,
        /// What is there.
        found: u64,
    },
    /// As many sizes as links are needed.
    #[error("read node {cid}: it has {links} links and {sizes} sizes")]
    Children {
        /// Which node.
        cid: ContentId,
        /// Its links.
        links: usize,
        /// Its sizes.
        sizes: usize,
    },
    /// A child of zero bytes: it adds nothing but work.
    #[error("read node {cid}: its child {child} is promised to be empty")]
    EmptyChild {
        /// Which node.
        cid: ContentId,
        /// Its child.
        child: ContentId,
    },
    /// Too many levels.
    #[error("read node {cid}: it lies deeper than {depth_max} levels")]
    TooDeep {
        /// Which node.
        cid: ContentId,
        /// The limit.
        depth_max: usize,
    },
    /// Too many bytes.
    #[error("read {cid} of {bytes} bytes: at most {bytes_max} are taken")]
    TooLarge {
        /// The file.
        cid: ContentId,
        /// Its size.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// Too many blocks.
    #[error("read {cid}: it is made of more than {blocks_max} blocks")]
    TooManyBlocks {
        /// The file.
        cid: ContentId,
        /// The limit.
        blocks_max: u64,
    },
}

impl ReadError {
    /// What to do about it, if there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotHeld { .. } => Some("fetch it first, or add the file again with `nisse content add`".to_owned()),
            Self::Store(error) => error.hint(),
            Self::NotAFile { cid, kind: NodeKind::Directory } => {
                Some(format!("name a file inside it: /ipfs/{cid}/NAME"))
            }
            Self::Sharded { .. } => Some("use the CID of the file itself".to_owned()),
            Self::TooLarge { bytes, .. } => {
                Some(format!("raise the limit above {bytes} bytes, if you trust the content"))
            }
            _ => None,
        }
    }
}
