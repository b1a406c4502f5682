//! The operator's client: configured URLs, loopback included.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nisse_egress::fake::{FakeNetwork, FakeServer, Piece, ScriptedResolver};
use nisse_egress::{CaFile, OperatorClient, OperatorError, ServerIdentity, TlsRoots};

const DEADLINE: Duration = Duration::from_secs(5);

fn client() -> (OperatorClient, ScriptedResolver, FakeNetwork, ServerIdentity) {
    let (names, network) = (ScriptedResolver::default(), FakeNetwork::default());
    let identity = ServerIdentity::generate("rpc.example.com").expect("an identity");
    let roots = TlsRoots::Only(CaFile::from_pem(identity.authority_pem()).expect("an authority"));
    (OperatorClient::new(Arc::new(names.clone()), Arc::new(network.clone()), &roots), names, network, identity)
}

#[tokio::test]
async fn a_call_to_loopback_keeps_its_connection() {
    let (client, _, network, _) = client();
    network.serve("127.0.0.1:8545", FakeServer::ok("{}"));
    for _ in 0..3 {
        let body = Bytes::from_static(b"{\"jsonrpc\":\"2.0\"}");
        let answer =
            client.post("http://127.0.0.1:8545", "application/json", body, DEADLINE, 100).await.expect("answered");
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"{}"[..]));
    }
    assert_eq!(network.dials().len(), 1);
    let received = &network.received()[2];
    assert_eq!(received.header("host"), ["127.0.0.1:8545"]);
    assert_eq!(received.header("content-type"), ["application/json"]);
    assert_eq!(received.head.lines().next(), Some("POST / HTTP/1.1"));
}

#[tokio::test]
async fn tls_is_checked_by_name() {
    let (client, names, network, identity) = client();
    names.answer("rpc.example.com", &["10.0.0.7"], Duration::ZERO);
    names.answer("other.example.com", &["10.0.0.7"], Duration::ZERO);
    network.serve("10.0.0.7:443", FakeServer::ok("{}").with_tls(&identity));
    client.get("https://rpc.example.com/v1?key=1", DEADLINE, 100).await.expect("answered");
    let refused = client.get("https://other.example.com/", DEADLINE, 100).await.expect_err("another name");
    assert!(matches!(refused, OperatorError::Connect { .. }), "{refused}");
    assert_eq!(network.received().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn deadlines_and_caps_hold() {
    let (client, _, network, _) = client();
    network.serve("127.0.0.1:1", FakeServer::new(|_| vec![Piece::Wait(Duration::from_secs(60))]));
    network.serve("127.0.0.1:2", FakeServer::ok("four"));
    let late = client.get("http://127.0.0.1:1/", DEADLINE, 100).await.expect_err("too late");
    assert!(matches!(late, OperatorError::Deadline { .. }), "{late}");
    let large = client.get("http://127.0.0.1:2/", DEADLINE, 3).await.expect_err("too large");
    assert!(matches!(large, OperatorError::TooLarge { max: 3, .. }), "{large}");
    client.get("http://127.0.0.1:2/", DEADLINE, 4).await.expect("just fits");
    let nobody = client.get("http://127.0.0.1:3/", DEADLINE, 4).await.expect_err("nobody listens");
    assert!(nobody.to_string().contains("connect to 127.0.0.1:3"), "{nobody}");
}

#[tokio::test]
async fn a_url_that_cannot_be_read_is_named() {
    let (client, _, network, _) = client();
    for url in [
        "rpc.example.com",
        "ftp://rpc.example.com",
        "http://",
        "http://u:p@rpc.example.com/",
        "http://a\\b/",
        "http://a/#b",
    ] {
        let error = client.get(url, DEADLINE, 100).await.expect_err("not a URL");
        assert!(matches!(error, OperatorError::Url { .. }), "{url}: {error}");
    }
    assert!(network.dials().is_empty());
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (client, _, network, _) = client();
    network.serve("127.0.0.1:8080", FakeServer::text("HTTP/1.1 301 Moved\r\nlocation: http://10.0.0.1/", ""));
    let answer = client.get("http://127.0.0.1:8080/ipfs/x", DEADLINE, 100).await.expect("answered");
    assert_eq!(answer.status.as_u16(), 301);
    assert_eq!(network.dials().len(), 1);
}
