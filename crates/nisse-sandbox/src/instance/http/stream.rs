//! An answer that leaves while its guest makes it: commit, head, chunks (DESIGN §5.2).
//!
//! The guest stands still while a chunk waits for room, so a slow client slows it down. Once nobody takes the answer any
//! more, the guest's next write fails and it has a moment to return.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use http::Response;
use http_body::Body as _;
use nisse_model::{CutKind, Effect, Fuel, Hash256, InstanceId, MessageHasher, RecordOutcome, TrapKind};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use super::collect::{Released, body_error, body_unfinished};
use super::{Streamed, hash_head};
use crate::dispatch::HostCalls;
use crate::guest_state::AtHead;
use crate::instance::Trace;
use crate::limits::{STREAM_ALONE_MAX, STREAM_BODY_BYTES_MAX};
use crate::memory::{MemoryMeter, held_chunk};
use crate::trap::Trap;

/// Takes an answer that leaves before its handler has returned.
#[async_trait]
pub trait Outflow: Send {
    /// Commits what the invocation changed, then sends the head. An error stops the guest; nothing has left.
    async fn begin(&mut self, opening: Opening) -> Result<(), String>;

    /// Sends the next part of the body; waits while the client is slow.
    async fn chunk(&mut self, bytes: Bytes) -> Result<(), CutKind>;

    /// Ready once nobody takes the answer any more.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

/// A streamed answer at its head.
#[derive(Debug)]
pub struct Opening {
    /// What leaves first.
    pub head: Response<()>,
    /// All that the invocation changes.
    pub effects: Vec<Effect>,
    /// The invocation as it stands if nothing more of it becomes known: cut by an interruption right after its head.
    pub trace: Trace,
}

/// What a stream knows of its invocation from the start.
pub(super) struct Beginning {
    pub(super) birth: InstanceId,
    pub(super) index: u32,
    pub(super) input: Hash256,
    pub(super) fuel_per_call: Fuel,
    pub(super) recorded: bool,
}

/// How a stream ended.
pub(super) enum StreamEnd {
    Sent,
    Refused(Trap),
    Stopped(wasmtime::Error),
}

/// How far the guest is. Once it has returned, its call is not polled again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guest {
    Runs,
    Returned,
}

/// An answer on its way out.
pub(super) struct Stream<'a> {
    beginning: Beginning,
    meter: MemoryMeter,
    at_head: &'a Mutex<Option<AtHead>>,
    host_calls: &'a HostCalls,
    outflow: &'a mut dyn Outflow,
    streamed: &'a mut Option<Streamed>,
}

enum Step {
    Chunk(Bytes),
    /// Guest and body have both come to their end.
    Done,
    Gone,
    Refused(Trap),
    Stopped(wasmtime::Error),
}

impl<'a> Stream<'a> {
    pub(super) fn new(
        beginning: Beginning,
        meter: MemoryMeter,
        at_head: &'a Mutex<Option<AtHead>>,
        host_calls: &'a HostCalls,
        outflow: &'a mut dyn Outflow,
        streamed: &'a mut Option<Streamed>,
    ) -> Self {
        Self { beginning, meter, at_head, host_calls, outflow, streamed }
    }

