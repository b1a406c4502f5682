//! An answer to the operator's client, read as it comes: within one deadline and one byte cap for all of it.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::Sleep;

use super::OperatorError;
use super::client::{Key, Open, OperatorClient, chain};

/// What is left of a call's deadline and cap.
pub(super) struct StreamLimits {
    total: Pin<Box<Sleep>>,
    deadline: Duration,
    bytes_max: usize,
    bytes_left: usize,
}

impl StreamLimits {
    pub(super) fn begin(deadline: Duration, bytes_max: usize) -> Self {
        Self { total: Box::pin(tokio::time::sleep(deadline)), deadline, bytes_max, bytes_left: bytes_max }
    }

    /// Waits as long as there is time.
    pub(super) async fn within<T>(&mut self, host: &str, work: impl Future<Output = T>) -> Result<T, OperatorError> {
        tokio::select! {
            done = work => Ok(done),
            () = &mut self.total => Err(OperatorError::Deadline { host: host.to_owned(), after: self.deadline }),
        }
    }
}

/// An answer whose head is here. Read to its end, its connection is used again; dropped before, it is closed.
pub struct OperatorStream {
    client: OperatorClient,
    key: Key,
    host: String,
    head: Parts,
    incoming: Incoming,
    open: Option<Open>,
    limits: StreamLimits,
}

impl OperatorStream {
    pub(super) fn new(
        client: OperatorClient,
        key: Key,
        host: String,
        response: Response<Incoming>,
        open: Open,
        limits: StreamLimits,
    ) -> Self {
        let (head, incoming) = response.into_parts();
        Self { client, key, host, head, incoming, open: Some(open), limits }
    }

    /// Its status; redirects are not followed.
    pub fn status(&self) -> StatusCode {
        self.head.status
    }

    /// Its headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    pub(super) fn take_headers(self) -> HeaderMap {
        self.head.headers
    }

    /// The next piece of its body; `None` at the end.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, OperatorError> {
        loop {
            let frame = self.limits.within(&self.host, self.incoming.frame()).await?;
            let Some(frame) = frame else {
                if let Some(open) = self.open.take() {
                    self.client.keep(self.key.clone(), open);
                }
                return Ok(None);
            };
            let broken = |error| OperatorError::Protocol { host: self.host.clone(), why: chain(&error) };
            // Trailers say nothing that is wanted here.
            let Ok(piece) = frame.map_err(broken)?.into_data() else { continue };
            let large = || OperatorError::TooLarge { host: self.host.clone(), max: self.limits.bytes_max };
            self.limits.bytes_left = self.limits.bytes_left.checked_sub(piece.len()).ok_or_else(large)?;
            return Ok(Some(piece));
        }
    }
}
