//! How large automerge's bytes become, told before automerge is given them.
//!
//! automerge 0.12 inflates without a limit, and its run-length columns can name 2^60 operations in a few bytes; so what
//! a stranger sends is measured first. Measuring reads the bytes once, inflates them through a window of fixed size,
//! keeps no column, and stops at the first number past a limit. It checks what makes bytes large and what makes
//! automerge allocate by a number that stands in them; whether they are *right* (check sums, references, order)
//! automerge says.
//!
//! automerge also panics on some bytes that are no bombs: give them to it inside [`guarded`].
//!
//! The formats come from <https://automerge.org/automerge-binary-format-spec/> and from what automerge 0.12 does with
//! them (`src/storage/`, `src/sync.rs`, and hexane 1.0.0-alpha.5 for a document's columns).

mod change;
mod column;
mod document;
mod guard;
mod message;
mod stream;
mod tally;
#[cfg(test)]
mod tests;

pub use guard::{Panicked, guarded};
pub use message::{BLOOM_BYTES_MAX, HAVES_MAX, HEADS_MAX, NEEDS_MAX, PROBES_MAX, measure_message};

use nisse_model::Hash256;
use stream::{Stream, number_bytes};
use tally::Tally;

/// What each chunk begins with.
const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
/// The bytes of a chunk before its length: [`MAGIC`], a check sum of four, a type.
const PREFIX_BYTES: u64 = 9;
/// The bytes of a change's hash.
const HASH_BYTES: u64 = 32;
/// The most columns of one table; automerge knows 16.
const COLUMNS_MAX: u64 = 128;

/// How large a run of chunks becomes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// The chunks.
    pub chunks: usize,
    /// The bytes of the chunks with all that is deflated in them inflated.
    pub inflated: u64,
    /// The bytes of the texts that stand in runs (keys, names of marks, messages of changes), each as often as its run
    /// says.
    pub expanded: u64,
    /// The operations: those of a change, the rows of a document (where a deletion has none).
    pub operations: u64,
    /// What operations and changes name as coming before or after them.
    pub links: u64,
    /// The changes.
    pub changes: u64,
    /// The actors, each once.
    pub actors: u64,
}

/// How large a run of chunks may become. The numbers are for one call of [`measure`] or [`measure_message`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most of [`Size::inflated`].
    pub inflated_bytes_max: u64,
    /// The most of [`Size::expanded`].
    pub expanded_bytes_max: u64,
    /// The most of [`Size::operations`].
    pub operations_max: u64,
    /// The most of [`Size::links`].
    pub links_max: u64,
    /// The most of [`Size::changes`].
    pub changes_max: u64,
    /// The most of [`Size::actors`].
    pub actors_max: u64,
    /// The most of [`Size::changes`] times [`Size::actors`]: with every 16th change automerge keeps a number for each
    /// actor.
    pub clocks_max: u64,
    /// The longest name of an actor.
    pub actor_bytes_max: u64,
}

impl Size {
    /// About the most bytes that automerge 0.12 takes at once while it loads these chunks; what it then keeps is less.
    ///
    /// The factors were measured on x86-64 with what takes most of each: a text or a chain of insertions in one change
    /// took 540 bytes an operation, a run of changes in a document 3,300 bytes a change, a long value four times its
    /// bytes. They are rounded up.
    #[must_use]
    pub fn load_bytes_about(&self) -> u64 {
        let clocks = self.changes.saturating_mul(self.actors) / 4;
        [
            (5, self.inflated),
            (2, self.expanded),
            (600, self.operations),
            (100, self.links),
            (3_500, self.changes),
            (1_000, self.actors),
            (1, clocks),
        ]
        .into_iter()
        .fold(0, |sum: u64, (factor, count): (u64, u64)| sum.saturating_add(count.saturating_mul(factor)))
    }
}

impl Limits {
    /// For a sync message of a client.
    pub const MESSAGE: Self = Self {
        inflated_bytes_max: 64 << 20,
        expanded_bytes_max: 64 << 20,
        operations_max: 1_000_000,
        links_max: 1_000_000,
        changes_max: 200_000,
        actors_max: 10_000,
        clocks_max: 1 << 30,
        actor_bytes_max: 64,
    };
}

