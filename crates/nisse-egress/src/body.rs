//! Bodies in both directions: counted, capped, and within their deadlines.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use http_body::{Body, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use tokio::time::Sleep;

use crate::audit::{AuditDraft, Verdict};
use crate::error::EgressError;
use crate::limiter::{Direction, Limiter};
use crate::pool::Lease;
use crate::redact::Redactor;
use crate::time::EgressTime;

/// A streamed body that ends within this many bytes is sent with a `Content-Length`.
const PREFETCH_BYTES_MAX: usize = 64 * 1024;
/// A guest that writes slower than this gets its body sent in chunks.
const PREFETCH_WAIT: Duration = Duration::from_millis(20);

/// Pieces of a request body; an error ends the request.
pub type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, String>> + Send>>;

/// What a guest sends.
#[derive(Default)]
pub enum RequestBody {
    /// Nothing.
    #[default]
    Empty,
    /// All of it.
    Full(Bytes),
    /// Piece by piece.
    Stream(BodyStream),
}

/// What travels to the connection.
pub(crate) type SentBody = UnsyncBoxBody<Bytes, EgressError>;

/// Counts what a guest sends, and remembers why it was stopped.
#[derive(Clone)]
pub(crate) struct UpMeter {
    pub(crate) agent: Arc<str>,
    pub(crate) limiter: Arc<Limiter>,
    pub(crate) time: EgressTime,
    pub(crate) sent: Arc<AtomicU64>,
    pub(crate) bytes_max: u64,
    pub(crate) stopped: Arc<Mutex<Option<EgressError>>>,
}

impl UpMeter {
    fn count(&self, bytes: usize) -> Result<(), EgressError> {
        let total = self.sent.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        if total > self.bytes_max {
            return Err(EgressError::TooLarge { limit: "request_body_bytes_max", max: self.bytes_max });
        }
        self.limiter.spend_bytes(&self.agent, Direction::Up, bytes as u64, self.time.elapsed())
    }

    fn stop(&self, error: EgressError) -> EgressError {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
        error
    }

