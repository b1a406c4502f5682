//! The stored form of a chunk, version 1: one CBOR array of twelve items, the signature last.
//!
//! Deterministic (RFC 8949 §4.2.1): definite lengths and shortest integers only. Decoding encodes again and compares.

use automerge::ChangeHash;
use minicbor::decode::{Decoder, Error as CborError};
use minicbor::encode::Encoder;
use nisse_model::{CredentialId, Did, Hash256, Timestamp};

use super::{Changes, Chunk};
use crate::DocumentId;

/// The first item of the stored form.
const VERSION: u64 = 1;
/// Items of the array, with the signature.
const ITEMS: u64 = 12;

/// Why bytes are no chunk. Each text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// Longer than [`Chunk::LENGTH_MAX`].
    #[error("read a chunk of {length} bytes: at most {max} are allowed", max = Chunk::LENGTH_MAX)]
    TooLong {
        /// Bytes found.
        length: usize,
    },
    /// A form of another version.
    #[error("read a chunk of version {0}: this nisse knows version 1")]
    Version(u64),
    /// Not the CBOR that a chunk is made of.
    #[error("read a chunk: {0}")]
    Malformed(String),
    /// The same chunk spelled otherwise, or with something behind it.
    #[error("read a chunk: it is not in its one canonical form")]
    NotCanonical,
    /// Something that nobody may say.
    #[error("accept a chunk: {0}")]
    Flaw(&'static str),
    /// Signed by nobody, or by somebody else.
    #[error("verify a chunk: its signature is not one of {0}")]
    Signature(Did),
}

impl From<CborError> for ChunkError {
    fn from(error: CborError) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Refuses what no space may hold, whoever says it.
pub(super) fn check(changes: &Changes) -> Result<(), ChunkError> {
    let flaw = |flaw| Err(ChunkError::Flaw(flaw));
    let Changes { seen, before, after, bytes, .. } = changes;
    if bytes.len() > Changes::BYTES_MAX {
        return flaw("its changes are longer than 12 MiB");
    }
    if seen.len() > Changes::SEEN_MAX {
        return flaw("it names more than 1024 credentials");
    }
    if before.len() > Changes::HEADS_MAX || after.len() > Changes::HEADS_MAX {
        return flaw("it names more than 4096 heads");
    }
    if bytes.is_empty() && before != after {
        return flaw("it changes nothing");
    }
    if after.is_empty() || before == after && !bytes.is_empty() {
        return flaw("it leads nowhere");
    }
    if !seen.is_sorted_by(|one, next| one < next) {
        return flaw("credentials stand in order, each once");
    }
    if !before.is_sorted_by(|one, next| one < next) || !after.is_sorted_by(|one, next| one < next) {
        return flaw("heads stand in order, each once");
    }
    if changes.subject == Some(changes.identity) {
        return flaw("its subject is its author's own identity");
    }
    Ok(())
}

type Written = Result<(), minicbor::encode::Error<core::convert::Infallible>>;

/// What is signed: the stored form without its signature, in an array of one item less.
pub(super) fn unsigned(changes: &Changes) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(changes.bytes.len() + 512);
    write(changes, &mut Encoder::new(&mut bytes)).expect("writing to memory does not fail");
    bytes
}

/// The stored form, of what is signed and its signature.
pub(super) fn stored(unsigned: &[u8], signature: &[u8; 64]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(unsigned.len() + 66);
    let mut encoder = Encoder::new(&mut bytes);
    encoder.array(ITEMS).expect("writing to memory does not fail");
    // Arrays of up to 23 items have a head of one byte.
    bytes.extend(&unsigned[1..]);
    Encoder::new(&mut bytes).bytes(signature).expect("writing to memory does not fail");
    bytes
}

