//! E1 to E12 and E14: redirects, DNS tricks, and every spelling of an address that is not public.

use nisse_egress::EgressTarget;
use nisse_egress::fake::FakeServer;

use crate::world::{HOST, LONG, NO_TTL, PUBLIC_V4, PUBLIC_V6, SCHEMES, World};

/// A name that resolves to these addresses is refused before anything is dialled, in both schemes.
async fn refused_answers(addresses: &[&str]) {
    for (rule, scheme) in SCHEMES {
        let world = World::new(&[rule]);
        world.names.answer(HOST, addresses, LONG);
        for attempt in 0..2 {
            let refused = world.get(&format!("{scheme}://{HOST}/")).await.expect_err("must be refused");
            assert_eq!(refused.reason(), "address", "{addresses:?}, attempt {attempt}: {refused}");
        }
        world.nothing_dialled_beyond(0);
    }
}

/// An authority is refused before anything is resolved or dialled, in both schemes.
async fn refused_authority(authority: &str) {
    for (rule, scheme) in SCHEMES {
        let world = World::new(&[rule]).with_host();
        let refused = world.send(world.parts(scheme, authority, "/")).await.expect_err("must be refused");
        assert!(matches!(refused.reason(), "malformed_target" | "not_granted"), "{authority}: {refused}");
        assert_eq!(world.names.questions(), Vec::<String>::new(), "{authority}");
        world.nothing_dialled_beyond(0);
    }
}

#[tokio::test]
async fn e1_a_redirect_to_the_metadata_address_is_not_followed() {
    for status in ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent"] {
        for (rule, scheme) in SCHEMES {
            let world = World::new(&[rule]).with_host();
            let head = format!("HTTP/1.1 {status}\r\nlocation: http://169.254.169.254/latest/meta-data/");
            world.serve_host(FakeServer::text(&head, ""));
            let (code, _) = world.get(&format!("{scheme}://{HOST}/")).await.expect("the redirect itself is carried");
            assert_eq!(code.to_string(), status[..3]);
            world.nothing_dialled_beyond(1);
            // The guest follows it by itself: a new request with a full check.
            let refused = world.get("http://169.254.169.254/latest/meta-data/").await.expect_err("must be refused");
            assert_eq!(refused.reason(), "not_granted");
            world.nothing_dialled_beyond(1);
        }
    }
}

#[tokio::test]
async fn e2_a_redirect_from_https_to_http_needs_the_http_rule() {
    let world = World::new(&[HOST]).with_host();
    world.serve_host(FakeServer::text("HTTP/1.1 302 Found\r\nlocation: http://api.example.com/", ""));
    assert_eq!(world.get("https://api.example.com/").await.expect("carried").0, 302);
    let refused = world.get("http://api.example.com/").await.expect_err("must be refused");
    assert_eq!(refused.reason(), "not_granted");
    world.nothing_dialled_beyond(1);
}

#[tokio::test]
async fn e3_the_address_dialled_is_the_one_that_was_checked() {
    for (rule, scheme) in SCHEMES {
        let world = World::new(&[rule]).with_host();
        // One question per request: there is no second look between the check and the dial.
        world.get(&format!("{scheme}://{HOST}/")).await.expect("allowed");
        assert_eq!(world.names.questions().len(), 1);
    }
    // Across requests the name rebinds: each new answer is checked again.
    let world = World::new(&["http://api.example.com"]);
    world.serve_host(FakeServer::ok("hello"));
    world.names.answer(HOST, &[PUBLIC_V4], NO_TTL);
    world.names.answer(HOST, &["127.0.0.1"], NO_TTL);
    world.names.answer(HOST, &["169.254.169.254"], NO_TTL);
    world.get("http://api.example.com/").await.expect("allowed");
    for attempt in 1..3 {
        let refused = world.get("http://api.example.com/").await.expect_err("must be refused");
        assert_eq!(refused.reason(), "address", "attempt {attempt}");
    }
    assert_eq!(world.names.questions().len(), 3);
    world.nothing_dialled_beyond(1);
}

#[tokio::test]
async fn e4_an_answer_that_mixes_public_and_private_is_thrown_away_whole() {
    refused_answers(&[PUBLIC_V4, "10.0.0.1"]).await;
    refused_answers(&["10.0.0.1", PUBLIC_V4]).await;
    refused_answers(&[PUBLIC_V4, PUBLIC_V6, "::1"]).await;
    refused_answers(&[PUBLIC_V6, "fd00::1"]).await;
    // A local grant does not make a mixture of both acceptable.
    let world = World::new(&["http://api.example.com:8080"]).with_local(&["api.example.com:8080"]);
    world.names.answer(HOST, &["10.0.0.1", PUBLIC_V4], LONG);
    let refused = world.get("http://api.example.com:8080/").await.expect_err("must be refused");
    assert_eq!(refused.reason(), "address");
    world.nothing_dialled_beyond(0);
}

