//! A typed client of the control API: speaks to a node of this machine on loopback, or to one elsewhere over the link.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{Stream, StreamExt as _};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited, StreamBody};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use nisse_node::{EventReader, EventTooLong, TokenSigner};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::problem::Problem;

/// Longest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 96 << 20;

/// What a node over the link is called there: who speaks is known from the link.
const PEER_HOST: &str = "localhost";

/// What a node says of requests that it may have had before it came up.
const EARLY: &str = "request_early";
/// How often they are made anew, and after how long: until they are good for long enough.
const EARLY_TRIES: usize = 16;
const EARLY_PAUSE: Duration = Duration::from_millis(500);

/// Speaks to one node.
#[derive(Clone)]
pub struct Client(Way);

/// How a node is reached.
#[derive(Clone)]
enum Way {
    /// On this machine, with its home's token.
    Local { address: SocketAddr, token: String },
    /// On this machine, with a capability token.
    Token { address: SocketAddr, signer: Arc<TokenSigner> },
    /// As one of its identity's devices.
    Peer(Arc<dyn Dial>),
}

/// A way to a node elsewhere that knows who speaks.
pub trait Dial: Send + Sync {
    /// A stream on which HTTP/1.1 is spoken.
    fn dial(&self) -> BoxFuture<'_, Result<Box<dyn ByteStream>, DialError>>;
}

/// Why there is no way to a node elsewhere.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct DialError {
    /// Whether it is there, and lets nobody with our key in.
    pub is_refused: bool,
    /// One sentence.
    pub text: String,
}

/// Bytes both ways.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

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
    /// A node elsewhere does not answer, or does not let us in.
    #[error(transparent)]
    Dial(DialError),
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
        Self(Way::Local { address, token: token.into() })
    }

    /// A client of the node at `address` by a capability token.
    pub fn by_token(address: SocketAddr, signer: Arc<TokenSigner>) -> Self {
        Self(Way::Token { address, signer })
    }

    /// A client of a node elsewhere.
    pub fn of_peer(dial: Arc<dyn Dial>) -> Self {
        Self(Way::Peer(dial))
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

    /// POST with a JSON body; and what a header of the answer says.
    pub async fn post_heard<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        header: &str,
    ) -> Result<(T, Option<String>), ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| ClientError::Malformed(error.to_string()))?;
        let response = self.send(Method::POST, path, body.into()).await?;
        let said = response.headers().get(header).and_then(|said| said.to_str().ok()).map(str::to_owned);
        let bytes = collect(response.into_body()).await?;
        let answer = serde_json::from_slice(&bytes).map_err(|error| ClientError::Malformed(error.to_string()))?;
        Ok((answer, said))
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

    /// GET of bytes that may be more than memory holds: each piece goes to `each` as it comes.
    pub async fn get_pieces<E: From<ClientError>>(
        &self,
        path: &str,
        mut each: impl AsyncFnMut(Bytes) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut body = self.send(Method::GET, path, Bytes::new()).await?.into_body();
        while let Some(frame) = body.frame().await {
            if let Ok(piece) = frame.map_err(ClientError::Broken)?.into_data() {
                each(piece).await?;
            }
        }
        Ok(())
    }

    /// POST of bytes that may be more than memory holds: they are asked for as they are taken. A token signs none of them.
    pub async fn post_pieces<T: DeserializeOwned>(
        &self,
        path: &str,
        pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Result<T, ClientError> {
        let body = StreamBody::new(pieces.map(|piece| piece.map(hyper::body::Frame::data)));
        let response = self.send_body(Method::POST, path, &Bytes::new(), body.boxed_unsync()).await?;
        let bytes = collect(response.into_body()).await?;
        serde_json::from_slice(&bytes).map_err(|error| ClientError::Malformed(error.to_string()))
    }

    /// POST with a JSON body, for bytes.
    pub async fn post_for_bytes(&self, path: &str, body: &impl Serialize) -> Result<Bytes, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| ClientError::Malformed(error.to_string()))?;
        self.bytes(Method::POST, path, body.into()).await
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

    /// Asks again where the node came up too short a while ago to know what it was asked before.
    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>, ClientError> {
        for _ in 0..EARLY_TRIES {
            match self.send_once(method.clone(), path, body.clone()).await {
                Err(ClientError::Refused(problem)) if problem.code == EARLY => tokio::time::sleep(EARLY_PAUSE).await,
                answered => return answered,
            }
        }
        self.send_once(method, path, body).await
    }

    async fn send_once(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>, ClientError> {
        let whole = Full::new(body.clone()).map_err(|never| match never {});
        self.send_body(method, path, &body, whole.boxed_unsync()).await
    }

    /// `signed`: the bytes that a token signs.
    async fn send_body(
        &self,
        method: Method,
        path: &str,
        signed: &Bytes,
        body: UnsyncBoxBody<Bytes, io::Error>,
    ) -> Result<Response<Incoming>, ClientError> {
        let stream = self.stream().await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(ClientError::Broken)?;
        let mut request = Request::builder().method(&method).uri(path);
        request = match &self.0 {
            Way::Local { address, token } => request
                .header(header::HOST, address.to_string())
                .header(header::AUTHORIZATION, format!("Bearer {token}")),
            Way::Token { address, signer } => {
                let headers = signer.sign(method.as_str(), path, signed).into_iter();
                let named = request.header(header::HOST, address.to_string());
                headers.fold(named, |request, (name, value)| request.header(name, value))
            }
            Way::Peer(_) => request.header(header::HOST, PEER_HOST),
        };
        let request = request
            .header(header::CONTENT_TYPE, "application/json")
            .body(body)
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

    async fn stream(&self) -> Result<Box<dyn ByteStream>, ClientError> {
        match &self.0 {
            Way::Local { address, .. } | Way::Token { address, .. } => {
                let unreachable = |source: io::Error| ClientError::Unreachable { address: *address, source };
                Ok(Box::new(TcpStream::connect(address).await.map_err(unreachable)?))
            }
            Way::Peer(dial) => dial.dial().await.map_err(ClientError::Dial),
        }
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
