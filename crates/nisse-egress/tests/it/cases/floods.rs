//! E30: floods, slow answers and heads without end, each ended by the limit that bears its name.

use std::time::Duration;

use futures::StreamExt;
use nisse_egress::fake::{FakeServer, Piece};
use nisse_egress::{EgressError, RequestBody};

use crate::world::World;

const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

/// A chunked answer that repeats `piece` for ever, with a pause before each.
pub(super) fn endless(piece: &[u8], wait: Duration) -> FakeServer {
    let piece = piece.to_vec();
    FakeServer::new(move |_| vec![Piece::Bytes(CHUNKED.to_vec()), Piece::Endless(piece.clone(), wait)])
}

async fn drained(world: &World) -> EgressError {
    let mut body = match world.egress.request(world.request("http://api.example.com/")).await {
        Ok(response) => response.body,
        Err(error) => return error,
    };
    loop {
        match body.next().await {
            Some(Ok(_)) => {}
            Some(Err(error)) => return error,
            None => panic!("an endless body ended"),
        }
    }
}

#[tokio::test]
async fn e30_an_endless_response_ends_at_its_cap() {
    let world =
        World::with(&["http://api.example.com"], |config| config.limits.response_body_bytes_max = 100_000).with_host();
    world.serve_host(endless(b"1000\r\n", Duration::ZERO));
    let mut chunk = b"400\r\n".to_vec();
    chunk.extend(std::iter::repeat_n(b'x', 1024));
    chunk.extend(b"\r\n");
    world.serve_host(endless(&chunk, Duration::ZERO));
    let error = drained(&world).await;
    assert!(matches!(error, EgressError::TooLarge { limit: "response_body_bytes_max", .. }), "{error}");
    let line = world.audit.lines().pop().unwrap();
    assert!(line.down_bytes > 100_000 && line.down_bytes < 200_000, "{} bytes", line.down_bytes);
}

#[tokio::test]
async fn e30_a_large_upload_ends_at_its_cap() {
    let world =
        World::with(&["http://api.example.com"], |config| config.limits.request_body_bytes_max = 100_000).with_host();
    let mut request = world.request("http://api.example.com/");
    request.method = "POST".to_owned();
    let pieces = futures::stream::repeat_with(|| Ok(bytes::Bytes::from_static(&[0; 4096])));
    request.body = RequestBody::Stream(Box::pin(pieces));
    let error = world.send(request).await.expect_err("must be stopped");
    assert!(matches!(error, EgressError::TooLarge { limit: "request_body_bytes_max", .. }), "{error}");
    assert!(world.network.received().is_empty(), "no server saw a whole request");
}

#[tokio::test]
async fn e30_a_gzip_bomb_stays_packed() {
    let packed = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 0x63, 0x60, 0, 0, 0, 0, 0];
    let world = World::new(&["http://api.example.com"]).with_host();
    world.serve_host(FakeServer::new(move |_| {
        let mut bytes = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 17\r\n\r\n".to_vec();
        bytes.extend(packed);
        vec![Piece::Bytes(bytes)]
    }));
    let response = world.egress.request(world.request("http://api.example.com/")).await.expect("allowed");
    assert_eq!(response.headers["content-encoding"], "gzip");
    assert_eq!(response.body.collect(100).await.expect("carried")[..], packed);
}

#[tokio::test(start_paused = true)]
async fn e30_a_byte_per_second_ends_at_the_total_deadline() {
    let world = World::new(&["http://api.example.com"]).with_host();
    world.serve_host(endless(b"1\r\nx\r\n", Duration::from_secs(1)));
    let error = drained(&world).await;
    assert!(matches!(error, EgressError::Timeout { phase: "total", .. }), "{error}");
    world.serve_host(endless(b"1\r\nx\r\n", Duration::from_secs(31)));
    let error = drained(&world).await;
    assert!(matches!(error, EgressError::Timeout { phase: "idle", .. }), "{error}");
    world.serve_host(FakeServer::new(|_| vec![Piece::Wait(Duration::from_secs(3600))]));
    let error = drained(&world).await;
    assert!(matches!(error, EgressError::Timeout { phase: "first byte", .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn e30_a_guest_cannot_ask_for_no_deadline() {
    let world = World::new(&["http://api.example.com"]).with_host();
    world.serve_host(FakeServer::new(|_| vec![Piece::Wait(Duration::from_secs(7200))]));
    for asked in [Duration::MAX, Duration::ZERO] {
        let mut request = world.request("http://api.example.com/");
        request.timeouts.first_byte = Some(asked);
        request.timeouts.total = Some(asked);
        let error = world.send(request).await.expect_err("must end");
        assert_eq!(error.reason(), "timeout", "{error}");
    }
}

#[tokio::test]
async fn e30_a_head_without_end_is_cut() {
    let world = World::new(&["http://api.example.com"]).with_host();
    world.serve_host(FakeServer::new(|_| {
        let head = b"HTTP/1.1 200 OK\r\n".to_vec();
        vec![
            Piece::Bytes(head),
            Piece::Endless(b"x-filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n".to_vec(), Duration::ZERO),
        ]
    }));
    let error = drained(&world).await;
    assert!(matches!(error.reason(), "too_large" | "protocol"), "{error}");
}

#[tokio::test]
async fn e30_requests_and_connections_past_the_caps_are_refused_at_once() {
    let world = World::new(&["http://api.example.com"]).with_host();
    let mut refused = 0;
    for _ in 0..1000 {
        refused += usize::from(world.get("http://api.example.com/").await.is_err());
    }
    // The clock stands still: one second's burst of the rule and no more.
    assert_eq!(world.network.received().len(), 50);
    assert_eq!(refused, 950);
    assert_eq!(world.last_reason(), "limit");
    world.pass(Duration::from_secs(1));
    world.get("http://api.example.com/").await.expect("a second later");

    let world = World::with(&["http://api.example.com"], |config| {
        config.limits.rule.connections_per_second = 100;
        config.limits.destination.connections_per_second = 100;
    })
    .with_host();
    world.serve_host(endless(b"1\r\nx\r\n", Duration::from_secs(1)));
    let mut open = Vec::new();
    for _ in 0..40 {
        open.extend(world.egress.request(world.request("http://api.example.com/")).await);
    }
    assert_eq!(open.len(), 16, "rule.connections_max");
    assert_eq!(world.network.dials().len(), 16);
    drop(open);
}

#[tokio::test]
async fn e30_many_agents_together_do_not_flood_one_destination() {
    let world = World::new(&["http://api.example.com"]).with_host();
    world.serve_host(endless(b"1\r\nx\r\n", Duration::from_secs(1)));
    let mut open = Vec::new();
    for number in 0..60 {
        let mut request = world.request("http://api.example.com/");
        request.agent = format!("agent-{number}");
        open.extend(world.egress.request(request).await);
    }
    assert_eq!(open.len(), 20, "destination.connections_max");
    assert_eq!(world.network.dials().len(), 20);
    drop(open);
}
