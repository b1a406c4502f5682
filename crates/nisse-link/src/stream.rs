//! A stream of bytes both ways, within what its peer may use.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::FutureExt as _;
use iroh::endpoint::{RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::connection::Open;

/// Who has to wait waits for this many bytes, so that nothing dribbles.
const PORTION_BYTES: u64 = 16 << 10;

/// One stream of a connection. Dropping it ends it in both directions; what was written is still delivered.
pub struct Stream {
    send: SendStream,
    receive: RecvStream,
    sending: Wait,
    receiving: Wait,
    open: Arc<Open>,
}

impl Stream {
    pub(crate) fn new(open: Arc<Open>, send: SendStream, receive: RecvStream) -> Self {
        Self { send, receive, sending: Wait::default(), receiving: Wait::default(), open }
    }
}

/// One direction's turn at the bytes of its peer.
#[derive(Default)]
struct Wait(Option<Pin<Box<Sleep>>>);

impl Wait {
    /// Takes up to `wanted` bytes, and one at least. Nothing is kept while it waits.
    fn poll_take(&mut self, open: &Open, wanted: usize, context: &mut Context<'_>) -> Poll<usize> {
        let bytes = &open.place.allowance.bytes;
        loop {
            if let Some(sleep) = &mut self.0 {
                ready!(sleep.as_mut().poll(context));
                self.0 = None;
            }
            // A usize that takes part in IO is no longer than a u64.
            let taken = bytes.take(wanted as u64);
            if taken > 0 || wanted == 0 {
                return Poll::Ready(taken as usize);
            }
            let Some(wait) = bytes.wait(PORTION_BYTES.min(wanted as u64)) else { continue };
            self.0 = Some(Box::pin(tokio::time::sleep(wait)));
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let wanted = buffer.remaining();
        let taken = ready!(this.receiving.poll_take(&this.open, wanted, context));
        let before = buffer.filled().len();
        let polled = if taken == wanted {
            Pin::new(&mut this.receive).poll_read(context, buffer)
        } else {
            let mut part = ReadBuf::new(buffer.initialize_unfilled_to(taken));
            let polled = Pin::new(&mut this.receive).poll_read(context, &mut part);
            let read = part.filled().len();
            buffer.advance(read);
            polled
        };
        let read = buffer.filled().len() - before;
        this.open.place.allowance.bytes.give_back((taken - read) as u64);
        polled
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let taken = ready!(this.sending.poll_take(&this.open, bytes.len(), context));
        let polled = AsyncWrite::poll_write(Pin::new(&mut this.send), context, &bytes[..taken]);
        let written = if let Poll::Ready(Ok(written)) = &polled { *written } else { 0 };
        this.open.place.allowance.bytes.give_back((taken - written) as u64);
        polled
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_flush(Pin::new(&mut self.get_mut().send), context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_shutdown(Pin::new(&mut self.get_mut().send), context)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // It may be finished, stopped or cut already; then there is nothing to end.
        let _ = self.send.finish();
        let mut delivered = Box::pin(self.send.stopped());
        if delivered.as_mut().now_or_never().is_none() {
            self.open.farewells.wait(delivered, self.open.clone());
        }
    }
}
