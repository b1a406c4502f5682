//! The one client path to a chain: alloy's provider, over the embedded chain or over HTTP that the caller posts.
//!
//! alloy is built without an HTTP client of its own: what leaves the machine goes through [`RpcPost`], which the node
//! fills with its egress client.

use std::sync::Arc;
use std::task::{Context, Poll};

use alloy::providers::{DynProvider, Provider as _, RootProvider};
use alloy::rpc::client::RpcClient;
use alloy::rpc::json_rpc::{ErrorPayload, RequestPacket, Response, ResponsePacket, ResponsePayload, SerializedRequest};
use alloy::transports::{TransportError, TransportErrorKind, TransportFut};
use async_trait::async_trait;
use serde_json::Value;
use serde_json::value::to_raw_value;
use tower::Service;

use crate::embedded::EmbeddedChain;

/// Largest answer that is taken from a remote node.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Posts one JSON-RPC body to a URL and returns the body of the answer.
#[async_trait]
pub trait RpcPost: Send + Sync + 'static {
    /// Fails when no 200 answer came, with the reason.
    async fn post(&self, url: &str, body: Vec<u8>) -> Result<Vec<u8>, RpcPostError>;
}

/// Why a body was not answered.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RpcPostError(pub String);

/// A chain to talk to. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ChainClient {
    provider: DynProvider,
    embedded: bool,
}

impl ChainClient {
    /// The chain in this process.
    pub fn embedded(chain: EmbeddedChain) -> Self {
        Self::over(RpcClient::new(InProcess(chain), true), true)
    }

    /// A node at `url`.
    pub fn remote(url: impl Into<Arc<str>>, post: Arc<dyn RpcPost>) -> Self {
        Self::over(RpcClient::new(Remote { url: url.into(), post }, false), false)
    }

    fn over(client: RpcClient, embedded: bool) -> Self {
        Self { provider: RootProvider::<alloy::network::Ethereum>::new(client).erased(), embedded }
    }

    /// Whether it is the chain in this process, which has every block that it ever had: an endpoint elsewhere may lag.
    pub(crate) fn is_embedded(&self) -> bool {
        self.embedded
    }

    pub(crate) fn provider(&self) -> &DynProvider {
        &self.provider
    }
}

/// The embedded chain as a transport.
#[derive(Clone)]
struct InProcess(EmbeddedChain);

impl Service<RequestPacket> for InProcess {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let chain = self.0.clone();
        Box::pin(async move {
            // Only a transaction waits for the disk; everything else is a matter of microseconds.
            let waits = packet.requests().iter().any(|request| request.method() == "eth_sendRawTransaction");
            if !waits {
                return answer(&chain, &packet);
            }
            let answered = tokio::task::spawn_blocking(move || answer(&chain, &packet)).await;
            answered.map_err(TransportErrorKind::custom)?
        })
    }
}

fn answer(chain: &EmbeddedChain, packet: &RequestPacket) -> Result<ResponsePacket, TransportError> {
    Ok(match packet {
        RequestPacket::Single(request) => ResponsePacket::Single(respond(chain, request)?),
        RequestPacket::Batch(requests) => {
            ResponsePacket::Batch(requests.iter().map(|request| respond(chain, request)).collect::<Result<_, _>>()?)
        }
    })
}

fn respond(chain: &EmbeddedChain, request: &SerializedRequest) -> Result<Response, TransportError> {
    let raw = |value: &Value| to_raw_value(value).map_err(TransportErrorKind::custom);
    let params = match request.params() {
        Some(params) => serde_json::from_str(params.get()).map_err(TransportErrorKind::custom)?,
        None => Value::Null,
    };
    let payload = match chain.handle(request.method(), &params) {
        Ok(result) => ResponsePayload::Success(raw(&result)?),
        Err(error) => ResponsePayload::Failure(ErrorPayload {
            code: error.code,
            message: error.message.into(),
            data: error.data.as_ref().map(raw).transpose()?,
        }),
    };
    Ok(Response { id: request.id().clone(), payload })
}

/// A node somewhere else as a transport.
#[derive(Clone)]
struct Remote {
    url: Arc<str>,
    post: Arc<dyn RpcPost>,
}

impl Service<RequestPacket> for Remote {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let remote = self.clone();
        Box::pin(async move {
            let body = serde_json::to_vec(&packet).map_err(TransportErrorKind::custom)?;
            let answer = remote.post.post(&remote.url, body).await.map_err(TransportErrorKind::custom)?;
            if answer.len() > ANSWER_BYTES_MAX {
                let text = format!("an answer of {} bytes: at most {ANSWER_BYTES_MAX} are taken", answer.len());
                return Err(TransportErrorKind::custom_str(&text));
            }
            serde_json::from_slice(&answer).map_err(|error| {
                let start: String = String::from_utf8_lossy(&answer).chars().take(120).collect();
                TransportErrorKind::custom_str(&format!("not a JSON-RPC answer ({error}): {start}"))
            })
        })
    }
}
