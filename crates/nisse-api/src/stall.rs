//! A connection whose other side takes nothing for too long is closed.
//!
//! hyper has limits on what comes in, none on what goes out: without this, a client that stops reading holds its
//! connection, and what it asked for, for ever.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::time::Sleep;

/// How long the other side may take nothing. Longer than an agent's answer waits, so that its record says why.
pub(crate) const WRITE_STALL_MAX: Duration = Duration::from_secs(15);

/// A connection with a limit on how long a write waits.
pub(crate) struct Impatient<T> {
    io: T,
    /// Runs while a write waits.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<T> Impatient<T> {
    pub(crate) fn new(io: T) -> Self {
        Self { io, stalled: None }
    }

    /// What a write came to, unless it waits for too long already.
    fn judge<R>(&mut self, written: Poll<io::Result<R>>, context: &mut Context<'_>) -> Poll<io::Result<R>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(WRITE_STALL_MAX)));
        stalled.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<T: Read + Unpin> Read for Impatient<T> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, into)
    }
}

impl<T: Write + Unpin> Write for Impatient<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.judge(written, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        self.judge(written, context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use hyper_util::rt::TokioIo;
    use tokio::io::AsyncReadExt as _;
    use tokio::time::Instant;

    use super::*;

    async fn write(io: &mut Impatient<TokioIo<tokio::io::DuplexStream>>, bytes: &[u8]) -> io::Result<usize> {
        poll_fn(|context| Pin::new(&mut *io).poll_write(context, bytes)).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_nobody_takes_fails_after_a_while() {
        let (here, _there) = tokio::io::duplex(8);
        let mut io = Impatient::new(TokioIo::new(here));
        assert_eq!(write(&mut io, &[0; 16]).await.expect("there was room"), 8);
        let begun = Instant::now();
        assert_eq!(write(&mut io, &[0; 8]).await.expect_err("nobody reads").kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() >= WRITE_STALL_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_reads_a_little_at_a_time_is_waited_for() {
        let (here, mut there) = tokio::io::duplex(8);
        let mut io = Impatient::new(TokioIo::new(here));
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(WRITE_STALL_MAX - Duration::from_secs(1)).await;
                let mut taken = [0; 8];
                there.read_exact(&mut taken).await.expect("the other side writes on");
            }
        });
        for _ in 0..10 {
            write(&mut io, &[0; 8]).await.expect("it is taken in time");
        }
    }
}
