//! Budgets that are not a case of their own, the texts of refusals, and what the audit trail says.

use std::time::Duration;

use nisse_egress::fake::FakeServer;
use nisse_egress::{EgressError, RequestBody, Verdict};

use crate::world::{HOST, LONG, PUBLIC_V4, World};

#[tokio::test]
async fn bytes_per_minute_are_given_back_with_the_next_minute() {
    let world = World::with(&["http://api.example.com"], |config| {
        config.limits.up_bytes_per_minute = 1000;
        config.limits.up_bytes_per_day = 1700;
    })
    .with_host();
    let post = |size: usize| {
        let mut request = world.request("http://api.example.com/");
        request.method = "POST".to_owned();
        request.body = RequestBody::Full(vec![0; size].into());
        world.send(request)
    };
    post(800).await.expect("within the minute");
    let error = post(800).await.expect_err("past the minute");
    assert!(matches!(error, EgressError::TooLarge { limit: "up_bytes_per_minute", max: 1000 }), "{error}");
    world.pass(Duration::from_secs(60));
    post(50).await.expect("the next minute");
    world.pass(Duration::from_secs(60));
    let error = post(100).await.expect_err("past the day");
    assert!(matches!(error, EgressError::TooLarge { limit: "up_bytes_per_day", .. }), "{error}");
    world.pass(Duration::from_secs(24 * 3600));
    post(800).await.expect("the next day");
}

#[tokio::test]
async fn names_are_asked_for_at_a_bounded_rate() {
    let rules: Vec<String> = (0..40).map(|number| format!("http://host{number}.example.com")).collect();
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    let world = World::new(&rules);
    for number in 0..40 {
        world.get(&format!("http://host{number}.example.com/")).await.expect_err("no such name");
    }
    assert_eq!(world.names.questions().len(), 20, "resolutions_per_second");
}

#[tokio::test]
async fn an_answer_is_kept_for_its_ttl_and_a_minute_at_most() {
    let world = World::new(&["http://api.example.com"]).with_host();
    world.names.answer(HOST, &[PUBLIC_V4], LONG);
    for (seconds, questions) in [(0, 1), (59, 1), (2, 2)] {
        world.pass(Duration::from_secs(seconds));
        world.get("http://api.example.com/").await.expect("allowed");
        assert_eq!(world.names.questions().len(), questions, "after {seconds} s more");
    }
}

#[tokio::test]
async fn a_connection_that_ends_elsewhere_is_dropped_before_a_byte_leaves() {
    for (rule, scheme, port) in [("http://api.example.com", "http", 80), (HOST, "https", 443)] {
        let world = World::new(&[rule]).with_host();
        world.network.lie_about_peer(&format!("{PUBLIC_V4}:{port}"), "10.0.0.1:80");
        let error = world.get(&format!("{scheme}://{HOST}/")).await.expect_err("must be refused");
        assert_eq!(error.reason(), "peer");
        assert!(world.network.received().is_empty());
    }
}

#[tokio::test]
async fn the_next_checked_address_is_tried_when_one_does_not_answer() {
    let world = World::new(&["http://api.example.com"]);
    world.names.answer(HOST, &["93.184.216.99", PUBLIC_V4], LONG);
    world.serve_host(FakeServer::ok("hello"));
    assert_eq!(world.get("http://api.example.com/").await.expect("the second address").1, "hello");
    assert_eq!(world.network.dials().len(), 2);
}

#[tokio::test]
async fn every_try_leaves_one_line() {
    let world = World::new(&["http://api.example.com"]).with_host();
    world.get("http://api.example.com/secret-path").await.expect("allowed");
    world.get("http://evil.example.net/").await.expect_err("refused");
    world.get("http://user@api.example.com/").await.expect_err("refused");
    // Dropped before its end.
    drop(world.egress.request(world.request("http://api.example.com/")).await.expect("allowed"));
    let lines = world.audit.lines();
    let verdicts: Vec<_> = lines.iter().map(|line| line.verdict).collect();
    assert_eq!(
        verdicts,
        [
            Verdict::Allowed,
            Verdict::Denied("not_granted"),
            Verdict::Denied("malformed_target"),
            Verdict::Failed("cancelled")
        ]
    );
    assert!(lines.iter().all(|line| line.agent == "talos.probe" && line.method == "GET"));
    let first = &lines[0];
    assert_eq!((first.host.as_str(), first.port, first.status, first.down_bytes), (HOST, 80, Some(200), 5));
    assert_eq!(first.rule, "network_outbound:http://api.example.com");
    assert_eq!((first.addresses.len(), first.chosen), (1, Some(PUBLIC_V4.parse().unwrap())));
    assert!(!format!("{lines:?}").contains("secret-path"), "paths may carry secrets");
}

