//! An HTTP request into `wasi:http/incoming-handler` on a live instance.
//!
//! Guest and body are driven by the caller's own task: no hop to another thread, and a body of one chunk is handed on
//! without a copy. The whole body is there before the head leaves, so one record holds the call.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::{Request, Response, response};
use http_body::Body;
use http_body_util::Full;
use nisse_model::{Hash256, InvocationId, RecordOutcome, TrapKind};
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;
use wasmtime_wasi_http::{Error, WasiHttpView};

use super::{CallContext, InvocationEnd, LiveInstance};
use crate::dispatch::Recording;
use crate::limits::{REQUEST_BODY_BYTES_MAX, RESPONSE_BODY_BYTES_MAX};
use crate::memory::MemoryMeter;
use crate::trap::Trap;

impl LiveInstance {
    /// Runs `wasi:http/incoming-handler`. The request names its authority in its URI or its `host` field; its body is
    /// at most [`REQUEST_BODY_BYTES_MAX`] bytes.
    pub async fn http(
        &mut self,
        id: InvocationId,
        request: Request<Bytes>,
        context: CallContext,
    ) -> InvocationEnd<Response<Bytes>> {
        let recorded = self.program.recording == Recording::On;
        let input = if recorded { hash_request(&request) } else { Hash256::ZERO };
        if let Err(trap) = self.enter(id, context, self.program.limits.http_time).await {
            return self.leave_refused(input, trap);
        }
        let result = self.run_http(request).await;
        self.leave(input, result, move |response| {
            let output = if recorded { hash_response(response) } else { Hash256::ZERO };
            (output, RecordOutcome::Ok)
        })
        .await
    }

    async fn run_http(&mut self, request: Request<Bytes>) -> Result<Response<Bytes>, Trap> {
        let Some(proxy) = &self.proxy else {
            return Err(Trap::new(TrapKind::Protocol, "it exports no `wasi:http/incoming-handler`"));
        };
        let body_bytes = request.body().len() as u64;
        if body_bytes > REQUEST_BODY_BYTES_MAX {
            let text = format!("the request's body of {body_bytes} bytes is longer than {REQUEST_BODY_BYTES_MAX}");
            return Err(Trap::new(TrapKind::Protocol, text));
        }
        let state = self.store.data_mut();
        let refuse = |error: wasmtime::Error| Trap::from_error(&error, false);
        state.buffer(body_bytes).map_err(|error| Trap::from_error(&error, true))?;
        let (sender, receiver) = oneshot::channel();
        let (closed, meter) = (state.call.closed.clone(), state.limiter.meter.clone());
        let mut view = state.http();
        let incoming = view.new_incoming_request(Scheme::Http, request.map(Full::new)).map_err(refuse)?;
        let outparam = view.new_response_outparam_from_callback(move |response| {
            closed.store(true, Ordering::Relaxed);
            // Nobody listens any more when the call was dropped.
            let _ = sender.send(response);
        });
        let outparam = outparam.map_err(refuse)?;

        let mut collector = Collector { head: Head::Awaited(receiver), body: Collected::default(), meter };
        let finished = {
            let _running = self.program.engine.running();
            let mut call = pin!(proxy.wasi_http_incoming_handler().call_handle(&mut self.store, incoming, outparam));
            let driven = poll_fn(|cx| drive(call.as_mut(), &mut collector, cx));
            // Tokio's own budget would make a full channel look empty after many calls in one turn of the task, and an
            // answer look unfinished. The epoch's beat makes a guest yield.
            tokio::time::timeout(self.program.limits.http_time, tokio::task::unconstrained(driven)).await
        };
        let refused = self.store.data().limiter.refused;
        match finished {
            Err(_) => Err(Trap::new(TrapKind::Deadline, "it did not answer in time")),
            Ok(Finished::Answered(response)) => Ok(response),
            Ok(Finished::Refused(trap)) => Err(trap),
            Ok(Finished::Stopped(error)) => Err(Trap::from_error(&error, refused)),
        }
    }
}

/// How the guest and its response came to an end.
enum Finished {
    Answered(Response<Bytes>),
    Refused(Trap),
    Stopped(wasmtime::Error),
}

