//! The authority that a request names, read in one strict way by every listener.
//!
//! Whoever stands in front of the node or behind it must see the same name in a request as the node does: what is not a
//! plain `HOST` or `HOST:PORT`, said once and the same everywhere, is no request of ours.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use http::{HeaderMap, Method, Request, Uri, header};

/// Longest name of a host, in bytes.
const HOST_BYTES_MAX: usize = 253;
/// The port that goes without saying.
const PORT_DEFAULT: u16 = 80;

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Authority<'a> {
    /// In lower case; an IPv6 address in its shortest form and without its brackets.
    pub(crate) host: Cow<'a, str>,
    pub(crate) port: u16,
}

impl<'a> Authority<'a> {
    /// Reads `HOST`, `HOST:PORT`, `[IPV6]` or `[IPV6]:PORT`. Nothing else is one.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, after) = rest.split_once(']')?;
                let address: Ipv6Addr = address.parse().ok()?;
                let port = if after.is_empty() { None } else { Some(after.strip_prefix(':')?) };
                (Cow::Owned(address.to_string()), port)
            }
            None => {
                let (host, port) = match text.split_once(':') {
                    Some((host, port)) => (host, Some(port)),
                    None => (text, None),
                };
                (name(host)?, port)
            }
        };
        Some(Self { host, port: port.map_or(Some(PORT_DEFAULT), number)? })
    }

    /// What a request asks: its one Host, which its target agrees with if that names one too.
    pub(crate) fn of<B>(request: &'a Request<B>) -> Option<Self> {
        let authority = Self::of_host(request.headers())?;
        is_well_aimed(request.method(), request.uri(), &authority).then_some(authority)
    }

    fn of_host(headers: &'a HeaderMap) -> Option<Self> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = hosts.next()?.to_str().ok()?;
        if hosts.next().is_some() { None } else { Self::parse(host) }
    }

    /// Whether it can only mean this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        matches!(&*self.host, "localhost" | "127.0.0.1" | "::1")
    }
}

/// A target of a form that its method has (RFC 9112, section 3.2).
fn is_well_aimed(method: &Method, uri: &Uri, asked: &Authority<'_>) -> bool {
    let named = uri.authority().map(|authority| Authority::parse(authority.as_str()));
    match (uri.scheme_str(), named) {
        (None, None) => uri.path().starts_with('/') || (uri.path() == "*" && method == Method::OPTIONS),
        (Some("http"), Some(Some(named))) => named == *asked,
        (None, Some(Some(named))) => method == Method::CONNECT && named == *asked,
        _ => false,
    }
}

/// Labels of letters, digits, `-` and `_`, none of them empty.
fn name(text: &str) -> Option<Cow<'_, str>> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let right =
        text.len() <= HOST_BYTES_MAX && text.split('.').all(|label| !label.is_empty() && label.bytes().all(is_plain));
    if !right {
        return None;
    }
    // Most are in lower case already.
    let upper = text.bytes().any(|byte| byte.is_ascii_uppercase());
    Some(if upper { Cow::Owned(text.to_ascii_lowercase()) } else { Cow::Borrowed(text) })
}

fn number(text: &str) -> Option<u16> {
    let plain = (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn parsed(text: &str) -> Option<(String, u16)> {
        Authority::parse(text).map(|found| (found.host.into_owned(), found.port))
    }

    #[test]
    fn a_name_or_an_address_with_or_without_a_port_is_one() {
        for (text, host, port) in [
            ("a.b-c.localhost", "a.b-c.localhost", 80),
            ("LOCALHOST:7474", "localhost", 7474),
            ("127.0.0.1:1", "127.0.0.1", 1),
            ("[::1]", "::1", 80),
            ("[0:0::1]:65535", "::1", 65_535),
            ("a--39a50b7e.localhost:00080", "a--39a50b7e.localhost", 80),
        ] {
            assert_eq!(parsed(text), Some((host.to_owned(), port)), "{text}");
        }
    }

    #[test]
    fn anything_looser_is_none() {
        let long = "a".repeat(254);
        for text in [
            "",
            ":80",
            "a:",
            "a:abc",
            "a:99999999",
            "a:65536",
            "a:+1",
            "a: 80",
            "a:80:80",
            "a:80@evil",
            "a:]",
            "a ",
            "a\t",
            "a.",
            ".a",
            "a..b",
            "a,evil",
            "a%00",
            "a/",
            "user@a",
            "user:pw@a",
            "[a]",
            "[a]:80",
            "[a]junk",
            "[::1",
            "[::1]80",
            "[::1]:",
            "[::1]junk",
            "::1",
            "[fe80::1%25eth0]",
            "[127.0.0.1]",
            "ä",
            &long,
        ] {
            assert_eq!(parsed(text), None, "{text:?}");
        }
    }

    fn asked(method: &str, target: &str, hosts: &[&str]) -> Option<String> {
        let mut request = Request::builder().method(method).uri(target).body(()).expect("a request");
        for host in hosts {
            request.headers_mut().append(header::HOST, HeaderValue::from_str(host).expect("a value"));
        }
        Authority::of(&request).map(|found| found.host.into_owned())
    }

    #[test]
    fn a_target_that_names_another_host_or_has_another_form_is_refused() {
        for (method, target, host) in [
            ("GET", "/", "a"),
            ("GET", "/x?y", "A:80"),
            ("GET", "http://a/", "a"),
            ("GET", "http://A:80/x", "a"),
            ("OPTIONS", "*", "a"),
            ("CONNECT", "a:80", "a:80"),
        ] {
            assert_eq!(asked(method, target, &[host]), Some("a".to_owned()), "{method} {target} {host}");
        }
        for (method, target, host) in [
            ("GET", "http://evil/", "a"),
            ("GET", "http://a:81/", "a"),
            ("GET", "https://a/", "a"),
            ("GET", "ftp://a/", "a"),
            ("GET", "http://u@a/", "a"),
            ("GET", "a", "a"),
            ("GET", "*", "a"),
            ("CONNECT", "evil:80", "a:80"),
        ] {
            assert_eq!(asked(method, target, &[host]), None, "{method} {target} {host}");
        }
        assert_eq!(asked("GET", "/", &[]), None);
        assert_eq!(asked("GET", "/", &["a", "a"]), None);
    }
}
