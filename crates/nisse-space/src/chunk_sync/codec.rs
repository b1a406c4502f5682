//! What two peers say to each other of a space's chunks, version 1: each frame is one CBOR array, of its version, its
//! kind and what it says.
//!
//! Deterministic (RFC 8949 §4.2.1): definite lengths and shortest integers only. Decoding encodes again and compares.

mod decode;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeSet;

use minicbor::encode::Encoder;
use nisse_model::CredentialId;

use super::reconcile::{self, Bound, ITEMS_MAX, Item, Part, Range, RangesError};
use crate::chunk::Chunk;
use crate::document_id::DocumentId;
use crate::repo_protocol::{PeerName, SESSION_BYTES_MAX};

/// The first item of every frame.
const VERSION: u64 = 1;

const HELLO: u64 = 0;
const RECONCILE: u64 = 1;
const OFFER: u64 = 2;
const WANT: u64 = 3;
const CHUNKS: u64 = 4;
const ERROR: u64 = 5;
const PRESENCE: u64 = 6;

/// What a peer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame<'b> {
    /// The first of all: which space, and the first message of a reconciliation.
    Hello {
        /// The space.
        space: CredentialId,
        /// The documents that are reconciled.
        wanted: Wanted,
        /// What [`begin`](super::begin) says.
        ranges: Vec<Range>,
    },
    /// A later message of the reconciliation.
    Reconcile {
        /// What [`answer`](super::answer()) says. None: it is at its end.
        ranges: Vec<Range>,
    },
    /// What the sender has and the other lacks. An empty one says that it takes [`Frame::Presence`]: a nisse that knows of
    /// none passes that over, and is sent none.
    Offer {
        /// In order, each once.
        items: Vec<Item>,
    },
    /// What the sender lacks and asks for.
    Want {
        /// In order, each once.
        items: Vec<Item>,
    },
    /// Chunks that were asked for.
    Chunks {
        /// Stored forms, each behind what it stands on. What they hold is not read here.
        chunks: Vec<Cow<'b, [u8]>>,
        /// What was asked for and is not there, in order, each once.
        missing: Vec<Item>,
    },
    /// What a client of automerge-repo said to others and nobody keeps: cursors, who is there.
    Presence {
        /// What the client calls itself.
        sender: PeerName,
        /// The document that it is about.
        document: DocumentId,
        /// Rises with each message of the session.
        count: u64,
        /// The client's session.
        session: Cow<'b, str>,
        /// What the application says.
        data: Cow<'b, [u8]>,
        /// How many homes it was sent by: 1 by the one that the client is connected to, [`Frame::HOPS_MAX`] at most.
        hops: u8,
    },
    /// The last of all: why the sender goes no further.
    Error {
        /// For people. Past [`Frame::MESSAGE_BYTES_MAX`] it is cut when it is written.
        message: String,
    },
}

/// Which documents of a space a peer asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// All.
    All,
    /// These alone: at most [`Wanted::DOCUMENTS_MAX`].
    Only(BTreeSet<DocumentId>),
}

impl Wanted {
    /// Documents that can be asked for one by one.
    pub const DOCUMENTS_MAX: usize = 10_000;

    /// Whether a document is asked for.
    pub fn includes(&self, document: DocumentId) -> bool {
        match self {
            Self::All => true,
            Self::Only(documents) => documents.contains(&document),
        }
    }
}

