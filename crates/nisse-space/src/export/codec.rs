//! The form of an export, version 1: the words `nisse space export` and a byte of version, then frames: a byte of kind, the length
//! of what follows in four bytes, most significant first, and that. First the header, then what is held, last the SHA-256 of
//! all bytes before the last frame.
//!
//! It is read as it comes, in whatever pieces: no more is held than one frame, and none is waited for that is too long.

use minicbor::decode::{Decoder, Error as CborError};
use minicbor::encode::Encoder;
use nisse_model::{Credential, CredentialId, Hash256, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::chunk::Chunk;
use crate::store::Registered;

/// What every export begins with; a byte of version follows.
const MAGIC: &[u8; 18] = b"nisse space export";
const VERSION: u8 = 1;
const PREFIX: usize = MAGIC.len() + 1;
/// Bytes of a frame before its content.
const HEAD: usize = 5;

const HEADER: u8 = 0;
const CREDENTIAL: u8 = 1;
const CHUNK: u8 = 2;
const END: u8 = 255;

const HEADER_BYTES_MAX: usize = 256;

/// Which space was exported, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportHeader {
    /// The space.
    pub space: CredentialId,
    /// What it is called at the home that wrote the export.
    pub name: String,
    /// When that began, by its own clock.
    pub begun: Timestamp,
}

/// A part of an export. What it holds is not looked at here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExportPart {
    /// The first.
    Header(ExportHeader),
    /// The stored form of a credential.
    Credential(Vec<u8>),
    /// The stored form of a chunk.
    Chunk(Vec<u8>),
    /// The last: all of it came as it was written.
    End,
}

/// Why bytes are no export. Each text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// Something else.
    #[error("read an export of a space: it is none")]
    Foreign,
    /// One of another version.
    #[error("read an export of version {0}: this nisse knows version 1")]
    Version(u8),
    /// Its end is not there.
    #[error("read the export: it is cut off after {bytes} bytes")]
    Cut {
        /// Bytes that came.
        bytes: u64,
    },
    /// It is not as it was written.
    #[error("read the export: it is damaged")]
    Damaged,
    /// A part is longer than any is.
    #[error("read the export: a part of {length} bytes stands at byte {at}, and at most {max} are allowed")]
    TooLong {
        /// Where it begins.
        at: u64,
        /// Bytes that it says it has.
        length: u32,
        /// Bytes that it may have.
        max: usize,
    },
    /// A part that stands where it may not, or that this version has not.
    #[error("read the export: the part at byte {at} does not belong there")]
    Misplaced {
        /// Where it begins.
        at: u64,
    },
    /// A header that is none.
    #[error("read the export's header: {0}")]
    Header(String),
}

impl From<CborError> for ExportError {
    fn from(error: CborError) -> Self {
        Self::Header(error.to_string())
    }
}

impl ExportHeader {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes);
        let written = encoder
            .array(3)
            .and_then(|encoder| encoder.bytes(&self.space.0.0))
            .and_then(|encoder| encoder.str(&self.name)?.u64(self.begun.0)?.ok());
        written.expect("writing to memory does not fail");
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, ExportError> {
        let wrong = |what: &str| ExportError::Header(what.to_owned());
        let mut decoder = Decoder::new(bytes);
        if decoder.array()? != Some(3) {
            return Err(wrong("three items belong there"));
        }
        let space = decoder.bytes()?.try_into().map_err(|_| wrong("a space's name has 32 bytes"))?;
        let name = decoder.str()?;
        if name.len() > Registered::NAME_MAX {
            return Err(wrong("the name is too long"));
        }
        let header =
            Self { space: CredentialId(Hash256(space)), name: name.to_owned(), begun: Timestamp(decoder.u64()?) };
        if header.encode() == bytes { Ok(header) } else { Err(wrong("it is not in its one canonical form")) }
    }
}

/// Writes an export, piece by piece.
pub(super) struct Writer {
    hash: Sha256,
}

impl Writer {
    /// With the bytes that it begins with.
    pub(super) fn begin(header: &ExportHeader) -> (Self, Vec<u8>) {
        let mut writer = Self { hash: Sha256::new() };
        let mut bytes = MAGIC.to_vec();
        bytes.push(VERSION);
        writer.hash.update(&bytes);
        writer.part(HEADER, &header.encode(), &mut bytes);
        (writer, bytes)
    }

    pub(super) fn credential(&mut self, stored: &[u8], into: &mut Vec<u8>) {
        self.part(CREDENTIAL, stored, into);
    }

    pub(super) fn chunk(&mut self, stored: &[u8], into: &mut Vec<u8>) {
        self.part(CHUNK, stored, into);
    }

