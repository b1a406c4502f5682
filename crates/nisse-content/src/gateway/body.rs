//! A response body as an iterator of pieces, and the headers that make strangers' bytes harmless.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::unixfs::ReadError;

/// Pieces of at most one block, read as they are asked for. An error in between means that the connection must be
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
