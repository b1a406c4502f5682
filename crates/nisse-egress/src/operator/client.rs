//! The operator's client: connections kept open between calls, each call within its deadline and byte cap.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, Request, Response, Uri, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use nisse_model::{LocalHost, NetworkScheme};
use tokio::task::AbortHandle;
use tokio_rustls::rustls::ClientConfig;

use super::stream::{OperatorStream, StreamLimits};
use super::{OperatorError, OperatorRequest, OperatorResponse};
use crate::dialler::{Dialler, Stream, TcpDialler};
use crate::headers::{HEADERS_MAX, RESPONSE_HEADER_BYTES_MAX};
use crate::resolver::{MachineResolver, Resolver};
use crate::target::EgressTarget;
use crate::tls::{self, TlsRoots, client_config};

/// Idle connections kept per host.
const IDLE_PER_HOST_MAX: usize = 4;
/// Hosts with idle connections; an operator configures few.
const HOSTS_MAX: usize = 64;

pub(super) type Key = (NetworkScheme, LocalHost, u16);

/// A connection that closes when it is dropped.
pub(super) struct Open {
    sender: SendRequest<Full<Bytes>>,
    task: AbortHandle,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Calls configured URLs. Cheap to clone; keeps connections open between calls.
#[derive(Clone)]
pub struct OperatorClient {
    inner: Arc<Inner>,
}

struct Inner {
    resolver: Arc<dyn Resolver>,
    dialler: Arc<dyn Dialler>,
    tls: Arc<ClientConfig>,
    idle: Mutex<HashMap<Key, Vec<Open>>>,
}

impl Default for OperatorClient {
    fn default() -> Self {
        Self::new(Arc::new(MachineResolver), Arc::new(TcpDialler), &TlsRoots::WebPki)
    }
}

impl OperatorClient {
    /// A client over these seams.
    pub fn new(resolver: Arc<dyn Resolver>, dialler: Arc<dyn Dialler>, roots: &TlsRoots) -> Self {
        let tls = client_config(roots);
        Self { inner: Arc::new(Inner { resolver, dialler, tls, idle: Mutex::default() }) }
    }

    /// GET.
    pub async fn get(
        &self,
        url: &str,
        deadline: Duration,
        response_bytes_max: usize,
    ) -> Result<OperatorResponse, OperatorError> {
        let (url, body) = (url.to_owned(), Bytes::new());
        self.send(OperatorRequest { method: Method::GET, url, headers: Vec::new(), body, deadline, response_bytes_max })
            .await
    }

    /// POST with a content type, such as a JSON-RPC call.
    pub async fn post(
        &self,
        url: &str,
        content_type: &'static str,
        body: Bytes,
        deadline: Duration,
        response_bytes_max: usize,
    ) -> Result<OperatorResponse, OperatorError> {
        let headers = vec![(header::CONTENT_TYPE, HeaderValue::from_static(content_type))];
        let url = url.to_owned();
        self.send(OperatorRequest { method: Method::POST, url, headers, body, deadline, response_bytes_max }).await
    }

    /// Any call.
    pub async fn send(&self, request: OperatorRequest) -> Result<OperatorResponse, OperatorError> {
        let mut stream = self.stream(request).await?;
        let mut body = BytesMut::new();
        while let Some(piece) = stream.piece().await? {
            body.extend_from_slice(&piece);
        }
        Ok(OperatorResponse { status: stream.status(), headers: stream.take_headers(), body: body.freeze() })
    }

    /// Any call, whose answer is read piece by piece as it comes.
    pub async fn stream(&self, request: OperatorRequest) -> Result<OperatorStream, OperatorError> {
        let target = EgressTarget::parse_url(&request.url)
            .map_err(|source| OperatorError::Url { url: request.url.chars().take(200).collect(), source })?;
        let host = target.host_header();
        let mut limits = StreamLimits::begin(request.deadline, request.response_bytes_max);
        let opening = self.inner.exchange(request, &target, &host);
        let (response, open) = limits.within(&host, opening).await??;
        let key = (target.scheme(), target.host().clone(), target.port());
        Ok(OperatorStream::new(self.clone(), key, host, response, open, limits))
    }

