//! One request out, one whole response back.
use super::{BodyError, ErrorCode, Method, Response, Url, UrlError, read_body, write_body};
use crate::Failure;
use crate::bindings::wasi::http::outgoing_handler;
use crate::bindings::wasi::http::types::{Fields, OutgoingBody, OutgoingRequest, RequestOptions, Scheme};
use std::fmt;
use std::time::Duration;

/// The longest response body that is taken unless [`Fetch::limit_bytes`] says otherwise.
pub const RESPONSE_BODY_BYTES_MAX: usize = 1 << 20;

/// Why a request out gave no response.
#[derive(Debug, Clone)]
pub enum FetchError {
    /// The URL cannot be asked for.
    Url(UrlError),
    /// A header, method or time limit that `wasi:http` does not take.
    Request(&'static str),
    /// The node refused it, or the network failed.
    Network(ErrorCode),
    /// The response came, but not its whole body.
    Body(BodyError),
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(error) => write!(f, "fetch: {error}"),
            Self::Request(what) => write!(f, "fetch: malformed {what}"),
            Self::Network(code) => write!(f, "fetch: {code}"),
            Self::Body(error) => write!(f, "fetch: {error}"),
        }
    }
}

impl std::error::Error for FetchError {}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::Url(_) | FetchError::Request(_) => Failure::permanent(error.to_string()),
            FetchError::Network(_) | FetchError::Body(_) => Failure::retryable(error.to_string()),
        }
    }
}

impl From<ErrorCode> for FetchError {
    fn from(code: ErrorCode) -> Self {
        Self::Network(code)
    }
}

impl From<BodyError> for FetchError {
    fn from(error: BodyError) -> Self {
        Self::Body(error)
    }
}

/// Gets `url`; any status is a response.
pub fn fetch(url: &str) -> Result<Response, FetchError> {
    Fetch::new(Method::Get, url).send()
}

/// A request out.
#[derive(Debug, Clone)]
pub struct Fetch {
    url: String,
    method: Method,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    limit_bytes: usize,
    timeout: Option<Duration>,
}

impl Fetch {
    /// A request without headers or body.
    pub fn new(method: Method, url: &str) -> Self {
        Self {
            url: url.into(),
            method,
            headers: Vec::new(),
            body: Vec::new(),
            limit_bytes: RESPONSE_BODY_BYTES_MAX,
            timeout: None,
        }
    }

    /// With one more header. The node sets `host` and all that frames the message.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// With a body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Refuses a response body longer than this.
    pub fn limit_bytes(mut self, limit_bytes: usize) -> Self {
        self.limit_bytes = limit_bytes;
        self
    }

    /// Gives up when connecting, the first byte, or the pause between two bytes takes longer. The node has limits too.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sends it and waits for the whole response.
    pub fn send(self) -> Result<Response, FetchError> {
        let url: Url = self.url.parse().map_err(FetchError::Url)?;
        let headers = Fields::from_list(&self.headers).map_err(|_| FetchError::Request("header"))?;
        let request = OutgoingRequest::new(headers);
        let scheme = if url.secure { Scheme::Https } else { Scheme::Http };
        // A request is made as a GET, and without a body.
        if !matches!(self.method, Method::Get) {
            request.set_method(&self.method).map_err(|()| FetchError::Request("method"))?;
        }
        request.set_scheme(Some(&scheme)).map_err(|()| FetchError::Request("scheme"))?;
        request.set_authority(Some(&url.authority)).map_err(|()| FetchError::Request("host"))?;
        request.set_path_with_query(Some(&url.path_with_query)).map_err(|()| FetchError::Request("path"))?;
        let options = self.timeout.map(options).transpose()?;

        let body = (!self.body.is_empty()).then(|| request.body().expect("a request's body is taken once"));
        let pending = outgoing_handler::handle(request, options)?;
        if let Some(body) = body {
            write_body(&body, &self.body)?;
            OutgoingBody::finish(body, None)?;
        }
        pending.subscribe().block();
        let response =
            pending.get().expect("a future that is ready has its answer").expect("an answer is taken once")?;
        let status = response.status();
        let headers = response.headers().entries();
        let body = response.consume().expect("a response's body is taken once");
        Ok(Response { status, headers, body: read_body(body, self.limit_bytes)? })
    }
}

fn options(timeout: Duration) -> Result<RequestOptions, FetchError> {
    let nanoseconds = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
    let options = RequestOptions::new();
    options
        .set_connect_timeout(Some(nanoseconds))
        .and_then(|()| options.set_first_byte_timeout(Some(nanoseconds)))
        .and_then(|()| options.set_between_bytes_timeout(Some(nanoseconds)))
        .map_err(|()| FetchError::Request("time limit"))?;
    Ok(options)
}
