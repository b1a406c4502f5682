//! E21 to E23: what a guest writes into headers and methods, and what is left of it on the wire.

use bytes::Bytes;
use futures::stream;
use nisse_egress::RequestBody;
use nisse_egress::fake::{FakeServer, Piece};

use crate::world::{HOST, World};

fn header(name: &str, value: &str) -> (String, Vec<u8>) {
    (name.to_owned(), value.as_bytes().to_vec())
}

#[tokio::test]
async fn e21_control_characters_in_headers_are_refused() {
    let cases = [
        header("x-a", "1\r\nhost: evil.example.net"),
        header("x-a", "1\nx-b: 2"),
        header("x-a", "1\r\n folded"),
        header("x-a", "1\0"),
        header("x-a\r\nhost", "evil"),
        header("x a", "1"),
        header("x-a:", "1"),
        header("", "1"),
        header(":authority", "evil.example.net"),
        header("x-ä", "1"),
    ];
    for case in cases {
        let world = World::new(&["http://api.example.com"]).with_host();
        let mut request = world.request("http://api.example.com/");
        request.headers = vec![case.clone()];
        let refused = world.send(request).await.expect_err("must be refused");
        assert_eq!(refused.reason(), "header", "{case:?}");
        world.nothing_dialled_beyond(0);
    }
    let world = World::new(&["http://api.example.com"]).with_host();
    let mut request = world.request("http://api.example.com/");
    request.headers = vec![header("Host", "a"), header("HOST", "b"), header("x-kept", "c")];
    world.send(request).await.expect("allowed");
    assert_eq!(world.network.received()[0].header("host"), [HOST]);
    assert_eq!(world.network.received()[0].header("x-kept"), ["c"]);
}

#[tokio::test]
async fn e22_the_guests_framing_is_thrown_away() {
    let framings = [
        vec![header("content-length", "100"), header("transfer-encoding", "chunked")],
        vec![header("content-length", "1"), header("content-length", "2")],
        vec![header("content-length", "3")],
        vec![header("transfer-encoding", "identity, chunked"), header("trailer", "host")],
        vec![header("Transfer-Encoding", "xchunked"), header("te", "trailers")],
        vec![header("connection", "x-hop, content-length"), header("x-hop", "1"), header("keep-alive", "1")],
    ];
    for framing in framings {
        let world = World::new(&["http://api.example.com"]).with_host();
        let mut request = world.request("http://api.example.com/");
        request.method = "POST".to_owned();
        request.headers = framing.clone();
        request.body = RequestBody::Full(Bytes::from_static(b"0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n"));
        world.send(request).await.expect("allowed");
        let received = world.network.received();
        assert_eq!(received.len(), 1, "{framing:?} made {received:?}");
        assert_eq!(received[0].header("content-length"), ["31"], "{framing:?}");
        for gone in ["transfer-encoding", "trailer", "te", "connection", "keep-alive", "x-hop"] {
            assert_eq!(received[0].header(gone), Vec::<String>::new(), "{gone} of {framing:?}");
        }
        assert_eq!(received[0].body, b"0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n");
    }
}

#[tokio::test]
async fn e22_a_long_stream_is_chunked_and_a_short_one_has_its_length() {
    let world = World::new(&["http://api.example.com"]).with_host();
    for (pieces, length) in [(2, Some("20")), (20_000, None)] {
        let mut request = world.request("http://api.example.com/");
        request.method = "PUT".to_owned();
        request.body = RequestBody::Stream(Box::pin(stream::iter((0..pieces).map(|_| Ok(Bytes::from("0123456789"))))));
        world.send(request).await.expect("allowed");
        let received = world.network.received();
        let last = received.last().unwrap();
        assert_eq!(last.header("content-length").first().map(String::as_str), length);
        assert_eq!(last.header("transfer-encoding").len(), usize::from(length.is_none()));
    }
    assert_eq!(world.audit.lines()[1].up_bytes, 200_000);
}

