//! Where a trustless gateway or a router stands: a scheme, a host and a port, as a URL and as a multiaddress.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use nisse_model::{HostNameError, LocalHost, NetworkScheme, parse_port};

/// Longest URL or multiaddress that is read, in bytes.
const LENGTH_MAX: usize = 320;

/// `http://HOST[:PORT]` or `https://HOST[:PORT]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GatewayUrl {
    scheme: NetworkScheme,
    host: LocalHost,
    port: u16,
}

impl GatewayUrl {
    /// With or without TLS.
    pub fn scheme(&self) -> NetworkScheme {
        self.scheme
    }

    /// `HOST`, or `HOST:PORT` where the port is not the scheme's own.
    pub fn authority(&self) -> String {
        match self.port == self.scheme.default_port() {
            true => self.host.to_string(),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    /// Its host.
    pub fn host(&self) -> &LocalHost {
        &self.host
    }

    /// The same place under another host name, as a page's address.
    pub fn page_of(&self, host: &str) -> String {
        match self.port == self.scheme.default_port() {
            true => format!("{}://{host}/", self.scheme),
            false => format!("{}://{host}:{}/", self.scheme, self.port),
        }
    }

    /// Reads a multiaddress that ends in HTTP; `None` for all others, which are not for this client.
    ///
    /// `/ip4|ip6|dns|dns4|dns6/HOST/tcp/PORT` and behind it `/http`, `/https`, `/tls/http` or `/tls/sni/HOST/http`; a
    /// `/p2p/…` at the end says who is meant and is not needed.
    pub fn from_multiaddr(text: &str) -> Option<Self> {
        if text.len() > LENGTH_MAX {
            return None;
        }
        let parts: Vec<&str> = text.strip_prefix('/')?.split('/').collect();
        let parts = match parts.as_slice() {
            [before @ .., "p2p", _] => before,
            all => all,
        };
        let [kind, host, "tcp", port, http @ ..] = parts else { return None };
        let scheme = match http {
            ["http"] => NetworkScheme::Http,
            ["https"] | ["tls", "http"] => NetworkScheme::Https,
            ["tls", "sni", name, "http"] if name == host => NetworkScheme::Https,
            _ => return None,
        };
        let is_ip = |wanted: fn(&IpAddr) -> bool| host.parse::<IpAddr>().is_ok_and(|ip| wanted(&ip));
        let host = match *kind {
            "ip4" if is_ip(IpAddr::is_ipv4) => host.parse().ok()?,
            "ip6" if is_ip(IpAddr::is_ipv6) => format!("[{host}]").parse().ok()?,
            "dns" | "dns4" | "dns6" => match host.parse().ok()? {
                LocalHost::Ip(_) => return None,
                name => name,
            },
            _ => return None,
        };
        Some(Self { scheme, host, port: parse_port(port)? })
    }

    /// As others read it in a provider's record.
    pub fn to_multiaddr(&self) -> String {
        let (kind, host) = match &self.host {
            LocalHost::Ip(IpAddr::V4(ip)) => ("ip4", ip.to_string()),
            LocalHost::Ip(IpAddr::V6(ip)) => ("ip6", ip.to_string()),
            LocalHost::Name(name) => ("dns", name.as_str().to_owned()),
        };
        format!("/{kind}/{host}/tcp/{}/{}", self.port, self.scheme)
    }
}

impl fmt::Display for GatewayUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", self.scheme, self.authority())
    }
}

/// Why a text is not such a URL. Each completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseGatewayUrlError {
    /// Neither `http://` nor `https://`.
    #[error("read `{0}` as a gateway: a URL such as https://ipfs.example.org is expected")]
    Scheme(String),
    /// Something behind host and port.
    #[error("read `{0}` as a gateway: nothing stands behind its host and port")]
    Path(String),
    /// Not a port.
    #[error("read `{0}` as a gateway: its port is no number from 1 to 65535")]
    Port(String),
    /// Not a host.
    #[error("read `{text}` as a gateway")]
    Host {
        /// What was given.
        text: String,
        /// What is wrong with its host.
        source: HostNameError,
    },
}

