//! A public host with TLS, on loopback: it keeps every head that it was sent, and `/echo` says it all again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use nisse_egress::ServerIdentity;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(super) const HOST: &str = "allowed.example.org";

pub(super) struct Upstream {
    address: SocketAddr,
    authority: String,
    heads: Receiver<String>,
}

impl Upstream {
    pub(super) fn new() -> Self {
        let identity = Arc::new(ServerIdentity::generate(HOST).unwrap());
        let authority = identity.authority_pem().to_owned();
        let (send, heads) = channel();
        let (bound, address) = channel();
        // It ends with the process: it owns nothing but its listener.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                bound.send(listener.local_addr().unwrap()).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(Arc::clone(&identity), stream, send.clone()));
                }
            });
        });
        Self { address: address.recv().unwrap(), authority, heads }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The authority's certificate.
    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// The heads of all requests since the last time.
    pub(super) fn heads(&self) -> Vec<String> {
        self.heads.try_iter().collect()
    }
}

async fn serve(identity: Arc<ServerIdentity>, stream: TcpStream, heads: Sender<String>) {
    let Ok(mut stream) = identity.accept(stream).await else { return };
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let _ = heads.send(head.clone());
        let body = if head.starts_with("GET /echo") { head } else { "ok".to_owned() };
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
