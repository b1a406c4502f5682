//! A sync message: what it summarises and asks for, and the chunks that it brings.

use super::stream::Stream;
use super::tally::Tally;
use super::{GaugeError, HASH_BYTES, Limits, Size, measure_chunks};

const WHAT: &str = "a sync message";
/// The first byte of a message, by its version.
const TYPES: [u8; 2] = [0x42, 0x43];
/// The most heads of one document.
pub const HEADS_MAX: u64 = 1_000;
/// The most changes that a message asks for.
pub const NEEDS_MAX: u64 = 10_000;
/// The most summaries of what the sender has; automerge sends one.
pub const HAVES_MAX: u64 = 16;
/// The most probes for one change in a Bloom filter; automerge makes seven.
pub const PROBES_MAX: u64 = 32;
/// The most bytes of a Bloom filter: 1 MiB is enough for 800,000 changes.
pub const BLOOM_BYTES_MAX: u64 = 1 << 20;

/// Measures what `automerge::sync::Message::decode` takes: its lists, and its chunks as [`super::measure`] does.
///
/// What follows the chunks (flags, and what later versions may add) is not looked at, just as automerge does.
///
/// # Errors
/// At the first number past a limit, and where the bytes are no sync message of automerge 0.12.
pub fn measure_message(bytes: &[u8], limits: &Limits) -> Result<Size, GaugeError> {
    let mut stream = Stream::plain(bytes);
    let found = stream.byte(WHAT)?;
    if !TYPES.contains(&found) {
        return Err(GaugeError::MessageType { found });
    }
    skip_hashes(&mut stream, "heads", HEADS_MAX)?;
    skip_hashes(&mut stream, "changes asked for", NEEDS_MAX)?;
    let haves = list(&mut stream, "summaries of changes", HAVES_MAX)?;
    for _ in 0..haves {
        skip_hashes(&mut stream, "heads", HEADS_MAX)?;
        measure_bloom(take(&mut stream)?)?;
    }
    let mut tally = Tally::new(limits);
    // An entry holds at least a change, or nothing.
    let entries = list(&mut stream, "entries of a sync message", limits.changes_max)?;
    for _ in 0..entries {
        measure_chunks(take(&mut stream)?, &mut tally)?;
    }
    Ok(tally.size())
}

/// The length of a list.
fn list(stream: &mut Stream<'_>, what: &'static str, allowed: u64) -> Result<u64, GaugeError> {
    let found = stream.number(WHAT)?;
    if found > allowed { Err(GaugeError::TooMuch { what, found, allowed }) } else { Ok(found) }
}

fn skip_hashes(stream: &mut Stream<'_>, what: &'static str, allowed: u64) -> Result<(), GaugeError> {
    let count = list(stream, what, allowed)?;
    stream.skip(WHAT, count * HASH_BYTES)
}

/// Bytes behind their length.
fn take<'b>(stream: &mut Stream<'b>) -> Result<&'b [u8], GaugeError> {
    let length = stream.number(WHAT)?;
    let bytes = stream.rest();
    stream.skip(WHAT, length)?;
    Ok(&bytes[..length as usize])
}

/// A Bloom filter: how many changes are in it, bits for each, probes for each, and the bits.
fn measure_bloom(bytes: &[u8]) -> Result<(), GaugeError> {
    if bytes.is_empty() {
        return Ok(());
    }
    if bytes.len() as u64 > BLOOM_BYTES_MAX {
        let found = bytes.len() as u64;
        return Err(GaugeError::TooMuch { what: "bytes of a Bloom filter", found, allowed: BLOOM_BYTES_MAX });
    }
    let mut stream = Stream::plain(bytes);
    let entries = stream.number(WHAT)?;
    let bits_each = stream.number(WHAT)?;
    let probes = stream.number(WHAT)?;
    if probes > PROBES_MAX {
        return Err(GaugeError::TooMuch { what: "probes of a Bloom filter", found: probes, allowed: PROBES_MAX });
    }
    if entries > 0 && bits_each == 0 {
        return Err(GaugeError::BloomBits { entries });
    }
    stream.skip(WHAT, entries.saturating_mul(bits_each).div_ceil(8))
}
