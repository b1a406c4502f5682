//! Writes what is held as a stream of pieces, without holding more than one block, or not even that between two of them.

use std::collections::HashSet;

use bytes::Bytes;
use nisse_model::{CidCodec, ContentId};

use super::DagScope;
use crate::block_store::DAG_BLOCKS_MAX;
use crate::unixfs::{Blocks, Node, ReadError, Resolved};
use crate::{VerifiedBlock, varint};

/// The pieces of a CAR file, as an iterator: its header, then a head and a body for each block. After an error the
/// stream is cut short, and its reader sees that blocks are missing.
pub struct CarStream<B> {
    blocks: B,
    scope: DagScope,
    /// Folders passed on the way; each is given without what else it contains.
    through: std::vec::IntoIter<ContentId>,
    pending: Vec<ContentId>,
    seen: HashSet<ContentId>,
    ready: Option<Ready>,
    /// Longest piece; blocks are whole where there is no limit.
    piece_bytes_max: Option<usize>,
}

/// What comes before the next block's head.
enum Ready {
    /// A head, or a whole block.
    Bytes(Bytes),
    /// The rest of a block, from this byte on. It is read again for each piece.
    Block(ContentId, usize),
}

impl<B: Blocks> CarStream<B> {
    /// A CAR of what `path` leads to, with the folders on the way so that its reader can follow them too.
    pub fn new(blocks: B, path: Resolved, scope: DagScope) -> Self {
        let root = path.through.first().copied().unwrap_or(path.target);
        Self {
            blocks,
            scope,
            through: path.through.into_iter(),
            pending: vec![path.target],
            seen: HashSet::new(),
            ready: Some(Ready::Bytes(header(root))),
            piece_bytes_max: None,
        }
    }

    /// In pieces of at most this many bytes, each a copy of its own: whoever takes them slowly holds one piece and no
    /// block. `blocks` gives the same block again at little cost.
    pub fn in_pieces(mut self, piece_bytes_max: usize) -> Self {
        self.piece_bytes_max = Some(piece_bytes_max.max(1));
        self
    }

    fn step(&mut self) -> Result<Option<Bytes>, ReadError> {
        match self.ready.take() {
            Some(Ready::Bytes(bytes)) => return Ok(Some(bytes)),
            Some(Ready::Block(cid, from)) => return self.piece(cid, from).map(Some),
            None => {}
        }
        let (cid, is_through) = loop {
            let (cid, is_through) = match (self.through.next(), self.pending.pop()) {
                (Some(cid), target) => {
                    self.pending.extend(target);
                    (cid, true)
                }
                (None, Some(cid)) => (cid, false),
                (None, None) => return Ok(None),
            };
            if self.seen.insert(cid) {
                break (cid, is_through);
            }
        };
        if self.seen.len() > DAG_BLOCKS_MAX {
            return Err(ReadError::TooManyBlocks { cid, blocks_max: DAG_BLOCKS_MAX as u64 });
        }
        let block = self.block(cid)?;
        if !is_through && cid.codec() == CidCodec::DagPb && self.scope != DagScope::Block {
            let node = Node::decode(block.shared()).map_err(|source| ReadError::Node { cid, source })?;
            let start = self.pending.len();
            self.pending.extend(self.scope.links(&node));
            self.pending[start..].reverse();
        }
        let id = cid.to_bytes();
        let mut head = Vec::with_capacity(varint::VARINT_BYTES_MAX + id.len());
        varint::write(&mut head, (id.len() + block.bytes().len()) as u64);
        head.extend_from_slice(&id);
        self.ready = Some(match self.piece_bytes_max {
            Some(_) => Ready::Block(cid, 0),
            None => Ready::Bytes(block.into_bytes()),
        });
        Ok(Some(Bytes::from(head)))
    }

    fn block(&self, cid: ContentId) -> Result<VerifiedBlock, ReadError> {
        self.blocks.block(&cid)?.ok_or(ReadError::NotHeld { cid })
    }

    fn piece(&mut self, cid: ContentId, from: usize) -> Result<Bytes, ReadError> {
        let block = self.block(cid)?;
        let length = block.bytes().len();
        let end = self.piece_bytes_max.map_or(length, |bytes_max| length.min(from + bytes_max));
        if end < length {
            self.ready = Some(Ready::Block(cid, end));
        }
        Ok(Bytes::copy_from_slice(&block.bytes()[from..end]))
    }
}

impl<B: Blocks> Iterator for CarStream<B> {
    type Item = Result<Bytes, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            self.through = Vec::new().into_iter();
            self.pending.clear();
            self.ready = None;
        }
        step.transpose()
    }
}

/// `{"roots": [root], "version": 1}` in dag-cbor, after its length.
fn header(root: ContentId) -> Bytes {
    let id = root.to_bytes();
    let mut map = vec![0xa2, 0x65];
    map.extend_from_slice(b"roots");
    // An array of one; tag 42; a byte string that begins with the identity multibase prefix.
    map.extend_from_slice(&[0x81, 0xd8, 0x2a, 0x58, id.len() as u8 + 1, 0x00]);
    map.extend_from_slice(&id);
    map.push(0x67);
    map.extend_from_slice(b"version");
    map.push(0x01);
    let mut header = Vec::with_capacity(map.len() + 1);
    varint::write(&mut header, map.len() as u64);
    header.extend_from_slice(&map);
    Bytes::from(header)
}
