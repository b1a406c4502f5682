//! Every route × every kind of caller, made from the table, so that a new route is tested by being there.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use nisse_api::client::{Client, ClientError};
use nisse_api::routes::{ROUTES, Scope};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::running::{FILES_MAX, concrete, running, status};

/// How long the listener waits for a head.
const HEAD_TIME_MAX: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a1_every_route_is_closed_to_whom_its_scope_does_not_name() {
    let running = running().await;
    let (host, token) = (running.api, running.node.token().to_owned());
    for route in ROUTES {
        let start =
            format!("{} {} HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n", route.method, concrete(route.path));
        let name = format!("{} {}", route.method, route.path);
        let bare = status(host, &format!("{start}Host: {host}\r\n\r\n")).await;
        let wrong =
            status(host, &format!("{start}Host: {host}\r\nAuthorization: Bearer {}\r\n\r\n", "0".repeat(64))).await;
        match route.scope {
            Scope::Owner | Scope::Here => assert_eq!((bare, wrong), (401, 401), "{name}"),
            Scope::Anyone => assert_eq!(bare, 200, "{name}"),
            Scope::Stranger => {
                assert_eq!((bare, wrong), (404, 404), "{name} on loopback");
                let asked = format!("{start}Host: localhost\r\n\r\n");
                assert_eq!(status(running.public, &asked).await, 400, "{name} without what it is asked for");
                continue;
            }
            Scope::Signer => {
                assert_eq!((bare, wrong), (404, 404), "{name} on loopback");
                // Not even the home's token says who owns a deployment.
                for authorization in ["", &format!("Authorization: Bearer {token}\r\n")] {
                    let asked = format!("{start}Host: localhost\r\n{authorization}\r\n");
                    assert_eq!(status(running.public, &asked).await, 401, "{name} on the public listener");
                }
                continue;
            }
        }
        let with = format!("{start}Authorization: Bearer {token}\r\n");
        let rebound = status(host, &format!("{with}Host: evil.example\r\n\r\n")).await;
        assert_eq!(rebound, 421, "{name} for a name that was rebound");
        let foreign = status(host, &format!("{with}Host: {host}\r\nOrigin: http://evil.example\r\n\r\n")).await;
        assert_eq!(foreign, 403, "{name} for a foreign page");
        let owner = status(host, &format!("{with}Host: {host}\r\n\r\n")).await;
        assert!(![0, 401, 403, 421, 500].contains(&owner), "{name} for its owner: {owner}");
    }
    running.node.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a9_unknown_paths_methods_hosts_and_tricks_are_refused() {
    let running = running().await;
    let (host, token) = (running.api, running.node.token().to_owned());
    let ask = async |line: &str| {
        let head =
            format!("{line} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n");
        status(host, &head).await
    };
    for path in
        ["/", "/api", "/api/v1", "/api/v1/agents/", "/api/v1//agents", "/API/v1/agents", "/api/v1/agents/%2e%2e/node"]
    {
        let code = ask(&format!("GET {path}")).await;
        assert!(code == 404, "{path}: {code}");
    }
    assert_eq!(ask("PUT /api/v1/agents").await, 405);
    assert_eq!(ask("DELETE /api/v1/node").await, 405);
    let public = running.public;
    let stranger = format!("GET / HTTP/1.1\r\nHost: nobody.localhost:{}\r\nConnection: close\r\n\r\n", public.port());
    assert_eq!(status(public, &stranger).await, 421);
    let control = format!(
        "GET /api/v1/node HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    assert_eq!(status(public, &control).await, 404, "the control API is not on the public listener");
    let twice = "GET / HTTP/1.1\r\nHost: a.localhost\r\nHost: b.localhost\r\nConnection: close\r\n\r\n";
    assert_eq!(status(public, twice).await, 400);
    running.node.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_body_gets_a_sentence_and_a_stable_code() {
    let running = running().await;
    let client = Client::new(running.api, running.node.token());
    let refused = async |path: &str, body: serde_json::Value| match client.post::<serde_json::Value>(path, &body).await
    {
        Err(ClientError::Refused(problem)) => (problem.status, problem.code),
        other => panic!("{path} answered {other:?}"),
    };
    let deploy = "/api/v1/agents";
    assert_eq!(refused(deploy, serde_json::json!({})).await, (422, "body_invalid".to_owned()));
    let upload = |manifest: &str| serde_json::json!({ "package": { "manifest": manifest, "artifact": "" } });
    assert_eq!(refused(deploy, upload("agent_id: 3")).await, (400, "manifest_invalid".to_owned()));
    let mut unknown = upload("x");
    unknown["colour"] = "red".into();
    assert_eq!(refused(deploy, unknown).await, (422, "body_invalid".to_owned()));
    let invoke = serde_json::json!({ "data": 1 });
    assert_eq!(refused("/api/v1/agents/nobody/invoke", invoke).await, (404, "agent_unknown".to_owned()));
    running.node.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a7_strangers_who_take_every_connection_leave_the_owner_theirs() {
    let running = running().await;
    let mut strangers = Vec::new();
    for _ in 0..FILES_MAX {
        let mut stream = TcpStream::connect(running.public).await.unwrap();
        stream.write_all(b"POST / HTTP/1.1\r\nHost: nobody.localhost\r\n").await.unwrap();
        strangers.push(stream);
    }
    let client = Client::new(running.api, running.node.token());
    client.get::<serde_json::Value>("/api/v1/node").await.unwrap();
    drop(strangers);
    let head = "GET / HTTP/1.1\r\nHost: nobody.localhost\r\nConnection: close\r\n\r\n";
    assert_eq!(status(running.public, head).await, 421, "the next ones are served once those have gone");
    running.node.shut_down().await;
}

/// Connections that begin to ask and never come to the end of it, several times as many as there are places.
async fn half_asked(address: SocketAddr, begin: &str) -> Vec<TcpStream> {
    let mut held = Vec::new();
    for _ in 0..FILES_MAX {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // One that was sent away already is of no use to it.
        let _ = stream.write_all(begin.as_bytes()).await;
        held.push(stream);
    }
    held
}

#[tokio::test(flavor = "multi_thread")]
async fn a7_whoever_asks_half_never_keeps_the_owner_out() {
    let running = running().await;
    let host = running.api;
    let token = running.node.token().to_owned();
    let heads = half_asked(host, "GET /api/v1/health HTTP/1.1\r\n").await;
    let guessed =
        half_asked(host, &format!("POST /api/v1/content HTTP/1.1\r\nHost: {host}\r\nContent-Length: 9\r\n\r\n[")).await;
    let begun = Instant::now();
    let client = Client::new(host, token.as_str());
    client.get::<serde_json::Value>("/api/v1/node").await.unwrap();
    assert!(begun.elapsed() < HEAD_TIME_MAX, "{:?}: one of them had to give up first", begun.elapsed());
    drop((heads, guessed));

    let rpc = running.rpc;
    let bodies = half_asked(rpc, &format!("POST / HTTP/1.1\r\nHost: {rpc}\r\nContent-Length: 1000000\r\n\r\n[")).await;
    let begun = Instant::now();
    let ask = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}"#;
    let head =
        format!("POST / HTTP/1.1\r\nHost: {rpc}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{ask}", ask.len());
    assert_eq!(status(rpc, &head).await, 200);
    assert!(begun.elapsed() < HEAD_TIME_MAX, "{:?}", begun.elapsed());
    drop(bodies);
    running.node.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_owner_asked_for_goes_on_while_others_knock() {
    let running = running().await;
    let (host, token) = (running.api, running.node.token().to_owned());
    let mut owner = TcpStream::connect(host).await.unwrap();
    let head = format!(
        "POST /api/v1/content HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAuthorization: Bearer \
         {token}\r\nContent-Length: 4\r\n\r\nab"
    );
    owner.write_all(head.as_bytes()).await.unwrap();
    // Its head has been read once another of its requests is answered, which came later.
    Client::new(host, token.as_str()).get::<serde_json::Value>("/api/v1/node").await.unwrap();
    let held = half_asked(host, "GET /api/v1/health HTTP/1.1\r\n").await;
    owner.write_all(b"cd").await.unwrap();
    let mut answer = String::new();
    owner.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    drop(held);
    running.node.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_is_refused_before_it_comes() {
    let running = running().await;
    let (host, rpc, token) = (running.api, running.rpc, running.node.token().to_owned());
    let head = format!(
        "POST /api/v1/content HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n",
        (96 << 20) + 1
    );
    assert_eq!(status(host, &head).await, 413);
    let head = format!("POST / HTTP/1.1\r\nHost: {rpc}\r\nContent-Length: {}\r\n\r\n", (1 << 20) + 1);
    assert_eq!(status(rpc, &head).await, 413);
    running.node.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_public_listener_takes_a_host_in_one_form_only() {
    let running = running().await;
    let public = running.public;
    let ask = async |line: &str, host: &str| {
        status(public, &format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await
    };
    for host in ["localhost", "LOCALHOST", "localhost:80", "127.0.0.1"] {
        assert_eq!(ask("GET /", host).await, 404, "{host}: the node's own name");
    }
    for host in [
        "localhost:80@evil",
        "localhost:abc",
        "localhost:99999999",
        "localhost:]",
        "localhost: 80",
        "[localhost]",
        "[::1]x",
    ] {
        assert_eq!(ask("GET /", host).await, 400, "{host}");
    }
    for target in ["ftp://localhost/", "https://localhost/", "http://evil/", "localhost", "*"] {
        assert_eq!(ask(&format!("GET {target}"), "localhost").await, 400, "{target}");
    }
    assert_eq!(ask("GET http://localhost/", "localhost").await, 404);
    let control =
        format!("GET http://evil.example/api/v1/health HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", running.api);
    assert_eq!(status(running.api, &control).await, 421);
    running.node.shut_down().await;
}