impl FromStr for GatewayUrl {
    type Err = ParseGatewayUrlError;

    fn from_str(text: &str) -> Result<Self, ParseGatewayUrlError> {
        let shown = || text.chars().take(LENGTH_MAX).collect::<String>();
        let (scheme, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (NetworkScheme::Https, rest),
            (None, Some(rest)) => (NetworkScheme::Http, rest),
            (None, None) => return Err(ParseGatewayUrlError::Scheme(shown())),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#', '@', '\\']) {
            return Err(ParseGatewayUrlError::Path(shown()));
        }
        let brackets = authority.find(']').map_or(0, |end| end + 1);
        let (host, port) = match authority[brackets..].split_once(':') {
            None => (authority, scheme.default_port()),
            Some((before, port)) => {
                let port = parse_port(port).ok_or_else(|| ParseGatewayUrlError::Port(shown()))?;
                (&authority[..brackets + before.len()], port)
            }
        };
        let host = host.parse().map_err(|source| ParseGatewayUrlError::Host { text: shown(), source })?;
        Ok(Self { scheme, host, port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_multiaddresses_name_the_same_place() {
        for (url, multiaddr) in [
            ("http://127.0.0.1:8080", "/ip4/127.0.0.1/tcp/8080/http"),
            ("http://[2606:4700::1]", "/ip6/2606:4700::1/tcp/80/http"),
            ("https://ipfs.example.org", "/dns/ipfs.example.org/tcp/443/https"),
            ("https://ipfs.example.org:8443", "/dns/ipfs.example.org/tcp/8443/https"),
        ] {
            let read: GatewayUrl = url.parse().expect("a URL");
            assert_eq!((read.to_string().as_str(), read.to_multiaddr().as_str()), (url, multiaddr));
            assert_eq!(GatewayUrl::from_multiaddr(multiaddr), Some(read));
        }
    }

    #[test]
    fn what_others_write_is_read() {
        for (multiaddr, url) in [
            ("/dns4/a.example/tcp/443/tls/http", "https://a.example"),
            ("/dns6/a.example/tcp/443/tls/sni/a.example/http", "https://a.example"),
            ("/dns/a.example/tcp/80/http/p2p/16Uiu2HAm", "http://a.example"),
        ] {
            assert_eq!(GatewayUrl::from_multiaddr(multiaddr).map(|url| url.to_string()).as_deref(), Some(url));
        }
        for multiaddr in [
            "",
            "dns/a.example/tcp/80/http",
            "/ip4/1.2.3.4/tcp/4001",
            "/ip4/1.2.3.4/udp/4001/quic-v1/webtransport",
            "/ip4/::1/tcp/80/http",
            "/ip6/1.2.3.4/tcp/80/http",
            "/dns/1.2.3.4/tcp/80/http",
            "/dns/a.example/tcp/0/http",
            "/dns/a.example/tcp/443/tls/sni/b.example/http",
            "/dns/a.example/tcp/443/tls/ws",
            "/dns/a.example/tcp/80/http/http-path/x",
            "/dns/a..example/tcp/80/http",
        ] {
            assert_eq!(GatewayUrl::from_multiaddr(multiaddr), None, "{multiaddr}");
        }
    }

    #[test]
    fn a_text_that_is_no_such_url_is_refused_in_words() {
        for (text, said) in [
            ("ipfs.example.org", "a URL such as"),
            ("ftp://ipfs.example.org", "a URL such as"),
            ("https://ipfs.example.org/ipfs", "nothing stands behind"),
            ("https://me@ipfs.example.org", "nothing stands behind"),
            ("http://ipfs.example.org:99999", "its port is no number"),
            ("http://", "as a gateway"),
        ] {
            let error = text.parse::<GatewayUrl>().expect_err(text);
            assert!(error.to_string().contains(said), "{text}: {error}");
        }
        assert_eq!("http://a.example/".parse::<GatewayUrl>().expect("a slash is fine").to_string(), "http://a.example");
    }
}
