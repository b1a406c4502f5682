//! Spaces: documents that many write, in signed chunks. The owner of automerge.
//!
//! [`Space`] is one open space, without a socket, a clock or a thread: it admits what clients of automerge-repo bring by
//! their rights, signs it ([`Chunk`]), keeps it ([`Store`]) and tells the others. [`objects`] reads and writes documents
//! as ECHO's objects. [`gauge`] measures what automerge would be given before it is.
#![forbid(unsafe_code)]

mod chunk;
pub mod chunk_sync;
mod document_id;
mod documents;
mod export;
pub mod gauge;
pub mod objects;
pub mod repo_protocol;
mod root;
mod space;
mod store;
mod ticket;
mod vouched;

pub use chunk::{Changes, Chunk, ChunkError, ChunkId};
pub use document_id::{DocumentId, ParseDocumentIdError};
pub use export::{Export, ExportError, ExportHeader, ExportPart, ExportReader, Whereabouts, item_of_stored};
pub use root::root_document;
pub use space::{
    Author, Effect, Event, MISFITS_MAX, Made, Misfits, Outcome, PeerKey, Rights, SchemaEntry, Space, SpaceError,
    SpaceLimits, SpaceObjectError, Speaks, Write,
};
pub use store::{Registered, Store, StoreError, Summary};
pub use ticket::{Admission, Ticket, TicketError};
pub use vouched::{Vouched, Voucher};
