//! E15 to E20, E24 to E29: names, authorities, ports and wildcards.

use std::time::Duration;

use nisse_egress::RequestBody;
use nisse_model::NetworkRule;

use crate::world::{HOST, LONG, PUBLIC_V4, SCHEMES, World};

async fn refused(authority: &str, path: &str) {
    for (rule, scheme) in SCHEMES {
        let world = World::new(&[rule]).with_host();
        let error = world.send(world.parts(scheme, authority, path)).await.expect_err("must be refused");
        assert!(matches!(error.reason(), "malformed_target" | "not_granted"), "{authority}{path}: {error}");
        world.nothing_dialled_beyond(0);
    }
}

#[tokio::test]
async fn e15_dots_cases_and_brackets_do_not_make_another_name() {
    for authority in
        ["api.example.com.", "api.example.com..", "[api.example.com]", "[api.example.com]:443", "api..example.com"]
    {
        refused(authority, "/").await;
    }
    // Letter case is the one thing that is folded, and the wire carries the folded form.
    for (rule, scheme) in SCHEMES {
        let world = World::new(&[rule]).with_host();
        world.send(world.parts(scheme, "API.Example.COM", "/")).await.expect("the same name");
        let received = &world.network.received()[0];
        assert_eq!(received.header("host"), [HOST]);
        world.nothing_dialled_beyond(1);
    }
}

#[tokio::test]
async fn e16_user_names_backslashes_and_fragments_are_refused() {
    for authority in [
        "api.example.com@evil.example.net",
        "api.example.com:443@evil.example.net",
        "user:pw@api.example.com",
        "api.example.com\\@evil.example.net",
        "evil.example.net#@api.example.com",
        "evil.example.net?@api.example.com",
        "evil.example.net/@api.example.com",
        "api.example.com\\evil.example.net",
        "api.example.com%2eevil.net",
        "api.example.com%00.evil.net",
        "api.example.com evil.net",
        "api.example.com\tevil.net",
        "api.example.com,evil.net",
    ] {
        refused(authority, "/").await;
    }
}

#[tokio::test]
async fn e17_the_guests_host_header_never_reaches_the_wire() {
    for (rule, scheme) in SCHEMES {
        let world = World::new(&[rule]).with_host();
        let mut request = world.request(&format!("{scheme}://{HOST}/"));
        request.headers = vec![("Host".into(), b"evil.example.net".to_vec()), ("host".into(), b"other".to_vec())];
        world.send(request).await.expect("allowed");
        assert_eq!(world.network.received()[0].header("host"), [HOST]);
    }
}

#[tokio::test]
async fn e18_sni_host_and_rule_are_one_name() {
    let world = World::new(&[HOST]).with_host();
    let mut request = world.request("https://api.example.com/");
    request.headers = vec![("host".into(), b"fronted.example.net".to_vec())];
    world.send(request).await.expect("allowed");
    let received = &world.network.received()[0];
    assert_eq!(received.server_name.as_deref(), Some(HOST));
    assert_eq!(received.header("host"), [HOST]);
}

#[tokio::test]
async fn e19_only_origin_form_reaches_the_request_line() {
    for path in [
        "http://evil.example.net/",
        "https://evil.example.net/x",
        "evil.example.net",
        "*",
        "@evil.example.net",
        ":8080/",
        "?q=1",
        "\\\\evil.example.net",
        "/a b",
        "/a\r\nhost: evil",
        "/\0",
        "/ä",
        "/a#b",
        "/a\\b",
        "/\u{7f}",
    ] {
        refused(HOST, path).await;
    }
    let world = World::new(&["http://api.example.com"]).with_host();
    for (path, line) in [("", "GET / HTTP/1.1"), ("//evil.example.net/", "GET //evil.example.net/ HTTP/1.1")] {
        world.send(world.parts("http", HOST, path)).await.expect("allowed");
        let received = world.network.received();
        let last = received.last().unwrap();
        assert_eq!(last.head.lines().next(), Some(line));
        assert_eq!(last.header("host"), [HOST]);
    }
}

#[tokio::test]
async fn e20_an_empty_authority_is_never_filled_in() {
    for authority in ["", ":443", ":", "."] {
        refused(authority, "/").await;
        refused(authority, "/?host=api.example.com").await;
    }
}

