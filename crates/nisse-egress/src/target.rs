//! Where a guest's request goes: scheme, authority and path, read once into typed values.
//!
//! A guest gives three texts. They are read here and nowhere else; whatever two parsers could read differently (user
//! names, fragments, backslashes, percent signs or letters outside ASCII in the authority, absolute paths, odd ports)
//! is refused. From here on only the values travel.

use std::fmt;

use http::uri::PathAndQuery;
use nisse_model::{HostName, HostNameError, LocalHost, NetworkScheme, parse_port};

/// Longest authority looked at, in bytes: 253 of host, brackets, colon and port.
const AUTHORITY_LENGTH_MAX: usize = 261;
/// Longest path with query, in bytes.
pub const PATH_LENGTH_MAX: usize = 8 * 1024;

/// A request's destination, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressTarget {
    scheme: NetworkScheme,
    host: LocalHost,
    port: u16,
    path_and_query: PathAndQuery,
}

impl EgressTarget {
    /// Reads what a guest gave. `path_and_query` may be empty, which is `/`.
    pub fn parse(scheme: &str, authority: &str, path_and_query: &str) -> Result<Self, TargetError> {
        let scheme = match scheme {
            "https" => NetworkScheme::Https,
            "http" => NetworkScheme::Http,
            other => return Err(TargetError::Scheme(shortened(other))),
        };
        let (host, port) = split_authority(authority)?;
        let host: LocalHost = host.parse().map_err(TargetError::Host)?;
        Ok(Self {
            scheme,
            host,
            port: port.unwrap_or(scheme.default_port()),
            path_and_query: parse_path(path_and_query)?,
        })
    }

    /// Reads a whole URL that an operator configured: the same parts, found by the first `://` and the first `/` or
    /// `?` after it.
    pub fn parse_url(url: &str) -> Result<Self, TargetError> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| TargetError::Scheme(shortened(url)))?;
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let with_root = format!("/{path}");
        Self::parse(scheme, authority, if path.starts_with('?') { &with_root } else { path })
    }

    /// With or without TLS.
    pub fn scheme(&self) -> NetworkScheme {
        self.scheme
    }

    /// The host, normalised. An address only when it was written as one in its canonical form.
    pub fn host(&self) -> &LocalHost {
        &self.host
    }

    /// The host as a public name, if it can be one.
    pub fn host_name(&self) -> Option<HostName> {
        match &self.host {
            LocalHost::Name(name) => name.as_str().parse().ok(),
            LocalHost::Ip(_) => None,
        }
    }

    /// The port, written or by scheme.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What stands in the request line.
    pub fn path_and_query(&self) -> &PathAndQuery {
        &self.path_and_query
    }

    /// The `Host` header: the port only where it is not the scheme's own.
    pub fn host_header(&self) -> String {
        if self.port == self.scheme.default_port() {
            return self.host.to_string();
        }
        format!("{}:{}", self.host, self.port)
    }
}

impl fmt::Display for EgressTarget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", self.scheme, self.host_header())
    }
}

fn split_authority(authority: &str) -> Result<(&str, Option<u16>), TargetError> {
    if authority.is_empty() {
        return Err(TargetError::NoAuthority);
    }
    if authority.len() > AUTHORITY_LENGTH_MAX {
        return Err(TargetError::TooLong { what: "authority", length: authority.len(), max: AUTHORITY_LENGTH_MAX });
    }
    if authority.contains('@') {
        return Err(TargetError::UserInfo);
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    if let Some(found) = authority.chars().find(|c| !allowed(*c)) {
        return Err(TargetError::AuthorityCharacter { found });
    }
    let after_brackets = match authority.strip_prefix('[') {
        None => 0,
        Some(rest) => rest.find(']').map(|end| end + 2).ok_or(TargetError::AuthorityCharacter { found: '[' })?,
    };
    match authority[after_brackets..].split_once(':') {
        None => Ok((authority, None)),
        Some((rest, port)) => {
            let host = &authority[..after_brackets + rest.len()];
            parse_port(port).map(|port| (host, Some(port))).ok_or_else(|| TargetError::Port(shortened(port)))
        }
    }
}

fn parse_path(text: &str) -> Result<PathAndQuery, TargetError> {
    if text.is_empty() {
        return Ok(PathAndQuery::from_static("/"));
    }
    if text.len() > PATH_LENGTH_MAX {
        return Err(TargetError::TooLong { what: "path", length: text.len(), max: PATH_LENGTH_MAX });
    }
    // Origin-form only (RFC 9112 §3.2.1): anything else could name another host to the server.
    if !text.starts_with('/') {
        return Err(TargetError::PathForm(shortened(text)));
    }
    let doubtful = |c: &char| !c.is_ascii_graphic() || matches!(c, '#' | '\\' | '"' | '<' | '>' | '`');
    if let Some(found) = text.chars().find(doubtful) {
        return Err(TargetError::PathCharacter { found });
    }
    text.parse().map_err(|_| TargetError::PathForm(shortened(text)))
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Why a destination cannot be read. Each text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Neither `https` nor `http`.
    #[error("use the scheme `{0}`: only `https` and `http` are spoken")]
    Scheme(String),
    /// No host given; the inbound request's is never used in its place.
    #[error("find a host in the request: its authority is empty")]
    NoAuthority,
    /// `user@host`.
    #[error("use an authority with `@`: user names do not belong into a request's host")]
    UserInfo,
    /// Something else than letters, digits, dot, hyphen, colon and brackets.
    #[error("use {found:?} in an authority: only letters, digits, `.`, `-` and a port are allowed")]
    AuthorityCharacter {
        /// The first one met.
        found: char,
    },
    /// Not a port.
    #[error("read `{0}` as a port: a number from 1 to 65535 is expected")]
    Port(String),
    /// The host is refused.
    #[error(transparent)]
    Host(HostNameError),
    /// A path that does not begin with `/`.
    #[error("use the path `{0}`: it must begin with `/`")]
    PathForm(String),
    /// A character that no path or query may hold unescaped.
    #[error("use {found:?} in a path: it must be percent-encoded")]
    PathCharacter {
        /// The first one met.
        found: char,
    },
    /// Longer than the limit.
    #[error("use {what} of {length} bytes: at most {max} are allowed")]
    TooLong {
        /// Which part.
        what: &'static str,
        /// Bytes found.
        length: usize,
        /// Bytes allowed.
        max: usize,
    },
}