fn write(changes: &Changes, encoder: &mut Encoder<&mut Vec<u8>>) -> Written {
    encoder.array(ITEMS - 1)?.u64(VERSION)?.bytes(&changes.space.0.0)?.bytes(&changes.document.0)?;
    encoder.bytes(&changes.author.0)?.bytes(&changes.identity.0)?;
    match changes.subject {
        Some(subject) => encoder.bytes(&subject.0)?,
        None => encoder.null()?,
    };
    encoder.array(changes.seen.len() as u64)?;
    for credential in &changes.seen {
        encoder.bytes(&credential.0.0)?;
    }
    for heads in [&changes.before, &changes.after] {
        encoder.array(heads.len() as u64)?;
        for head in heads {
            encoder.bytes(&head.0)?;
        }
    }
    encoder.u64(changes.signed.0)?.bytes(&changes.bytes)?;
    Ok(())
}

/// Reads what is signed, without a signature.
pub(super) fn decode_unsigned(bytes: &[u8]) -> Result<Changes, ChunkError> {
    let mut decoder = Decoder::new(bytes);
    let items = array(&mut decoder)?;
    let version = decoder.u64()?;
    if version != VERSION {
        return Err(ChunkError::Version(version));
    }
    if items != ITEMS - 1 {
        return Err(ChunkError::Malformed(format!("{items} items stand where {} must", ITEMS - 1)));
    }
    read(&mut decoder)
}

/// Reads the stored form; its signature is not verified here.
pub(super) fn decode(bytes: &[u8]) -> Result<(Changes, [u8; 64]), ChunkError> {
    if bytes.len() > Chunk::LENGTH_MAX {
        return Err(ChunkError::TooLong { length: bytes.len() });
    }
    let mut decoder = Decoder::new(bytes);
    let items = array(&mut decoder)?;
    let version = decoder.u64()?;
    if version != VERSION {
        return Err(ChunkError::Version(version));
    }
    if items != ITEMS {
        return Err(ChunkError::Malformed(format!("{items} items stand where {ITEMS} must")));
    }
    let changes = read(&mut decoder)?;
    let signature = fixed(&mut decoder, "a signature")?;
    if stored(&unsigned(&changes), &signature) != bytes {
        return Err(ChunkError::NotCanonical);
    }
    Ok((changes, signature))
}

fn read(decoder: &mut Decoder<'_>) -> Result<Changes, ChunkError> {
    Ok(Changes {
        space: CredentialId(Hash256(fixed(decoder, "a space")?)),
        document: DocumentId(fixed(decoder, "a document")?),
        author: Did(fixed(decoder, "an author")?),
        identity: Did(fixed(decoder, "an identity")?),
        subject: match decoder.datatype()? {
            minicbor::data::Type::Null => {
                decoder.null()?;
                None
            }
            _ => Some(Did(fixed(decoder, "a subject")?)),
        },
        seen: list(decoder, Changes::SEEN_MAX, |decoder| Ok(CredentialId(Hash256(fixed(decoder, "a credential")?))))?,
        before: list(decoder, Changes::HEADS_MAX, |decoder| Ok(ChangeHash(fixed(decoder, "a head")?)))?,
        after: list(decoder, Changes::HEADS_MAX, |decoder| Ok(ChangeHash(fixed(decoder, "a head")?)))?,
        signed: Timestamp(decoder.u64()?),
        bytes: decoder.bytes()?.to_vec(),
    })
}

fn array(decoder: &mut Decoder<'_>) -> Result<u64, ChunkError> {
    decoder.array()?.ok_or(ChunkError::NotCanonical)
}

fn list<T>(
    decoder: &mut Decoder<'_>,
    count_max: usize,
    read: impl Fn(&mut Decoder<'_>) -> Result<T, ChunkError>,
) -> Result<Vec<T>, ChunkError> {
    let count = array(decoder)?;
    if count > count_max as u64 {
        return Err(ChunkError::Malformed(format!("{count} names stand where {count_max} may")));
    }
    // No capacity is reserved from a number that the bytes merely claim.
    let mut found = Vec::new();
    for _ in 0..count {
        found.push(read(decoder)?);
    }
    Ok(found)
}

fn fixed<const N: usize>(decoder: &mut Decoder<'_>, what: &str) -> Result<[u8; N], ChunkError> {
    let bytes = decoder.bytes()?;
    let wrong = |_| ChunkError::Malformed(format!("{} bytes stand where {what} of {N} must", bytes.len()));
    bytes.try_into().map_err(wrong)
}