    pub(super) fn end(self) -> Vec<u8> {
        let mut bytes = head(END, 32).to_vec();
        bytes.extend(self.hash.finalize());
        bytes
    }

    fn part(&mut self, kind: u8, content: &[u8], into: &mut Vec<u8>) {
        let head = head(kind, u32::try_from(content.len()).expect("a part is short"));
        self.hash.update(head);
        self.hash.update(content);
        into.extend(head);
        into.extend(content);
    }
}

fn head(kind: u8, length: u32) -> [u8; HEAD] {
    let [a, b, c, d] = length.to_be_bytes();
    [kind, a, b, c, d]
}

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Prefix,
    Header,
    Held,
    Over,
}

/// Reads an export as it comes.
#[derive(Debug, Clone)]
pub struct ExportReader {
    stage: Stage,
    /// What came and was not read, from `at` on.
    buffer: Vec<u8>,
    at: usize,
    /// Bytes that were read.
    read: u64,
    hash: Sha256,
}

impl Default for ExportReader {
    fn default() -> Self {
        Self { stage: Stage::Prefix, buffer: Vec::new(), at: 0, read: 0, hash: Sha256::new() }
    }
}

impl ExportReader {
    /// Takes what came. [`Self::part`] gives what is whole by then: to be asked until there is nothing more.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.at);
        self.at = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next part, if all of it is here.
    pub fn part(&mut self) -> Result<Option<ExportPart>, ExportError> {
        if self.stage == Stage::Prefix && !self.prefix()? {
            return Ok(None);
        }
        let unread = &self.buffer[self.at..];
        if self.stage == Stage::Over {
            return if unread.is_empty() { Ok(None) } else { Err(ExportError::Misplaced { at: self.read }) };
        }
        let Some(([kind, length @ ..], rest)) = unread.split_first_chunk::<HEAD>() else { return Ok(None) };
        let (kind, length) = (*kind, u32::from_be_bytes(*length));
        let max = self.most(kind)?;
        if length as usize > max {
            return Err(ExportError::TooLong { at: self.read, length, max });
        }
        let Some(content) = rest.get(..length as usize) else { return Ok(None) };
        let part = match kind {
            HEADER => ExportPart::Header(ExportHeader::decode(content)?),
            CREDENTIAL => ExportPart::Credential(content.to_vec()),
            CHUNK => ExportPart::Chunk(content.to_vec()),
            _ if *content == self.hash.clone().finalize()[..] => ExportPart::End,
            _ => return Err(ExportError::Damaged),
        };
        self.stage = if kind == END { Stage::Over } else { Stage::Held };
        let whole = HEAD + content.len();
        self.hash.update(&unread[..whole]);
        self.at += whole;
        self.read += whole as u64;
        Ok(Some(part))
    }

    /// Refuses what ended before its end.
    pub fn finish(&self) -> Result<(), ExportError> {
        let unread = &self.buffer[self.at..];
        match self.stage {
            Stage::Over if unread.is_empty() => Ok(()),
            Stage::Over => Err(ExportError::Misplaced { at: self.read }),
            Stage::Prefix if !MAGIC.starts_with(&unread[..unread.len().min(MAGIC.len())]) => Err(ExportError::Foreign),
            _ => Err(ExportError::Cut { bytes: self.read + unread.len() as u64 }),
        }
    }

    /// Reads what every export begins with; `false`: not all of it is here.
    fn prefix(&mut self) -> Result<bool, ExportError> {
        let Some(prefix) = self.buffer.first_chunk::<PREFIX>() else {
            let is_like = MAGIC.starts_with(&self.buffer[..self.buffer.len().min(MAGIC.len())]);
            return if is_like { Ok(false) } else { Err(ExportError::Foreign) };
        };
        let version = prefix[MAGIC.len()];
        if !prefix.starts_with(MAGIC) {
            return Err(ExportError::Foreign);
        }
        if version != VERSION {
            return Err(ExportError::Version(version));
        }
        self.hash.update(prefix);
        (self.at, self.read, self.stage) = (PREFIX, PREFIX as u64, Stage::Header);
        Ok(true)
    }

    /// Bytes that a part of this kind may have, if it may stand here.
    fn most(&self, kind: u8) -> Result<usize, ExportError> {
        match (self.stage, kind) {
            (Stage::Header, HEADER) => Ok(HEADER_BYTES_MAX),
            (Stage::Held, CREDENTIAL) => Ok(Credential::LENGTH_MAX),
            (Stage::Held, CHUNK) => Ok(Chunk::LENGTH_MAX),
            (Stage::Held, END) => Ok(32),
            _ => Err(ExportError::Misplaced { at: self.read }),
        }
    }
}
