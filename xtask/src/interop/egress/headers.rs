//! Headers, methods and framings: at most one request arrives, in the node's own words.

use anyhow::ensure;
use serde_json::{Value, json};

use super::case::Run;
use super::evidence::Evidence;
use super::names::HOST;

fn fields(pairs: &[(&str, &str)]) -> Value {
    pairs.iter().map(|(name, value)| json!([name, value])).collect()
}

/// What an agent writes into headers and methods, as it arrives.
pub(super) fn forgeries() -> Vec<(&'static str, &'static str, Value)> {
    let body = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: evil.example.net\r\n\r\n";
    let post = |pairs: &[(&str, &str)]| json!({ "method": "POST", "body": body, "headers": fields(pairs) });
    let get = |pairs: &[(&str, &str)]| json!({ "headers": fields(pairs) });
    vec![
        ("E17", "a Host of the agent's own", get(&[("host", "evil.example.net")])),
        ("E17", "two Hosts", get(&[("Host", "evil.example.net"), ("HOST", "127.0.0.1")])),
        ("E17", "X-Forwarded-Host is only a header", get(&[("x-forwarded-host", "evil.example.net")])),
        ("E21", "a line break in a value", get(&[("x-a", "1\r\nhost: evil.example.net")])),
        ("E21", "a bare line feed and a folded line", get(&[("x-a", "1\n x-b: 2"), ("x-c", "1\r\n folded")])),
        ("E21", "NUL, an empty name, a name with a colon", get(&[("x-a", "1\0"), ("", "1"), ("x-b:", "1")])),
        ("E21", "a pseudo-header", get(&[(":authority", "evil.example.net")])),
        ("E22", "two framings", post(&[("content-length", "100"), ("transfer-encoding", "chunked")])),
        ("E22", "two lengths", post(&[("content-length", "1"), ("content-length", "2")])),
        ("E22", "a length that is too short", post(&[("content-length", "3")])),
        ("E22", "a strange coding and trailers", post(&[("transfer-encoding", "xchunked"), ("trailer", "host")])),
        (
            "E22",
            "Connection that names Content-Length",
            post(&[("connection", "x-hop, content-length"), ("x-hop", "1")]),
        ),
        (
            "E23",
            "Upgrade to a WebSocket and to h2c",
            get(&[
                ("connection", "upgrade, http2-settings"),
                ("upgrade", "websocket, h2c"),
                ("http2-settings", "AAMA"),
            ]),
        ),
        ("E23", "Proxy-* and Expect", get(&[("proxy-authorization", "Basic eDp5"), ("expect", "100-continue")])),
    ]
}

/// Dropped or refused; never carried.
const NEVER_SENT: &[&str] = &[
    ":authority",
    "connection",
    "expect",
    "http2-settings",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-hop",
];

pub(super) fn rewriting(run: &mut Run<'_>) -> anyhow::Result<()> {
    for (number, what, mut request) in forgeries() {
        for (scheme, host) in [("http", HOST), ("https", "tls.example.org")] {
            request["scheme"] = scheme.into();
            request["authority"] = host.into();
            request["path"] = "/".into();
            run.case(
                number,
                &format!("{scheme}, {what}: at most one request, in the node's own words"),
                |node| node.probe("probe", &request).map(drop),
                |evidence| in_our_words(evidence, host),
            )?;
        }
    }
    for method in ["CONNECT", "TRACE", "connect", "PRI", "GET /x", "G\r\nET", ""] {
        run.case(
            "E23",
            &format!("the method {method:?}"),
            |node| {
                let request = json!({ "method": method, "scheme": "http", "authority": HOST, "path": "/" });
                node.probe("probe", &request).map(drop)
            },
            |evidence| evidence.nothing_dialled(),
        )?;
    }
    for (number, path, what) in [
        ("E23", "/switch", "101 comes back"),
        ("E22", "/both", "an answer with two framings"),
        ("E22", "/lengths", "an answer with two lengths"),
        ("E22", "/trailers", "an answer with trailers"),
    ] {
        run.case(
            number,
            &format!("{what}, and the next request goes over another connection or the same, whole: two requests"),
            |node| {
                node.get("second", "http", HOST, path)?;
                node.get("second", "http", HOST, "/after").map(drop)
            },
            |evidence| {
                evidence.requests_are(2)?;
                let after = evidence.requests()[1];
                ensure!(after.text("line") == "GET /after HTTP/1.1", "{:?}", after.text("line"));
                ensure!(path == "/trailers" || after.number("index") == 0, "the connection was used again");
                Ok(())
            },
        )?;
    }
    Ok(())
}

/// Whatever arrived says who it is for, how long it is, and nothing that belongs to one hop.
pub(super) fn in_our_words(evidence: &Evidence, host: &str) -> anyhow::Result<()> {
    let requests = evidence.requests();
    ensure!(requests.len() <= 1, "{} requests arrived: {requests:?}", requests.len());
    for request in requests {
        ensure!(request.header("host") == [host], "Host was {:?}", request.header("host"));
        let carried: Vec<_> = NEVER_SENT.iter().filter(|name| !request.header(name).is_empty()).collect();
        ensure!(carried.is_empty(), "carried {carried:?}");
        let lengths = request.header("content-length");
        ensure!(lengths.len() <= 1, "lengths {lengths:?}");
        if request.text("line").starts_with("POST") {
            let body = request.number("body").to_string();
            ensure!(lengths == [body.as_str()] && body == "55", "lengths {lengths:?} for {body} bytes");
        }
    }
    Ok(())
}
