//! K4 and K5: a secret stays with its host, scheme, port, method, path and header.

use nisse_egress::fake::{FakeServer, Piece};

use super::{AGENT, OTHER, OTHER_V4, SECRET, URL, tells_nothing, with_headers, world};
use crate::world::{PUBLIC_V4, World};

const PLACEHOLDER: (&str, &str) = ("authorization", "nisse-secret:api");
const BEARER: &str = "Bearer sk-test/4f+9Zq=Vx~81_Lm.w\"e";

/// What came in as `authorization`, request by request.
fn authorizations(world: &World) -> Vec<String> {
    world.network.received().iter().map(|received| received.header("authorization").join("|")).collect()
}

#[tokio::test]
async fn a_secret_goes_along_with_a_request_that_its_permission_is_for() {
    let world = world(&["api@api.example.com"]);
    for headers in [&[PLACEHOLDER][..], &[], &[("Authorization", " nisse-secret:api ")], &[("authorization", "x")]] {
        world.send(with_headers(&world, URL, headers)).await.expect("allowed");
    }
    assert_eq!(authorizations(&world), [BEARER; 4]);
    assert_eq!(world.vault.asked().len(), 4, "asked anew each time");
    assert_eq!(world.audit.lines()[0].rule, "network_outbound:api.example.com");
}

#[tokio::test]
async fn each_form_stands_in_its_header() {
    for (rule, header, sent) in [
        ("api@api.example.com", "authorization", BEARER.to_owned()),
        ("api@api.example.com;as=plain", "authorization", SECRET.to_owned()),
        ("api@api.example.com;header=X-API-Key", "x-api-key", SECRET.to_owned()),
        ("api@api.example.com;header=cookie", "cookie", SECRET.to_owned()),
        ("api@api.example.com;header=x-token;as=bearer", "x-token", BEARER.to_owned()),
    ] {
        let world = world(&[rule]);
        world.get(URL).await.expect("allowed");
        assert_eq!(world.network.received()[0].header(header), [sent], "{rule}");
    }
}

#[tokio::test]
async fn k4_a_secret_for_another_host_is_refused_before_anything_is_dialled() {
    let world = world(&["api@api.example.com"]);
    for url in [
        "http://other.example.net/",
        "http://api.example.com/",
        "http://api.example.com:443/",
        "https://api.example.com:8443/",
    ] {
        let refused = world.send(with_headers(&world, url, &[PLACEHOLDER])).await.expect_err("must be refused");
        assert_eq!(refused.reason(), "secret_not_granted", "{url}");
        tells_nothing(url, &format!("{refused} {:?}", refused.hint()));
    }
    world.nothing_dialled_beyond(0);
    assert!(world.names.questions().is_empty(), "no name was asked for");
    assert!(world.vault.asked().is_empty(), "the vault was not asked");
    assert!(world.audit.lines().iter().all(|line| line.verdict.name() == "denied" && line.secrets.is_empty()));
}

#[tokio::test]
async fn k4_without_asking_nothing_goes_to_another_host_scheme_or_port() {
    let world = world(&["api@api.example.com"]);
    world.network.serve(&format!("{OTHER_V4}:80"), FakeServer::ok("other"));
    world.network.serve(&format!("{PUBLIC_V4}:8443"), FakeServer::ok("port").with_tls(&world.identity));
    for url in ["http://other.example.net/", "http://api.example.com/", "https://api.example.com:8443/"] {
        world.send(with_headers(&world, url, &[("authorization", "own")])).await.expect("allowed");
    }
    // The right port, and no TLS.
    world.network.serve(&format!("{PUBLIC_V4}:443"), FakeServer::ok("in the clear"));
    let in_the_clear = with_headers(&world, "http://api.example.com:443/", &[("authorization", "own")]);
    world.send(in_the_clear).await.expect("allowed");
    assert_eq!(authorizations(&world), ["own"; 4]);
    assert!(world.vault.asked().is_empty());
}

