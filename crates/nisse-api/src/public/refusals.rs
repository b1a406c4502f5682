//! What strangers read whose request is not answered by its agent.

use http::{HeaderValue, Response, StatusCode, header};
use nisse_node::{AgentCallError, CallRefused, ErrorKind};

use super::{Body, text};
use crate::body::BodyError;

/// How whoever asks proves who they are: `docs/access.md`.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Nisse-Proof");

/// Refuses a request that no rule of its agent admits. Where a body follows its connection ends: it is never asked for.
pub(super) fn not_taken(refused: &CallRefused, has_body: bool) -> Response<Body> {
    let (status, wait) = match refused {
        CallRefused::Unproven => (StatusCode::UNAUTHORIZED, None),
        CallRefused::NotAdmitted => (StatusCode::FORBIDDEN, None),
        CallRefused::TooMany { retry_after } => (StatusCode::TOO_MANY_REQUESTS, Some(*retry_after)),
        CallRefused::Proof(error) => match error.kind {
            ErrorKind::Busy => (StatusCode::SERVICE_UNAVAILABLE, Some(1)),
            ErrorKind::Usage => (StatusCode::BAD_REQUEST, None),
            _ => (StatusCode::UNAUTHORIZED, None),
        },
    };
    let mut response = text(status, &refused.to_string());
    let headers = response.headers_mut();
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, CHALLENGE);
    }
    if let Some(wait) = wait {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(wait));
    }
    if has_body {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Refuses a request whose body was not read to its end. Its connection ends with it: the rest is never asked for.
pub(super) fn without_body(error: BodyError) -> Response<Body> {
    let mut response = text(error.status(), &error.to_string());
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    if error == BodyError::NoRoom {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// Says that the agent did not answer.
pub(super) fn not_answered(error: AgentCallError) -> Response<Body> {
    let (status, retry) = match error {
        AgentCallError::Busy => (StatusCode::SERVICE_UNAVAILABLE, true),
        AgentCallError::Halted => (StatusCode::SERVICE_UNAVAILABLE, true),
        AgentCallError::Trapped => (StatusCode::BAD_GATEWAY, false),
        AgentCallError::Node => (StatusCode::INTERNAL_SERVER_ERROR, false),
    };
    let mut response = text(status, &error.to_string());
    if retry {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}
