//! A block whose bytes were hashed and found to be what its id names.
//!
//! The constructors are the only way in, so a function that takes a [`VerifiedBlock`] needs no check of its own and
//! cannot be handed anything else.

use bytes::Bytes;
use nisse_model::{ContentId, Hash256};

/// Largest block that is taken or given, as everywhere in IPFS (bitswap, Helia, trustless gateways).
pub const BLOCK_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Bytes and the content id that they hash to. `B` is owned ([`Bytes`]) or borrowed (`&[u8]`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedBlock<B = Bytes> {
    cid: ContentId,
    bytes: B,
}

impl<B: AsRef<[u8]>> VerifiedBlock<B> {
    /// Hashes `bytes` and compares them with the digest in `cid`.
    pub fn check(cid: ContentId, bytes: B) -> Result<Self, VerifyError> {
        let length = bytes.as_ref().len();
        if length > BLOCK_BYTES_MAX {
            return Err(VerifyError::TooLarge { cid, bytes: length });
        }
        let found = Hash256::of(bytes.as_ref());
        if found != cid.digest() {
            return Err(VerifyError::Mismatch { cid, found });
        }
        Ok(Self { cid, bytes })
    }

    /// A raw block made here: its id is computed.
    pub(crate) fn raw(bytes: B) -> Self {
        Self { cid: ContentId::raw(Hash256::of(bytes.as_ref())), bytes }
    }

    /// A dag-pb block made here, as CIDv0 or CIDv1.
    pub(crate) fn dag_pb(bytes: B, v0: bool) -> Self {
        let digest = Hash256::of(bytes.as_ref());
        Self { cid: if v0 { ContentId::v0(digest) } else { ContentId::dag_pb(digest) }, bytes }
    }

    /// What the bytes hash to.
    pub fn cid(&self) -> ContentId {
        self.cid
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// The bytes, given away.
    pub fn into_bytes(self) -> B {
        self.bytes
    }
}

impl VerifiedBlock {
    /// Bytes that were verified before under the same digest, by a holder that gives nothing else.
    pub(crate) fn known(cid: ContentId, bytes: Bytes) -> Self {
        Self { cid, bytes }
    }

    /// The bytes, to be shared without a copy.
    pub fn shared(&self) -> &Bytes {
        &self.bytes
    }
}

/// Why bytes are not the block that an id names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// Other bytes.
    #[error("verify block {cid}: its bytes hash to {found}")]
    Mismatch {
        /// What was named.
        cid: ContentId,
        /// SHA-256 of what came.
        found: Hash256,
    },
    /// More than [`BLOCK_BYTES_MAX`].
    #[error("take block {cid} of {bytes} bytes: a block has at most {BLOCK_BYTES_MAX}")]
    TooLarge {
        /// What was named.
        cid: ContentId,
        /// How long it is.
        bytes: usize,
    },
}