/// Why bytes are not given to automerge. The text completes "failed to …".
#[derive(Debug, thiserror::Error)]
pub enum GaugeError {
    /// No chunk begins where one should.
    #[error("find a chunk at byte {place}")]
    Magic {
        /// Where in the run of chunks.
        place: usize,
    },
    /// A chunk of a type that automerge 0.12 does not know.
    #[error("read a chunk of type {found}: 0, 1 and 2 are known")]
    ChunkType {
        /// The type.
        found: u8,
    },
    /// A bundle. Clients of automerge 0.12 send none, and automerge calls the format an experiment.
    #[error("take a bundle of changes: changes come one by one or as a document")]
    Bundle,
    /// The bytes end in the middle of something.
    #[error("read {what}: the bytes end before it does")]
    Truncated {
        /// What was to be read.
        what: &'static str,
    },
    /// Bytes follow where none should.
    #[error("read {what}: bytes follow it")]
    Trailing {
        /// What ended before.
        what: &'static str,
    },
    /// A number of more than 64 bits.
    #[error("read {what} as a number of 64 bits")]
    Number {
        /// What the number stands for.
        what: &'static str,
    },
    /// Something is past a limit.
    #[error("take {what}: at least {found} where at most {allowed} are allowed")]
    TooMuch {
        /// What there is too much of.
        what: &'static str,
        /// How much there is at least: counting stops here.
        found: u64,
        /// The limit.
        allowed: u64,
    },
    /// A column names an actor that the chunk does not have; automerge would make room for it nevertheless.
    #[error("read an operation by actor {found} of {actors}")]
    Actor {
        /// The actor's number.
        found: u64,
        /// How many actors the chunk has.
        actors: u64,
    },
    /// A change with a column that is deflated by itself; only those of documents are.
    #[error("read a change with a deflated column")]
    DeflatedColumn,
    /// What is deflated can't be inflated.
    #[error("inflate a chunk")]
    Inflate(#[source] std::io::Error),
    /// A sync message of another version.
    #[error("read a sync message of type {found}: 66 and 67 are known")]
    MessageType {
        /// The first byte.
        found: u8,
    },
    /// A Bloom filter that names changes and has no bits: automerge would divide by zero.
    #[error("read a Bloom filter of {entries} changes without a bit")]
    BloomBits {
        /// How many changes it names.
        entries: u64,
    },
}

/// Measures a run of chunks, which is what `Automerge::load_incremental` takes.
///
/// # Errors
/// At the first number past a limit, and where the bytes are no chunks of automerge 0.12.
pub fn measure(bytes: &[u8], limits: &Limits) -> Result<Size, GaugeError> {
    let mut tally = Tally::new(limits);
    measure_chunks(bytes, &mut tally)?;
    Ok(tally.size())
}

/// Whether a run of chunks is as automerge saved it, by the sums of those that are not deflated as a whole.
pub(crate) fn is_whole(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while !rest.is_empty() {
        let Ok((kind, _, after)) = split_chunk(rest, 0) else { return false };
        let chunk = &rest[..rest.len() - after.len()];
        let (sum, summed) = (&chunk[MAGIC.len()..PREFIX_BYTES as usize - 1], &chunk[PREFIX_BYTES as usize - 1..]);
        if kind != 2 && !Hash256::of(summed).0.starts_with(sum) {
            return false;
        }
        rest = after;
    }
    true
}

fn measure_chunks(bytes: &[u8], tally: &mut Tally<'_>) -> Result<(), GaugeError> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let place = bytes.len() - rest.len();
        let (kind, body, after) = split_chunk(rest, place)?;
        tally.add_chunk();
        match kind {
            0 => document::measure(body, tally)?,
            1 => {
                tally.add_inflated(chunk_bytes(body.len() as u64))?;
                change::measure(&mut Stream::plain(body), tally)?;
            }
            2 => {
                let allowed = tally.inflated_left().saturating_sub(PREFIX_BYTES);
                let mut stream = Stream::inflating(body, allowed);
                change::measure(&mut stream, tally)?;
                tally.add_inflated(chunk_bytes(stream.taken()))?;
            }
            3 => return Err(GaugeError::Bundle),
            found => return Err(GaugeError::ChunkType { found }),
        }
        rest = after;
    }
    Ok(())
}

/// The bytes of a chunk with a body of so many.
fn chunk_bytes(body: u64) -> u64 {
    PREFIX_BYTES + number_bytes(body) + body
}

/// The type and the body of the first chunk, and what follows it.
fn split_chunk(bytes: &[u8], place: usize) -> Result<(u8, &[u8], &[u8]), GaugeError> {
    const WHAT: &str = "a chunk's header";
    let magic = bytes.get(..MAGIC.len()).ok_or(GaugeError::Truncated { what: WHAT })?;
    if magic != MAGIC {
        return Err(GaugeError::Magic { place });
    }
    let kind = *bytes.get(PREFIX_BYTES as usize - 1).ok_or(GaugeError::Truncated { what: WHAT })?;
    let mut header = Stream::plain(&bytes[PREFIX_BYTES as usize..]);
    let length = header.number(WHAT)?;
    let rest = header.rest();
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let (body, after) = rest.split_at_checked(length).ok_or(GaugeError::Truncated { what: "a chunk" })?;
    Ok((kind, body, after))
}
