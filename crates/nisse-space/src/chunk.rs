//! Chunks: changes of one document, signed by whoever vouches for them. They are the truth of a space; whatever else is
//! kept of a document is made from them and can be thrown away.
//!
//! A chunk names the credentials that its author had seen, so that its right to write can be judged where it stands in
//! the space's history and not by when it arrives, and the heads that it stands on and leads to. Its author vouches for
//! the changes that it brings and for all that it stands on.

mod codec;

#[cfg(test)]
mod tests;

use std::fmt;

use automerge::ChangeHash;
use nisse_model::{CredentialId, Did, Hash256, Timestamp};

pub use codec::ChunkError;

use crate::DocumentId;

/// The name of a chunk: the SHA-256 of its stored bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkId(pub Hash256);

impl fmt::Display for ChunkId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

/// What a chunk says, before it is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The space.
    pub space: CredentialId,
    /// The document.
    pub document: DocumentId,
    /// The device or agent that signs.
    pub author: Did,
    /// The identity that the author acts for.
    pub identity: Did,
    /// Whose changes these are, if the author only let them in: a client that has no key to sign with. Both must have
    /// the right to write.
    pub subject: Option<Did>,
    /// The newest credentials of the space that the author had seen, in order, each once.
    pub seen: Vec<CredentialId>,
    /// The document's heads before, in order, each once; none where it begins.
    pub before: Vec<ChangeHash>,
    /// Its heads after.
    pub after: Vec<ChangeHash>,
    /// When, by the author's own clock. It orders nothing.
    pub signed: Timestamp,
    /// What automerge loads: its chunks, one behind the other. None where it only vouches.
    pub bytes: Vec<u8>,
}

impl Changes {
    /// What a chunk's signature is made for.
    pub const CONTEXT: &str = "nisse chunk v1";
    /// Bytes of the changes of one chunk.
    pub const BYTES_MAX: usize = 12 << 20;
    /// Credentials that one chunk names.
    pub const SEEN_MAX: usize = nisse_model::Statement::PARENTS_MAX;
    /// Heads of one document.
    pub const HEADS_MAX: usize = 4096;

    /// Whether it changes nothing, and only vouches for what its author has: so much of it stays even where whoever made
    /// it is cut off.
    pub fn only_vouches(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Reads what [`Self::signed_bytes`] gives.
    pub(crate) fn decode_unsigned(bytes: &[u8]) -> Result<Self, ChunkError> {
        codec::decode_unsigned(bytes)
    }

    /// The bytes that a signature in [`Self::CONTEXT`] covers.
    pub fn signed_bytes(&self) -> Vec<u8> {
        codec::unsigned(self)
    }

    /// A chunk, if the signature is the author's and nothing in it is refused whoever says it.
    pub fn with_signature(self, signature: [u8; 64]) -> Result<Chunk, ChunkError> {
        codec::check(&self)?;
        let unsigned = codec::unsigned(&self);
        if !self.author.verifies(Self::CONTEXT, &unsigned, &signature) {
            return Err(ChunkError::Signature(self.author));
        }
        let stored = codec::stored(&unsigned, &signature);
        Ok(Chunk { id: ChunkId(Hash256::of(&stored)), stored, changes: self })
    }
}

/// Changes whose signature was verified. Whether their author had the right to make them is for the space to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    id: ChunkId,
    changes: Changes,
    stored: Vec<u8>,
}

impl Chunk {
    /// Bytes of the largest stored form.
    pub const LENGTH_MAX: usize = Changes::BYTES_MAX + (1 << 20);

    /// Its name.
    pub fn id(&self) -> ChunkId {
        self.id
    }

    /// What it says.
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// The stored form: what its name is the digest of.
    pub fn stored(&self) -> &[u8] {
        &self.stored
    }

    /// Reads the stored form and verifies its signature. One chunk has exactly one form.
    pub fn decode(bytes: &[u8]) -> Result<Self, ChunkError> {
        let (changes, signature) = codec::decode(bytes)?;
        changes.with_signature(signature)
    }

    /// Reads a stored form that was verified when it was taken.
    pub(crate) fn decode_own(bytes: &[u8]) -> Result<Changes, ChunkError> {
        codec::decode(bytes).map(|(changes, _)| changes)
    }
}
