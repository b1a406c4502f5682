//! E30 to E33: floods, slow answers, connections used again, TLS that is not what it should be, permissions that go.

use std::time::Duration;

use futures::StreamExt;
use nisse_egress::fake::{FakeServer, Piece};
use nisse_egress::{CaFile, EgressError, RequestBody, ServerIdentity, TlsRoots};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

use crate::world::{HOST, LONG, PUBLIC_V4, World};

const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

fn endless(piece: &[u8], wait: Duration) -> FakeServer {
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

#[tokio::test]
async fn e31_a_connection_is_used_again_only_by_the_same_agent_rule_and_address() {
    let world = World::new(&["http://api.example.com", "http://*.example.com"]).with_host();
    world.get("http://api.example.com/").await.expect("allowed");
    world.get("http://api.example.com/").await.expect("allowed");
    world.nothing_dialled_beyond(1);
    assert!(world.audit.lines()[1].reused);
    // Another agent.
    let mut request = world.request("http://api.example.com/");
    request.agent = "talos.other".to_owned();
    world.send(request).await.expect("allowed");
    world.nothing_dialled_beyond(2);
    // The same agent under another rule.
    let wildcard = ["http://*.example.com".parse().unwrap()];
    let mut request = world.request("http://api.example.com/");
    request.rules = &wildcard;
    world.send(request).await.expect("allowed");
    world.nothing_dialled_beyond(3);
    // The same agent and rule after the name has moved to another address.
    world.pass(Duration::from_secs(61));
    let world_moved = World::new(&["http://api.example.com"]);
    world_moved.names.answer(HOST, &[PUBLIC_V4], Duration::ZERO);
    world_moved.names.answer(HOST, &["93.184.216.35"], Duration::ZERO);
    world_moved.serve_host(FakeServer::ok("old"));
    world_moved.network.serve("93.184.216.35:80", FakeServer::ok("new"));
    assert_eq!(world_moved.get("http://api.example.com/").await.expect("allowed").1, "old");
    assert_eq!(world_moved.get("http://api.example.com/").await.expect("allowed").1, "new");
    world_moved.nothing_dialled_beyond(2);
}

#[tokio::test]
async fn e31_a_connection_that_waited_too_long_is_not_used_again() {
    let world = World::new(&["http://api.example.com"]).with_host();
    world.get("http://api.example.com/").await.expect("allowed");
    world.pass(Duration::from_secs(16));
    world.get("http://api.example.com/").await.expect("allowed");
    world.nothing_dialled_beyond(2);
}

#[tokio::test]
async fn e31_a_connection_that_the_server_closed_is_replaced() {
    let world = World::new(&["http://api.example.com"]).with_host();
    let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec();
    world.serve_host(FakeServer::new(move |_| vec![Piece::Bytes(ok.clone()), Piece::Close]));
    for _ in 0..5 {
        assert_eq!(world.get("http://api.example.com/").await.expect("carried").1, "ok");
    }
}

#[tokio::test]
async fn e32_a_certificate_for_another_name_authority_or_time_is_refused() {
    let world = World::new(&[HOST]);
    world.names.answer(HOST, &[PUBLIC_V4], LONG);
    let at = format!("{PUBLIC_V4}:443");
    let stranger = ServerIdentity::generate(HOST).unwrap();
    let servers = [
        ("self-made authority", FakeServer::ok("secret").with_tls(&stranger)),
        ("no TLS at all", FakeServer::greeting(b"HTTP/1.1 200 OK\r\n\r\n".to_vec())),
        ("an alert", FakeServer::greeting(vec![21, 3, 3, 0, 2, 2, 40])),
    ];
    for (what, server) in servers {
        world.network.serve(&at, server);
        let refused = world.get("https://api.example.com/").await.expect_err("must be refused");
        assert!(refused.reason() == "tls", "{what}: {refused}");
        assert!(world.network.received().is_empty(), "{what}: no request left");
    }
}

/// A certificate for `host` within these years, and the authority that signed it.
fn identity(host: &str, years: (i32, i32), usage: ExtendedKeyUsagePurpose) -> ServerIdentity {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority_pem = authority.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(authority, key);
    let mut leaf = CertificateParams::new(vec![host.to_owned()]).unwrap();
    leaf.not_before = rcgen::date_time_ymd(years.0, 1, 1);
    leaf.not_after = rcgen::date_time_ymd(years.1, 1, 1);
    leaf.extended_key_usages = vec![usage];
    let key = KeyPair::generate().unwrap();
    let certificate = leaf.signed_by(&key, &issuer).unwrap();
    ServerIdentity::from_pem(&certificate.pem(), &key.serialize_pem(), &authority_pem).unwrap()
}

#[tokio::test]
async fn e32_a_certificate_out_of_its_time_or_use_is_refused() {
    let server = ExtendedKeyUsagePurpose::ServerAuth;
    let cases = [
        ("expired", identity(HOST, (2001, 2002), server.clone()), false),
        ("not yet", identity(HOST, (4000, 4001), server.clone()), false),
        ("for clients", identity(HOST, (2001, 4001), ExtendedKeyUsagePurpose::ClientAuth), false),
        ("a wildcard above", identity("*.com", (2001, 4001), server.clone()), false),
        ("an ending", identity("evilapi.example.com", (2001, 4001), server.clone()), false),
        ("good", identity(HOST, (2001, 4001), server), true),
    ];
    for (what, identity, good) in cases {
        let ca = CaFile::from_pem(identity.authority_pem()).unwrap();
        let world = World::with(&[HOST], |config| config.roots = TlsRoots::Only(ca));
        world.names.answer(HOST, &[PUBLIC_V4], LONG);
        world.network.serve(&format!("{PUBLIC_V4}:443"), FakeServer::ok("hello").with_tls(&identity));
        let sent = world.get("https://api.example.com/").await;
        assert_eq!(sent.is_ok(), good, "{what}: {sent:?}");
        assert_eq!(world.network.received().len(), usize::from(good), "{what}");
    }
}

#[tokio::test]
async fn e32_tls_below_1_2_is_not_spoken() {
    // A ServerHello of TLS 1.1 (RFC 4346 §7.4.1.3): version 3.2, 32 random bytes, no session, one cipher suite.
    let mut hello = vec![22, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 0x2f, 0]);
    let world = World::new(&[HOST]);
    world.names.answer(HOST, &[PUBLIC_V4], LONG);
    world.network.serve(&format!("{PUBLIC_V4}:443"), FakeServer::greeting(hello));
    let refused = world.get("https://api.example.com/").await.expect_err("must be refused");
    assert_eq!(refused.reason(), "tls");
}

