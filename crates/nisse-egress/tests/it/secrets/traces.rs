//! K9: no error, audit line, log line or `Debug` holds anything of a secret.

use std::cell::RefCell;
use std::io::Write;
use std::sync::Once;

use nisse_egress::fake::{FakeServer, Piece};
use nisse_egress::{AuditSink as _, SecretRefused, SecretValue, TracingAudit};
use tracing::Level;
use zeroize::Zeroizing;

use super::{AGENT, SECRET, URL, echo, received_secret, tells_nothing, world};

thread_local! {
    /// What is logged on this thread, once somebody listens. A test runs on one thread.
    static LOG: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

struct ThreadLog;

impl Write for ThreadLog {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.with_borrow_mut(|log| log.iter_mut().for_each(|log| log.extend_from_slice(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Listens on this thread. The subscriber is the whole process's: one that is a thread's own misses events that another
/// thread met first.
fn listen() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let subscriber = tracing_subscriber::fmt().json().with_max_level(Level::TRACE).with_writer(|| ThreadLog);
        subscriber.try_init().expect("the only subscriber");
    });
    LOG.set(Some(Vec::new()));
}

fn logged() -> String {
    LOG.with_borrow(|log| String::from_utf8_lossy(log.as_ref().expect("listened")).into_owned())
}

#[tokio::test]
async fn k9_nothing_that_is_printed_holds_a_secret() {
    listen();
    let world = world(&["api@api.example.com"]);
    let mut printed = String::new();
    let garbage = |received: &nisse_egress::fake::Received| format!("garbage {}\r\n\r\n", received_secret(received));
    let long = |received: &nisse_egress::fake::Received| {
        format!("HTTP/1.1 200 OK\r\nx: {}{}\r\n\r\n", received_secret(received), "x".repeat(1_000_000))
    };
    let cut = |received: &nisse_egress::fake::Received| {
        format!("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{}", received_secret(received))
    };
    let answer = |make: fn(&nisse_egress::fake::Received) -> String| {
        FakeServer::new(move |received| vec![Piece::Bytes(make(received).into_bytes()), Piece::Close])
    };
    let mut reasons = Vec::new();
    for server in [answer(garbage), answer(long), answer(cut), FakeServer::new(|_| vec![Piece::Close])] {
        world.serve_host(server);
        let error = world.get(URL).await.expect_err("must fail");
        reasons.push(error.reason());
        printed.push_str(&format!("{error:?} {error:#?} {}", chain(&error)));
    }
    assert_eq!(reasons, ["protocol", "too_large", "protocol", "protocol"]);
    world.serve_host(FakeServer::ok("fine"));
    for refusal in [SecretRefused::Sealed, SecretRefused::Missing, SecretRefused::Failed("broken".to_owned())] {
        world.vault.refuse(Some(refusal));
        let error = world.get(URL).await.expect_err("must be refused");
        printed.push_str(&format!("{error:?} {} {:?}", chain(&error), error.hint()));
    }
    world.vault.refuse(None);
    world.vault.set(AGENT, "api", format!("{SECRET}\n{SECRET}"));
    let error = world.get(URL).await.expect_err("must be refused");
    printed.push_str(&format!("{error:?} {} {:?}", chain(&error), error.hint()));
    world.vault.set(AGENT, "api", SECRET);
    world.serve_host(echo(received_secret));
    let response = world.egress.request(world.request(URL)).await.expect("allowed");
    printed.push_str(&format!("{response:?}"));
    response.body.collect(1000).await.expect("carried");
    printed.push_str(&format!("{:?} {:?}", world.audit.lines(), SecretValue::new(Zeroizing::new(SECRET.into()))));
    tells_nothing("what was printed", &printed);
    tells_nothing("the log", &logged());
    // The log was listened to.
    for line in ["a host sent a secret back", "an outgoing connection ended"] {
        assert!(logged().contains(line), "no {line:?} in {}", logged());
    }
    assert_eq!(world.network.received().len(), 5, "the secret did go out, where it may");
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

#[tokio::test]
async fn the_audit_trail_names_secrets_and_counts_echoes_where_there_are_some() {
    let world = world(&["api@api.example.com", "key@api.example.com;header=x-key"]);
    world.vault.set(AGENT, "key", "a key of some length");
    world.serve_host(echo(received_secret));
    world.get("http://api.example.com/").await.expect("allowed");
    world.get(URL).await.expect("allowed");
    listen();
    for line in world.audit.lines() {
        TracingAudit.record(line);
    }
    let text = logged();
    let events: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let fields: Vec<_> = events.iter().map(|event| &event["fields"]).collect();
    assert!(fields[0].get("secrets").is_none() && fields[0].get("redacted").is_none(), "{}", fields[0]);
    assert_eq!((&fields[1]["secrets"], &fields[1]["redacted"]), (&"api,key".into(), &1.into()));
    tells_nothing("the audit trail", &text);
}