#[tokio::test]
async fn k4_a_refusal_names_the_permission_to_add() {
    let world = world(&["api@api.example.com;path=/v1"]);
    let mut texts = String::new();
    for (url, name, value) in [
        ("https://api.example.com:8443/", "authorization", "nisse-secret:api"),
        ("https://api.example.com/v1", "X-Api-Key", "nisse-secret:api"),
        ("https://api.example.com/v1", "authorization", "nisse-secret:stripe"),
        ("https://api.example.com/v2", "authorization", "nisse-secret:api"),
        ("http://api.example.com/v1", "authorization", "nisse-secret:api"),
        ("https://api.example.com/v1", "authorization", "nisse-secret:a b"),
        ("https://api.example.com/v1", "authorization", "nisse-secret:"),
        ("https://api.example.com/v1", "proxy-authorization", "nisse-secret:api"),
    ] {
        let refused = world.send(with_headers(&world, url, &[(name, value)])).await.expect_err("must be refused");
        let hint = refused.hint().expect("a hint");
        texts.push_str(&format!("failed to {refused}\n  hint: {hint}\n"));
    }
    world.nothing_dialled_beyond(0);
    insta::assert_snapshot!(texts, @r#"
    failed to put the secret "api" into `authorization` of a request to https://api.example.com:8443: none of the permissions of `talos.probe` match
      hint: add "secret:api@api.example.com:8443" to `permissions` in agent.yaml, then `nisse update talos.probe DIR`
    failed to put the secret "api" into `x-api-key` of a request to https://api.example.com: none of the permissions of `talos.probe` match
      hint: add "secret:api@api.example.com;header=x-api-key" to `permissions` in agent.yaml, then `nisse update talos.probe DIR`
    failed to put the secret "stripe" into `authorization` of a request to https://api.example.com: none of the permissions of `talos.probe` match
      hint: add "secret:stripe@api.example.com" to `permissions` in agent.yaml, then `nisse update talos.probe DIR`
    failed to put the secret "api" into `authorization` of a request to https://api.example.com: none of the permissions of `talos.probe` match
      hint: "secret:api@api.example.com;path=/v1" is bound to a method or path that this request does not have
    failed to put the secret "api" into `authorization` of a request to http://api.example.com: none of the permissions of `talos.probe` match
      hint: a secret goes over https to a public host only: use `https` and the host's name
    failed to put the secret "a b" into `authorization` of a request to https://api.example.com: none of the permissions of `talos.probe` match
      hint: a header that asks for a secret is written as `nisse-secret:NAME` and nothing else
    failed to put the secret "" into `authorization` of a request to https://api.example.com: none of the permissions of `talos.probe` match
      hint: a header that asks for a secret is written as `nisse-secret:NAME` and nothing else
    failed to put the secret "api" into `proxy-authorization` of a request to https://api.example.com: none of the permissions of `talos.probe` match
      hint: no secret goes into `proxy-authorization`: use another header, such as `authorization`
    "#);
}

#[tokio::test]
async fn k5_a_guest_that_follows_a_redirect_takes_nothing_along() {
    let world = world(&["api@api.example.com"]);
    let redirect =
        b"HTTP/1.1 307 Temporary Redirect\r\nlocation: http://other.example.net/\r\ncontent-length: 0\r\n\r\n";
    world.serve_host(FakeServer::new(|_| vec![Piece::Bytes(redirect.to_vec())]));
    world.network.serve(&format!("{OTHER_V4}:80"), FakeServer::ok("got you"));
    let response = world.egress.request(with_headers(&world, URL, &[PLACEHOLDER])).await.expect("allowed");
    assert_eq!(response.status, 307, "not followed");
    let location = response.headers["location"].to_str().unwrap().to_owned();
    let refused = world.send(with_headers(&world, &location, &[PLACEHOLDER])).await.expect_err("must be refused");
    assert_eq!(refused.reason(), "secret_not_granted");
    world.get(&location).await.expect("allowed, without the secret");
    let at_other: Vec<_> = world.network.received().into_iter().filter(|one| one.head.contains(OTHER)).collect();
    assert_eq!(at_other.len(), 1);
    tells_nothing("the other host's request", &at_other[0].head);
    assert!(at_other[0].header("authorization").is_empty());
}

#[tokio::test]
async fn a_secret_that_is_bound_to_a_path_goes_nowhere_else() {
    let world = world(&["api@api.example.com;path=/v1"]);
    for path in ["/v1", "/v1/", "/v1/x?y=../z", "/v1/caf%C3%A9"] {
        world.get(&format!("{URL}{path}")).await.expect("allowed");
    }
    assert_eq!(authorizations(&world), [BEARER; 4]);
    for path in [
        "/",
        "/v10",
        "/v1.x",
        "/V1",
        "//v1",
        "/v1//x",
        "/v1/../x",
        "/v1/./x",
        "/x/../v1",
        "/v1/..;/x",
        "/v1%2f..",
        "/v1/%2e%2e/x",
        "/v1/%252e%252e/x",
        "/v1/%5c../x",
        "/%76%31",
        "/v1/%c0%ae./x",
        "/?/v1",
        "/v1/..%00/",
    ] {
        let url = format!("{URL}{path}");
        let refused = world.send(with_headers(&world, &url, &[PLACEHOLDER])).await.expect_err("must be refused");
        assert_eq!(refused.reason(), "secret_not_granted", "{path}");
        // And without asking, it goes out as the guest wrote it.
        world.send(with_headers(&world, &url, &[("authorization", "own")])).await.expect("allowed");
        assert_eq!(authorizations(&world).pop().unwrap(), "own", "{path}");
    }
}

#[tokio::test]
async fn a_secret_that_is_bound_to_methods_goes_along_with_no_other() {
    let world = world(&["api@api.example.com;method=GET+POST"]);
    for (method, sent) in [("GET", BEARER), ("POST", BEARER), ("DELETE", ""), ("get", ""), ("PURGE", "")] {
        let mut request = world.request(URL);
        request.method = method.to_owned();
        world.send(request).await.expect("allowed");
        assert_eq!(authorizations(&world).pop().unwrap(), sent, "{method}");
    }
}

#[tokio::test]
async fn a_request_that_may_stand_for_another_carries_no_bound_secret() {
    for (rule, header) in [
        ("api@api.example.com;method=POST", "X-HTTP-Method-Override"),
        ("api@api.example.com;method=POST", "x-method-override"),
        ("api@api.example.com;path=/v1", "X-Original-URL"),
        ("api@api.example.com;path=/v1", "x-rewrite-url"),
        ("api@api.example.com;path=/v1", "X_Original_URI"),
        ("api@api.example.com;method=POST", "x_http_method_override"),
    ] {
        let world = world(&[rule]);
        let mut request = with_headers(&world, "https://api.example.com/v1", &[(header, "DELETE")]);
        request.method = "POST".to_owned();
        world.send(request).await.expect("allowed");
        assert_eq!(authorizations(&world), [""], "{rule} with {header}");
    }
}

#[tokio::test]
async fn the_most_specific_of_the_matching_secrets_is_taken() {
    let rules = [
        "api@api.example.com",
        "post@api.example.com;method=POST",
        "v1@api.example.com;path=/v1",
        "deep@api.example.com;path=/v1/deep",
        "key@api.example.com;header=x-api-key",
    ];
    let world = world(&rules);
    for name in ["post", "v1", "deep", "key"] {
        world.vault.set(AGENT, name, format!("the value of {name}"));
    }
    for (method, path, taken) in [
        ("GET", "/", BEARER),
        ("POST", "/", "Bearer the value of post"),
        ("POST", "/v1", "Bearer the value of v1"),
        ("GET", "/v1/deep/er", "Bearer the value of deep"),
        ("GET", "/v1//deep", BEARER),
    ] {
        let mut request = world.request(&format!("{URL}{path}"));
        request.method = method.to_owned();
        world.send(request).await.expect("allowed");
        let received = world.network.received().pop().unwrap();
        assert_eq!(received.header("authorization"), [taken], "{method} {path}");
        assert_eq!(received.header("x-api-key"), ["the value of key"], "each header has its own");
    }
    // A guest that names one gets that one.
    world.send(with_headers(&world, "https://api.example.com/v1/deep", &[PLACEHOLDER])).await.expect("allowed");
    assert_eq!(authorizations(&world).pop().unwrap(), BEARER);
}
