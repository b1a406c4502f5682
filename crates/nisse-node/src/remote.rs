//! Requests of owners from elsewhere: how a request says whose it is, and what this node remembers so that none counts
//! twice.
//!
//! The form is `docs/remote.md`. A request is signed for one node, path, body and moment; its nonce counts once. Nonces
//! are remembered in memory alone: nothing counts that could have been asked of an earlier life of the node.

mod authorization;
mod body;
mod moments;
mod nonces;
pub(crate) mod parameters;

pub(crate) use authorization::{Authorization, content_digest, read_content_digest};
pub(crate) use body::{CONTENT_DIGEST, SignedBody};
pub(crate) use moments::Moments;
pub(crate) use nonces::{Nonces, NotTaken};

/// What the paths of owners' requests begin with; a deployment's id follows.
pub const REMOTE_PATH: &str = "/.well-known/nisse/v1/agents/";
/// Seconds for which a request may be good.
pub(crate) const GOOD_FOR_MAX: u64 = 60;
/// Seconds for which this node makes its own: clocks differ.
pub(crate) const GOOD_FOR: u64 = 45;
