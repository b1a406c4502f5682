//! Reads the body of a request: within a time, a size, and a room that all bodies share.
//!
//! hyper limits how long a head may take and nothing behind it. Whoever sends a body slowly would hold a connection for
//! ever, and whoever sends many would hold memory: both end here. A request without a body passes by all of it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt as _;
use tokio::time::timeout;

/// Largest body of a request to an agent, in bytes.
pub(crate) const REQUEST_BYTES_MAX: usize = 8 << 20;
/// How long a client may send nothing of a body that it has not finished.
pub(crate) const BODY_STALL_MAX: Duration = Duration::from_secs(10);
/// How long a whole body may take.
pub(crate) const BODY_TIME_MAX: Duration = Duration::from_secs(60);
/// What all bodies together may hold, from their first byte until their calls are answered.
const BODIES_BYTES_MAX: usize = 256 << 20;

/// Why there is no body, in words for strangers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// It stalled, or took too long as a whole.
    #[error(
        "a request's body comes within {} s, and never pauses for {} s",
        BODY_TIME_MAX.as_secs(),
        BODY_STALL_MAX.as_secs()
    )]
    Slow,
    /// It is larger than any body may be.
    #[error("a request's body has at most {REQUEST_BYTES_MAX} bytes")]
    TooLarge,
    /// Other bodies have taken the room.
    #[error("this node holds as many requests' bodies as it may; try again")]
    NoRoom,
    /// The client ended it early or spoke no HTTP.
    #[error("the request's body broke off")]
    Broken,
}

/// The room that all bodies of a listener share.
pub(crate) struct Bodies {
    held: AtomicUsize,
    held_max: usize,
}

impl Default for Bodies {
    fn default() -> Self {
        Self { held: AtomicUsize::new(0), held_max: BODIES_BYTES_MAX }
    }
}

/// What one body takes of the room; given back when this is dropped.
pub(crate) struct Room<'a> {
    bodies: &'a Bodies,
    bytes: usize,
}

impl Room<'_> {
    fn take(&mut self, bytes: usize) -> Result<(), BodyError> {
        if self.bytes + bytes > REQUEST_BYTES_MAX {
            return Err(BodyError::TooLarge);
        }
        let held = self.bodies.held.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
        if held + bytes > self.bodies.held_max { Err(BodyError::NoRoom) } else { Ok(()) }
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.bodies.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A whole body. It counts until its room is dropped, which is after its call.
pub(crate) struct Held<'a> {
    pub(crate) bytes: Bytes,
    /// None for what took nothing.
    pub(crate) room: Option<Room<'a>>,
}

impl Bodies {
    /// Reads a body to its end.
    pub(crate) async fn whole<B: Body<Data = Bytes> + Unpin>(&self, body: B) -> Result<Held<'_>, BodyError> {
        if body.is_end_stream() {
            return Ok(Held { bytes: Bytes::new(), room: None });
        }
        // Said before a byte of it is asked for.
        if body.size_hint().lower() > REQUEST_BYTES_MAX as u64 {
            return Err(BodyError::TooLarge);
        }
        timeout(BODY_TIME_MAX, self.read(body)).await.unwrap_or(Err(BodyError::Slow))
    }

    async fn read<B: Body<Data = Bytes> + Unpin>(&self, mut body: B) -> Result<Held<'_>, BodyError> {
        let mut room = Room { bodies: self, bytes: 0 };
        let mut first = Bytes::new();
        let mut all = BytesMut::new();
        while let Some(frame) = timeout(BODY_STALL_MAX, body.frame()).await.map_err(|_| BodyError::Slow)? {
            let Ok(piece) = frame.map_err(|_| BodyError::Broken)?.into_data() else { continue };
            room.take(piece.len())?;
            // Most bodies are one piece, which is passed on as it is. Several are copied together: small pieces kept as
            // they came would each hold a whole buffer of their connection.
            if first.is_empty() && all.is_empty() {
                first = piece;
                continue;
            }
            if all.is_empty() {
                all.extend_from_slice(&std::mem::take(&mut first));
            }
            all.extend_from_slice(&piece);
        }
        let bytes = if all.is_empty() { first } else { all.freeze() };
        Ok(Held { bytes, room: Some(room) })
    }
}

#[cfg(test)]
mod tests;
