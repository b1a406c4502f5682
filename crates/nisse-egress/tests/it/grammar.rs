//! The grammar against three other parsers: whatever one of them reads as another destination is refused.
//!
//! `url` (WHATWG), `http::Uri` (RFC 3986) and the standard library's addresses stand for what servers, libraries and
//! resolvers make of a text. `NISSE_FUZZ_CASES` raises the number of cases.

use std::net::{IpAddr, SocketAddr};

use nisse_egress::EgressTarget;
use nisse_model::LocalHost;
use proptest::prelude::*;

/// What one parser makes of it: host without brackets, port.
type Reading = Option<(String, u16)>;

fn by_url(scheme: &str, authority: &str, path: &str) -> Reading {
    let url = url::Url::parse(&format!("{scheme}://{authority}{path}")).ok()?;
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']').to_owned();
    plain.then_some((host, url.port_or_known_default()?))
}

fn by_uri(scheme: &str, authority: &str, path: &str) -> Reading {
    let uri: http::Uri = format!("{scheme}://{authority}{path}").parse().ok()?;
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let port = if scheme == "https" { 443 } else { 80 };
    (!uri.authority()?.as_str().contains('@')).then_some((host, uri.port_u16().unwrap_or(port)))
}

/// What the standard library takes for an address.
fn by_address(authority: &str) -> Option<IpAddr> {
    let bare = authority.trim_start_matches('[').trim_end_matches(']');
    let socket = authority.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    socket.or_else(|| bare.parse().ok())
}

fn check(scheme: &str, authority: &str, path: &str) {
    let Ok(target) = EgressTarget::parse(scheme, authority, path) else { return };
    let text = format!("{scheme}://{authority}{path}");
    let host = target.host().to_string();
    let ours = Some((host.trim_start_matches('[').trim_end_matches(']').to_owned(), target.port()));
    // IPv6 has many spellings: compared as an address.
    let same = |theirs: &Reading| match (target.host(), theirs) {
        (LocalHost::Ip(ip), Some((host, port))) => host.parse::<IpAddr>().ok() == Some(*ip) && *port == target.port(),
        _ => *theirs == ours,
    };
    let (url, uri) = (by_url(scheme, authority, path), by_uri(scheme, authority, path));
    assert!(same(&url), "{text:?}: url reads {url:?}, we read {ours:?}");
    assert!(same(&uri), "{text:?}: http::Uri reads {uri:?}, we read {ours:?}");
    match (by_address(authority), target.host()) {
        (Some(address), LocalHost::Ip(ip)) => assert_eq!(address, *ip, "{text:?}"),
        (Some(address), LocalHost::Name(_)) => panic!("{text:?}: the standard library reads the address {address}"),
        (None, _) => {}
    }
    let line = target.path_and_query().as_str();
    assert!(line.starts_with('/') && line.is_ascii() && !line.contains(['#', ' ', '\\', '\r', '\n', '\0']), "{text:?}");
}

fn cases() -> u32 {
    std::env::var("NISSE_FUZZ_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(4096)
}

/// Pieces that parsers are known to disagree about.
fn piece() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "api",
        "example",
        "com",
        "evil",
        "localhost",
        "127.0.0.1",
        "0x7f",
        "0177",
        "2130706433",
        "1",
        "0",
        "255",
        "::1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "fe80::1%25eth0",
        "xn--",
        "xn--pi-6kc",
        "XN--PI-6KC",
        "xn--a",
        "xn--80ak6aa92e",
        "①",
        "。",
        "．",
        "ａ",
        "а",
        "ß",
        "\u{200d}",
        "\u{ad}",
        "%2e",
        "%00",
        "%41",
        "@",
        ":",
        ":80",
        ":443",
        ":0",
        ":65536",
        "/",
        "//",
        "\\",
        "?",
        "#",
        ";",
        ",",
        "*",
        "_",
        "-",
        "--",
        ".",
        "..",
        "\t",
        "\n",
        "\r",
        " ",
        "\0",
        "[",
        "]",
        "~",
        "!",
        "$",
        "&",
        "'",
        "(",
        ")",
        "+",
        "=",
    ]);
    prop_oneof![
        8 => known.prop_map(str::to_owned),
        2 => "[a-zA-Z0-9.-]{1,12}",
        1 => any::<char>().prop_map(|c| c.to_string()),
    ]
}

fn text(pieces: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), pieces).prop_map(|pieces| pieces.concat())
}

fn path() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), Just("/".to_owned()), text(0..6), text(0..6).prop_map(|text| format!("/{text}"))]
}

/// Nearly right: a good name with one thing changed, where a wrong acceptance is likeliest.
fn near_name() -> impl Strategy<Value = String> {
    let good = prop::sample::select(vec![
        "api.example.com",
        "a-b.example.org:8443",
        "192.168.1.20:80",
        "[fd00::1]:8080",
        "x.y.example",
    ]);
    (good, piece(), any::<prop::sample::Index>()).prop_map(|(good, piece, at)| {
        let at = at.index(good.len() + 1);
        format!("{}{piece}{}", &good[..at], &good[at..])
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn four_parsers_agree_on_everything_that_is_accepted(
        https in any::<bool>(), authority in prop_oneof![text(1..6), near_name()], path in path(),
    ) {
        check(if https { "https" } else { "http" }, &authority, &path);
    }

    #[test]
    fn a_rule_reads_as_what_it_prints(text in prop_oneof![text(1..6), near_name()]) {
        for text in [text.clone(), format!("http://{text}"), format!("*.{text}")] {
            if let Ok(rule) = text.parse::<nisse_model::NetworkRule>() {
                prop_assert_eq!(rule.to_string().parse::<nisse_model::NetworkRule>(), Ok(rule));
            }
        }
    }
}

#[test]
fn the_known_disagreements_are_refused() {
    for authority in [
        "127.1",
        "0x7f.1",
        "2130706433",
        "①②⑦.0.0.1",
        "127。0。0。1",
        "api.example.com.",
        "a@b",
        "а.example.com",
        "1.2.3.08",
        "[::1%25lo]",
        "[::ffff:7f00:1]",
        "a..b",
        "xn--",
        "xn--a.example.com",
        "%61.example.com",
        "a_b.example.com",
    ] {
        assert!(EgressTarget::parse("http", authority, "/").is_err(), "{authority}");
    }
}
