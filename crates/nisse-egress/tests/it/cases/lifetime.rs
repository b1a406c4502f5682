//! E31 and E33: which connections are used again, and how they end with the permission that opened them.

use std::time::Duration;

use futures::StreamExt;
use nisse_egress::Reach;
use nisse_egress::fake::{FakeServer, Piece};

use super::floods::endless;
use crate::world::{HOST, PUBLIC_V4, World};

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
    request.reach = Reach::Granted { rules: &wildcard, local: &[], secrets: &[] };
    world.send(request).await.expect("allowed");
    world.nothing_dialled_beyond(3);
}

#[tokio::test]
async fn e31_a_name_that_moved_is_reached_where_it_is_now() {
    let world = World::new(&["http://api.example.com"]);
    world.names.answer(HOST, &[PUBLIC_V4], Duration::ZERO);
    world.names.answer(HOST, &["93.184.216.35"], Duration::ZERO);
    world.serve_host(FakeServer::ok("old"));
    world.network.serve("93.184.216.35:80", FakeServer::ok("new"));
    assert_eq!(world.get("http://api.example.com/").await.expect("allowed").1, "old");
    assert_eq!(world.get("http://api.example.com/").await.expect("allowed").1, "new");
    world.nothing_dialled_beyond(2);
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
    world.nothing_dialled_beyond(5);
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
