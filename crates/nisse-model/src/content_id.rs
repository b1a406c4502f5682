//! A content identifier as IPFS uses it: CIDv0 or CIDv1, SHA-256 only, raw or dag-pb only.

use std::fmt;
use std::str::FromStr;

use cid::{Cid, Version};
use multihash::Multihash;

use crate::Hash256;

/// How much of refused bytes an error repeats.
const BYTES_SHOWN_MAX: usize = 40;
/// Multihash code of SHA-256.
const SHA2_256: u64 = 0x12;
/// Codec of plain bytes.
const RAW: u64 = 0x55;
/// Codec of dag-pb nodes.
const DAG_PB: u64 = 0x70;

/// How the bytes behind a content id are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CidCodec {
    /// Plain bytes (0x55): the digest is the SHA-256 of the content itself.
    Raw,
    /// A dag-pb node (0x70): a UnixFS file in blocks, or a directory.
    DagPb,
}

/// A content id: its form and a SHA-256 digest. Two ids are equal when version, codec and digest are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentId {
    form: Form,
    digest: Hash256,
}

/// The three forms that are taken, in the order of their binary forms' first bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Form {
    V0,
    V1Raw,
    V1DagPb,
}

impl ContentId {
    /// The CIDv1 of one raw block with this digest (`bafkrei…`).
    pub fn raw(digest: Hash256) -> Self {
        Self { form: Form::V1Raw, digest }
    }

    /// The CIDv1 of a dag-pb node with this digest (`bafybei…`).
    pub fn dag_pb(digest: Hash256) -> Self {
        Self { form: Form::V1DagPb, digest }
    }

    /// The CIDv0 of a dag-pb node with this digest (`Qm…`).
    pub fn v0(digest: Hash256) -> Self {
        Self { form: Form::V0, digest }
    }

    /// Reads the binary form: 36 bytes for CIDv1, 34 for CIDv0.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ParseContentIdError> {
        let malformed = || ParseContentIdError::Malformed(hex::encode(&bytes[..bytes.len().min(BYTES_SHOWN_MAX)]));
        let id = Self::checked(Cid::try_from(bytes).map_err(|_| malformed())?)?;
        // The decoder stops at the id's end and takes longer spellings of its numbers; one id has one form here.
        if id.to_bytes() == bytes { Ok(id) } else { Err(malformed()) }
    }

    /// The binary form, as contracts and CAR files carry it.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_cid().to_bytes()
    }

    /// How to read the content.
    pub fn codec(&self) -> CidCodec {
        match self.form {
            Form::V1Raw => CidCodec::Raw,
            Form::V0 | Form::V1DagPb => CidCodec::DagPb,
        }
    }

    /// The SHA-256 digest inside.
    pub fn digest(&self) -> Hash256 {
        self.digest
    }

    fn checked(cid: Cid) -> Result<Self, ParseContentIdError> {
        let hash = cid.hash();
        let digest = <[u8; 32]>::try_from(hash.digest()).ok().filter(|_| hash.code() == SHA2_256);
        let digest = Hash256(digest.ok_or(ParseContentIdError::Hash(hash.code()))?);
        let form = match (cid.version(), cid.codec()) {
            (Version::V0, _) => Form::V0,
            (Version::V1, RAW) => Form::V1Raw,
            (Version::V1, DAG_PB) => Form::V1DagPb,
            (Version::V1, codec) => return Err(ParseContentIdError::Codec(codec)),
        };
        Ok(Self { form, digest })
    }

    fn to_cid(self) -> Cid {
        let hash = multihash(self.digest);
        match self.form {
            Form::V0 => Cid::new_v0(hash).expect("a SHA-256 multihash makes a CIDv0"),
            Form::V1Raw => Cid::new_v1(RAW, hash),
            Form::V1DagPb => Cid::new_v1(DAG_PB, hash),
        }
    }
}

fn multihash(digest: Hash256) -> Multihash<64> {
    Multihash::wrap(SHA2_256, &digest.0).expect("32 bytes fit into a 64-byte multihash")
}

impl fmt::Display for ContentId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.to_cid(), formatter)
    }
}

impl fmt::Debug for ContentId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.to_cid(), formatter)
    }
}

/// Why bytes or a text are not a content id that nisse takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseContentIdError {
    /// Not a CID at all.
    #[error("read `{0}` as a CID: expected `bafkrei…`, `bafybei…` or `Qm…`")]
    Malformed(String),
    /// Another hash than SHA-256.
    #[error("use a CID with multihash code {0:#x}: only SHA-256 (0x12, 32 bytes) is taken")]
    Hash(u64),
    /// Another codec than raw or dag-pb.
    #[error("use a CID with codec {0:#x}: only raw (0x55) and dag-pb (0x70) are taken")]
    Codec(u64),
}

impl FromStr for ContentId {
    type Err = ParseContentIdError;

    /// Takes the usual spelling only: base32 in lower case for CIDv1, base58 for CIDv0, nothing around it.
    fn from_str(text: &str) -> Result<Self, ParseContentIdError> {
        // A CID of the kinds taken here has at most 59 characters; anything long is refused before it is decoded.
        let malformed = || ParseContentIdError::Malformed(text.chars().take(80).collect());
        if text.len() > 100 {
            return Err(malformed());
        }
        let id = Self::checked(Cid::try_from(text).map_err(|_| malformed())?)?;
        if id.to_string() == text { Ok(id) } else { Err(malformed()) }
    }
}
