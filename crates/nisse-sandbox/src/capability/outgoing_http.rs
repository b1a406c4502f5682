//! `wasi:http`: requests that a guest sends. Linked for every agent, so that any toolchain's component loads; without
//! a grant each request answers "denied".
//!
//! The request is handed to the node whole, as typed parts. Nothing is dialled here.

mod charges;

use std::time::Duration;

use bytes::Bytes;
use futures::future::{AbortHandle, Abortable};
use http::{HeaderName, HeaderValue, header};
use http_body_util::{BodyExt, Full};
use wasmtime_wasi_http::{DEFAULT_FORBIDDEN_HEADERS, Error, RequestOptions, Result, WasiBody, WasiHttpHooks};

use super::{Capability, Need};
use crate::dispatch::Dispatcher;
use crate::host::{HostCall, HostFailure, HostFailureKind, HostReply, HttpField, HttpRequest, HttpResponse};
use crate::limits::{
    BODY_CHUNK_BYTES_MAX, BODY_CHUNKS_WAITING_MAX, FIELD_BYTES, RECEIVE_BODY_BYTES_MAX, SEND_BODY_BYTES_MAX,
};
use crate::memory::{Held, HeldBody, MemoryMeter, fields_bytes};

pub(super) const OUTGOING_HTTP: Capability = Capability {
    interfaces: &["wasi:http/outgoing-handler", "wasi:http/types"],
    need: Need::Nothing,
    link: |linker| {
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
        charges::link(linker)?;
        crate::instance::note_heads(linker)
    },
};

/// The hooks of `wasi:http`. They hold the dispatcher, because hooks cannot reach the store.
pub(crate) struct OutgoingHttp {
    pub(crate) dispatcher: Dispatcher,
    pub(crate) in_flight: Vec<AbortHandle>,
    meter: MemoryMeter,
}

type IoFuture = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Answer = Result<(http::Response<WasiBody>, IoFuture)>;

impl OutgoingHttp {
    pub(crate) fn new(dispatcher: Dispatcher, meter: MemoryMeter) -> Self {
        Self { dispatcher, in_flight: Vec::new(), meter }
    }
}

impl WasiHttpHooks for OutgoingHttp {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: IoFuture,
    ) -> Box<dyn Future<Output = Answer> + Send> {
        let departure = self.dispatcher.depart();
        let meter = self.meter.clone();
        // The table of handles held it until now.
        let head = meter.hold(fields_bytes(request.headers()) + request.uri().path().len() as u64);
        let (handle, registration) = AbortHandle::new_pair();
        self.in_flight.push(handle);
        let sending = async move {
            // The body is taken even when the request is refused, so that the guest hears why at the response and does
            // not stumble over a closed stream before it.
            let mut held = head.map_err(|_| Error::HttpRequestHeaderSectionSize(None))?;
            let request = into_message(request, options, &mut held, &meter).await?;
            match departure {
                Ok(Ok(departure)) => {
                    let reply = departure.send(HostCall::HttpSend { request }).await;
                    drop(held);
                    into_answer(reply, &meter)
                }
                Ok(Err(_)) | Err(_) => Err(Error::HttpRequestDenied),
            }
        };
        // A request ends with the invocation that made it.
        Box::new(async move { Abortable::new(sending, registration).await.unwrap_or(Err(Error::ConnectionTerminated)) })
    }

    /// What speaks of the connection is the node's to say, and trailers are not handed on in either direction.
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        DEFAULT_FORBIDDEN_HEADERS.contains(name) || [header::TE, header::TRAILER].contains(name)
    }

    /// The node sets `host` from the authority that it has checked.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn p2_outgoing_body_buffer_chunks(&mut self) -> usize {
        BODY_CHUNKS_WAITING_MAX
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_CHUNK_BYTES_MAX
    }
}

