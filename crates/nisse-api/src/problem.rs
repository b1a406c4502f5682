//! Errors on the wire: `application/problem+json` (RFC 9457) with a stable `code` and, where there is one, a hint.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use nisse_node::{ErrorKind, NodeError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::body::BodyError;
use crate::deeds::Refused;

/// What a refused or failed request answers with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// Stable, for programs: `agent_unknown`, `manifest_invalid`.
    pub code: String,
    /// One sentence with its causes.
    pub title: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Problem {
    /// A problem without a hint.
    pub fn new(status: StatusCode, code: &str, title: impl Into<String>) -> Self {
        Self { status: status.as_u16(), code: code.to_owned(), title: title.into(), hint: None }
    }

    /// For a request whose body was not read to its end. Its connection ends with it: the rest is never asked for.
    pub(crate) fn without_body(error: BodyError) -> Response {
        let mut response = Self::new(error.status(), "body_refused", error.to_string()).into_response();
        response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
        response
    }

    /// The same with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<NodeError> for Problem {
    fn from(error: NodeError) -> Self {
        let status = match error.kind {
            ErrorKind::Usage => StatusCode::BAD_REQUEST,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Unsigned => StatusCode::UNAUTHORIZED,
            ErrorKind::Refused => StatusCode::FORBIDDEN,
            ErrorKind::Conflict => StatusCode::CONFLICT,
            ErrorKind::Unreachable => StatusCode::BAD_GATEWAY,
            ErrorKind::Busy => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self { status: status.as_u16(), code: error.code.to_owned(), title: error.text, hint: error.hint }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).expect("texts and a number become JSON");
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.extensions_mut().insert(Refused(self.title));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
        response
    }
}
