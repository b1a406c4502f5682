//! Texts that are nearly destinations, or nearly something else.

use proptest::prelude::*;

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

pub(super) fn text(pieces: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), pieces).prop_map(|pieces| pieces.concat())
}

pub(super) fn path() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), Just("/".to_owned()), text(0..6), text(0..6).prop_map(|text| format!("/{text}"))]
}

/// Nearly right: a good name with one thing changed, where a wrong acceptance is likeliest.
pub(super) fn near_name() -> impl Strategy<Value = String> {
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

/// Scheme, authority and path of one request.
pub(super) fn request() -> impl Strategy<Value = (&'static str, String, String)> {
    let scheme = prop::sample::select(vec!["http", "https"]);
    (scheme, prop_oneof![text(1..6), near_name(), valid()], path())
}

/// What is accepted for the most part: names, addresses and ports, put together.
fn valid() -> impl Strategy<Value = String> {
    let label = "[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?";
    let name = prop::collection::vec(label, 2..5).prop_map(|labels| labels.join("."));
    let v4 = any::<std::net::Ipv4Addr>().prop_map(|address| address.to_string());
    let v6 = any::<std::net::Ipv6Addr>().prop_map(|address| format!("[{address}]"));
    let host = prop_oneof![4 => name, 1 => v4, 1 => v6];
    (host, proptest::option::of(any::<u16>())).prop_map(|(host, port)| match port {
        Some(port) => format!("{host}:{port}"),
        None => host,
    })
}