#[tokio::test]
async fn e22_a_response_with_two_framings_is_not_followed_by_another() {
    let bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let world = World::new(&["http://api.example.com"]).with_host();
    world.serve_host(FakeServer::new(|_| vec![Piece::Bytes(bytes.to_vec())]));
    for _ in 0..2 {
        // Carried or refused, but the connection is never used again.
        world.get("http://api.example.com/").await.ok();
    }
    let places: Vec<_> = world.network.received().iter().map(|received| received.index).collect();
    assert_eq!(places, [0, 0], "each request came first on a connection of its own");
    let conflicting = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!";
    world.serve_host(FakeServer::new(|_| vec![Piece::Bytes(conflicting.to_vec())]));
    let refused = world.get("http://api.example.com/").await.expect_err("must be refused");
    assert_eq!(refused.reason(), "protocol");
}

#[tokio::test]
async fn e22_trailers_and_hop_headers_of_a_response_do_not_reach_the_guest() {
    let bytes = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: x-hop\r\nx-hop: 1\r\nproxy-authenticate: b\r\n\
        keep-alive: timeout=5\r\nupgrade: h2c\r\nx-kept: 1\r\n\r\n5\r\nhello\r\n0\r\nhost: evil\r\nx-trailer: 1\r\n\r\n";
    let world = World::new(&["http://api.example.com"]).with_host();
    world.serve_host(FakeServer::new(|_| vec![Piece::Bytes(bytes.to_vec())]));
    let response = world.egress.request(world.request("http://api.example.com/")).await.expect("allowed");
    let names: Vec<_> = response.headers.keys().map(http::HeaderName::as_str).collect();
    assert_eq!(names, ["x-kept"]);
    assert_eq!(response.body.collect(100).await.expect("carried"), "hello");
}

#[tokio::test]
async fn e23_methods_that_turn_a_server_into_a_tunnel_are_refused() {
    for method in ["CONNECT", "connect", "TRACE", "Track", "PRI", "GET /", "G\r\nET", "", "GÉT"] {
        let world = World::new(&["http://api.example.com"]).with_host();
        let mut request = world.request("http://api.example.com/");
        request.method = method.to_owned();
        let refused = world.send(request).await.expect_err("must be refused");
        assert_eq!(refused.reason(), "method", "{method:?}");
        world.nothing_dialled_beyond(0);
    }
}

#[tokio::test]
async fn e23_no_upgrade_leaves_and_none_comes_back() {
    let world = World::new(&["http://api.example.com"]).with_host();
    let mut request = world.request("http://api.example.com/");
    request.headers = vec![
        header("connection", "Upgrade, HTTP2-Settings"),
        header("upgrade", "websocket, h2c"),
        header("http2-settings", "AAMAAABkAAQAAP__"),
        header("expect", "100-continue"),
        header("proxy-authorization", "Basic eDp5"),
        header("proxy-anything", "1"),
    ];
    world.send(request).await.expect("allowed, without what was dropped");
    let received = &world.network.received()[0];
    for gone in ["connection", "upgrade", "http2-settings", "expect", "proxy-authorization", "proxy-anything"] {
        assert_eq!(received.header(gone), Vec::<String>::new(), "{gone}");
    }
    let switching = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n";
    world.serve_host(FakeServer::new(|_| vec![Piece::Bytes(switching.to_vec())]));
    world.pass(std::time::Duration::from_secs(100));
    let refused = world.get("http://api.example.com/").await.expect_err("must be refused");
    assert_eq!(refused.reason(), "protocol");
}

#[tokio::test]
async fn end_to_end_headers_reach_the_wire_as_they_are() {
    let world = World::new(&["http://api.example.com"]).with_host();
    let mut request = world.request("http://api.example.com/");
    request.headers = vec![
        header("Authorization", "Bearer abc"),
        header("Accept", "application/json"),
        header("Accept-Encoding", "gzip"),
        header("User-Agent", "agent/1"),
        header("Cookie", "a=1"),
        header("cookie", "b=2"),
        header("x-empty", ""),
        header("x-utf8", "\u{e4}"),
    ];
    world.send(request).await.expect("allowed");
    let received = &world.network.received()[0];
    assert_eq!(received.header("authorization"), ["Bearer abc"]);
    assert_eq!(received.header("cookie"), ["a=1", "b=2"]);
    assert_eq!(received.header("user-agent"), ["agent/1"]);
    assert_eq!(received.header("x-empty"), [""]);
    assert_eq!(received.header("accept-encoding"), ["gzip"]);
    world.get("http://api.example.com/").await.expect("allowed");
    assert!(world.network.received()[1].header("user-agent")[0].starts_with("nisse/"));
}