#[tokio::test]
async fn a_refusal_says_what_to_add() {
    let world = World::new(&[HOST]).with_local(&["192.168.1.20:8080"]);
    world.names.answer(HOST, &["192.168.1.9"], LONG);
    let mut texts = String::new();
    for url in [
        "https://api.example.net/",
        "http://api.example.com/",
        "https://api.example.com:8443/",
        "http://192.168.1.20/",
        "https://nas/",
        "https://api.example.com/",
        "https://api.example.com./",
        "https://127.1/",
        "wss://api.example.com/",
    ] {
        let error = world.get(url).await.expect_err("refused");
        let text = format!("failed to {error}\n  hint: {}", error.hint().unwrap_or_default());
        texts.push_str(text.trim_end());
        texts.push('\n');
    }
    insta::assert_snapshot!(texts, @r#"
    failed to reach https://api.example.net: none of the permissions of `talos.probe` match
      hint: add "network_outbound:api.example.net" to `permissions` in agent.yaml, then `nisse update talos.probe DIR`
    failed to reach http://api.example.com: none of the permissions of `talos.probe` match
      hint: add "network_outbound:http://api.example.com" to `permissions` in agent.yaml (not encrypted), then `nisse update talos.probe DIR`
    failed to reach https://api.example.com:8443: none of the permissions of `talos.probe` match
      hint: add "network_outbound:api.example.com:8443" to `permissions` in agent.yaml, then `nisse update talos.probe DIR`
    failed to reach http://192.168.1.20: none of the permissions of `talos.probe` match
      hint: add "network_local:192.168.1.20:80" to `permissions` in agent.yaml (services on your own network only; a public service needs its name), then `nisse update talos.probe DIR`
    failed to reach https://nas: none of the permissions of `talos.probe` match
      hint: add "network_local:nas:443" to `permissions` in agent.yaml, then `nisse update talos.probe DIR`
    failed to reach api.example.com: it resolves to 192.168.1.9 (private-use)
      hint: `network_outbound` reaches public addresses only; for a service on your own network, add "network_local:api.example.com:443" to `permissions` in agent.yaml
    failed to use `api.example.com.` as a host: it ends with a dot
      hint: write `api.example.com`
    failed to use `127.1` as a host: its last label is a number, which some programs read as an IP address
      hint: write an IPv4 address as four decimal numbers, or use a name
    failed to use the scheme `wss`: only `https` and `http` are spoken
      hint:
    "#);
}

#[tokio::test]
async fn connections_that_only_wait_make_room_for_new_ones() {
    let world = World::new(&["http://*.example.com"]);
    world.serve_host(FakeServer::ok("hello"));
    for number in 0..40 {
        let name = format!("host{number}.example.com");
        world.names.answer(&name, &[PUBLIC_V4], LONG);
        world.get(&format!("http://{name}/")).await.expect("one host after the other");
        world.pass(Duration::from_millis(200));
    }
    // So do those of other agents to the same destination.
    for number in 0..40 {
        let mut request = world.request("http://host1.example.com/");
        request.agent = format!("agent-{number}");
        world.send(request).await.expect("one agent after the other");
        world.pass(Duration::from_millis(200));
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_waited_too_long_is_closed_by_itself() {
    let world = World::new(&["http://api.example.com"]).with_host();
    world.get("http://api.example.com/").await.expect("allowed");
    assert_eq!(world.network.open(), 1);
    tokio::time::sleep(Duration::from_secs(14)).await;
    assert_eq!(world.network.open(), 1, "it may still be used");
    world.pass(Duration::from_secs(16));
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(world.network.open(), 0);
    world.get("http://api.example.com/").await.expect("over a new connection");
    world.nothing_dialled_beyond(2);
}
