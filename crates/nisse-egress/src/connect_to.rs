//! The operator's exception: a public name and port that is dialled at an address of the operator's choice.
//!
//! As curl's `--connect-to HOST:PORT:ADDR:PORT`. The agent still needs its permission for the name, the certificate
//! must still be for the name; a certificate authority given with it is believed for that host and port only.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use nisse_model::{HostName, HostNameError, parse_port};

use crate::tls::CaFile;

/// Where TLS is at home: an exception for this port is for `https` alone.
const HTTPS_PORT: u16 = 443;

/// One exception.
#[derive(Debug, Clone)]
pub struct ConnectTo {
    /// The name that agents use.
    pub host: HostName,
    /// The port that agents use.
    pub port: u16,
    /// What is dialled instead.
    pub to: SocketAddr,
    /// Believed in place of the public authorities, for this host and port only.
    pub ca: Option<CaFile>,
}

impl ConnectTo {
    /// Whether only `https` is led there: an authority was given for it, or its port says so. A request in the clear
    /// would pass by the certificate that the operator counts on.
    pub fn is_tls_only(&self) -> bool {
        self.ca.is_some() || self.port == HTTPS_PORT
    }

    /// The same exception, with this authority in place of the public ones.
    pub fn with_ca(self, ca: CaFile) -> Self {
        Self { ca: Some(ca), ..self }
    }
}

impl fmt::Display for ConnectTo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}", self.host, self.port, self.to)
    }
}

impl FromStr for ConnectTo {
    type Err = ConnectToError;

    fn from_str(text: &str) -> Result<Self, ConnectToError> {
        let shape = || ConnectToError::Shape(text.chars().take(120).collect());
        let mut parts = text.splitn(3, ':');
        let (Some(host), Some(port), Some(to)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(shape());
        };
        let (address, to_port) = to.rsplit_once(':').ok_or_else(shape)?;
        let ip: IpAddr = match address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inside) => IpAddr::V6(inside.parse().map_err(|_| shape())?),
            None => IpAddr::V4(address.parse().map_err(|_| shape())?),
        };
        Ok(Self {
            host: host.parse().map_err(ConnectToError::Host)?,
            port: parse_port(port).ok_or_else(shape)?,
            to: SocketAddr::new(ip, parse_port(to_port).ok_or_else(shape)?),
            ca: None,
        })
    }
}

/// Why a text is not such an exception. Each text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectToError {
    /// Not four parts.
    #[error("read `{0}`: expected HOST:PORT:ADDR:PORT, such as api.example.org:443:127.0.0.1:8443")]
    Shape(String),
    /// The host is refused.
    #[error(transparent)]
    Host(HostNameError),
}
