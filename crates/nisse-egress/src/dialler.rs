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

    fn ends_here(&self, address: IpAddr) -> bool {
        address.is_loopback() || is_own(address, source_towards(address))
    }
}

/// The kernel answers from its routes, without sending anything: the source that a connection to this address would
/// have. None where there is no way to it.
fn source_towards(address: IpAddr) -> io::Result<Option<IpAddr>> {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = match UdpSocket::bind((any, 0)) {
        Ok(socket) => socket,
        Err(error) if is_without_family(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    match socket.connect((address, DISCARD_PORT)) {
        Ok(()) => Ok(Some(socket.local_addr()?.ip())),
        Err(error) if is_without_route(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Only towards an own address is the source that same address. What nothing leads to is not here; where the kernel gave
/// no answer, such as for want of open files, the address counts as own, so that the check is never passed by.
fn is_own(address: IpAddr, source: io::Result<Option<IpAddr>>) -> bool {
    source.map_or(true, |source| source == Some(address))
}

/// Whether this machine has no such addresses at all: IPv6 is switched off.
fn is_without_family(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
}

/// Whether the kernel says that no connection can go there. It says so of a broadcast and of a forbidden route by
/// `PermissionDenied`.
fn is_without_route(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrNotAvailable, HostUnreachable, NetworkDown, NetworkUnreachable, PermissionDenied};
    matches!(error.kind(), AddrNotAvailable | HostUnreachable | NetworkDown | NetworkUnreachable | PermissionDenied)
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn an_address_is_own_until_the_kernel_says_otherwise() {
        let [here, there]: [IpAddr; 2] = [[192, 0, 2, 1].into(), [192, 0, 2, 2].into()];
        assert!(is_own(here, Ok(Some(here))));
        assert!(!is_own(there, Ok(Some(here))));
        assert!(!is_own(there, Ok(None)));
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
            assert!(is_own(there, Err(errno.into())), "{errno}");
        }
    }

    #[test]
    fn only_what_leads_nowhere_is_not_here_without_an_answer() {
        for errno in [Errno::NETUNREACH, Errno::HOSTUNREACH, Errno::NETDOWN, Errno::ACCESS, Errno::ADDRNOTAVAIL] {
            assert!(is_without_route(&errno.into()), "{errno}");
        }
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::AGAIN, Errno::INVAL] {
            assert!(!is_without_route(&errno.into()), "{errno}");
            assert!(!is_without_family(&errno.into()), "{errno}");
        }
        assert!(is_without_family(&Errno::AFNOSUPPORT.into()));
        assert!(!is_without_family(&Errno::ACCESS.into()));
    }
}
