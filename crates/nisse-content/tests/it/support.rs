//! Streams that tests share.

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use nisse_content::{BlockStore, StoreOptions, VerifiedBlock};
use nisse_model::{ByteSize, ContentId, Hash256};
use nisse_store::SystemDisk;

/// The stream of Kubo's recorded vectors: ChaCha20 of zeros under SHA-256(seed), with a zero nonce.
pub(crate) struct Seeded {
    cipher: chacha20::ChaCha20,
    left: u64,
}

impl Seeded {
    pub(crate) fn new(seed: &str, bytes: u64) -> Self {
        let key = Hash256::of(seed.as_bytes()).0;
        Self { cipher: chacha20::ChaCha20::new(&key.into(), &[0; 12].into()), left: bytes }
    }

    pub(crate) fn bytes(seed: &str, bytes: u64) -> Vec<u8> {
        let mut all = Vec::new();
        Self::new(seed, bytes).read_to_end(&mut all).unwrap();
        all
    }
}

impl Read for Seeded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let take = usize::try_from(self.left).unwrap().min(buffer.len());
        let part = &mut buffer[..take];
        part.fill(0);
        self.cipher.apply_keystream(part);
        self.left -= take as u64;
        Ok(take)
    }
}

/// A store on the machine's disk, in a folder that goes with it.
pub(crate) struct Home {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) store: Arc<BlockStore>,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self::with_quota(1 << 30)
    }

    pub(crate) fn with_quota(quota: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path().join("content"), quota);
        Self { folder, store }
    }

    pub(crate) fn content(&self) -> PathBuf {
        self.folder.path().join("content")
    }

    /// Closes the store and opens it again.
    pub(crate) fn reopened(self) -> Self {
        let path = self.content();
        drop(self.store);
        Self { folder: self.folder, store: open(path, 1 << 30) }
    }

    pub(crate) fn packs(&self) -> Vec<PathBuf> {
        let mut packs: Vec<PathBuf> = std::fs::read_dir(self.content())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "pack"))
            .collect();
        packs.sort();
        packs
    }

    /// Changes one bit of a pack, `back` bytes before its end.
    pub(crate) fn flip(&self, pack: usize, back: usize) {
        let path = &self.packs()[pack];
        let mut bytes = std::fs::read(path).unwrap();
        let at = bytes.len() - back;
        bytes[at] ^= 1;
        std::fs::write(path, bytes).unwrap();
    }
}

fn open(path: PathBuf, quota: u64) -> Arc<BlockStore> {
    let options = StoreOptions { quota: ByteSize(quota), ..StoreOptions::default() };
    Arc::new(BlockStore::open(Arc::new(SystemDisk), path, options).unwrap())
}

/// A dag-pb node written by hand: links, then a UnixFS message.
pub(crate) fn node(links: &[(ContentId, &str)], kind: u8, data: &[u8], size: u64, sizes: &[u64]) -> VerifiedBlock {
    let mut block = Vec::new();
    let varint = |buffer: &mut Vec<u8>, mut value: u64| {
        while value >= 128 {
            buffer.push(value as u8 | 128);
            value >>= 7;
        }
        buffer.push(value as u8);
    };
    for (cid, name) in links {
        let id = cid.to_bytes();
        let mut link = vec![0x0a, id.len() as u8];
        link.extend_from_slice(&id);
        link.extend_from_slice(&[0x12, name.len() as u8]);
        link.extend_from_slice(name.as_bytes());
        link.extend_from_slice(&[0x18, 1]);
        block.push(0x12);
        varint(&mut block, link.len() as u64);
        block.extend_from_slice(&link);
    }
    let mut message = vec![0x08, kind];
    if !data.is_empty() {
        message.push(0x12);
        varint(&mut message, data.len() as u64);
        message.extend_from_slice(data);
    }
    message.push(0x18);
    varint(&mut message, size);
    for size in sizes {
        message.push(0x20);
        varint(&mut message, *size);
    }
    block.push(0x0a);
    varint(&mut block, message.len() as u64);
    block.extend_from_slice(&message);
    let block = Bytes::from(block);
    VerifiedBlock::check(ContentId::dag_pb(Hash256::of(&block)), block).unwrap()
}