    /// Sends the answer to its end, or to where it is cut.
    pub(super) async fn send(
        self,
        mut call: Pin<&mut impl Future<Output = wasmtime::Result<()>>>,
        mut guest: Guest,
        released: Released,
    ) -> StreamEnd {
        let Released { head, begun, mut rest } = released;
        let hasher = hash_head(head.status.as_u16(), &head.headers);
        let opening = self.opening(Response::from_parts(head, ()), &hasher);
        let Self { meter, outflow, streamed, .. } = self;
        if let Err(text) = outflow.begin(opening).await {
            return StreamEnd::Refused(Trap::new(TrapKind::Stopped, text));
        }
        let streamed = streamed.insert(Streamed { hasher, cut: None });
        let mut sent = 0;
        let mut next = Step::Chunk(begun);
        let cut = loop {
            match next {
                Step::Chunk(bytes) => {
                    sent += bytes.len() as u64;
                    if sent > STREAM_BODY_BYTES_MAX {
                        let text = format!("its response's body is longer than {STREAM_BODY_BYTES_MAX} bytes");
                        return StreamEnd::Refused(Trap::new(TrapKind::Protocol, text));
                    }
                    if !bytes.is_empty() {
                        // It counts until the client has taken it.
                        let chunk = match held_chunk(bytes.clone(), &meter) {
                            Ok(chunk) => chunk,
                            Err(spent) => {
                                return StreamEnd::Refused(Trap::new(TrapKind::OutOfMemory, spent.to_string()));
                            }
                        };
                        if let Err(cut) = outflow.chunk(chunk).await {
                            break cut;
                        }
                        streamed.hasher.body(&bytes);
                    }
                }
                Step::Done => return StreamEnd::Sent,
                Step::Gone => break CutKind::Gone,
                Step::Refused(trap) => return StreamEnd::Refused(trap),
                Step::Stopped(error) => return StreamEnd::Stopped(error),
            }
            next = poll_fn(|cx| step(call.as_mut(), &mut guest, &mut rest, &mut *outflow, cx)).await;
        };
        streamed.cut = Some(cut);
        // What the guest writes from now on fails.
        drop(rest);
        if guest == Guest::Returned {
            return StreamEnd::Sent;
        }
        match tokio::time::timeout(STREAM_ALONE_MAX, call).await {
            Ok(Ok(())) => StreamEnd::Sent,
            Ok(Err(error)) => StreamEnd::Stopped(error),
            Err(_) => StreamEnd::Refused(Trap::new(TrapKind::Deadline, "it went on though its client had gone")),
        }
    }

    fn opening(&self, head: Response<()>, hasher: &MessageHasher) -> Opening {
        let Beginning { birth, index, input, fuel_per_call, recorded } = self.beginning;
        let at_head = self.at_head.lock().unwrap_or_else(PoisonError::into_inner).take();
        let AtHead { mut overlay, fuel_left, host_calls } = at_head.expect("a head was noted when it was set");
        let mut calls = self.host_calls.lock().unwrap_or_else(PoisonError::into_inner).clone();
        calls.truncate(host_calls);
        let trace = Trace {
            instance: birth,
            index,
            input,
            output: if recorded { hasher.clone().finish() } else { Hash256::ZERO },
            host_calls: calls,
            fuel: Fuel(fuel_per_call.0.saturating_sub(fuel_left)),
            outcome: RecordOutcome::Cut(CutKind::Interrupted),
            log_lines_dropped: 0,
        };
        Opening { head, effects: overlay.take().into_effects(), trace }
    }
}

/// What comes next: first what is there of the body, then whatever the guest does.
fn step(
    mut call: Pin<&mut impl Future<Output = wasmtime::Result<()>>>,
    guest: &mut Guest,
    rest: &mut Option<HyperOutgoingBody>,
    outflow: &mut dyn Outflow,
    cx: &mut Context<'_>,
) -> Poll<Step> {
    let mut waits = false;
    loop {
        match rest.as_mut().map(|body| Pin::new(body).poll_frame(cx)) {
            Some(Poll::Ready(Some(Ok(frame)))) => match frame.into_data() {
                Ok(chunk) => return Poll::Ready(Step::Chunk(chunk)),
                // Trailers are not handed on.
                Err(_) => continue,
            },
            Some(Poll::Ready(Some(Err(error)))) => return Poll::Ready(Step::Refused(body_error(&error))),
            Some(Poll::Ready(None)) => *rest = None,
            Some(Poll::Pending) if *guest == Guest::Returned => return Poll::Ready(Step::Refused(body_unfinished())),
            Some(Poll::Pending) if outflow.poll_gone(cx).is_ready() => return Poll::Ready(Step::Gone),
            Some(Poll::Pending) | None => {}
        }
        match *guest {
            Guest::Returned if rest.is_none() => return Poll::Ready(Step::Done),
            Guest::Returned => {}
            Guest::Runs if waits => return Poll::Pending,
            Guest::Runs => match call.as_mut().poll(cx) {
                Poll::Ready(Ok(())) => *guest = Guest::Returned,
                Poll::Ready(Err(error)) => return Poll::Ready(Step::Stopped(error)),
                // It may have written before it waited.
                Poll::Pending => waits = true,
            },
        }
    }
}
