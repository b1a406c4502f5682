//! Refusals as `application/problem+json` (RFC 9457) with a stable `code`.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE};
use http::{HeaderValue, Method, Response, StatusCode};
use nisse_model::ContentId;

use super::body::{Body, forbid_interpretation};
use crate::StoreError;
use crate::unixfs::ReadError;

/// A refusal.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    /// The whole length, for a range that lies outside.
    length: Option<u64>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), length: None }
    }

    pub(super) fn bad(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    pub(super) fn method(method: &Method) -> Self {
        let detail = format!("content is read by GET and HEAD, not by {method}");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
    }

    pub(super) fn not_held(cid: ContentId) -> Self {
        let detail = format!("{cid} is not served here, and this gateway does not fetch");
        Self::new(StatusCode::NOT_FOUND, "content-not-held", detail)
    }

    pub(super) fn range(length: u64) -> Self {
        let mut problem = Self::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            "range-not-satisfiable",
            format!("the content has {length} bytes"),
        );
        problem.length = Some(length);
        problem
    }

    pub(super) fn into_response(self, is_head: bool) -> Response<Body> {
        let document = serde_json::json!({
            "type": "about:blank",
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
        });
        let body = Bytes::from(document.to_string());
        let length = body.len();
        let mut response = Response::new(if is_head { Body::empty() } else { Body::full(body) });
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        // It may be held a moment later.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        if let Some(Ok(value)) = self.length.map(|length| HeaderValue::from_str(&format!("bytes */{length}"))) {
            headers.insert(CONTENT_RANGE, value);
        }
        forbid_interpretation(headers);
        response
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        let (status, code) = match &error {
            ReadError::NotHeld { cid } => return Self::not_held(*cid),
            ReadError::NoSuchName { .. } | ReadError::NotADirectory { .. } => (StatusCode::NOT_FOUND, "path-not-found"),
            ReadError::Store(StoreError::Damaged { .. }) => (StatusCode::INTERNAL_SERVER_ERROR, "content-damaged"),
            ReadError::Store(_) => (StatusCode::INTERNAL_SERVER_ERROR, "store-failed"),
            ReadError::NotAFile { .. } => (StatusCode::NOT_ACCEPTABLE, "not-a-file"),
            ReadError::Sharded { .. } => (StatusCode::NOT_IMPLEMENTED, "sharded-directory"),
            ReadError::PathTooLong(_) => (StatusCode::BAD_REQUEST, "path-too-long"),
            ReadError::TooLarge { .. } => (StatusCode::NOT_ACCEPTABLE, "file-too-large"),
            _ => (StatusCode::UNPROCESSABLE_ENTITY, "content-malformed"),
        };
        // Where a block lies on this machine's disk is nobody's business.
        let detail = match &error {
            ReadError::Store(_) => "the content cannot be read from disk".to_owned(),
            ReadError::NotAFile { .. } => format!("failed to {error}; ask for it with format=raw or format=car"),
            ReadError::TooLarge { .. } => format!("failed to {error}; ask for it with format=car"),
            _ => format!("failed to {error}"),
        };
        Self::new(status, code, detail)
    }
}
