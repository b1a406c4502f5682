//! An HTTP request into `wasi:http/incoming-handler` on a live instance.
//!
//! Guest and body are driven by the caller's own task: no hop to another thread, and a body of one chunk is handed on
//! without a copy. An answer that is whole and small when its handler returns is given back in one piece; any other
//! leaves while it is made ([`Outflow`], DESIGN §5.2).

mod collect;
mod head;
mod stream;

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::Full;
use nisse_model::{Hash256, InvocationId, MessageHasher, RecordOutcome, TrapKind};
use tokio::sync::oneshot;
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;

use self::collect::{Collector, Progress, Released};
pub(crate) use self::head::note_heads;
use self::stream::{Guest, Stream, StreamEnd};
pub use self::stream::{Opening, Outflow};
use super::{CallContext, InvocationEnd, LiveInstance, Streamed};
use crate::dispatch::Recording;
use crate::limits::{REQUEST_BODY_BYTES_MAX, STREAM_TIME_MAX};
use crate::memory::HeldBody;
use crate::trap::Trap;

/// How a request was answered.
#[derive(Debug)]
pub enum HttpAnswer {
    /// In one piece.
    Whole(Response<Bytes>),
    /// Through the [`Outflow`].
    Streamed,
}

impl LiveInstance {
    /// Runs `wasi:http/incoming-handler` and gives the whole answer, however long it takes. The request names its
    /// authority in its URI or its `host` field; its body is at most [`REQUEST_BODY_BYTES_MAX`] bytes.
    pub async fn http(
        &mut self,
        id: InvocationId,
        request: Request<Bytes>,
        context: CallContext,
    ) -> InvocationEnd<Response<Bytes>> {
        let InvocationEnd { result, effects, trace, began } = self.serve(id, request, context, None).await;
        let result = result.map(|answer| match answer {
            HttpAnswer::Whole(response) => response,
            HttpAnswer::Streamed => unreachable!("there was nothing to stream into"),
        });
        InvocationEnd { result, effects, trace, began }
    }

    /// Runs `wasi:http/incoming-handler`. An answer that grows long, or that keeps its client waiting after its head,
    /// leaves through `outflow`; its effects were handed over there.
    pub async fn http_streamed(
        &mut self,
        id: InvocationId,
        request: Request<Bytes>,
        context: CallContext,
        outflow: &mut dyn Outflow,
    ) -> InvocationEnd<HttpAnswer> {
        self.serve(id, request, context, Some(outflow)).await
    }

    async fn serve(
        &mut self,
        id: InvocationId,
        request: Request<Bytes>,
        context: CallContext,
        outflow: Option<&mut dyn Outflow>,
    ) -> InvocationEnd<HttpAnswer> {
        let recorded = self.program.recording == Recording::On;
        let input = if recorded { hash_request(&request) } else { Hash256::ZERO };
        if let Err(trap) = self.enter(id, context, self.program.limits.http_time).await {
            return self.leave_refused(input, trap);
        }
        let mut streamed = None;
        let result = self.run_http(request, input, outflow, &mut streamed).await;
        self.leave(input, result, streamed, move |answer| {
            let output = match answer {
                HttpAnswer::Whole(response) if recorded => {
                    let mut hasher = hash_head(response.status().as_u16(), response.headers());
                    hasher.body(response.body());
                    hasher.finish()
                }
                HttpAnswer::Whole(_) | HttpAnswer::Streamed => Hash256::ZERO,
            };
            (output, RecordOutcome::Ok)
        })
        .await
    }

