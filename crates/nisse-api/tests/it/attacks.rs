//! Attacks on the listeners, by the numbers of the threat model: forms of foreign pages, bodies that swell, requests within
//! requests, keys that are guessed. A1, A2, A4, A7, A9 and A12 stand in `scopes.rs` and `tokens.rs`.

use std::net::SocketAddr;

use nisse_api::routes::{Payload, ROUTES, Scope};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::running::{Running, concrete, running};

/// Sends bytes as they are, and reads until the other side ends or has answered: what came back.
async fn exchange(to: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    // A listener that waits for more is not what is asked about here: it has its own times.
    let _ = tokio::time::timeout(std::time::Duration::from_secs(5), reading).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

fn answers(answer: &str) -> usize {
    answer.matches("HTTP/1.1 ").count()
}

/// A request of the owner's, by its parts.
fn owners(running: &Running, line: &str, headers: &str, body: &str) -> Vec<u8> {
    let (host, token) = (running.api, running.node.token());
    let length = body.len();
    format!(
        "{line} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\nContent-Length: \
         {length}\r\n{headers}\r\n{body}"
    )
    .into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn a3_a_form_of_a_foreign_page_does_nothing() {
    let running = running().await;
    for kind in ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"] {
        for route in ROUTES.iter().filter(|route| matches!(route.scope, Scope::Owner | Scope::Here)) {
            // What a browser sends for a page that has no token: no form can add one.
            let (line, host) = (format!("{} {}", route.method, concrete(route.path)), running.api);
            let form = format!(
                "{line} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://evil.example\r\nContent-Type: {kind}\r\nConnection: \
                 close\r\nContent-Length: 4\r\n\r\ntrue"
            );
            assert_eq!(status(&exchange(host, form.as_bytes()).await), 403, "{line}");
            if !matches!(route.request, Payload::Json(_)) {
                continue;
            }
            // And with the token, a form is no JSON.
            let headers = format!("Content-Type: {kind}\r\n");
            let with = exchange(host, &owners(&running, &line, &headers, "true")).await;
            assert_eq!(status(&with), 415, "{line}: {with}");
        }
    }
    running.node.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a5_no_stream_of_events_is_opened_for_a_foreign_page() {
    let running = running().await;
    let streams = ROUTES.iter().filter(|route| matches!(route.response, Payload::Events(_)));
    for route in streams.filter(|route| route.scope == Scope::Owner) {
        let line = format!("GET {}", concrete(route.path));
        for origin in ["http://evil.example", "null", "http://127.0.0.1.evil.example"] {
            let headers = format!("Origin: {origin}\r\nAccept: text/event-stream\r\n");
            let answer = exchange(running.api, &owners(&running, &line, &headers, "")).await;
            assert_eq!(status(&answer), 403, "{line} for {origin}: {answer}");
        }
        let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
        let answer = exchange(running.api, &owners(&running, &line, upgrade, "")).await;
        assert_ne!(status(&answer), 101, "{answer}");
    }
    running.node.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a6_a_body_that_is_deep_wide_doubled_or_no_number_is_refused_in_a_sentence() {
    let running = running().await;
    let json = "Content-Type: application/json\r\n";
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let wide: String = (0..200_000).map(|key| format!("\"k{key}\":1,")).collect();
    let bodies = [
        ("deep", deep.clone()),
        ("deep within", format!("{{\"package\":{deep}}}")),
        ("wide", format!("{{{}\"z\":1}}", wide)),
        ("doubled", r#"{"package":{"manifest":"a","manifest":"b","artifact":""}}"#.to_owned()),
        ("no number", r#"{"package":{"manifest":"a","artifact":""},"wait_ms":NaN}"#.to_owned()),
        ("too large a number", r#"{"package":{"manifest":"a","artifact":""},"wait_ms":1e400}"#.to_owned()),
        ("cut", r#"{"package":{"manifest":"a""#.to_owned()),
        ("no text", "\u{feff}{}".to_owned()),
    ];
    for (what, body) in bodies {
        let answer = exchange(running.api, &owners(&running, "POST /api/v1/agents", json, &body)).await;
        assert!(matches!(status(&answer), 400 | 422), "{what}: {}", answer.chars().take(300).collect::<String>());
        assert!(answer.contains("body_invalid") && answer.len() < 2_000, "{what}: {} bytes", answer.len());
    }
    let alive = exchange(running.api, &owners(&running, "GET /api/v1/node", "", "")).await;
    assert_eq!(status(&alive), 200);
    running.node.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a8_a_request_within_a_request_is_never_answered() {
    let running = running().await;
    let token = running.node.token();
    for (listener, host) in [(running.api, running.api.to_string()), (running.public, "localhost".to_owned())] {
        let inner = format!("GET /api/v1/node HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n");
        let begin = format!("POST /api/v1/nowhere HTTP/1.1\r\nHost: {host}\r\n");
        let length = inner.len();
        let chunk = format!("{length:x}\r\n{inner}\r\n0\r\n\r\n");
        let tricks = [
            ("two lengths", format!("{begin}Content-Length: 0\r\nContent-Length: {length}\r\n\r\n{inner}")),
            ("a length of two", format!("{begin}Content-Length: 0, {length}\r\n\r\n{inner}")),
            ("a length with a sign", format!("{begin}Content-Length: +0\r\n\r\n{inner}")),
            ("length and chunks", format!("{begin}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}")),
            ("chunks that are none", format!("{begin}Transfer-Encoding: xchunked\r\n\r\n{chunk}")),
            ("chunks, spaced", format!("{begin}Transfer-Encoding : chunked\r\n\r\n{chunk}")),
            ("a folded header", format!("{begin}X: 1\r\n Content-Length: {length}\r\n\r\n{inner}")),
            ("a chunk's length too long", format!("{begin}Transfer-Encoding: chunked\r\n\r\n{}\r\n", "f".repeat(17))),
            ("a bare line feed in a name", format!("{begin}X\n: 1\r\n\r\n{inner}")),
        ];
        for (what, bytes) in tricks {
            let answer = exchange(listener, bytes.as_bytes()).await;
            let leaked = answer.contains("\"operator\"") || answer.contains("chain_time");
            assert!(!leaked, "{what}: the request within was answered: {answer}");
            assert!(answers(&answer) <= 1, "{what}: {answer}");
        }
    }
    // HTTP/2 is not spoken: its floods have nobody to speak to.
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
    for listener in [running.api, running.public] {
        let answer = exchange(listener, preface).await;
        assert!(answer.is_empty() || status(&answer) >= 400, "{answer:?}");
    }
    running.node.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a10_what_somebody_writes_comes_back_as_data_and_as_no_page() {
    let running = running().await;
    let name = "%3Cscript%3Ealert(1)%3C%2Fscript%3E";
    for (listener, request) in [
        (running.api, owners(&running, &format!("GET /api/v1/agents/{name}"), "", "")),
        (running.public, format!("GET /{name} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").into_bytes()),
        (running.public, b"GET /ipfs/<script> HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".to_vec()),
        (running.public, b"GET / HTTP/1.1\r\nHost: <script>\r\nConnection: close\r\n\r\n".to_vec()),
    ] {
        let answer = exchange(listener, &request).await.to_lowercase();
        assert!(status(&answer.to_uppercase()) >= 400, "{answer}");
        assert!(!answer.contains("content-type: text/html"), "{answer}");
        // A body that a browser could take for a page says that it is none.
        let has_body = !answer.contains("content-length: 0");
        assert!(!has_body || answer.contains("x-content-type-options: nosniff"), "{answer}");
    }
    running.node.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a11_no_answer_of_the_control_api_is_framed_sniffed_or_kept() {
    let running = running().await;
    for request in [
        owners(&running, "GET /api/v1/node", "", ""),
        owners(&running, "GET /api/v1/nowhere", "", ""),
        format!("GET /api/v1/node HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", running.api).into_bytes(),
    ] {
        let answer = exchange(running.api, &request).await;
        for header in [
            "x-content-type-options: nosniff",
            "x-frame-options: DENY",
            "cache-control: no-store",
            "content-security-policy: default-src 'none'; frame-ancestors 'none'",
        ] {
            assert!(answer.contains(header), "{header}: {answer}");
        }
    }
    running.node.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a13_whoever_guesses_the_token_learns_nothing_from_the_answers() {
    let running = running().await;
    let right = running.node.token().to_owned();
    let mut told = std::collections::BTreeSet::new();
    // Nothing of it, its beginning, all but its end, more than it, its length in other letters.
    for guess in ["", &right[..8], &right[..63], &format!("{right}0"), &"f".repeat(64), &right.to_uppercase()] {
        if guess == right {
            continue;
        }
        let host = running.api;
        let bytes = format!(
            "GET /api/v1/node HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {guess}\r\nConnection: close\r\n\r\n"
        );
        let answer = exchange(host, bytes.as_bytes()).await;
        assert_eq!(status(&answer), 401, "{guess}");
        told.insert(answer.split("\r\n").filter(|line| !line.starts_with("date")).collect::<Vec<_>>().join("\n"));
    }
    assert_eq!(told.len(), 1, "one answer for all of them: {told:?}");
    running.node.shut_down().await;
}
