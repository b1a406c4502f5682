//! A streamed answer that ends with the right of whoever asked for it.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use nisse_node::ChunkStream;

use super::BrokenOff;

/// The chunks of an answer until `ended` is over; what has not left by then is broken off.
pub(super) struct Bounded<E> {
    chunks: ChunkStream,
    /// Gone once it was over.
    ended: Option<Pin<Box<E>>>,
    broken: bool,
}

impl<E: Future<Output = ()>> Bounded<E> {
    pub(super) fn new(chunks: ChunkStream, ended: Pin<Box<E>>) -> Self {
        Self { chunks, ended: Some(ended), broken: false }
    }
}

impl<E: Future<Output = ()>> Body for Bounded<E> {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if let Some(ended) = &mut self.ended
            && ended.as_mut().poll(context).is_ready()
        {
            self.ended = None;
            self.broken = true;
            return Poll::Ready(Some(Err(BrokenOff)));
        }
        if self.broken {
            return Poll::Ready(None);
        }
        Pin::new(&mut self.chunks).poll_frame(context).map_err(|_| BrokenOff)
    }
}
