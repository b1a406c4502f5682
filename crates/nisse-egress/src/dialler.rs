//! The one place that opens a connection: to exactly the address given, saying where it ended.

use std::io;
use std::net::SocketAddr;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A byte stream to another machine, with or without TLS.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for T {}

/// An open connection.
pub struct Connection {
    /// Its two directions.
    pub stream: Box<dyn Stream>,
    /// Where it really ended; compared with what was asked for.
    pub peer: SocketAddr,
}

/// Connects to addresses, never to names.
#[async_trait]
pub trait Dialler: Send + Sync + 'static {
    /// Opens a connection to exactly `address`.
    async fn connect(&self, address: SocketAddr) -> io::Result<Connection>;
}

/// TCP of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct TcpDialler;

#[async_trait]
impl Dialler for TcpDialler {
    async fn connect(&self, address: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let peer = stream.peer_addr()?;
        Ok(Connection { stream: Box::new(stream), peer })
    }
}
