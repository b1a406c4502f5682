//! `wasi:http`: requests that a guest sends. Linked for every agent, so that any toolchain's component loads; without
//! a grant each request answers "denied".
//!
//! The request is handed to the node whole, as typed parts. Nothing is dialled here.

use std::time::Duration;

use bytes::Bytes;
use futures::future::{AbortHandle, Abortable};
use http::{HeaderName, HeaderValue, header};
use http_body_util::{BodyExt, Full, Limited};
use wasmtime_wasi_http::{DEFAULT_FORBIDDEN_HEADERS, Error, RequestOptions, Result, WasiBody, WasiHttpHooks};

use super::{Capability, Need};
use crate::dispatch::Dispatcher;
use crate::host::{HostCall, HostFailure, HostFailureKind, HostReply, HttpField, HttpRequest, HttpResponse};
use crate::limits::{BODY_CHUNK_BYTES_MAX, BODY_CHUNKS_WAITING_MAX, RECEIVE_BODY_BYTES_MAX, SEND_BODY_BYTES_MAX};
use crate::memory::MemoryMeter;

pub(super) const OUTGOING_HTTP: Capability = Capability {
    interfaces: &["wasi:http/outgoing-handler", "wasi:http/types"],
    need: Need::Nothing,
    link: |linker| {
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
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
        let (handle, registration) = AbortHandle::new_pair();
        self.in_flight.push(handle);
        let sending = async move {
            // The body is taken even when the request is refused, so that the guest hears why at the response and does
            // not stumble over a closed stream before it.
            let request = into_message(request, options).await?;
            match departure {
                Ok(Ok(departure)) => into_answer(departure.send(HostCall::HttpSend { request }).await, meter),
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

async fn into_message(request: http::Request<WasiBody>, options: Option<RequestOptions>) -> Result<HttpRequest> {
    let (head, body) = request.into_parts();
    let limit = usize::try_from(SEND_BODY_BYTES_MAX).unwrap_or(usize::MAX);
    let body = match Limited::new(body, limit).collect().await {
        // Trailers are dropped: they could carry fields that no rule has seen.
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            return Err(Error::HttpRequestBodySize(Some(SEND_BODY_BYTES_MAX)));
        }
        Err(_) => return Err(Error::HttpProtocolError),
    };
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
        body: body.into(),
        timeout_ms: timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
        response_bytes_max: RECEIVE_BODY_BYTES_MAX,
    })
}

fn into_answer(reply: HostReply, meter: MemoryMeter) -> Answer {
    let HttpResponse { status, fields, body } = match reply {
        HostReply::Response { response } => response,
        HostReply::Failed { failure } => return Err(into_error(&failure)),
        _ => return Err(Error::InternalError(None)),
    };
    if body.len() as u64 > RECEIVE_BODY_BYTES_MAX {
        return Err(Error::HttpResponseBodySize(Some(body.len() as u64)));
    }
    let held = Held::new(&meter, body.len() as u64).ok_or(Error::HttpResponseBodySize(Some(body.len() as u64)))?;
    let mut response = http::Response::builder().status(status);
    for HttpField { name, value } in fields {
        let value = HeaderValue::from_bytes(&value).map_err(|_| Error::HttpProtocolError)?;
        response = response.header(name, value);
    }
    // The memory is given back when the guest has read the body or dropped it.
    let body = Full::new(Bytes::from(body)).map_err(Error::from).map_frame(move |frame| {
        let _held = &held;
        frame
    });
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

/// Bytes of the agent's memory, given back on drop.
struct Held {
    meter: MemoryMeter,
    bytes: u64,
}

impl Held {
    fn new(meter: &MemoryMeter, bytes: u64) -> Option<Self> {
        meter.take(bytes).ok()?;
        Some(Self { meter: meter.clone(), bytes })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.meter.give_back(self.bytes);
    }
}