/// Why bytes are no frame. Each text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Longer than [`Frame::BYTES_MAX`].
    #[error("take a frame of {length} bytes: at most {max} are allowed", max = Frame::BYTES_MAX)]
    TooLong {
        /// Bytes found.
        length: usize,
    },
    /// A frame of another version.
    #[error("read a frame of version {0}: this nisse knows version 1")]
    Version(u64),
    /// A kind that this version has not.
    #[error("read a frame of the unknown kind {0}")]
    Kind(u64),
    /// Not the CBOR that a frame is made of.
    #[error("read a frame: {0}")]
    Malformed(String),
    /// The same frame spelled otherwise, or with something behind it.
    #[error("read a frame: it is not in its one canonical form")]
    NotCanonical,
    /// Ranges or items that nobody may say.
    #[error(transparent)]
    Ranges(#[from] RangesError),
    /// Something else that nobody may say.
    #[error("take a frame: {0}")]
    Flaw(&'static str),
}

impl<'b> Frame<'b> {
    /// Bytes of the longest frame: the longest chunk, and a list of what is missing.
    pub const BYTES_MAX: usize = Chunk::LENGTH_MAX + (5 << 20);
    /// Chunks of one frame.
    pub const CHUNKS_MAX: usize = ITEMS_MAX;
    /// Bytes that a client says to others in one message.
    pub const PRESENCE_BYTES_MAX: usize = 64 << 10;
    /// Homes that such a message goes through.
    pub const HOPS_MAX: u8 = 8;
    /// Bytes of the message of an error.
    pub const MESSAGE_BYTES_MAX: usize = 400;

    /// The frame's one form. To keep its limits, that of all bytes too, is for who makes it: who reads it refuses what
    /// breaks them.
    pub fn encode(&self) -> Vec<u8> {
        debug_assert_eq!(check(self), Ok(()), "a frame within its limits");
        let chunk_bytes = match self {
            Self::Chunks { chunks, .. } => chunks.iter().map(|chunk| chunk.len() + 5).sum(),
            _ => 0,
        };
        let mut bytes = Vec::with_capacity(chunk_bytes + 512);
        write(self, &mut Encoder::new(&mut bytes)).expect("writing to memory does not fail");
        bytes
    }

    /// Reads a frame. The chunks in it are not copied.
    pub fn decode(bytes: &'b [u8]) -> Result<Self, FrameError> {
        if bytes.len() > Self::BYTES_MAX {
            return Err(FrameError::TooLong { length: bytes.len() });
        }
        let frame = decode::frame(bytes)?;
        check(&frame)?;
        if frame.encode() != bytes {
            return Err(FrameError::NotCanonical);
        }
        Ok(frame)
    }
}

/// Refuses what nobody may say. A message that is too long is none of it: it is cut where it is written.
fn check(frame: &Frame<'_>) -> Result<(), FrameError> {
    match frame {
        Frame::Hello { wanted: Wanted::Only(documents), .. } if documents.len() > Wanted::DOCUMENTS_MAX => {
            Err(FrameError::Flaw("it names more than 10000 documents"))
        }
        Frame::Hello { ranges, .. } | Frame::Reconcile { ranges } => Ok(reconcile::check(ranges)?),
        Frame::Offer { items } | Frame::Want { items } => check_items(items),
        Frame::Chunks { chunks, missing } => {
            if chunks.len() > Frame::CHUNKS_MAX {
                return Err(FrameError::Flaw("it has more than 16384 chunks"));
            }
            if chunks.iter().any(|chunk| chunk.is_empty() || chunk.len() > Chunk::LENGTH_MAX) {
                return Err(FrameError::Flaw("one of its chunks is empty, or longer than any chunk is"));
            }
            check_items(missing)
        }
        Frame::Presence { data, .. } if data.len() > Frame::PRESENCE_BYTES_MAX => {
            Err(FrameError::Flaw("it passes on more than 64 KiB"))
        }
        Frame::Presence { session, .. } if session.len() > SESSION_BYTES_MAX => {
            Err(FrameError::Flaw("its session has a longer name than any has"))
        }
        Frame::Presence { hops, .. } if !(1..=Frame::HOPS_MAX).contains(hops) => {
            Err(FrameError::Flaw("it went through no home, or through more than 8"))
        }
        Frame::Presence { .. } | Frame::Error { .. } => Ok(()),
    }
}

fn check_items(items: &[Item]) -> Result<(), FrameError> {
    if items.len() > ITEMS_MAX {
        return Err(RangesError::TooManyItems(items.len()).into());
    }
    if !items.is_sorted_by(|one, next| one < next) {
        return Err(RangesError::Order.into());
    }
    Ok(())
}

type Written = Result<(), minicbor::encode::Error<core::convert::Infallible>>;

fn write(frame: &Frame<'_>, encoder: &mut Encoder<&mut Vec<u8>>) -> Written {
    let (kind, fields) = match frame {
        Frame::Hello { .. } => (HELLO, 3),
        Frame::Reconcile { .. } => (RECONCILE, 1),
        Frame::Offer { .. } => (OFFER, 1),
        Frame::Want { .. } => (WANT, 1),
        Frame::Chunks { .. } => (CHUNKS, 2),
        Frame::Error { .. } => (ERROR, 1),
        Frame::Presence { .. } => (PRESENCE, 6),
    };
    encoder.array(2 + fields)?.u64(VERSION)?.u64(kind)?;
    match frame {
        Frame::Hello { space, wanted, ranges } => {
            encoder.bytes(&space.0.0)?;
            write_wanted(wanted, encoder)?;
            write_ranges(ranges, encoder)
        }
        Frame::Reconcile { ranges } => write_ranges(ranges, encoder),
        Frame::Offer { items } | Frame::Want { items } => write_items(items, encoder),
        Frame::Chunks { chunks, missing } => {
            encoder.array(chunks.len() as u64)?;
            for chunk in chunks {
                encoder.bytes(chunk)?;
            }
            write_items(missing, encoder)
        }
        Frame::Presence { sender, document, count, session, data, hops } => {
            encoder.str(sender.as_str())?.bytes(&document.0)?.u64(*count)?.str(session)?.bytes(data)?.u8(*hops)?.ok()
        }
        Frame::Error { message } => {
            let end = message.floor_char_boundary(Frame::MESSAGE_BYTES_MAX);
            encoder.str(&message[..end])?.ok()
        }
    }
}

/// The documents, or null for all.
fn write_wanted(wanted: &Wanted, encoder: &mut Encoder<&mut Vec<u8>>) -> Written {
    let Wanted::Only(documents) = wanted else { return encoder.null()?.ok() };
    encoder.array(documents.len() as u64)?;
    for document in documents {
        encoder.bytes(&document.0)?;
    }
    Ok(())
}

/// Each range as two items: its bound without the zeros behind it, or null for the end; and null for nothing, bytes for a
/// fingerprint or an array for a list.
fn write_ranges(ranges: &[Range], encoder: &mut Encoder<&mut Vec<u8>>) -> Written {
    encoder.array(ranges.len() as u64 * 2)?;
    for Range { upto, part } in ranges {
        match upto {
            Bound::Before(place) => {
                let bytes = place.to_bytes();
                let length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
                encoder.bytes(&bytes[..length])?
            }
            Bound::End => encoder.null()?,
        };
        match part {
            Part::Skip => encoder.null()?.ok()?,
            Part::Fingerprint(fingerprint) => encoder.bytes(fingerprint)?.ok()?,
            Part::Items(items) => write_items(items, encoder)?,
        }
    }
    Ok(())
}

fn write_items(items: &[Item], encoder: &mut Encoder<&mut Vec<u8>>) -> Written {
    encoder.array(items.len() as u64)?;
    for item in items {
        encoder.bytes(&item.to_bytes())?;
    }
    Ok(())
}
