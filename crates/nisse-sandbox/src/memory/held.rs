//! Memory that the host holds for an agent in one place, counted until that place is dropped.
//!
//! What leaves the table of handles (a body on its way, a chunk that its client has not taken) carries its count along.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::{MemoryMeter, MemorySpent};

/// Bytes of the agent's memory, given back on drop.
#[derive(Debug)]
pub(crate) struct Held {
    meter: MemoryMeter,
    bytes: u64,
}

impl MemoryMeter {
    /// Takes bytes until the value is dropped.
    pub(crate) fn hold(&self, bytes: u64) -> Result<Held, MemorySpent> {
        self.take(bytes)?;
        Ok(Held { meter: self.clone(), bytes })
    }
}

impl Held {
    /// What is held.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes what `bytes` are more than what is held.
    pub(crate) fn cover(&mut self, bytes: u64) -> Result<(), MemorySpent> {
        if let Some(more) = bytes.checked_sub(self.bytes).filter(|more| *more > 0) {
            self.meter.take(more)?;
            self.bytes = bytes;
        }
        Ok(())
    }

    /// Gives back all of it.
    pub(crate) fn release(&mut self) {
        self.meter.give_back(std::mem::take(&mut self.bytes));
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.release();
        }
    }
}

/// A body whose bytes are counted until it is dropped.
pub(crate) struct HeldBody<B> {
    body: B,
    _held: Held,
}

impl<B> HeldBody<B> {
    pub(crate) fn new(body: B, held: Held) -> Self {
        Self { body, _held: held }
    }
}

impl<B: Body + Unpin> Body for HeldBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A chunk that counts until the last of its clones is dropped.
pub(crate) fn held_chunk(bytes: Bytes, meter: &MemoryMeter) -> Result<Bytes, MemorySpent> {
    struct Chunk {
        bytes: Bytes,
        _held: Held,
    }

    impl AsRef<[u8]> for Chunk {
        fn as_ref(&self) -> &[u8] {
            &self.bytes
        }
    }

    let held = meter.hold(bytes.len() as u64)?;
    Ok(Bytes::from_owner(Chunk { bytes, _held: held }))
}
