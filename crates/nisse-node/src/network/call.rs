//! One request to another node, and its answer piece by piece.

use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt as _, stream};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use nisse_egress::{EgressError, GuestRequest, OperatorError, OperatorRequest, Reach, RequestBody, RequestTimeouts};

use super::{NamedBy, Network, Provider};
use crate::error::chain;

/// What is asked.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path_and_query: String,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
    /// For everything together.
    pub(crate) deadline: Duration,
    /// Rest after which a stranger is given up.
    pub(crate) stall_after: Duration,
    /// The largest answer that can be of use.
    pub(crate) bytes_max: usize,
}

/// What comes back.
pub(crate) struct Called {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) pieces: BoxStream<'static, Result<Bytes, Trouble>>,
}

/// Why an answer does not come, or does not go on. Each stands behind the name of who was asked.
pub(crate) enum Trouble {
    /// The other side's.
    Theirs(String),
    /// A limit of this node's own.
    Ours(String),
}

impl From<EgressError> for Trouble {
    fn from(error: EgressError) -> Self {
        match &error {
            EgressError::Limit { .. } => Self::Ours(failed(&error)),
            _ => Self::Theirs(failed(&error)),
        }
    }
}

impl From<OperatorError> for Trouble {
    fn from(error: OperatorError) -> Self {
        Self::Theirs(failed(&error))
    }
}

impl Network {
    /// Asks whoever is at a place; `asker` names the node's own request in caps and audit lines.
    pub(crate) async fn call(&self, asker: String, provider: &Provider, call: Call) -> Result<Called, Trouble> {
        let bytes_max = call.bytes_max;
        let called = match provider.named_by {
            NamedBy::Operator => self.call_configured(provider, call).await?,
            NamedBy::Stranger => self.call_stranger(asker, provider, call).await?,
        };
        let mut bytes = 0;
        let within = move |piece: Result<Bytes, Trouble>| {
            let piece = piece?;
            bytes += piece.len();
            match bytes <= bytes_max {
                true => Ok(piece),
                false => Err(Trouble::Theirs(format!("sent more than {bytes_max} bytes"))),
            }
        };
        Ok(Called { pieces: called.pieces.map(within).boxed(), ..called })
    }

    async fn call_configured(&self, provider: &Provider, call: Call) -> Result<Called, Trouble> {
        let request = OperatorRequest {
            method: call.method,
            url: format!("{}{}", provider.url, call.path_and_query),
            headers: call.headers,
            body: call.body,
            deadline: call.deadline,
            response_bytes_max: call.bytes_max,
        };
        let answer = self.operator.stream(request).await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let pieces = stream::unfold(Some(answer), |answer| async move {
            let mut answer = answer?;
            match answer.piece().await {
                Ok(None) => None,
                Ok(Some(bytes)) => Some((Ok(bytes), Some(answer))),
                Err(error) => Some((Err(error.into()), None)),
            }
        });
        Ok(Called { status, headers, pieces: pieces.boxed() })
    }

    async fn call_stranger(&self, asker: String, provider: &Provider, call: Call) -> Result<Called, Trouble> {
        let headers = call.headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
        let request = GuestRequest {
            agent: asker,
            reach: Reach::Public,
            method: call.method.to_string(),
            scheme: provider.url.scheme().to_string(),
            authority: provider.url.authority(),
            path_and_query: call.path_and_query,
            headers: headers.collect(),
            body: if call.body.is_empty() { RequestBody::Empty } else { RequestBody::Full(call.body) },
            timeouts: RequestTimeouts {
                connect: Some(call.stall_after),
                first_byte: Some(call.stall_after),
                idle: Some(call.stall_after),
                total: Some(call.deadline),
            },
        };
        let answer = self.egress.request(request).await?;
        let pieces = answer.body.map(|piece| piece.map_err(Trouble::from)).boxed();
        Ok(Called { status: answer.status.as_u16(), headers: answer.headers, pieces })
    }
}

/// Behind the name of whoever was asked.
fn failed(error: &dyn std::error::Error) -> String {
    format!("did not answer: failed to {}", chain(error))
}
