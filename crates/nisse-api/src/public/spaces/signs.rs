//! What is seen of a client's bytes before they are messages: that it lives, and that a large message has its place.
//!
//! A message is whole before it is given on, and may be of 16 MiB. What is small is read as it comes; what grows large waits
//! for one of a few places and has to be whole in time.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// Between two looks at a client, at which it is pinged.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(20);
/// Looks at which nothing was heard of a client since the last, until it is taken for gone.
const SILENT_MAX: u32 = 3;
/// Looks until a large message has to be whole.
const LARGE_LOOKS_MAX: u32 = 6;
/// Pings of a client between two looks.
const PINGS_MAX: u32 = 1_000;
/// Bytes of a message that need no place.
const SMALL_BYTES_MAX: usize = 256 << 10;
/// Bytes of the head of a client's ping, pong or close.
const CONTROL_HEAD_BYTES: usize = 6;

/// Why a client is sent away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Lacking {
    #[error("nothing was heard for {} s", (LOOK_EVERY * SILENT_MAX).as_secs())]
    Life,
    #[error("a message took more than {} s", (LOOK_EVERY * LARGE_LOOKS_MAX).as_secs())]
    Haste,
    #[error("more than {PINGS_MAX} pings in {} s", LOOK_EVERY.as_secs())]
    Restraint,
}

/// What is known of one client.
pub(super) struct Signs {
    /// Whether anything came since the last look.
    heard: AtomicBool,
    /// Whether it is we who do not read.
    waits: AtomicBool,
    /// Looks in a row at which nothing had come.
    silent: AtomicU32,
    pings: AtomicU32,
    /// Bytes of a message that is not whole.
    unfinished: AtomicUsize,
    large: Arc<Semaphore>,
    /// The place of a large message, and at how many looks it has been there.
    place: Mutex<Option<(OwnedSemaphorePermit, u32)>>,
}

impl Signs {
    /// Of a client that shares these places for large messages with all others.
    pub(super) fn new(large: Arc<Semaphore>) -> Self {
        Self {
            heard: AtomicBool::new(true),
            waits: AtomicBool::new(false),
            silent: AtomicU32::new(0),
            pings: AtomicU32::new(0),
            unfinished: AtomicUsize::new(0),
            large,
            place: Mutex::default(),
        }
    }

    fn place(&self) -> std::sync::MutexGuard<'_, Option<(OwnedSemaphorePermit, u32)>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message is whole. Its place is kept for as long as `giving` takes.
    pub(super) async fn given<T>(&self, giving: impl Future<Output = T>) -> T {
        self.waits.store(true, Ordering::Relaxed);
        let given = giving.await;
        self.waits.store(false, Ordering::Relaxed);
        self.unfinished.store(0, Ordering::Relaxed);
        *self.place() = None;
        given
    }

    /// Something came that is no part of a message: a ping, a pong, a close.
    pub(super) fn passed(&self, payload_bytes: usize) {
        let bytes = payload_bytes + CONTROL_HEAD_BYTES;
        let left = self.unfinished.load(Ordering::Relaxed).saturating_sub(bytes);
        self.unfinished.store(left, Ordering::Relaxed);
    }

    /// The client wants to be answered.
    pub(super) fn pinged(&self) -> Result<(), Lacking> {
        // Answers wait until they are read: nobody has as many waiting as they like.
        if self.pings.fetch_add(1, Ordering::Relaxed) < PINGS_MAX { Ok(()) } else { Err(Lacking::Restraint) }
    }

    /// Looks whether all is well, every [`LOOK_EVERY`].
    pub(super) fn look(&self) -> Result<(), Lacking> {
        self.pings.store(0, Ordering::Relaxed);
        if self.waits.load(Ordering::Relaxed) {
            return Ok(());
        }
        if let Some((_, looks)) = &mut *self.place() {
            *looks += 1;
            if *looks > LARGE_LOOKS_MAX {
                return Err(Lacking::Haste);
            }
        }
        if self.heard.swap(false, Ordering::Relaxed) {
            self.silent.store(0, Ordering::Relaxed);
        } else if self.silent.fetch_add(1, Ordering::Relaxed) + 1 >= SILENT_MAX {
            return Err(Lacking::Life);
        }
        Ok(())
    }
}

/// A connection whose signs are noted.
pub(super) struct Watched<T> {
    io: T,
    signs: Arc<Signs>,
    /// Runs while a large message waits for its place.
    waiting: Option<BoxFuture<'static, Result<OwnedSemaphorePermit, AcquireError>>>,
}

impl<T> Watched<T> {
    pub(super) fn new(io: T, signs: Arc<Signs>) -> Self {
        Self { io, signs, waiting: None }
    }