    /// Why the guest's body was stopped, if it was.
    pub(crate) fn reason(&self) -> Option<EgressError> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Makes the body to send. What is short is gathered first, so that most servers get the length they like to see.
pub(crate) async fn sent_body(body: RequestBody, meter: UpMeter) -> Result<SentBody, EgressError> {
    let mut stream = match body {
        RequestBody::Empty => return Ok(full(Bytes::new())),
        RequestBody::Full(bytes) => {
            meter.count(bytes.len())?;
            return Ok(full(bytes));
        }
        RequestBody::Stream(stream) => stream,
    };
    let mut gathered = BytesMut::new();
    while gathered.len() <= PREFETCH_BYTES_MAX {
        match tokio::time::timeout(PREFETCH_WAIT, stream.next()).await {
            Err(_) => break,
            Ok(None) => return Ok(full(gathered.freeze())),
            Ok(Some(piece)) => {
                let piece = piece.map_err(EgressError::RequestBody)?;
                meter.count(piece.len())?;
                gathered.extend_from_slice(&piece);
            }
        }
    }
    let first = futures::stream::iter((!gathered.is_empty()).then(|| Ok(Frame::data(gathered.freeze()))));
    let rest = stream.map(move |piece| {
        let piece = piece.map_err(|why| meter.stop(EgressError::RequestBody(why)))?;
        meter.count(piece.len()).map_err(|error| meter.stop(error))?;
        Ok(Frame::data(piece))
    });
    Ok(StreamBody::new(first.chain(rest)).boxed_unsync())
}

fn full(bytes: Bytes) -> SentBody {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

/// A response's body as it comes in. The connection goes back to the pool at its end; dropping it early closes the
/// connection. Trailers are not carried.
pub struct ResponseBody {
    pub(crate) incoming: Incoming,
    pub(crate) redactor: Option<Redactor>,
    pub(crate) host: String,
    pub(crate) agent: Arc<str>,
    pub(crate) limiter: Arc<Limiter>,
    pub(crate) time: EgressTime,
    pub(crate) bytes_max: u64,
    pub(crate) idle_after: Duration,
    pub(crate) total_after: Duration,
    pub(crate) total: Pin<Box<Sleep>>,
    pub(crate) idle: Option<Pin<Box<Sleep>>>,
    pub(crate) lease: Option<Lease>,
    pub(crate) draft: Option<AuditDraft>,
}

impl ResponseBody {
    /// The whole body, at most `bytes_max` bytes of it.
    pub async fn collect(mut self, bytes_max: usize) -> Result<Bytes, EgressError> {
        let mut all = BytesMut::new();
        while let Some(piece) = self.next().await {
            all.extend_from_slice(&piece?);
            if all.len() > bytes_max {
                return Err(EgressError::TooLarge { limit: "collected_bytes_max", max: bytes_max as u64 });
            }
        }
        Ok(all.freeze())
    }

    fn count(&mut self, bytes: u64) -> Result<(), EgressError> {
        let Some(draft) = &mut self.draft else { return Ok(()) };
        draft.line.down_bytes += bytes;
        if draft.line.down_bytes > self.bytes_max {
            return Err(EgressError::TooLarge { limit: "response_body_bytes_max", max: self.bytes_max });
        }
        self.limiter.spend_bytes(&self.agent, Direction::Down, bytes, self.time.elapsed())
    }

    /// The piece without echoes; what may become one waits.
    fn redacted(&mut self, piece: Bytes) -> Bytes {
        let Some(redactor) = &mut self.redactor else { return piece };
        let piece = redactor.piece(&piece);
        if let Some(draft) = &mut self.draft {
            draft.line.redacted = redactor.found();
        }
        piece
    }

    fn fail(&mut self, error: EgressError) -> EgressError {
        if let Some(mut draft) = self.draft.take() {
            draft.failed(&error);
        }
        self.lease = None;
        error
    }

    fn finish(&mut self) {
        if let Some(mut draft) = self.draft.take() {
            draft.line.verdict = Verdict::Allowed;
        }
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
    }

    fn timeout(&self, phase: &'static str, after: Duration) -> EgressError {
        EgressError::Timeout { host: self.host.clone(), phase, after }
    }
}

impl Stream for ResponseBody {
    type Item = Result<Bytes, EgressError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.draft.is_none() {
            return Poll::Ready(None);
        }
        if this.total.as_mut().poll(context).is_ready() {
            let error = this.timeout("total", this.total_after);
            return Poll::Ready(Some(Err(this.fail(error))));
        }
        loop {
            match Pin::new(&mut this.incoming).poll_frame(context) {
                Poll::Ready(None) => {
                    let rest = this.redactor.as_mut().map(Redactor::finish).filter(|rest| !rest.is_empty());
                    this.finish();
                    return Poll::Ready(rest.map(Ok));
                }
                Poll::Ready(Some(Err(error))) => {
                    let withdrawn = this.lease.as_ref().is_some_and(Lease::is_withdrawn);
                    let host = this.host.clone();
                    let error = if withdrawn {
                        EgressError::Withdrawn { host }
                    } else {
                        EgressError::Protocol { host, source: Arc::new(error) }
                    };
                    return Poll::Ready(Some(Err(this.fail(error))));
                }
                Poll::Ready(Some(Ok(frame))) => {
                    this.idle = None;
                    let Ok(piece) = frame.into_data() else { continue };
                    if let Err(error) = this.count(piece.len() as u64) {
                        return Poll::Ready(Some(Err(this.fail(error))));
                    }
                    let piece = this.redacted(piece);
                    if piece.is_empty() {
                        continue;
                    }
                    return Poll::Ready(Some(Ok(piece)));
                }
                Poll::Pending => {
                    let idle_after = this.idle_after;
                    let idle = this.idle.get_or_insert_with(|| Box::pin(tokio::time::sleep(idle_after)));
                    if idle.as_mut().poll(context).is_pending() {
                        return Poll::Pending;
                    }
                    let error = this.timeout("idle", idle_after);
                    return Poll::Ready(Some(Err(this.fail(error))));
                }
            }
        }
    }
}

impl std::fmt::Debug for ResponseBody {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ResponseBody").field("host", &self.host).finish_non_exhaustive()
    }
}
