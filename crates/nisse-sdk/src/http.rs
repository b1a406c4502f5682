//! HTTP in both directions, with whole bodies: [`Serve`] answers requests, [`fetch`] makes them.
//!
//! A request out needs the permission `network_outbound:HOST`. The node resolves, checks and dials; redirects are not
//! followed. Agents that stream bodies implement [`ServeRaw`].
mod body;
mod fetch;
mod url;

pub use crate::bindings::wasi::http::types::{ErrorCode, Method};
use crate::bindings::wasi::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};
pub use body::{BodyError, read_body, write_body};
pub use fetch::{Fetch, FetchError, RESPONSE_BODY_BYTES_MAX, fetch};
pub use url::{Url, UrlError};

/// The longest request body that [`Serve`] is given; a longer one is answered with 413.
pub const REQUEST_BODY_BYTES_MAX: usize = 1 << 20;

/// An agent's answers over HTTP.
pub trait Serve {
    /// Runs once per request.
    fn serve(request: Request) -> Response;
}

/// As [`Serve`], with the resources of `wasi:http` in hand.
pub trait ServeRaw {
    /// Runs once per request.
    fn serve(request: IncomingRequest, response: ResponseOutparam);
}

/// A request with its whole body.
#[derive(Debug, Clone)]
pub struct Request {
    /// How.
    pub method: Method,
    /// Path and query as they came, starting with `/`.
    pub path_with_query: String,
    /// The host that was asked for.
    pub authority: Option<String>,
    /// In the order in which they came.
    pub headers: Vec<(String, Vec<u8>)>,
    /// At most [`REQUEST_BODY_BYTES_MAX`].
    pub body: Vec<u8>,
}

impl Request {
    /// The path without its query.
    pub fn path(&self) -> &str {
        self.path_with_query.split('?').next().unwrap_or_default()
    }

    /// The query without its `?`.
    pub fn query(&self) -> Option<&str> {
        self.path_with_query.split_once('?').map(|(_, query)| query)
    }

    /// A query parameter as it stands, still percent-encoded.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query()?.split('&').find_map(|pair| match pair.split_once('=') {
            Some((key, value)) if key == name => Some(value),
            None if pair == name => Some(""),
            _ => None,
        })
    }

    /// The first header of this name where it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }
}

/// A response with its whole body.
#[derive(Debug, Clone)]
pub struct Response {
    /// Such as 200.
    pub status: u16,
    /// In order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Whole.
    pub body: Vec<u8>,
}

impl Response {
    /// A response with a media type.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![("content-type".into(), content_type.into())], body: body.into() }
    }

    /// Plain text.
    pub fn text(status: u16, text: impl Into<String>) -> Self {
        Self::new(status, "text/plain; charset=utf-8", text.into())
    }

    /// A value as JSON.
    #[cfg(feature = "json")]
    pub fn json(status: u16, value: &impl serde::Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => Self::new(status, "application/json", body),
            Err(error) => Self::text(500, error.to_string()),
        }
    }

    /// With one more header.
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The first header of this name where it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }
}

fn header<'a>(headers: &'a [(String, Vec<u8>)], name: &str) -> Option<&'a str> {
    let (_, value) = headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(value).ok()
}

/// Takes a request in whole, has `T` answer it, and sends the answer.
pub(crate) fn serve<T: Serve>(request: IncomingRequest, out: ResponseOutparam) {
    let response = match take(request) {
        Ok(request) => T::serve(request),
        Err(BodyError::TooLarge { limit_bytes }) => {
            Response::text(413, format!("a request body is at most {limit_bytes} bytes\n"))
        }
        Err(error @ BodyError::Broken(_)) => Response::text(400, format!("{error}\n")),
    };
    send(response, out);
}

fn take(request: IncomingRequest) -> Result<Request, BodyError> {
    let body = match request.consume() {
        Ok(body) => read_body(body, REQUEST_BODY_BYTES_MAX)?,
        Err(()) => Vec::new(),
    };
    Ok(Request {
        method: request.method(),
        path_with_query: request.path_with_query().unwrap_or_else(|| "/".into()),
        authority: request.authority(),
        headers: request.headers().entries(),
        body,
    })
}

/// Sends a whole response. One that `wasi:http` does not take, such as a header with a line break in it, becomes a 500.
pub fn send(response: Response, out: ResponseOutparam) {
    let headers = Fields::from_list(&response.headers);
    let outgoing = match headers {
        Ok(headers) => OutgoingResponse::new(headers),
        Err(_) => return refuse(out),
    };
    if outgoing.set_status_code(response.status).is_err() {
        return refuse(out);
    }
    let body = outgoing.body().expect("a response's body is taken once");
    ResponseOutparam::set(out, Ok(outgoing));
    // The caller may have gone; then nobody reads what is left.
    if write_body(&body, &response.body).is_ok() {
        let _ = OutgoingBody::finish(body, None);
    }
}

fn refuse(out: ResponseOutparam) {
    ResponseOutparam::set(out, Err(ErrorCode::InternalError(Some("the agent made a malformed response".into()))));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path_with_query: &str) -> Request {
        Request {
            method: Method::Get,
            path_with_query: path_with_query.into(),
            authority: None,
            headers: vec![("X-A".into(), b"1".to_vec()), ("x-a".into(), b"2".to_vec()), ("x-b".into(), vec![0xff])],
            body: Vec::new(),
        }
    }

    #[test]
    fn a_path_is_told_from_its_query() {
        let request = request("/history?limit=5&raw");
        assert_eq!(request.path(), "/history");
        assert_eq!(request.parameter("limit"), Some("5"));
        assert_eq!(request.parameter("raw"), Some(""));
        assert_eq!(request.parameter("lim"), None);
        assert_eq!(super::tests::request("/").query(), None);
    }

    #[test]
    fn headers_are_found_in_any_case_and_only_as_text() {
        let request = request("/");
        assert_eq!(request.header("x-A"), Some("1"));
        assert_eq!(request.header("x-b"), None);
        assert_eq!(request.header("x-c"), None);
    }
}
