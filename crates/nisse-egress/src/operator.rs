//! HTTP for what the operator configured: chain RPC, gateways, pinning services.
//!
//! The URL is the operator's own, so loopback and private addresses are fine and names resolve as everywhere on the
//! machine. All else is as strict as for agents: HTTP/1.1, TLS by name, no redirects, no proxies from the environment,
//! a deadline and a byte cap on every call.

mod client;
mod stream;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use crate::target::TargetError;

pub use client::OperatorClient;
pub use stream::OperatorStream;

/// One call to a configured URL.
#[derive(Debug, Clone)]
pub struct OperatorRequest {
    /// Its method.
    pub method: Method,
    /// `http://` or `https://`, with a path and query.
    pub url: String,
    /// Further headers, such as `accept` or `authorization`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body; may be empty.
    pub body: Bytes,
    /// For everything together.
    pub deadline: Duration,
    /// The largest response body taken.
    pub response_bytes_max: usize,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct OperatorResponse {
    /// Its status; redirects are not followed.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// Why a call failed. Each text completes "failed to …".
#[derive(Debug, Clone, thiserror::Error)]
pub enum OperatorError {
    /// The URL cannot be read.
    #[error("read the URL `{url}`")]
    Url {
        /// The URL, shortened.
        url: String,
        /// What is wrong with it.
        source: TargetError,
    },
    /// No connection.
    #[error("connect to {host}: {why}")]
    Connect {
        /// Host and port.
        host: String,
        /// What the machine said.
        why: String,
    },
    /// A deadline passed.
    #[error("hear from {host} within {} ms", after.as_millis())]
    Deadline {
        /// Host and port.
        host: String,
        /// The deadline.
        after: Duration,
    },
    /// The other side broke HTTP/1.1 or went away.
    #[error("speak HTTP/1.1 with {host}: {why}")]
    Protocol {
        /// Host and port.
        host: String,
        /// What hyper said.
        why: String,
    },
    /// The answer is larger than the caller takes.
    #[error("take the answer of {host}: it is larger than {max} bytes")]
    TooLarge {
        /// Host and port.
        host: String,
        /// The cap.
        max: usize,
    },
}
