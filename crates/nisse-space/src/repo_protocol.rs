//! The messages of automerge-repo's network protocol (version "1"), as its clients 2.5.6 send and read them.
//!
//! Each message is one CBOR map in one WebSocket binary frame. The other end may send any bytes: reading never recurses
//! and allocates no more than a small multiple of the frame, and everything that it keeps has a limit with a name. What
//! it does not know (a key, a type of message) it passes over, so that a newer client goes on.
//!
//! The rules come from `@automerge/automerge-repo` 2.5.6 (`src/network/messages.ts`, `src/helpers/cbor.ts`) and
//! `@automerge/automerge-repo-network-websocket` 2.5.6 (`src/messages.ts`, `src/WebSocketServerAdapter.ts`);
//! `fixtures/` holds frames of theirs, and `fixtures/make.mjs` makes them anew.

mod cbor;
mod head;
mod incoming;
mod name;
mod outgoing;
#[cfg(test)]
mod tests;
mod writer;

pub use head::{head_text, parse_head};
pub use incoming::{Incoming, RemoteHeads};
pub use name::{PeerMetadata, PeerName, StorageName};
pub use outgoing::Outgoing;

use crate::ParseDocumentIdError;

/// The version of the protocol that these messages belong to.
pub const PROTOCOL_VERSION: &str = "1";
/// The longest frame that is read: 16 MiB, as axum's default for one WebSocket frame.
pub const FRAME_BYTES_MAX: usize = 16 << 20;
/// The longest name of a peer.
pub const PEER_BYTES_MAX: usize = 256;
/// The longest name of a store.
pub const STORAGE_BYTES_MAX: usize = 256;
/// The longest name of an ephemeral message's session.
pub const SESSION_BYTES_MAX: usize = 256;
/// The longest name of a type of message, and of a version of the protocol.
pub const TYPE_BYTES_MAX: usize = 64;
/// The most keys in one map.
pub const FIELDS_MAX: usize = 32;
/// How deep maps, lists and tags may stand in each other in a value that is passed over.
pub const DEPTH_MAX: usize = 16;
/// The most versions of the protocol that a client may name.
pub const VERSIONS_MAX: usize = 16;
/// The most stores in one message, whether subscribed to or told of.
pub const STORAGES_MAX: usize = 1_000;
/// The most heads of one document in one store.
pub const HEADS_MAX: usize = 1_000;

/// Why a frame is no message. The text completes "failed to …".
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// The frame is longer than any that is read.
    #[error("take a frame of {found} bytes: at most {allowed} are allowed")]
    FrameTooLong {
        /// The bytes of the frame.
        found: usize,
        /// [`FRAME_BYTES_MAX`].
        allowed: usize,
    },
    /// The bytes are no CBOR, or another kind of value than the one that stands there.
    #[error("read {what} at byte {place}")]
    Cbor {
        /// What was to be read.
        what: &'static str,
        /// Where its value begins.
        place: usize,
        /// What the reader of CBOR says.
        source: minicbor::decode::Error,
    },
    /// Bytes follow the message.
    #[error("take a frame with {0} bytes after its message")]
    Trailing(usize),
    /// A key stands in a map twice.
    #[error("read a map that names `{0}` twice")]
    Twice(&'static str),
    /// A key that this type of message needs is not there.
    #[error("find `{0}` in the message")]
    Missing(&'static str),
    /// A value is longer than allowed; the unit is that of its limit.
    #[error("take `{what}` of {found}: at most {allowed} are allowed")]
    TooLong {
        /// The key.
        what: &'static str,
        /// The length.
        found: u64,
        /// The limit.
        allowed: usize,
    },
    /// A name without a letter.
    #[error("take an empty `{0}`")]
    Empty(&'static str),
    /// A value is passed over that holds others too deep.
    #[error("pass over a value that is more than {allowed} deep")]
    TooDeep {
        /// [`DEPTH_MAX`].
        allowed: usize,
    },
    /// A number that is no count of something: negative, broken, or past 2^53 (where JavaScript's numbers have gaps).
    #[error("read `{what}` as a whole number from 0 to 2^53: found {found}")]
    Number {
        /// The key.
        what: &'static str,
        /// The number.
        found: f64,
    },
    /// What stands as the document is no name of one.
    #[error("find out which document a message is about")]
    Document(#[source] ParseDocumentIdError),
    /// What stands as a head is no base58check of a change's hash.
    #[error("read `{0}` as a head of a document")]
    Head(String),
}