#[tokio::test]
async fn e32_the_certificate_must_be_for_the_name_of_the_rule() {
    // One authority, two names: trusted, but not for this host.
    let world = World::new(&[HOST, "other.example.com"]).with_host();
    world.names.answer("other.example.com", &[PUBLIC_V4], LONG);
    let refused = world.get("https://other.example.com/").await.expect_err("must be refused");
    assert_eq!(refused.reason(), "tls");
    assert!(world.network.received().is_empty(), "no request left");
    world.get("https://api.example.com/").await.expect("its own name");
}

#[tokio::test]
async fn e33_a_connection_dies_with_its_permission() {
    let world = World::new(&["http://api.example.com"]).with_host();
    // An idle one is closed.
    world.get("http://api.example.com/").await.expect("allowed");
    world.egress.set_permissions("talos.probe", &[], &[]);
    world.egress.set_permissions("talos.probe", &world.rules, &[]);
    world.get("http://api.example.com/").await.expect("allowed again");
    world.nothing_dialled_beyond(2);
    // Without the permission nothing is opened, whatever rules the caller still passes.
    world.egress.set_permissions("talos.probe", &[], &[]);
    let refused = world.get("http://api.example.com/").await.expect_err("must be refused");
    assert_eq!(refused.reason(), "withdrawn");
    world.nothing_dialled_beyond(2);
}

#[tokio::test]
async fn e33_a_response_ends_with_its_permission() {
    let world = World::new(&["http://api.example.com"]).with_host();
    world.serve_host(endless(b"1\r\nx\r\n", Duration::from_millis(1)));
    let mut body = world.egress.request(world.request("http://api.example.com/")).await.expect("allowed").body;
    body.next().await.expect("a piece").expect("carried");
    world.egress.set_permissions("talos.probe", &[], &[]);
    let error = loop {
        match body.next().await.expect("an error before the end") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.reason(), "withdrawn");
    assert_eq!(world.last_reason(), "withdrawn");
}

#[tokio::test]
async fn e33_a_connection_being_opened_ends_with_its_permission() {
    let world = World::new(&["http://api.example.com"]).with_host();
    let withdrawn = world.egress.clone();
    world.network.before_connect(move || withdrawn.set_permissions("talos.probe", &[], &[]));
    let refused = world.get("http://api.example.com/").await.expect_err("must be refused");
    assert_eq!(refused.reason(), "withdrawn");
    assert!(world.network.received().is_empty(), "no request left");
    world.egress.forget("talos.probe");
}

#[tokio::test]
async fn e33_other_agents_and_permissions_keep_their_connections() {
    let world = World::new(&["http://api.example.com"]).with_host();
    world.get("http://api.example.com/").await.expect("allowed");
    world.egress.set_permissions("talos.other", &[], &[]);
    world.egress.set_permissions("talos.probe", &world.rules, &[]);
    world.get("http://api.example.com/").await.expect("allowed");
    world.nothing_dialled_beyond(1);
}