    /// Keeps a connection whose answer was read to its end.
    pub(super) fn keep(&self, key: Key, open: Open) {
        self.inner.keep(key, open);
    }
}

impl Inner {
    async fn exchange(
        &self,
        request: OperatorRequest,
        target: &EgressTarget,
        host: &str,
    ) -> Result<(Response<Incoming>, Open), OperatorError> {
        let key = (target.scheme(), target.host().clone(), target.port());
        let mut outgoing = Request::new(Full::new(request.body));
        *outgoing.method_mut() = request.method;
        *outgoing.uri_mut() = Uri::from(target.path_and_query().clone());
        for (name, value) in request.headers {
            outgoing.headers_mut().append(name, value);
        }
        let value = HeaderValue::from_str(host)
            .map_err(|error| OperatorError::Protocol { host: host.to_owned(), why: chain(&error) })?;
        outgoing.headers_mut().insert(header::HOST, value);
        self.exchange_head(outgoing, target, &key, host).await
    }

    async fn exchange_head(
        &self,
        mut outgoing: Request<Full<Bytes>>,
        target: &EgressTarget,
        key: &Key,
        host: &str,
    ) -> Result<(Response<Incoming>, Open), OperatorError> {
        let protocol = |error: hyper::Error| OperatorError::Protocol { host: host.to_owned(), why: chain(&error) };
        while let Some(mut open) = self.take(key) {
            match open.sender.try_send_request(outgoing).await {
                Ok(response) => return Ok((response, open)),
                // The server closed it meanwhile and nothing was sent.
                Err(mut error) => match error.take_message() {
                    Some(request) => outgoing = request,
                    None => return Err(protocol(error.into_error())),
                },
            }
        }
        let mut open = self.open(target, host).await?;
        let response = open.sender.send_request(outgoing).await.map_err(protocol)?;
        Ok((response, open))
    }

    async fn open(&self, target: &EgressTarget, host: &str) -> Result<Open, OperatorError> {
        let refused = |why: String| OperatorError::Connect { host: host.to_owned(), why };
        let addresses = match target.host() {
            LocalHost::Ip(ip) => vec![*ip],
            LocalHost::Name(name) => {
                self.resolver.resolve(name.as_str()).await.map_err(|error| refused(error.to_string()))?.addresses
            }
        };
        let mut last = "the name has no address".to_owned();
        for address in addresses {
            let address = SocketAddr::new(address, target.port());
            let stream = match self.dialler.connect(address).await {
                Ok(connection) => connection.stream,
                Err(error) => {
                    last = format!("{address}: {error}");
                    continue;
                }
            };
            let stream: Box<dyn Stream> = match target.scheme() {
                NetworkScheme::Http => stream,
                NetworkScheme::Https => {
                    let secured = tls::connect(&self.tls, target.host(), stream).await;
                    Box::new(secured.map_err(|error| refused(error.to_string()))?)
                }
            };
            let handshake = http1::Builder::new()
                .max_headers(HEADERS_MAX)
                .max_buf_size(RESPONSE_HEADER_BYTES_MAX)
                .handshake(TokioIo::new(stream))
                .await;
            let (sender, connection) = handshake.map_err(|error| refused(error.to_string()))?;
            let task = tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "an operator's connection ended");
                }
            });
            return Ok(Open { sender, task: task.abort_handle() });
        }
        Err(refused(last))
    }

    fn take(&self, key: &Key) -> Option<Open> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = idle.get_mut(key)?;
        while let Some(open) = waiting.pop() {
            if open.sender.is_ready() {
                return Some(open);
            }
        }
        idle.remove(key);
        None
    }

    fn keep(&self, key: Key, open: Open) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if open.sender.is_closed() || (idle.len() >= HOSTS_MAX && !idle.contains_key(&key)) {
            return;
        }
        let waiting = idle.entry(key).or_default();
        if waiting.len() < IDLE_PER_HOST_MAX {
            waiting.push(open);
        }
    }
}

/// An error with its causes on one line: hyper keeps what happened in them.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
