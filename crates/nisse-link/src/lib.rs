//! Peers dialled by key: the owner of iroh.
//!
//! A [`Link`] listens on one address and reaches others by their key. Who may come in is for its [`Gate`] to say, and
//! until the gate has said so a peer can open nothing: the transport itself grants it no stream. [`pairing`] makes two
//! peers sure of each other who have nothing in common but six digits that a person read out. No type of iroh leaves
//! this crate.
#![forbid(unsafe_code)]

mod allowance;
mod connection;
mod door;
mod error;
mod farewells;
mod limits;
mod link;
mod nearby;
pub mod pairing;
mod peers;
mod protocol;
mod stream;
mod transport;

pub use connection::Connection;
pub use error::LinkError;
pub use limits::Limits;
pub use link::{Link, LinkOptions};
pub use nearby::{NOTE_BYTES_MAX, Nearby};
pub use protocol::{Gate, Protocol};
pub use stream::Stream;