#[tokio::test]
async fn e24_a_wildcard_is_one_label_below_a_registered_name() {
    for pattern in
        ["*", "*.com", "*.co.uk", "*.github.io", "*.*.example.com", "api.*.com", "*api.example.com", "*.", "*.1.2.3"]
    {
        assert!(pattern.parse::<NetworkRule>().is_err(), "{pattern} must not be a rule");
    }
    for authority in [
        "example.com",
        "evil-example.com",
        "a.b.example.com",
        "example.com.evil.io",
        ".example.com",
        "x.evil-example.com",
    ] {
        let world = World::new(&["*.example.com"]).with_host();
        world.names.answer(authority, &[PUBLIC_V4], LONG);
        world.send(world.parts("https", authority, "/")).await.expect_err("must be refused");
        world.nothing_dialled_beyond(0);
    }
    let world = World::new(&["*.example.com"]).with_host();
    assert_eq!(world.get("https://api.example.com/").await.expect("one label").0, 200);
    // Without a star nothing but the name itself.
    for authority in ["www.api.example.com", "pi.example.com", "xapi.example.com", "api.example.com.evil.io"] {
        refused(authority, "/").await;
    }
}

#[tokio::test]
async fn e25_look_alikes_are_other_names() {
    // Cyrillic а; both the letters and their A-label form.
    for look_alike in
        ["\u{430}pi.example.com", "xn--pi-6kc.example.com", "api.ex\u{430}mple.com", "api.xn--exmple-4nf.com"]
    {
        refused(look_alike, "/").await;
        assert!(look_alike.parse::<NetworkRule>().is_err(), "{look_alike} mixes scripts");
    }
    // A rule in one script becomes its A-label, and is matched as that.
    let rule: NetworkRule = "bücher.example".parse().expect("one script");
    assert_eq!(rule.to_string(), "xn--bcher-kva.example");
    // Non-transitional: ß stays ß.
    let rule: NetworkRule = "straße.example".parse().expect("one script");
    assert_eq!(rule.to_string(), "xn--strae-oqa.example");
}

#[tokio::test]
async fn e26_only_the_port_of_the_rule() {
    for port in ["8443", "80", "22", "0", "65536", "443:80", "-1", "+443", "0443", "443 ", "", "4430"] {
        let world = World::new(&[HOST]).with_host();
        world.send(world.parts("https", &format!("{HOST}:{port}"), "/")).await.expect_err("must be refused");
        world.nothing_dialled_beyond(0);
    }
    let world = World::new(&[HOST]).with_host();
    world.send(world.parts("https", "api.example.com:443", "/")).await.expect("the rule's port, written");
    assert_eq!(world.network.received()[0].header("host"), [HOST]);
}

#[tokio::test]
async fn e27_there_is_no_way_out_but_http() {
    // Raw sockets are refused where components are linked; here no scheme but the two leads anywhere.
    for scheme in ["tcp", "udp", "ws", "wss", "ftp", "file", "unix", "HTTPS", "https:", "", "gopher"] {
        let world = World::new(&[HOST]).with_host();
        world.send(world.parts(scheme, HOST, "/")).await.expect_err("must be refused");
        assert_eq!(world.names.questions(), Vec::<String>::new());
        world.nothing_dialled_beyond(0);
    }
}

#[tokio::test]
async fn e28_random_labels_under_a_wildcard_run_into_a_cap() {
    let world = World::with(&["http://*.example.com"], |config| {
        config.limits.wildcard_names_per_hour = 8;
        config.limits.resolutions_per_second = 1000;
        config.limits.rule.requests_per_second = 1000;
        config.limits.agent.requests_per_second = 1000;
    });
    for number in 0..50 {
        world.send(world.parts("http", &format!("secret{number}.example.com"), "/")).await.expect_err("no such name");
    }
    assert_eq!(world.names.questions().len(), 8, "each label that is asked for leaves the node");
    assert_eq!(world.last_reason(), "limit");
    // A long label carries much at once.
    let long = format!("{}.example.com", "a".repeat(60));
    world.pass(Duration::from_secs(3600));
    world.send(world.parts("http", &long, "/")).await.expect_err("must be refused");
    assert_eq!(world.names.questions().len(), 8);
    // A name that has been counted goes on working, and the next hour begins anew.
    world.names.answer("fine.example.com", &[PUBLIC_V4], LONG);
    world.serve_host(nisse_egress::fake::FakeServer::ok("hello"));
    world.get("http://fine.example.com/").await.expect("a new hour");
}

#[tokio::test]
async fn e29_what_an_allowed_host_relays_is_only_logged() {
    // A residual risk, said openly: the audit line shows the host and the bytes, not where the host sends them on.
    let world = World::new(&["http://api.example.com"]).with_host();
    let mut request = world.request("http://api.example.com/proxy?u=http://evil.example.net/");
    request.method = "POST".to_owned();
    request.body = RequestBody::Full("secret".into());
    world.send(request).await.expect("allowed");
    let lines = world.audit.lines();
    assert_eq!((lines.len(), lines[0].up_bytes, lines[0].down_bytes), (1, 6, 5));
    assert_eq!(lines[0].host, HOST);
    world.nothing_dialled_beyond(1);
}