    async fn run_http(
        &mut self,
        request: Request<Bytes>,
        input: Hash256,
        outflow: Option<&mut dyn Outflow>,
        streamed: &mut Option<Streamed>,
    ) -> Result<HttpAnswer, Trap> {
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
        let spent = |error: wasmtime::Error| Trap::from_error(&error, true);
        let held = state.hold_apart(body_bytes).map_err(spent)?;
        let head = state.hold_head(request.uri(), request.headers()).map_err(spent)?;
        let (sender, receiver) = oneshot::channel();
        let (closed, meter) = (state.call.closed.clone(), state.limiter.meter.clone());
        let (at_head, host_calls) = (state.call.at_head.clone(), state.dispatcher().calls());
        let request = request.map(|body| HeldBody::new(Full::new(body), held));
        let incoming = state.http().new_incoming_request(Scheme::Http, request).map_err(refuse)?;
        state.note_head(&incoming, head);
        let outparam = state.http().new_response_outparam_from_callback(move |response| {
            closed.store(true, Ordering::Relaxed);
            // Nobody listens any more when the call was dropped.
            let _ = sender.send(response);
        });
        let outparam = outparam.map_err(refuse)?;

        let mut collector = Collector::new(receiver, meter.clone(), outflow.is_some());
        let finished = {
            let _running = self.program.engine.running();
            let mut call = pin!(proxy.wasi_http_incoming_handler().call_handle(&mut self.store, incoming, outparam));
            let driven = poll_fn(|cx| drive(call.as_mut(), &mut collector, cx));
            // Tokio's own budget would make a full channel look empty after many calls in one turn of the task, and an
            // answer look unfinished. The epoch's beat makes a guest yield.
            let driven = tokio::task::unconstrained(driven);
            match (tokio::time::timeout(self.program.limits.http_time, driven).await, outflow) {
                (Ok(Finished::Released(released, guest)), Some(outflow)) => {
                    let opening = stream::Beginning {
                        birth: self.birth,
                        index: self.calls,
                        input,
                        fuel_per_call: self.program.limits.fuel_per_call,
                        recorded: self.program.recording == Recording::On,
                    };
                    let stream = Stream::new(opening, meter, &at_head, &host_calls, outflow, streamed);
                    let sent = tokio::task::unconstrained(stream.send(call.as_mut(), guest, *released));
                    match tokio::time::timeout(STREAM_TIME_MAX, sent).await {
                        Ok(StreamEnd::Sent) => Finished::Answered(HttpAnswer::Streamed),
                        Ok(StreamEnd::Refused(trap)) => Finished::Refused(trap),
                        Ok(StreamEnd::Stopped(error)) => Finished::Stopped(error),
                        Err(_) => Finished::Refused(Trap::new(
                            TrapKind::Deadline,
                            format!("its answer took longer than {} s", STREAM_TIME_MAX.as_secs()),
                        )),
                    }
                }
                (Ok(finished), _) => finished,
                (Err(_), _) => Finished::Refused(Trap::new(TrapKind::Deadline, "it did not answer in time")),
            }
        };
        let refused = self.store.data().limiter.refused;
        match finished {
            Finished::Answered(answer) => Ok(answer),
            Finished::Released(..) => unreachable!("nothing is released that cannot leave"),
            Finished::Refused(trap) => Err(trap),
            Finished::Stopped(error) => Err(Trap::from_error(&error, refused)),
        }
    }
}

/// How the guest and its response came to an end, or to the point from which the response leaves.
enum Finished {
    Answered(HttpAnswer),
    Released(Box<Released>, Guest),
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
                    Progress::Complete => Finished::Answered(HttpAnswer::Whole(collector.whole())),
                    Progress::Overflow => Finished::Released(Box::new(collector.release()), Guest::Returned),
                    Progress::Failed(trap) => Finished::Refused(trap),
                    Progress::More | Progress::Waiting => Finished::Refused(collector.unfinished()),
                });
            }
            Poll::Pending => match collector.poll(cx) {
                Progress::Failed(trap) => return Poll::Ready(Finished::Refused(trap)),
                Progress::Overflow => {
                    return Poll::Ready(Finished::Released(Box::new(collector.release()), Guest::Runs));
                }
                Progress::More => {}
                // The guest may go on after its response: until it returns, the call is not over.
                Progress::Complete | Progress::Waiting => {
                    return collector
                        .poll_patience(cx)
                        .map(|()| Finished::Released(Box::new(collector.release()), Guest::Runs));
                }
            },
        }
    }
}

fn hash_request(request: &Request<Bytes>) -> Hash256 {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let mut hasher = MessageHasher::request(request.method().as_str(), path, fields(request.headers()));
    hasher.body(request.body());
    hasher.finish()
}

fn hash_head(status: u16, headers: &HeaderMap) -> MessageHasher {
    MessageHasher::response(status, fields(headers))
}

/// Header fields in their order, and how many they are.
fn fields(headers: &HeaderMap) -> impl ExactSizeIterator<Item = (&str, &[u8])> {
    Counted(headers.len(), headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())))
}

/// An iterator with its known length.
struct Counted<I>(usize, I);

impl<I: Iterator> Iterator for Counted<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        let next = self.1.next()?;
        self.0 -= 1;
        Some(next)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.0, Some(self.0))
    }
}

impl<I: Iterator> ExactSizeIterator for Counted<I> {}
