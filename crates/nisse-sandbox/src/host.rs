//! The one seam out of the sandbox: what a guest asks of its node, as messages that could cross a socket.
//!
//! Everything is owned bytes and plain numbers, so the node answers in process, the jail forwards over a socket pair
//! and a test fakes it. What changes the agent (state, alarm, transactions) is never sent here: those are effects,
//! collected and returned with the outcome.

mod message;
mod remote;

use async_trait::async_trait;

pub use self::message::{
    CallKey, HostCall, HostFailure, HostFailureKind, HostReply, HttpField, HttpRequest, HttpResponse, LogLevel,
    ObjectChange, ObjectWrite, SpaceGiven,
};
pub use self::remote::{RemoteError, RemoteHost, serve_host};

/// Answers the host calls of one agent.
///
/// The caller has checked the agent's grants and counted the call. Where a call reaches outside, `key` is its
/// idempotency key: the same key is the same call, however often a crash repeats it.
#[async_trait]
pub trait Host: Send + Sync + 'static {
    /// Answers one call. The reply's variant is the one that the call's documentation names, or
    /// [`HostReply::Failed`].
    async fn call(&self, key: CallKey, call: HostCall) -> HostReply;
}
