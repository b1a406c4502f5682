//! Real sockets and real TLS on loopback: the operator's exception, and a local service.

use std::sync::Arc;

use nisse_egress::fake::{AuditLog, ScriptedResolver};
use nisse_egress::{
    CaFile, ConnectTo, Egress, EgressConfig, EgressDeps, EgressError, EgressTime, GuestRequest, NoSecrets, Reach,
    RequestBody, RequestTimeouts, ServerIdentity, TcpDialler,
};
use nisse_model::{LocalService, NetworkRule, Timestamp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const RULE: &str = "api.coingecko.com";

/// A feed on loopback with `identity`, or without TLS; answers `answers` connections.
async fn feed(identity: Option<ServerIdentity>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Some(identity) = identity.clone() else {
                tokio::spawn(answer(stream));
                continue;
            };
            tokio::spawn(async move {
                if let Ok(stream) = identity.accept(stream).await {
                    answer(stream).await;
                }
            });
        }
    });
    port
}

async fn answer(mut stream: impl nisse_egress::Stream) {
    let mut bytes = [0; 4096];
    while let Ok(1..) = stream.read(&mut bytes).await {
        let text = "HTTP/1.1 200 OK\r\ncontent-length: 26\r\n\r\n{\"ethereum\":{\"usd\":3141.5}}";
        let text = text.replace("26", "27");
        stream.write_all(text.as_bytes()).await.ok();
    }
}

fn egress(connect_to: Vec<ConnectTo>, audit: &AuditLog) -> Egress {
    let config = EgressConfig { connect_to, ..EgressConfig::default() };
    let deps = EgressDeps {
        resolver: Arc::new(ScriptedResolver::default()),
        dialler: Arc::new(TcpDialler),
        secrets: Arc::new(NoSecrets),
        audit: Arc::new(audit.clone()),
        time: EgressTime::new(|| Timestamp(0), || std::time::Duration::from_secs(1)),
    };
    Egress::new(config, deps)
}

