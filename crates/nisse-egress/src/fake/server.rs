//! A server that answers raw bytes and keeps what it was sent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::network::FakeNetwork;
use crate::dialler::Stream;
use crate::tls_server::ServerIdentity;

/// Largest request that a fake server keeps.
const REQUEST_BYTES_MAX: usize = 64 << 20;

/// One request as it came over the wire.
#[derive(Debug, Clone)]
pub struct Received {
    /// Where it came in.
    pub address: SocketAddr,
    /// The name in the TLS client's hello.
    pub server_name: Option<String>,
    /// Request line and headers, up to the empty line.
    pub head: String,
    /// The body, as framed.
    pub body: Vec<u8>,
    /// Which request of its connection this was, from 0.
    pub index: usize,
}

impl Received {
    /// All values of a header.
    pub fn header(&self, name: &str) -> Vec<String> {
        let pairs = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        pairs.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned()).collect()
    }
}

/// A part of an answer.
#[derive(Debug, Clone)]
pub enum Piece {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Nothing for a while.
    Wait(Duration),
    /// These bytes, again and again, with this wait before each.
    Endless(Vec<u8>, Duration),
    /// The end of the connection.
    Close,
}

type Answer = Arc<dyn Fn(&Received) -> Vec<Piece> + Send + Sync>;

/// What listens at a fake address.
#[derive(Clone)]
pub struct FakeServer {
    identity: Option<ServerIdentity>,
    greeting: Vec<u8>,
    answer: Answer,
}

impl FakeServer {
    /// Answers each request with the pieces that `answer` gives.
    pub fn new(answer: impl Fn(&Received) -> Vec<Piece> + Send + Sync + 'static) -> Self {
        Self { identity: None, greeting: Vec::new(), answer: Arc::new(answer) }
    }

    /// Sends these bytes as soon as someone connects, and nothing after them.
    pub fn greeting(bytes: Vec<u8>) -> Self {
        Self { greeting: bytes, ..Self::new(|_| vec![Piece::Close]) }
    }

    /// Answers each request with the same text and keeps the connection open.
    pub fn text(head: &str, body: &str) -> Self {
        let bytes = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes();
        Self::new(move |_| vec![Piece::Bytes(bytes.clone())])
    }

    /// `200 OK` with a body.
    pub fn ok(body: &str) -> Self {
        Self::text("HTTP/1.1 200 OK", body)
    }

    /// The same server behind TLS.
    pub fn with_tls(self, identity: &ServerIdentity) -> Self {
        Self { identity: Some(identity.clone()), ..self }
    }

    pub(super) async fn run(self, mut wire: DuplexStream, address: SocketAddr, network: FakeNetwork) {
        if !self.greeting.is_empty() {
            play(&mut wire, Piece::Bytes(self.greeting)).await;
            play(&mut wire, Piece::Close).await;
            return;
        }
        match &self.identity {
            None => self.serve(wire, address, None, &network).await,
            Some(identity) => {
                let Ok(stream) = identity.accept(wire).await else { return };
                let name = stream.get_ref().1.server_name().map(str::to_owned);
                self.serve(stream, address, name, &network).await;
            }
        }
    }

    async fn serve(&self, mut wire: impl Stream, address: SocketAddr, name: Option<String>, network: &FakeNetwork) {
        let mut index = 0;
        let mut buffer = Vec::new();
        while let Some((head, body)) = request(&mut wire, &mut buffer).await {
            let received = Received { address, server_name: name.clone(), head, body, index };
            let pieces = (self.answer)(&received);
            network.record(received);
            for piece in pieces {
                if !play(&mut wire, piece).await {
                    return;
                }
            }
            index += 1;
        }
    }
}

/// Sends one piece; false when the connection is over.
async fn play(wire: &mut impl Stream, piece: Piece) -> bool {
    match piece {
        Piece::Bytes(bytes) => wire.write_all(&bytes).await.is_ok() && wire.flush().await.is_ok(),
        Piece::Wait(time) => {
            tokio::time::sleep(time).await;
            true
        }
        Piece::Endless(bytes, wait) => loop {
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            if wire.write_all(&bytes).await.is_err() || wire.flush().await.is_err() {
                return false;
            }
        },
        Piece::Close => {
            // An error means that the other side went first.
            wire.shutdown().await.ok();
            false
        }
    }
}

/// Reads one request: the head, and the body as its length or its chunks say.
async fn request(wire: &mut impl Stream, buffer: &mut Vec<u8>) -> Option<(String, Vec<u8>)> {
    let end = loop {
        if let Some(end) = find(buffer, b"\r\n\r\n") {
            break end + 4;
        }
        fill(wire, buffer).await?;
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    let lower = head.to_ascii_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    let whole = if lower.contains("transfer-encoding: chunked") {
        loop {
            if let Some(last) = find(&buffer[end..], b"0\r\n\r\n") {
                break end + last + 5;
            }
            fill(wire, buffer).await?;
        }
    } else {
        end + length.unwrap_or(0)
    };
    while buffer.len() < whole {
        fill(wire, buffer).await?;
    }
    let rest = buffer.split_off(whole);
    let body = buffer.split_off(end);
    *buffer = rest;
    Some((head, body))
}

async fn fill(wire: &mut impl Stream, buffer: &mut Vec<u8>) -> Option<()> {
    if buffer.len() > REQUEST_BYTES_MAX {
        return None;
    }
    let mut piece = [0; 8192];
    match wire.read(&mut piece).await {
        Ok(count) if count > 0 => {
            buffer.extend_from_slice(&piece[..count]);
            Some(())
        }
        _ => None,
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
