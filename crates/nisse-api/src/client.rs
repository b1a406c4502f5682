//! A typed client of the control API: finds the running node by its home's `run.json` and speaks to it on loopback.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use nisse_node::{EventReader, EventTooLong};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

use crate::problem::Problem;

/// Longest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 96 << 20;

/// Speaks to one node.
#[derive(Debug, Clone)]
pub struct Client {
    address: SocketAddr,
    token: String,
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers.
    #[error("reach the node at {address}")]
    Unreachable {
        /// Where it should be.
        address: SocketAddr,
        /// What happened.
        #[source]
        source: std::io::Error,
    },
    /// The connection broke.
    #[error("speak to the node")]
    Broken(#[source] hyper::Error),
    /// The node refused or failed.
    #[error("{}", .0.title)]
    Refused(Box<Problem>),
    /// An answer that is not one.
    #[error("read the node's answer: {0}")]
    Malformed(String),
    /// An event that is not held.
    #[error(transparent)]
    Event(#[from] EventTooLong),
}

impl Client {
    /// A client of the node at `address` with its home's token.
    pub fn new(address: SocketAddr, token: impl Into<String>) -> Self {
        Self { address, token: token.into() }
    }

    /// GET.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.call(Method::GET, path, Bytes::new()).await
    }

    /// POST with a JSON body.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| ClientError::Malformed(error.to_string()))?;
        self.call(Method::POST, path, body.into()).await
    }

    /// POST without a body.
    pub async fn post_nothing<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.call(Method::POST, path, Bytes::new()).await
    }

    /// POST with bytes.
    pub async fn post_bytes<T: DeserializeOwned>(&self, path: &str, body: Bytes) -> Result<T, ClientError> {
        self.call(Method::POST, path, body).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Result<(), ClientError> {
        self.bytes(Method::DELETE, path, Bytes::new()).await.map(drop)
    }

    /// GET of bytes.
    pub async fn get_bytes(&self, path: &str) -> Result<Bytes, ClientError> {
        self.bytes(Method::GET, path, Bytes::new()).await
    }

    /// GET of server-sent events: each event's data goes to `each` until the stream or `each` ends it.
    pub async fn follow(&self, path: &str, mut each: impl FnMut(&str) -> bool) -> Result<(), ClientError> {
        let response = self.send(Method::GET, path, Bytes::new()).await?;
        let mut body = response.into_body();
        let mut events = EventReader::default();
        while let Some(frame) = body.frame().await {
            let Ok(piece) = frame.map_err(ClientError::Broken)?.into_data() else { continue };
            events.push(&piece);
            while let Some(event) = events.event()? {
                if !each(&event) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    async fn call<T: DeserializeOwned>(&self, method: Method, path: &str, body: Bytes) -> Result<T, ClientError> {
        let bytes = self.bytes(method, path, body).await?;
        // A route without an answer reads as `null`.
        let bytes = if bytes.is_empty() { Bytes::from_static(b"null") } else { bytes };
        serde_json::from_slice(&bytes).map_err(|error| ClientError::Malformed(error.to_string()))
    }

    async fn bytes(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, ClientError> {
        let response = self.send(method, path, body).await?;
        collect(response.into_body()).await
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>, ClientError> {
        let unreachable = |source| ClientError::Unreachable { address: self.address, source };
        let stream = TcpStream::connect(self.address).await.map_err(unreachable)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(ClientError::Broken)?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.address.to_string())
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| ClientError::Malformed(error.to_string()))?;
        // The connection is driven beside the call and ends with it: the client keeps nothing open.
        let connection = tokio::task::spawn(connection);
        let response = sender.send_request(request).await.map_err(ClientError::Broken)?;
        drop(connection);
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let bytes = collect(response.into_body()).await?;
        Err(ClientError::Refused(Box::new(problem(status, &bytes))))
    }
}

async fn collect(body: Incoming) -> Result<Bytes, ClientError> {
    let collected = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    collected.map(|body| body.to_bytes()).map_err(|error| ClientError::Malformed(error.to_string()))
}

fn problem(status: StatusCode, bytes: &[u8]) -> Problem {
    serde_json::from_slice(bytes).unwrap_or_else(|_| {
        let text = String::from_utf8_lossy(bytes).trim().chars().take(500).collect::<String>();
        Problem::new(status, "unknown", format!("the node answered {status}: {text}"))
    })
}
