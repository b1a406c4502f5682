//! Reads the body of a request: within a time, a size, and a room that all bodies share.
//!
//! hyper limits how long a head may take and nothing behind it. Whoever sends a body slowly would hold a connection for
//! ever, and whoever sends many would hold memory: both end here. A request without a body passes by all of it.
//!
//! A body is read before its request takes a place in its agent's queue: slow bodies cost memory, which is counted here
//! and shared out by address, and never an agent's places, of which there are few.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body::Body;
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use crate::slots::{ADDRESS_SHARE, counted};

/// Largest body of a request to an agent, in bytes.
pub(crate) const REQUEST_BYTES_MAX: usize = 8 << 20;
/// How long a client may send nothing of a body that it has not finished.
pub(crate) const BODY_STALL_MAX: Duration = Duration::from_secs(10);
/// How long a whole body may take.
pub(crate) const BODY_TIME_MAX: Duration = Duration::from_secs(60);
/// What bodies come from on listeners that only this machine reaches.
pub(crate) const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
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
    #[error("a request's body has at most {0} bytes")]
    TooLarge(usize),
    /// Other bodies have taken the room.
    #[error("this node holds as many requests' bodies as it may; try again")]
    NoRoom,
    /// The client ended it early or spoke no HTTP.
    #[error("the request's body broke off")]
    Broken,
}

impl BodyError {
    /// What a request without its body is answered with.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NoRoom => StatusCode::SERVICE_UNAVAILABLE,
            Self::Broken => StatusCode::BAD_REQUEST,
        }
    }
}

/// The room that all bodies of a listener share.
pub(crate) struct Bodies {
    one_max: usize,
    held: AtomicUsize,
    held_max: usize,
    /// What bodies from one address hold, for those that are counted by it.
    held_from: Mutex<HashMap<IpAddr, usize>>,
}

impl Default for Bodies {
    fn default() -> Self {
        Self::new(BODIES_BYTES_MAX)
    }
}

/// What one body takes of the room; given back when this is dropped.
pub(crate) struct Room<'a> {
    bodies: &'a Bodies,
    from: Option<IpAddr>,
    bytes: usize,
    /// What this body may have.
    bytes_max: usize,
}

impl Room<'_> {
    fn take(&mut self, bytes: usize) -> Result<(), BodyError> {
        let Bodies { held, held_max, .. } = self.bodies;
        if self.bytes + bytes > self.bytes_max {
            return Err(BodyError::TooLarge(self.bytes_max));
        }
        let mut most = held.fetch_add(bytes, Ordering::Relaxed) + bytes > *held_max;
        self.bytes += bytes;
        if let Some(from) = self.from {
            let mut held_from = self.bodies.held_from();
            let held = held_from.entry(from).or_default();
            *held += bytes;
            most |= *held > *held_max / ADDRESS_SHARE;
        }
        if most { Err(BodyError::NoRoom) } else { Ok(()) }
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.bodies.held.fetch_sub(self.bytes, Ordering::Relaxed);
        let Some(from) = self.from.filter(|_| self.bytes > 0) else { return };
        let mut held_from = self.bodies.held_from();
        let held = held_from.get_mut(&from).expect("it was counted when it was taken");
        *held -= self.bytes;
        if *held == 0 {
            held_from.remove(&from);
        }
    }
}

/// A whole body. It counts until its room is dropped, which is after its call.
pub(crate) struct Held<'a> {
    pub(crate) bytes: Bytes,
    /// None for what took nothing.
    pub(crate) room: Option<Room<'a>>,
}

impl Bodies {
    fn new(held_max: usize) -> Self {
        Self::sized(REQUEST_BYTES_MAX, held_max)
    }

    /// Room for bodies of at most so many bytes each, and all together.
    pub(crate) fn sized(one_max: usize, held_max: usize) -> Self {
        Self { one_max, held: AtomicUsize::new(0), held_max, held_from: Mutex::default() }
    }

    fn held_from(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.held_from.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a body that comes from this address, to its end.
    pub(crate) async fn whole<B: Body<Data = Bytes> + Unpin>(
        &self,
        from: IpAddr,
        body: B,
    ) -> Result<Held<'_>, BodyError> {
        self.whole_within(from, None, body).await
    }

    /// The same for a body that may have no more than so many bytes, however many others may.
    pub(crate) async fn whole_within<B: Body<Data = Bytes> + Unpin>(
        &self,
        from: IpAddr,
        bytes_max: Option<u64>,
        body: B,
    ) -> Result<Held<'_>, BodyError> {
        if body.is_end_stream() {
            return Ok(Held { bytes: Bytes::new(), room: None });
        }
        let bytes_max = bytes_max.and_then(|most| usize::try_from(most).ok());
        let bytes_max = bytes_max.map_or(self.one_max, |most| most.min(self.one_max));
        // Said before a byte of it is asked for.
        if body.size_hint().lower() > bytes_max as u64 {
            return Err(BodyError::TooLarge(bytes_max));
        }
        let room = Room { bodies: self, from: counted(from), bytes: 0, bytes_max };
        timeout(BODY_TIME_MAX, read(room, body)).await.unwrap_or(Err(BodyError::Slow))
    }
}

async fn read<B: Body<Data = Bytes> + Unpin>(mut room: Room<'_>, mut body: B) -> Result<Held<'_>, BodyError> {
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

#[cfg(test)]
mod tests;