#[tokio::test]
async fn e5_a_cname_to_an_internal_name_ends_at_its_addresses() {
    // The resolver follows the chain; whatever it ends at is checked.
    refused_answers(&["10.1.2.3"]).await;
    refused_answers(&["192.168.0.10"]).await;
}

#[tokio::test]
async fn e6_ipv4_inside_ipv6_is_unwrapped_before_it_is_checked() {
    for mapped in ["::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "::ffff:10.0.0.1", "::127.0.0.1"] {
        refused_answers(&[mapped]).await;
        refused_authority(&format!("[{mapped}]")).await;
    }
}

#[tokio::test]
async fn e7_translation_and_tunnel_prefixes_are_not_public() {
    for tunnel in [
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "2001::7f00:1",
        "2001:0:53aa:64c:0:7fff:80ff:fffe",
        "2001:470::5efe:10.0.0.1",
        "fe80::5efe:10.0.0.1",
        "2001:470::200:5efe:7f00:1",
    ] {
        refused_answers(&[tunnel]).await;
        refused_authority(&format!("[{tunnel}]")).await;
    }
}

#[tokio::test]
async fn e8_numbers_for_addresses_are_no_hosts() {
    for number in [
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0x7f.1",
        "127.1",
        "127.0.1",
        "017700000001",
        "0x7f.0x0.0x0.0x1",
        "1.1.1",
        "08.8.8.8",
        "256.1.1.1",
        "1.2.3.4.5",
        "example.0x10",
        "example.123",
    ] {
        refused_authority(number).await;
    }
}

#[tokio::test]
async fn e9_other_digits_and_dots_than_ascii_are_no_hosts() {
    for text in
        ["①②⑦.0.0.1", "１２７.0.0.1", "127。0。0。1", "api。example。com", "ａｐｉ.example.com", "api．example.com"]
    {
        refused_authority(text).await;
    }
}

#[tokio::test]
async fn e10_unspecified_broadcast_multicast_and_reserved_blocks_are_never_dialled() {
    for address in [
        "0.0.0.0",
        "::",
        "255.255.255.255",
        "224.0.0.1",
        "239.255.255.250",
        "ff02::1",
        "192.0.0.8",
        "192.0.0.170",
        "198.18.0.1",
        "198.19.255.255",
        "240.0.0.1",
        "100.64.0.1",
        "0.1.2.3",
        "192.88.99.1",
        "203.0.113.7",
        "2001:db8::1",
        "3fff::1",
        "5f00::1",
        "100::1",
    ] {
        refused_answers(&[address]).await;
        let literal = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
        refused_authority(&literal).await;
    }
}

#[tokio::test]
async fn e11_an_address_with_a_scope_is_no_host() {
    for scoped in ["[fe80::1%25eth0]", "[fe80::1%eth0]", "fe80::1%1", "[fe80::1%251]:80"] {
        refused_authority(scoped).await;
    }
    refused_answers(&["fe80::1"]).await;
}

#[tokio::test]
async fn e12_metadata_services_are_refused_by_name_and_by_address() {
    for name in ["metadata.google.internal", "metadata.internal", "instance-data.local"] {
        assert!(name.parse::<nisse_model::NetworkRule>().is_err(), "{name} must not be a rule");
        refused_authority(name).await;
    }
    for address in ["169.254.169.254", "fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "192.0.0.192"] {
        refused_answers(&[address]).await;
        // Not even a local permission opens them.
        let literal = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
        let service = format!("{literal}:80");
        let world = World::new(&[]).with_local(&[&service]);
        let refused = world.get(&format!("http://{service}/latest")).await.expect_err("must be refused");
        assert_eq!(refused.reason(), "address", "{address}");
        world.nothing_dialled_beyond(0);
    }
}

#[tokio::test]
async fn e14_localhost_in_any_spelling_is_not_public() {
    for name in
        ["localhost", "LOCALHOST", "localhost.", "foo.localhost", "foo.localhost.", "ip6-localhost", "foo.local"]
    {
        assert!(name.parse::<nisse_model::NetworkRule>().is_err(), "{name} must not be a rule");
        refused_authority(name).await;
        refused_authority(&format!("{name}:8080")).await;
    }
    assert!(EgressTarget::parse("http", "localhost.", "/").is_err());
}

#[tokio::test]
async fn public_addresses_of_both_families_are_dialled() {
    for (rule, scheme) in SCHEMES {
        for addresses in [&[PUBLIC_V4][..], &[PUBLIC_V6], &[PUBLIC_V6, PUBLIC_V4]] {
            let world = World::new(&[rule]);
            world.names.answer(HOST, addresses, LONG);
            world.serve_host(FakeServer::ok("hello"));
            for _ in 0..2 {
                assert_eq!(world.get(&format!("{scheme}://{HOST}/")).await.expect("allowed").1, "hello");
            }
            world.nothing_dialled_beyond(1);
        }
    }
}
