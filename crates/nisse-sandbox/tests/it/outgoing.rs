//! Requests that a guest sends: refused without a grant, handed to the node as typed parts with one.

use nisse_model::{HostCallResult, InvocationId};
use nisse_sandbox::limits::RECEIVE_BODY_BYTES_MAX;
use nisse_sandbox::{CallContext, HostCall, HostFailureKind, HostReply, HttpField, HttpRequest, HttpResponse};

use crate::support::{Setup, grants, guest};

fn probe(spec: &str) -> http::Request<bytes::Bytes> {
    let body = bytes::Bytes::copy_from_slice(spec.as_bytes());
    http::Request::post("/").header("host", "h").body(body).expect("a request")
}

async fn answer(setup: &Setup, spec: &str) -> (String, nisse_sandbox::Trace) {
    let mut instance = setup.start(&guest("egress-prober")).await;
    let end = instance.http(InvocationId([1; 16]), probe(spec), CallContext::default()).await;
    let body = end.result.expect("the prober answers").into_body();
    (String::from_utf8_lossy(&body).into_owned(), end.trace)
}

const SPEC: &str = r#"{"scheme":"https","authority":"api.example.org","path":"/p?q=1","method":"POST",
    "headers":[["x-a","1"],["x-a","2"]],"body":"hello","timeout_ms":250}"#;

#[tokio::test]
async fn without_a_network_permission_a_request_answers_denied_and_never_leaves() {
    let setup = Setup::default();
    let (body, trace) = answer(&setup, SPEC).await;
    assert!(body.contains("refused") && body.contains("Denied"), "{body}");
    assert!(!setup.host.calls().iter().any(|call| matches!(call, HostCall::HttpSend { .. })));
    assert!(trace.host_calls.iter().any(|call| call.function == "http.send"), "the try is on record");
}

#[tokio::test]
async fn with_a_permission_the_node_gets_the_whole_request_in_parts() {
    let setup = Setup { grants: grants(&["network_outbound:api.example.org"]), ..Setup::default() };
    let fields = vec![HttpField { name: "x-b".to_owned(), value: b"3".to_vec() }];
    let response = HttpResponse { status: 201, fields, body: b"made".to_vec() };
    *setup.host.response.lock().expect("no panic") = Some(HostReply::Response { response });
    let (body, trace) = answer(&setup, SPEC).await;
    assert!(body.contains("201") && body.contains("made"), "{body}");
    let sent = setup.host.calls().into_iter().find_map(|call| match call {
        HostCall::HttpSend { request } => Some(request),
        _ => None,
    });
    let field = |value: &[u8]| HttpField { name: "x-a".to_owned(), value: value.to_vec() };
    let expected = HttpRequest {
        method: "POST".to_owned(),
        scheme: "https".to_owned(),
        authority: "api.example.org".to_owned(),
        path: "/p?q=1".to_owned(),
        fields: vec![field(b"1"), field(b"2")],
        body: b"hello".to_vec(),
        timeout_ms: Some(500),
        response_bytes_max: RECEIVE_BODY_BYTES_MAX,
    };
    assert_eq!(sent.expect("it was sent"), expected);
    let recorded = trace.host_calls.iter().find(|call| call.function == "http.send").expect("it is on record");
    assert_ne!(recorded.arguments, nisse_model::Hash256::ZERO);
    assert!(matches!(&recorded.result, HostCallResult::Bytes(bytes) if bytes.windows(4).any(|part| part == b"made")));
}

#[tokio::test]
async fn what_the_node_refuses_reaches_the_guest_as_an_error() {
    let setup = Setup { grants: grants(&["network_outbound:api.example.org"]), ..Setup::default() };
    for (kind, seen) in [
        (HostFailureKind::Denied, "Denied"),
        (HostFailureKind::Unresolved, "Destination"),
        (HostFailureKind::TimedOut, "Timeout"),
        (HostFailureKind::Tls, "Tls"),
        (HostFailureKind::Unreachable, "Refused"),
        (HostFailureKind::TooLarge, "BodySize"),
    ] {
        *setup.host.response.lock().expect("no panic") = Some(HostReply::failed(kind, "no"));
        let (body, _) = answer(&setup, SPEC).await;
        assert!(body.contains(seen), "{kind:?}: {body}");
    }
}
