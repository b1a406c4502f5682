//! Cuts a stream of bytes into the blocks of a file. Holds one chunk and one row of links per level, never the file.

use std::convert::Infallible;

use nisse_model::ContentId;

use super::Profile;
use super::node::{Child, encode_join, encode_leaf};
use crate::VerifiedBlock;

/// Where complete blocks go, children before parents.
pub type BlockSink<'a, E> = dyn FnMut(VerifiedBlock<&[u8]>) -> Result<(), E> + 'a;

/// Builds a balanced file. Feed it with [`FileBuilder::write`], end with [`FileBuilder::finish`].
#[derive(Debug)]
pub struct FileBuilder {
    profile: Profile,
    chunk: Vec<u8>,
    /// `levels[0]` holds leaves, each next level nodes that join the one below. A level never holds `links_max`: it
    /// is joined as soon as it is full.
    levels: Vec<Vec<Child>>,
    file_bytes: u64,
}

impl FileBuilder {
    /// An empty file.
    pub fn new(profile: Profile) -> Self {
        Self { profile, chunk: Vec::new(), levels: vec![Vec::new()], file_bytes: 0 }
    }

    /// Bytes written so far.
    pub fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// Appends bytes; each block that is complete goes to `sink`, children before parents.
    pub fn write<E>(&mut self, mut bytes: &[u8], sink: &mut BlockSink<'_, E>) -> Result<(), E> {
        self.file_bytes += bytes.len() as u64;
        let chunk_bytes = self.profile.chunk_bytes();
        while !bytes.is_empty() {
            if self.chunk.is_empty() && bytes.len() >= chunk_bytes {
                let (leaf, rest) = bytes.split_at(chunk_bytes);
                self.leaf(leaf, sink)?;
                bytes = rest;
                continue;
            }
            let take = bytes.len().min(chunk_bytes - self.chunk.len());
            self.chunk.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            if self.chunk.len() == chunk_bytes {
                self.flush(sink)?;
            }
        }
        Ok(())
    }

    /// Ends the file: the last blocks go to `sink`, and the id of the whole comes back.
    pub fn finish<E>(mut self, sink: &mut BlockSink<'_, E>) -> Result<ContentId, E> {
        if !self.chunk.is_empty() || self.file_bytes == 0 {
            self.flush(sink)?;
        }
        // Every level below the top is joined, even around a single child, so that all leaves have the same depth.
        let mut level = 0;
        loop {
            let is_top = self.levels.len() == level + 1;
            if let (true, [root]) = (is_top, self.levels[level].as_slice()) {
                return Ok(root.cid);
            }
            if !self.levels[level].is_empty() {
                self.join(level, sink)?;
            }
            level += 1;
        }
    }

    fn flush<E>(&mut self, sink: &mut BlockSink<'_, E>) -> Result<(), E> {
        let mut chunk = std::mem::take(&mut self.chunk);
        self.leaf(&chunk, sink)?;
        chunk.clear();
        self.chunk = chunk;
        Ok(())
    }

    fn leaf<E>(&mut self, data: &[u8], sink: &mut BlockSink<'_, E>) -> Result<(), E> {
        let wrapped = self.profile.is_v0().then(|| encode_leaf(data));
        let block = match &wrapped {
            Some(node) => VerifiedBlock::dag_pb(node.as_slice(), true),
            None => VerifiedBlock::raw(data),
        };
        let total_bytes = block.bytes().len() as u64;
        sink(block)?;
        self.push(0, Child { cid: block.cid(), file_bytes: data.len() as u64, total_bytes }, sink)
    }

    fn push<E>(&mut self, level: usize, child: Child, sink: &mut BlockSink<'_, E>) -> Result<(), E> {
        if self.levels.len() == level {
            self.levels.push(Vec::new());
        }
        self.levels[level].push(child);
        if self.levels[level].len() == self.profile.links_max() { self.join(level, sink) } else { Ok(()) }
    }

    fn join<E>(&mut self, level: usize, sink: &mut BlockSink<'_, E>) -> Result<(), E> {
        let children = std::mem::take(&mut self.levels[level]);
        let (node, file_bytes) = encode_join(&children);
        let block = VerifiedBlock::dag_pb(node.as_slice(), self.profile.is_v0());
        sink(block)?;
        let total_bytes = node.len() as u64 + children.iter().map(|child| child.total_bytes).sum::<u64>();
        self.push(level + 1, Child { cid: block.cid(), file_bytes, total_bytes }, sink)
    }
}

/// The id that `bytes` have under a profile. Stores nothing.
pub fn cid_of(bytes: &[u8], profile: Profile) -> ContentId {
    let mut builder = FileBuilder::new(profile);
    let mut nowhere = |_: VerifiedBlock<&[u8]>| Ok::<(), Infallible>(());
    let done = builder.write(bytes, &mut nowhere).and_then(|()| builder.finish(&mut nowhere));
    match done {
        Ok(cid) => cid,
        Err(never) => match never {},
    }
}
