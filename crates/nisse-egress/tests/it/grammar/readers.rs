//! What other parsers make of a destination that is accepted here. The fuzz target `destination` uses this file too.

use std::net::{IpAddr, SocketAddr};

use nisse_egress::EgressTarget;
use nisse_model::LocalHost;

/// What one parser makes of it: host without brackets, port. `None` where it reads a user name, a fragment, or nothing.
pub(crate) type Reading = Option<(String, u16)>;

/// WHATWG's URL, which browsers and Node follow.
fn by_url(scheme: &str, authority: &str, path: &str) -> Reading {
    let url = url::Url::parse(&format!("{scheme}://{authority}{path}")).ok()?;
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    let host = bare(url.host_str()?).to_owned();
    plain.then_some((host, url.port_or_known_default()?))
}

/// What hyper and most of Rust's web take for a URI.
fn by_http(scheme: &str, authority: &str, path: &str) -> Reading {
    let uri: http::Uri = format!("{scheme}://{authority}{path}").parse().ok()?;
    let host = bare(uri.host()?).to_ascii_lowercase();
    let default = default_port(scheme);
    (!uri.authority()?.as_str().contains('@')).then_some((host, uri.port_u16().unwrap_or(default)))
}

/// RFC 3986 by the letter. It allows fewer characters in a path than servers do: then the path is left out.
fn by_rfc_3986(scheme: &str, authority: &str, path: &str) -> Reading {
    let (whole, short) = (format!("{scheme}://{authority}{path}"), format!("{scheme}://{authority}"));
    let uri = fluent_uri::Uri::parse(whole.as_str()).or_else(|_| fluent_uri::Uri::parse(short.as_str())).ok()?;
    let read = uri.authority()?;
    let plain = read.userinfo().is_none() && uri.fragment().is_none();
    let port = match read.port() {
        None => default_port(scheme),
        Some(port) => port.as_str().parse().ok()?,
    };
    plain.then_some((bare(read.host()).to_ascii_lowercase(), port))
}

/// What the standard library takes for an address.
fn by_address(authority: &str) -> Option<IpAddr> {
    let socket = authority.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    socket.or_else(|| bare(authority).parse().ok())
}

fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

fn default_port(scheme: &str) -> u16 {
    if scheme == "https" { 443 } else { 80 }
}

/// Whether another parser reads the same destination. IPv6 has many spellings, so addresses are compared as such.
pub(crate) fn same(target: &EgressTarget, theirs: &Reading) -> bool {
    let Some((host, port)) = theirs else { return false };
    let host = match target.host() {
        LocalHost::Ip(ip) => host.parse::<IpAddr>().ok() == Some(*ip),
        LocalHost::Name(name) => host == name.as_str(),
    };
    host && *port == target.port()
}

/// Whatever is accepted is the same destination to each of them, and its path could not name another one.
pub(crate) fn check(scheme: &str, authority: &str, path: &str) {
    let Ok(target) = EgressTarget::parse(scheme, authority, path) else { return };
    let text = format!("{scheme}://{authority}{path}");
    let readings = [
        ("url", by_url(scheme, authority, path)),
        ("http", by_http(scheme, authority, path)),
        ("fluent-uri", by_rfc_3986(scheme, authority, path)),
    ];
    for (reader, theirs) in readings {
        assert!(same(&target, &theirs), "{text:?}: {reader} reads {theirs:?}, we read {target}");
    }
    match (by_address(authority), target.host()) {
        (Some(address), LocalHost::Ip(ip)) => assert_eq!(address, *ip, "{text:?}"),
        (Some(address), LocalHost::Name(_)) => panic!("{text:?}: the standard library reads the address {address}"),
        (None, _) => {}
    }
    let line = target.path_and_query().as_str();
    assert!(line.starts_with('/') && line.is_ascii() && !line.contains(['#', ' ', '\\', '\r', '\n', '\0']), "{text:?}");
}
