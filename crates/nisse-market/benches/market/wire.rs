//! JSON-RPC over HTTP on loopback: the chain in a thread of its own, and one connection to it that is kept.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use nisse_market::embedded::EmbeddedChain;
use nisse_market::{RpcPost, RpcPostError};

/// The connection.
pub(crate) struct Wire(Mutex<BufReader<TcpStream>>);

impl Wire {
    /// Serves the chain until the process ends.
    pub(crate) fn to(chain: EmbeddedChain) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        stream.set_nodelay(true).unwrap();
        std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            stream.set_nodelay(true).unwrap();
            let mut stream = BufReader::new(stream);
            while let Some(asked) = body(&mut stream) {
                send(&mut stream, "HTTP/1.1 200 OK", &chain.handle_json(&asked));
            }
        });
        Self(Mutex::new(BufReader::new(stream)))
    }

    /// One call and its answer. Blocks.
    pub(crate) fn ask(&self, asked: &[u8]) -> Option<Vec<u8>> {
        let mut stream = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        send(&mut stream, "POST / HTTP/1.1\r\nhost: localhost", asked);
        body(&mut stream)
    }
}

#[async_trait]
impl RpcPost for Wire {
    async fn post(&self, _: &str, asked: Vec<u8>) -> Result<Vec<u8>, RpcPostError> {
        tokio::task::block_in_place(|| self.ask(&asked)).ok_or_else(|| RpcPostError("it hung up".to_owned()))
    }
}

fn send(stream: &mut BufReader<TcpStream>, head: &str, body: &[u8]) {
    let head = format!("{head}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.get_mut().write_all(&[head.as_bytes(), body].concat()).unwrap();
}

/// The body of the next message; `None` when the other side has hung up.
fn body(stream: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).unwrap() == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    Some(body)
}
