//! The one place that opens a connection: to exactly the address given, saying where it ended.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// Any port does where nothing is sent; this one takes and drops (RFC 863).
const DISCARD_PORT: u16 = 9;

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

    /// Whether a connection to this address would end on this machine.
    fn ends_here(&self, address: IpAddr) -> bool;
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

    /// The kernel answers from its routes, without sending anything: only towards an own address is the source that
    /// same address. What it cannot route is not here.
    fn ends_here(&self, address: IpAddr) -> bool {
        let any: IpAddr = match address {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let source = UdpSocket::bind((any, 0)).and_then(|socket| {
            socket.connect((address, DISCARD_PORT))?;
            socket.local_addr()
        });
        address.is_loopback() || source.is_ok_and(|source| source.ip() == address)
    }
}