async fn get(
    egress: &Egress,
    rules: &[&str],
    local: &[&str],
    scheme: &str,
    authority: &str,
) -> Result<String, EgressError> {
    let rules: Vec<NetworkRule> = rules.iter().map(|rule| rule.parse().expect("a rule")).collect();
    let local: Vec<LocalService> = local.iter().map(|service| service.parse().expect("a service")).collect();
    let request = GuestRequest {
        agent: "talos.oracle".to_owned(),
        reach: Reach::Granted { rules: &rules, local: &local, secrets: &[] },
        method: "GET".to_owned(),
        scheme: scheme.to_owned(),
        authority: authority.to_owned(),
        path_and_query: "/api/v3/simple/price?ids=ethereum&vs_currencies=usd".to_owned(),
        headers: vec![("accept".to_owned(), b"application/json".to_vec())],
        body: RequestBody::Empty,
        timeouts: RequestTimeouts::default(),
    };
    let response = egress.request(request).await?;
    assert_eq!(response.status, 200);
    let body = response.body.collect(1000).await?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

fn exception(port: u16, identity: &ServerIdentity) -> ConnectTo {
    let exception: ConnectTo = format!("{RULE}:443:127.0.0.1:{port}").parse().expect("an exception");
    exception.with_ca(CaFile::from_pem(identity.authority_pem()).expect("an authority"))
}

#[tokio::test]
async fn the_price_feed_answers_over_real_tls_through_the_agents_rule() {
    let identity = ServerIdentity::generate(RULE).expect("an identity");
    let port = feed(Some(identity.clone())).await;
    let audit = AuditLog::default();
    let egress = egress(vec![exception(port, &identity)], &audit);
    for _ in 0..2 {
        let body = get(&egress, &[RULE], &[], "https", RULE).await.expect("allowed");
        assert_eq!(body, "{\"ethereum\":{\"usd\":3141.5}}");
    }
    let lines = audit.lines();
    assert!(lines.iter().all(|line| line.via_connect_to && !line.via_network_local));
    assert_eq!(lines[0].rule, "network_outbound:api.coingecko.com");
    assert!(lines[1].reused);
}

#[tokio::test]
async fn the_exception_gives_no_permission() {
    let identity = ServerIdentity::generate(RULE).expect("an identity");
    let port = feed(Some(identity.clone())).await;
    let audit = AuditLog::default();
    let egress = egress(vec![exception(port, &identity)], &audit);
    let refused = get(&egress, &["api.example.com"], &[], "https", RULE).await.expect_err("no rule");
    assert_eq!(refused.reason(), "not_granted");
    // Another host behind the same address, another port of the same host: no exception.
    for (rule, authority) in
        [("pro-api.coingecko.com", "pro-api.coingecko.com"), ("api.coingecko.com:8443", "api.coingecko.com:8443")]
    {
        let refused = get(&egress, &[rule], &[], "https", authority).await.expect_err("no exception");
        assert_eq!(refused.reason(), "resolve");
    }
}

#[tokio::test]
async fn an_identity_that_was_kept_is_the_same_after_a_restart() {
    let made = ServerIdentity::generate(RULE).expect("an identity");
    let kept = ServerIdentity::from_pem(made.certificate_pem(), made.key_pem(), made.authority_pem()).expect("loaded");
    let port = feed(Some(kept)).await;
    let egress = egress(vec![exception(port, &made)], &AuditLog::default());
    get(&egress, &[RULE], &[], "https", RULE).await.expect("the same authority");
}

#[tokio::test]
async fn a_feed_of_another_authority_or_name_is_refused() {
    let identity = ServerIdentity::generate(RULE).expect("an identity");
    let other_authority = ServerIdentity::generate(RULE).expect("an identity");
    let other_name = ServerIdentity::generate("api.example.com").expect("an identity");
    for (server, ca) in [(&identity, &other_authority), (&other_name, &other_name)] {
        let port = feed(Some(server.clone())).await;
        let egress = egress(vec![exception(port, ca)], &AuditLog::default());
        let refused = get(&egress, &[RULE], &[], "https", RULE).await.expect_err("must be refused");
        assert_eq!(refused.reason(), "tls");
    }
    // Without the exception's authority only the public ones are believed.
    let port = feed(Some(identity.clone())).await;
    let plain: ConnectTo = format!("{RULE}:443:127.0.0.1:{port}").parse().expect("an exception");
    let refused = get(&egress(vec![plain], &AuditLog::default()), &[RULE], &[], "https", RULE).await;
    assert_eq!(refused.expect_err("must be refused").reason(), "tls");
}

#[tokio::test]
async fn a_local_service_is_reached_at_exactly_its_host_and_port() {
    let port = feed(None).await;
    let audit = AuditLog::default();
    let egress = egress(Vec::new(), &audit);
    for service in [format!("127.0.0.1:{port}"), format!("localhost:{port}")] {
        get(&egress, &[], &[&service], "http", &service).await.expect("granted");
        assert!(audit.lines().last().is_some_and(|line| line.via_network_local && !line.via_connect_to));
    }
    for other in [format!("127.0.0.2:{port}"), format!("127.0.0.1:{}", port ^ 1), "localhost".to_owned()] {
        let service = format!("127.0.0.1:{port}");
        let refused = get(&egress, &[], &[&service], "http", &other).await.expect_err("another service");
        assert_eq!(refused.reason(), "not_granted", "{other}");
    }
}

#[tokio::test]
async fn an_exception_for_tls_leads_nothing_in_the_clear() {
    let port = feed(None).await;
    let rule = format!("http://{RULE}:443");
    let authority = format!("{RULE}:443");
    let tls_only: ConnectTo = format!("{RULE}:443:127.0.0.1:{port}").parse().expect("an exception");
    let egress_of = |exception: ConnectTo| egress(vec![exception], &AuditLog::default());
    let refused = get(&egress_of(tls_only), &[&rule], &[], "http", &authority).await.expect_err("no exception");
    assert_eq!(refused.reason(), "resolve");
    // One that is not for TLS leads both.
    let plain: ConnectTo = format!("{RULE}:8080:127.0.0.1:{port}").parse().expect("an exception");
    let rule = format!("http://{RULE}:8080");
    get(&egress_of(plain), &[&rule], &[], "http", &format!("{RULE}:8080")).await.expect("led there");
}
