//! Takes a response as its guest makes it, until it is whole or leaves.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::{Response, response};
use http_body::Body;
use nisse_model::TrapKind;
use tokio::sync::oneshot;
use tokio::time::Sleep;
use wasmtime_wasi_http::Error;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use crate::limits::{RESPONSE_BODY_BYTES_MAX, STREAM_AFTER, STREAM_AFTER_BYTES};
use crate::memory::MemoryMeter;
use crate::trap::Trap;

/// A response in the making.
pub(super) struct Collector {
    head: Head,
    body: Collected,
    meter: MemoryMeter,
    /// Whether it may leave before it is whole.
    may_leave: bool,
    /// How long its client is kept waiting for what is there.
    patience: Option<Pin<Box<Sleep>>>,
}

enum Head {
    Awaited(oneshot::Receiver<Result<Response<HyperOutgoingBody>, ErrorCode>>),
    Set(Box<response::Parts>, HyperOutgoingBody),
    Complete(Box<response::Parts>),
    Taken,
}

/// A response that leaves before it is whole.
pub(super) struct Released {
    pub(super) head: response::Parts,
    /// What is there of its body.
    pub(super) begun: Bytes,
    /// Where the rest comes from; `None` when there is none.
    pub(super) rest: Option<HyperOutgoingBody>,
}

pub(super) enum Progress {
    Complete,
    /// It has outgrown what is kept.
    Overflow,
    Failed(Trap),
    /// Something was taken, so the guest may have room again.
    More,
    Waiting,
}

impl Collector {
    pub(super) fn new(
        head: oneshot::Receiver<Result<Response<HyperOutgoingBody>, ErrorCode>>,
        meter: MemoryMeter,
        may_leave: bool,
    ) -> Self {
        Self { head: Head::Awaited(head), body: Collected::default(), meter, may_leave, patience: None }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Progress {
        let mut moved = false;
        loop {
            match &mut self.head {
                Head::Awaited(receiver) => match Pin::new(receiver).poll(cx) {
                    Poll::Pending => break,
                    Poll::Ready(Ok(Ok(response))) => {
                        // One that switches protocols would turn the connection, and whatever proxy stands before it,
                        // over to the guest.
                        if response.status().is_informational() {
                            let text =
                                format!("it answered with the status {}, which ends no request", response.status());
                            return Progress::Failed(Trap::new(TrapKind::Protocol, text));
                        }
                        let (head, body) = response.into_parts();
                        self.head = Head::Set(Box::new(head), body);
                    }
                    Poll::Ready(Ok(Err(code))) => {
                        let text = format!("it answered the request with the error {code:?}");
                        return Progress::Failed(Trap::new(TrapKind::Protocol, text));
                    }
                    Poll::Ready(Err(_)) => {
                        return Progress::Failed(Trap::new(TrapKind::Protocol, "it never set a response"));
                    }
                },
                Head::Set(_, body) => match Pin::new(body).poll_frame(cx) {
                    Poll::Pending => break,
                    Poll::Ready(Some(Ok(frame))) => {
                        // Trailers are not handed on.
                        if let Ok(chunk) = frame.into_data()
                            && let Err(trap) = self.body.take(chunk, &self.meter)
                        {
                            return Progress::Failed(trap);
                        }
                        if self.may_leave && self.body.held > STREAM_AFTER_BYTES {
                            return Progress::Overflow;
                        }
                        moved = true;
                    }
                    Poll::Ready(Some(Err(error))) => return Progress::Failed(body_error(&error)),
                    Poll::Ready(None) => {
                        let Head::Set(head, _) = std::mem::replace(&mut self.head, Head::Taken) else { break };
                        self.head = Head::Complete(head);
                    }
                },
                Head::Complete(_) => return Progress::Complete,
                Head::Taken => break,
            }
        }
        if moved { Progress::More } else { Progress::Waiting }
    }

    /// Ready once a response whose head is there has kept its client waiting for long enough.
    pub(super) fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.may_leave || matches!(self.head, Head::Awaited(_) | Head::Taken) {
            return Poll::Pending;
        }
        self.patience.get_or_insert_with(|| Box::pin(tokio::time::sleep(STREAM_AFTER))).as_mut().poll(cx)
    }

    /// The response, once it is complete.
    pub(super) fn whole(&mut self) -> Response<Bytes> {
        let Released { head, begun, .. } = self.release();
        Response::from_parts(head, begun)
    }

    /// What is there of a response that has its head.
    pub(super) fn release(&mut self) -> Released {
        let (head, rest) = match std::mem::replace(&mut self.head, Head::Taken) {
            Head::Set(head, body) => (head, Some(body)),
            Head::Complete(head) => (head, None),
            Head::Awaited(_) | Head::Taken => unreachable!("a response without a head is not released"),
        };
        Released { head: *head, begun: self.body.finish(&self.meter), rest }
    }

    pub(super) fn unfinished(&self) -> Trap {
        match self.head {
            Head::Awaited(_) => Trap::new(TrapKind::Protocol, "it returned without setting a response"),
            _ => body_unfinished(),
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.body.finish(&self.meter);
    }
}

/// The chunks of a body, counted against the agent's memory.
#[derive(Default)]
struct Collected {
    first: Bytes,
    rest: BytesMut,
    held: u64,
}

impl Collected {
    fn take(&mut self, chunk: Bytes, meter: &MemoryMeter) -> Result<(), Trap> {
        let length = chunk.len() as u64;
        if self.held + length > RESPONSE_BODY_BYTES_MAX {
            let text = format!("its response's body is longer than {RESPONSE_BODY_BYTES_MAX} bytes");
            return Err(Trap::new(TrapKind::Protocol, text));
        }
        meter.take(length).map_err(|spent| Trap::new(TrapKind::OutOfMemory, spent.to_string()))?;
        self.held += length;
        if self.first.is_empty() {
            self.first = chunk;
        } else {
            self.rest.extend_from_slice(&chunk);
        }
        Ok(())
    }

    fn finish(&mut self, meter: &MemoryMeter) -> Bytes {
        meter.give_back(std::mem::take(&mut self.held));
        let first = std::mem::take(&mut self.first);
        if self.rest.is_empty() {
            return first;
        }
        let rest = std::mem::take(&mut self.rest);
        let mut whole = BytesMut::with_capacity(first.len() + rest.len());
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&rest);
        whole.freeze()
    }
}

pub(super) fn body_error(error: &Error) -> Trap {
    Trap::new(TrapKind::Protocol, format!("its response's body broke off: {error}"))
}

pub(super) fn body_unfinished() -> Trap {
    Trap::new(TrapKind::Protocol, "it returned without finishing its response's body")
}
