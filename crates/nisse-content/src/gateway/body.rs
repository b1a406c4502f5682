//! A response body as an iterator of pieces, and the headers that make strangers' bytes harmless.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use nisse_model::{CidCodec, ContentId};

use super::FILE_BYTES_MAX;
use crate::block_store::PublicBlocks;
use crate::unixfs::{Blocks as _, FileReader, ReadError, ReadLimits};

/// Longest piece of a body. A block is up to 32 times as long, and whoever takes an answer slowly must not hold one.
pub const PIECE_BYTES_MAX: usize = 64 << 10;

/// Pieces of at most [`PIECE_BYTES_MAX`], each a copy of its own, read as they are asked for. An error in between means that the connection must be
/// broken off, since the head is already sent.
pub struct Body {
    length: Option<u64>,
    pieces: Pieces,
}

enum Pieces {
    Full(Option<Bytes>),
    Stream(Box<dyn Iterator<Item = Result<Bytes, ReadError>> + Send>),
}

impl Body {
    /// No bytes.
    pub fn empty() -> Self {
        Self { length: Some(0), pieces: Pieces::Full(None) }
    }

    /// Bytes that are all there.
    pub fn full(bytes: Bytes) -> Self {
        Self { length: Some(bytes.len() as u64), pieces: Pieces::Full(Some(bytes)) }
    }

    pub(super) fn stream(
        pieces: impl Iterator<Item = Result<Bytes, ReadError>> + Send + 'static,
        length: Option<u64>,
    ) -> Self {
        Self { length, pieces: Pieces::Stream(Box::new(pieces)) }
    }

    /// Bytes in all, if known beforehand.
    pub fn length(&self) -> Option<u64> {
        self.length
    }
}

impl Iterator for Body {
    type Item = Result<Bytes, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.pieces {
            Pieces::Full(bytes) => bytes.take().map(Ok),
            Pieces::Stream(pieces) => pieces.next(),
        }
    }
}

/// A part of a file, piece by piece. Nothing is held between two of them: each is read from the root down.
pub(super) struct FilePieces {
    pub(super) blocks: PublicBlocks,
    pub(super) cid: ContentId,
    pub(super) left: Range<u64>,
}

impl FilePieces {
    fn piece(&self, part: Range<u64>) -> Result<Bytes, ReadError> {
        if self.cid.codec() == CidCodec::Raw {
            let cid = self.cid;
            let block = self.blocks.block(&cid)?.ok_or(ReadError::NotHeld { cid })?;
            let inside = |at: u64| usize::try_from(at).map_or(block.bytes().len(), |at| at.min(block.bytes().len()));
            return Ok(Bytes::copy_from_slice(&block.bytes()[inside(part.start)..inside(part.end)]));
        }
        let reader = FileReader::open(&self.blocks, self.cid, ReadLimits::bytes(FILE_BYTES_MAX))?;
        let mut piece = BytesMut::with_capacity(PIECE_BYTES_MAX.min((part.end - part.start) as usize));
        for bytes in reader.range(part) {
            piece.extend_from_slice(&bytes?);
        }
        Ok(piece.freeze())
    }
}

impl Iterator for FilePieces {
    type Item = Result<Bytes, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let part = self.left.start..self.left.end.min(self.left.start + PIECE_BYTES_MAX as u64);
        if part.is_empty() {
            return None;
        }
        let piece = self.piece(part.clone());
        // Nothing follows what could not be read.
        self.left.start = if piece.is_ok() { part.end } else { self.left.end };
        Some(piece)
    }
}

/// Neither sniffed, nor framed, nor run, nor able to reach the origin that it came from.
pub(super) fn forbid_interpretation(headers: &mut HeaderMap) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "sandbox; default-src 'none'; frame-ancestors 'none'"),
        ("cross-origin-resource-policy", "cross-origin"),
        ("referrer-policy", "no-referrer"),
        // Content is public and the same for everyone, so any page may read it, as every IPFS gateway allows.
        ("access-control-allow-origin", "*"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
}