    /// Ready once what is read next has a place.
    fn poll_place(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Self { signs, waiting, .. } = self;
        if signs.unfinished.load(Ordering::Relaxed) <= SMALL_BYTES_MAX || signs.place().is_some() {
            *waiting = None;
            return Poll::Ready(());
        }
        let place = waiting.get_or_insert_with(|| Box::pin(Arc::clone(&signs.large).acquire_owned()));
        signs.waits.store(true, Ordering::Relaxed);
        let place = ready!(place.as_mut().poll(context));
        (*waiting, *signs.place()) = (None, place.ok().map(|place| (place, 0)));
        signs.waits.store(false, Ordering::Relaxed);
        Poll::Ready(())
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_place(context));
        let before = into.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(context, into))?;
        let read = into.filled().len() - before;
        if read > 0 {
            self.signs.heard.store(true, Ordering::Relaxed);
            self.signs.unfinished.fetch_add(read, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    use super::*;

    fn client(places: &Arc<Semaphore>) -> (Arc<Signs>, Watched<DuplexStream>, DuplexStream) {
        let (there, here) = tokio::io::duplex(4 << 20);
        let signs = Arc::new(Signs::new(Arc::clone(places)));
        (Arc::clone(&signs), Watched::new(here, signs), there)
    }

    async fn comes(io: &mut Watched<DuplexStream>, there: &mut DuplexStream, bytes: usize) {
        there.write_all(&vec![0; bytes]).await.expect("there is room");
        io.read_exact(&mut vec![0; bytes]).await.expect("it came");
    }

    #[tokio::test]
    async fn what_grows_large_waits_for_a_place_until_another_is_given_on() {
        let places = Arc::new(Semaphore::new(1));
        let (first, mut one, mut from_one) = client(&places);
        let (_second, mut other, mut from_other) = client(&places);
        comes(&mut one, &mut from_one, SMALL_BYTES_MAX + 1).await;
        comes(&mut one, &mut from_one, 1).await;
        comes(&mut other, &mut from_other, SMALL_BYTES_MAX + 1).await;
        from_other.write_all(&[0]).await.expect("there is room");
        assert!(other.read_u8().now_or_never().is_none(), "the one place is taken");
        for _ in 0..=SILENT_MAX {
            assert_eq!(other.signs.look(), Ok(()), "whoever is not read is not silent");
        }
        first.given(async {}).await;
        assert_eq!(other.read_u8().await.expect("it is read"), 0);
    }

    #[tokio::test]
    async fn pings_and_pongs_alone_never_grow_large() {
        let places = Arc::new(Semaphore::new(0));
        let (signs, mut io, mut there) = client(&places);
        for _ in 0..10 {
            comes(&mut io, &mut there, SMALL_BYTES_MAX / 2).await;
            for _ in 0..SMALL_BYTES_MAX / 2 / (100 + CONTROL_HEAD_BYTES) + 1 {
                signs.passed(100);
            }
        }
        assert!(signs.place().is_none());
    }

    #[tokio::test]
    async fn a_large_message_has_to_be_whole_in_time_and_a_silent_client_goes() {
        let places = Arc::new(Semaphore::new(1));
        let (signs, mut io, mut there) = client(&places);
        comes(&mut io, &mut there, SMALL_BYTES_MAX + 1).await;
        for _ in 0..LARGE_LOOKS_MAX {
            comes(&mut io, &mut there, 1).await;
            assert_eq!(signs.look(), Ok(()));
        }
        comes(&mut io, &mut there, 1).await;
        assert_eq!(signs.look(), Err(Lacking::Haste));
        signs.given(async {}).await;
        assert_eq!(places.available_permits(), 1);

        // What came since the last look counts once.
        let looks: Vec<_> = (0..=SILENT_MAX).map(|_| signs.look()).collect();
        assert_eq!(looks.last(), Some(&Err(Lacking::Life)), "{looks:?}");
        assert_eq!(looks.iter().filter(|look| look.is_err()).count(), 1);
        assert_eq!(Lacking::Life.to_string(), "nothing was heard for 60 s");
        assert_eq!(Lacking::Haste.to_string(), "a message took more than 120 s");
    }

    #[test]
    fn nobody_pings_as_often_as_they_like() {
        let signs = Signs::new(Arc::new(Semaphore::new(1)));
        for _ in 0..3 {
            assert!((0..PINGS_MAX).all(|_| signs.pinged().is_ok()));
            assert_eq!(signs.pinged(), Err(Lacking::Restraint));
            let _ = signs.look();
        }
    }
}
