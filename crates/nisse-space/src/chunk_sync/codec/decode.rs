//! Reads a frame's CBOR. That it stands in its one form and order is for [`Frame::decode`] to see.

use std::borrow::Cow;
use std::collections::BTreeSet;

use minicbor::data::Type;
use minicbor::decode::{Decoder, Error as CborError};
use nisse_model::{CredentialId, Hash256};

use super::{CHUNKS, ERROR, Frame, FrameError, HELLO, OFFER, PRESENCE, RECONCILE, VERSION, WANT, Wanted};
use crate::chunk_sync::reconcile::{Bound, ITEMS_MAX, Item, Part, RANGES_MAX, Range, RangesError};
use crate::document_id::DocumentId;
use crate::repo_protocol::PeerName;

impl From<CborError> for FrameError {
    fn from(error: CborError) -> Self {
        Self::Malformed(error.to_string())
    }
}

pub(super) fn frame(bytes: &[u8]) -> Result<Frame<'_>, FrameError> {
    let mut decoder = Decoder::new(bytes);
    let decoder = &mut decoder;
    // How many items there are is compared with the rest of the form, once it is written again.
    decoder.array()?;
    let version = decoder.u64()?;
    if version != VERSION {
        return Err(FrameError::Version(version));
    }
    match decoder.u64()? {
        HELLO => Ok(Frame::Hello {
            space: CredentialId(Hash256(fixed(decoder, "a space")?)),
            wanted: wanted(decoder)?,
            ranges: ranges(decoder)?,
        }),
        RECONCILE => Ok(Frame::Reconcile { ranges: ranges(decoder)? }),
        OFFER => Ok(Frame::Offer { items: items(decoder, ITEMS_MAX)? }),
        WANT => Ok(Frame::Want { items: items(decoder, ITEMS_MAX)? }),
        CHUNKS => Ok(Frame::Chunks {
            chunks: list(decoder, "chunks", Frame::CHUNKS_MAX, |decoder| Ok(Cow::Borrowed(decoder.bytes()?)))?,
            missing: items(decoder, ITEMS_MAX)?,
        }),
        ERROR => {
            let message = decoder.str()?;
            if message.len() > Frame::MESSAGE_BYTES_MAX {
                return Err(FrameError::Flaw("its message is longer than 400 bytes"));
            }
            Ok(Frame::Error { message: message.to_owned() })
        }
        PRESENCE => Ok(Frame::Presence {
            sender: PeerName::new(decoder.str()?).map_err(|error| FrameError::Malformed(error.to_string()))?,
            document: DocumentId(fixed(decoder, "a document")?),
            count: decoder.u64()?,
            session: Cow::Borrowed(decoder.str()?),
            data: Cow::Borrowed(decoder.bytes()?),
            hops: decoder.u8()?,
        }),
        kind => Err(FrameError::Kind(kind)),
    }
}

fn wanted(decoder: &mut Decoder<'_>) -> Result<Wanted, FrameError> {
    if is_null(decoder)? {
        return Ok(Wanted::All);
    }
    let documents =
        list(decoder, "documents", Wanted::DOCUMENTS_MAX, |decoder| Ok(DocumentId(fixed(decoder, "a document")?)))?;
    // Out of order or twice, they are written otherwise than they stand.
    Ok(Wanted::Only(BTreeSet::from_iter(documents)))
}

fn ranges(decoder: &mut Decoder<'_>) -> Result<Vec<Range>, FrameError> {
    let halves = array(decoder)?;
    if halves > 2 * RANGES_MAX as u64 {
        return Err(RangesError::TooMany(usize::try_from(halves / 2).unwrap_or(usize::MAX)).into());
    }
    let (mut found, mut listed) = (Vec::new(), 0);
    for _ in 0..halves / 2 {
        let upto = bound(decoder)?;
        let part = match decoder.datatype()? {
            Type::Null => {
                decoder.null()?;
                Part::Skip
            }
            Type::Bytes => Part::Fingerprint(fixed(decoder, "a fingerprint")?),
            _ => {
                let items = items(decoder, ITEMS_MAX - listed)?;
                listed += items.len();
                Part::Items(items)
            }
        };
        found.push(Range { upto, part });
    }
    Ok(found)
}

fn bound(decoder: &mut Decoder<'_>) -> Result<Bound, FrameError> {
    if is_null(decoder)? {
        return Ok(Bound::End);
    }
    let prefix = decoder.bytes()?;
    let mut bytes = [0; Item::LENGTH];
    let wrong = || FrameError::Malformed(format!("{} bytes stand where a bound of up to 48 must", prefix.len()));
    bytes.get_mut(..prefix.len()).ok_or_else(wrong)?.copy_from_slice(prefix);
    Ok(Bound::Before(Item::from_bytes(bytes)))
}

fn items(decoder: &mut Decoder<'_>, count_max: usize) -> Result<Vec<Item>, FrameError> {
    list(decoder, "items", count_max, |decoder| Ok(Item::from_bytes(fixed(decoder, "an item")?)))
}

/// Passes over a null, if one is next.
fn is_null(decoder: &mut Decoder<'_>) -> Result<bool, FrameError> {
    let null = decoder.datatype()? == Type::Null;
    if null {
        decoder.null()?;
    }
    Ok(null)
}

fn array(decoder: &mut Decoder<'_>) -> Result<u64, FrameError> {
    decoder.array()?.ok_or(FrameError::NotCanonical)
}

fn list<'b, T>(
    decoder: &mut Decoder<'b>,
    what: &str,
    count_max: usize,
    read: impl Fn(&mut Decoder<'b>) -> Result<T, FrameError>,
) -> Result<Vec<T>, FrameError> {
    let count = array(decoder)?;
    if count > count_max as u64 {
        return Err(FrameError::Malformed(format!("{count} {what} stand where {count_max} may")));
    }
    // No capacity is reserved from a number that the bytes merely claim.
    let mut found = Vec::new();
    for _ in 0..count {
        found.push(read(decoder)?);
    }
    Ok(found)
}

fn fixed<const N: usize>(decoder: &mut Decoder<'_>, what: &str) -> Result<[u8; N], FrameError> {
    let bytes = decoder.bytes()?;
    let wrong = |_| FrameError::Malformed(format!("{} bytes stand where {what} of {N} must", bytes.len()));
    bytes.try_into().map_err(wrong)
}