/// The request with its whole body, which counts as the agent's memory while it grows.
async fn into_message(
    request: http::Request<WasiBody>,
    options: Option<RequestOptions>,
    held: &mut Held,
    meter: &MemoryMeter,
) -> Result<HttpRequest> {
    let (head, stream) = request.into_parts();
    let body = collect(stream, held).await?;
    let fields = head.headers.iter().filter(|(name, _)| !DEFAULT_FORBIDDEN_HEADERS.contains(name));
    let fields =
        fields.map(|(name, value)| HttpField { name: name.as_str().to_owned(), value: value.as_bytes().to_vec() });
    let uri = head.uri;
    let timeouts = options.map(|options| [options.connect_timeout, options.first_byte_timeout]);
    let timeout: Option<Duration> = timeouts.and_then(|timeouts| timeouts.into_iter().flatten().reduce(|a, b| a + b));
    Ok(HttpRequest {
        method: head.method.as_str().to_owned(),
        scheme: uri.scheme_str().unwrap_or("https").to_owned(),
        authority: uri.authority().map(|authority| authority.as_str().to_owned()).unwrap_or_default(),
        path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        fields: fields.collect(),
        body,
        timeout_ms: timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
        response_bytes_max: RECEIVE_BODY_BYTES_MAX.min(meter.left()),
    })
}

async fn collect(mut stream: WasiBody, held: &mut Held) -> Result<Vec<u8>> {
    let (head, mut body) = (held.bytes(), Vec::new());
    while let Some(frame) = stream.frame().await {
        // Trailers are dropped: they could carry fields that no rule has seen.
        let Ok(chunk) = frame.map_err(|_| Error::HttpProtocolError)?.into_data() else { continue };
        let length = body.len() + chunk.len();
        if length as u64 > SEND_BODY_BYTES_MAX {
            return Err(Error::HttpRequestBodySize(Some(SEND_BODY_BYTES_MAX)));
        }
        if length > body.capacity() {
            let room = length.next_power_of_two();
            held.cover(head + room as u64).map_err(|_| Error::HttpRequestBodySize(Some(length as u64)))?;
            body.reserve_exact(room - body.len());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn into_answer(reply: HostReply, meter: &MemoryMeter) -> Answer {
    let HttpResponse { status, fields, body } = match reply {
        HostReply::Response { response } => response,
        HostReply::Failed { failure } => return Err(into_error(&failure)),
        _ => return Err(Error::InternalError(None)),
    };
    if body.len() as u64 > RECEIVE_BODY_BYTES_MAX {
        return Err(Error::HttpResponseBodySize(Some(body.len() as u64)));
    }
    let head: u64 =
        fields.iter().map(|HttpField { name, value }| FIELD_BYTES + (name.len() + value.len()) as u64).sum();
    let held = meter.hold(head + body.len() as u64);
    let held = held.map_err(|_| Error::HttpResponseBodySize(Some(body.len() as u64)))?;
    let mut response = http::Response::builder().status(status);
    for HttpField { name, value } in fields {
        let value = HeaderValue::from_bytes(&value).map_err(|_| Error::HttpProtocolError)?;
        response = response.header(name, value);
    }
    // The memory is given back when the guest has read the body or dropped it.
    let body = HeldBody::new(Full::new(Bytes::from(body)).map_err(Error::from), held);
    let response = response.body(body.boxed_unsync()).map_err(|_| Error::HttpProtocolError)?;
    Ok((response, Box::new(async { Ok(()) })))
}

fn into_error(failure: &HostFailure) -> Error {
    match failure.kind {
        HostFailureKind::Denied => Error::HttpRequestDenied,
        HostFailureKind::Malformed => Error::HttpRequestUriInvalid,
        HostFailureKind::NotFound | HostFailureKind::Unresolved => Error::DestinationNotFound,
        HostFailureKind::TooLarge => Error::HttpResponseBodySize(None),
        HostFailureKind::TimedOut => Error::HttpResponseTimeout,
        HostFailureKind::Unreachable => Error::ConnectionRefused,
        HostFailureKind::Tls => Error::TlsProtocolError,
        HostFailureKind::Protocol => Error::HttpProtocolError,
        HostFailureKind::Unavailable => Error::InternalError(Some(failure.text.clone())),
    }
}