/// Runs the guest and takes its response, in turns: a guest that waits for room in its body goes on as soon as the
/// body was taken.
fn drive(
    mut call: Pin<&mut impl Future<Output = wasmtime::Result<()>>>,
    collector: &mut Collector,
    cx: &mut Context<'_>,
) -> Poll<Finished> {
    loop {
        match call.as_mut().poll(cx) {
            Poll::Ready(Err(error)) => return Poll::Ready(Finished::Stopped(error)),
            Poll::Ready(Ok(())) => {
                return Poll::Ready(match collector.poll(cx) {
                    Progress::Complete(response) => Finished::Answered(response),
                    Progress::Failed(trap) => Finished::Refused(trap),
                    Progress::More | Progress::Waiting => Finished::Refused(collector.unfinished()),
                });
            }
            Poll::Pending => match collector.poll(cx) {
                // The guest may go on after its response: until it returns, the call is not over.
                Progress::Complete(response) => collector.head = Head::Complete(response),
                Progress::Failed(trap) => return Poll::Ready(Finished::Refused(trap)),
                Progress::More => {}
                Progress::Waiting => return Poll::Pending,
            },
        }
        if matches!(collector.head, Head::Complete(_)) {
            return call.as_mut().poll(cx).map(|ended| match ended {
                Ok(()) => match std::mem::replace(&mut collector.head, Head::Taken) {
                    Head::Complete(response) => Finished::Answered(response),
                    _ => Finished::Refused(collector.unfinished()),
                },
                Err(error) => Finished::Stopped(error),
            });
        }
    }
}

/// Takes the response as the guest makes it.
struct Collector {
    head: Head,
    body: Collected,
    meter: MemoryMeter,
}

enum Head {
    Awaited(oneshot::Receiver<Result<Response<HyperOutgoingBody>, ErrorCode>>),
    Set(Box<response::Parts>, HyperOutgoingBody),
    Complete(Response<Bytes>),
    Taken,
}

enum Progress {
    Complete(Response<Bytes>),
    Failed(Trap),
    /// Something was taken, so the guest may have room again.
    More,
    Waiting,
}

impl Collector {
    fn poll(&mut self, cx: &mut Context<'_>) -> Progress {
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
                        moved = true;
                    }
                    Poll::Ready(Some(Err(error))) => return Progress::Failed(body_error(&error)),
                    Poll::Ready(None) => {
                        let Head::Set(head, _) = std::mem::replace(&mut self.head, Head::Taken) else { break };
                        return Progress::Complete(Response::from_parts(*head, self.body.finish(&self.meter)));
                    }
                },
                Head::Complete(_) => {
                    let Head::Complete(response) = std::mem::replace(&mut self.head, Head::Taken) else { break };
                    return Progress::Complete(response);
                }
                Head::Taken => break,
            }
        }
        if moved { Progress::More } else { Progress::Waiting }
    }

    fn unfinished(&self) -> Trap {
        let text = match self.head {
            Head::Awaited(_) => "it returned without setting a response",
            _ => "it returned without finishing its response's body",
        };
        Trap::new(TrapKind::Protocol, text)
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

fn body_error(error: &Error) -> Trap {
    Trap::new(TrapKind::Protocol, format!("its response's body broke off: {error}"))
}

fn hash_request(request: &Request<Bytes>) -> Hash256 {
    let mut hasher = PartsHasher(Sha256::new());
    hasher.part(request.method().as_str().as_bytes());
    hasher.part(request.uri().path_and_query().map_or("/", |path| path.as_str()).as_bytes());
    hasher.fields(request.headers());
    hasher.part(request.body());
    hasher.finish()
}

fn hash_response(response: &Response<Bytes>) -> Hash256 {
    let mut hasher = PartsHasher(Sha256::new());
    hasher.part(&response.status().as_u16().to_be_bytes());
    hasher.fields(response.headers());
    hasher.part(response.body());
    hasher.finish()
}

/// [`Hash256::of_parts`] without a list of the parts.
struct PartsHasher(Sha256);

impl PartsHasher {
    fn part(&mut self, part: &[u8]) {
        self.0.update((part.len() as u64).to_be_bytes());
        self.0.update(part);
    }

    fn fields(&mut self, fields: &http::HeaderMap) {
        self.0.update((fields.len() as u64).to_be_bytes());
        for (name, value) in fields {
            self.part(name.as_str().as_bytes());
            self.part(value.as_bytes());
        }
    }

    fn finish(self) -> Hash256 {
        Hash256(self.0.finalize().into())
    }
}
