//! A request that came in: each part is asked of the host when it is first looked at, and kept.
use super::{BodyError, Method, header, read_body};
use crate::bindings::wasi::http::types::IncomingRequest;
use std::cell::OnceCell;

/// The longest request body that [`Request::body`] reads.
pub const REQUEST_BODY_BYTES_MAX: usize = 1 << 20;

/// A request. What a handler does not look at costs nothing.
#[derive(Debug)]
pub struct Request {
    /// Where the parts come from; `None` when all of them are there.
    incoming: Option<IncomingRequest>,
    method: OnceCell<Method>,
    path_with_query: OnceCell<String>,
    authority: OnceCell<Option<String>>,
    headers: OnceCell<Vec<(String, Vec<u8>)>>,
    body: OnceCell<Result<Vec<u8>, BodyError>>,
}

impl Request {
    /// One that came from nowhere, for an agent's own tests: without authority, headers or body. `path_with_query`
    /// starts with `/`.
    pub fn new(method: Method, path_with_query: &str) -> Self {
        Self {
            incoming: None,
            method: method.into(),
            path_with_query: path_with_query.to_owned().into(),
            authority: OnceCell::from(None),
            headers: Vec::new().into(),
            body: Ok(Vec::new()).into(),
        }
    }

    pub(super) fn incoming(incoming: IncomingRequest) -> Self {
        Self {
            incoming: Some(incoming),
            method: OnceCell::new(),
            path_with_query: OnceCell::new(),
            authority: OnceCell::new(),
            headers: OnceCell::new(),
            body: OnceCell::new(),
        }
    }

    /// With these headers in place of those before.
    pub fn with_headers(mut self, headers: Vec<(String, Vec<u8>)>) -> Self {
        self.headers = headers.into();
        self
    }

    /// With this body in place of the one before.
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Ok(body.into()).into();
        self
    }

    /// How.
    pub fn method(&self) -> &Method {
        self.method.get_or_init(|| self.source().method())
    }

    /// Path and query as they came, starting with `/`.
    pub fn path_with_query(&self) -> &str {
        self.path_with_query.get_or_init(|| self.source().path_with_query().unwrap_or_else(|| "/".into()))
    }

    /// The path without its query.
    pub fn path(&self) -> &str {
        self.path_with_query().split('?').next().unwrap_or_default()
    }

    /// The query without its `?`.
    pub fn query(&self) -> Option<&str> {
        self.path_with_query().split_once('?').map(|(_, query)| query)
    }

    /// A query parameter as it stands, still percent-encoded.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query()?.split('&').find_map(|pair| match pair.split_once('=') {
            Some((key, value)) if key == name => Some(value),
            None if pair == name => Some(""),
            _ => None,
        })
    }

    /// The host that was asked for.
    pub fn authority(&self) -> Option<&str> {
        self.authority.get_or_init(|| self.source().authority()).as_deref()
    }

    /// In the order in which they came.
    pub fn headers(&self) -> &[(String, Vec<u8>)] {
        self.headers.get_or_init(|| self.source().headers().entries())
    }

    /// The first header of this name where it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(self.headers(), name)
    }

    /// The whole body, at most [`REQUEST_BODY_BYTES_MAX`]. An error is a [`Response`](super::Response) too: 413 for a
    /// body that is longer, 400 for one that broke off.
    pub fn body(&self) -> Result<&[u8], BodyError> {
        let body = self.body.get_or_init(|| match self.source().consume() {
            Ok(body) => read_body(body, REQUEST_BODY_BYTES_MAX),
            Err(()) => Ok(Vec::new()),
        });
        body.as_deref().map_err(Clone::clone)
    }

    fn source(&self) -> &IncomingRequest {
        self.incoming.as_ref().expect("a request of one's own has all its parts")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_told_from_its_query() {
        let request = Request::new(Method::Get, "/history?limit=5&raw");
        assert_eq!(request.path(), "/history");
        assert_eq!(request.parameter("limit"), Some("5"));
        assert_eq!(request.parameter("raw"), Some(""));
        assert_eq!(request.parameter("lim"), None);
        assert_eq!(Request::new(Method::Get, "/").query(), None);
    }

    #[test]
    fn headers_are_found_in_any_case_and_only_as_text() {
        let headers = vec![("X-A".into(), b"1".to_vec()), ("x-a".into(), b"2".to_vec()), ("x-b".into(), vec![0xff])];
        let request = Request::new(Method::Get, "/").with_headers(headers);
        assert_eq!(request.header("x-A"), Some("1"));
        assert_eq!(request.header("x-b"), None);
        assert_eq!(request.header("x-c"), None);
    }

    #[test]
    fn a_request_of_ones_own_has_all_its_parts() {
        let request = Request::new(Method::Post, "/a").with_body("b");
        assert!(matches!(request.method(), Method::Post));
        assert_eq!((request.authority(), request.headers().len(), request.body()), (None, 0, Ok(&b"b"[..])));
    }
}
