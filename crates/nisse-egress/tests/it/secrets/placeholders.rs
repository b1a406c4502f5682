//! K6: what a guest writes. A placeholder is one only as the whole value of its header, and what stands in a secret's
//! header otherwise never leaves.

use bytes::Bytes;
use nisse_egress::RequestBody;

use super::{SECRET, URL, header, tells_nothing, with_headers, world};

const PLACEHOLDER: &str = "nisse-secret:api";

#[tokio::test]
async fn k6_a_placeholder_in_a_url_a_body_or_a_cookie_is_text() {
    let world = world(&["api@api.example.com;header=x-api-key"]);
    let url = format!("{URL}/{PLACEHOLDER}?key={PLACEHOLDER}");
    let cookie = format!("session={PLACEHOLDER}");
    let mut request = with_headers(&world, &url, &[("cookie", &cookie), ("x-note", "see nisse-secret:api")]);
    request.method = "POST".to_owned();
    request.body = RequestBody::Full(Bytes::from_static(PLACEHOLDER.as_bytes()));
    world.send(request).await.expect("allowed");
    let received = &world.network.received()[0];
    assert!(received.head.starts_with(&format!("POST /{PLACEHOLDER}?key={PLACEHOLDER} HTTP/1.1\r\n")));
    assert_eq!(received.header("cookie"), [cookie]);
    assert_eq!(received.header("x-note"), ["see nisse-secret:api"]);
    assert_eq!(received.body, PLACEHOLDER.as_bytes());
    assert_eq!(received.header("x-api-key"), [SECRET], "only the header that the permission names carries it");
    assert_eq!(received.head.matches(SECRET).count(), 1);
}

#[tokio::test]
async fn k6_a_placeholder_in_a_header_that_no_permission_names_is_refused() {
    let world = world(&["api@api.example.com"]);
    for name in ["cookie", "x-api-key", "user-agent", "host", "connection", "content-length", "x-any"] {
        for url in [URL, "http://api.example.com"] {
            let refused = world.send(with_headers(&world, url, &[(name, PLACEHOLDER)])).await;
            assert_eq!(refused.expect_err("must be refused").reason(), "secret_not_granted", "{name} to {url}");
        }
    }
    world.nothing_dialled_beyond(0);
    assert!(world.vault.asked().is_empty());
}

#[tokio::test]
async fn k6_an_agent_without_secrets_cannot_ask_for_one() {
    let world = world(&[]);
    let refused = world.send(with_headers(&world, URL, &[("authorization", PLACEHOLDER)])).await;
    assert_eq!(refused.expect_err("must be refused").reason(), "secret_not_granted");
    world.nothing_dialled_beyond(0);
}

#[tokio::test]
async fn every_value_that_the_guest_gave_for_a_secrets_header_is_dropped() {
    let world = world(&["api@api.example.com"]);
    let mut request = world.request(URL);
    request.headers = vec![
        header("Authorization", "Basic eDp5"),
        header("authorization", PLACEHOLDER),
        header("AUTHORIZATION", "Bearer mine"),
        header("authorization", ""),
        header("connection", "authorization"),
    ];
    world.send(request).await.expect("allowed");
    let received = &world.network.received()[0];
    assert_eq!(received.header("authorization"), [format!("Bearer {SECRET}")]);
    tells_nothing("every other header", &received.head.replace(SECRET, ""));
}

#[tokio::test]
async fn two_secrets_asked_for_in_one_header_are_refused() {
    let world = world(&["api@api.example.com", "other@api.example.com;method=GET"]);
    let both = [("authorization", PLACEHOLDER), ("authorization", "nisse-secret:other")];
    let refused = world.send(with_headers(&world, URL, &both)).await.expect_err("must be refused");
    assert_eq!(refused.reason(), "secret_not_granted");
    let twice = [("authorization", PLACEHOLDER), ("authorization", PLACEHOLDER)];
    world.send(with_headers(&world, URL, &twice)).await.expect("the same one twice is one");
    assert_eq!(world.network.received().len(), 1);
}
