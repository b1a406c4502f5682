//! What comes into an agent over HTTP and goes out of it, through the SDK that reads and writes it.

use bytes::Bytes;
use http::{Request, Response};
use nisse_model::InvocationId;
use nisse_sandbox::{CallContext, LiveInstance};
use nisse_sdk::http::REQUEST_BODY_BYTES_MAX;
use serde_json::json;

use crate::price_oracle::start;

async fn guest(name: &str) -> LiveInstance {
    start(&format!("guests/{name}"), &json!({})).await.0
}

async fn post(instance: &mut LiveInstance, body: Vec<u8>) -> Response<Bytes> {
    let request = Request::post("/a?b").header("host", "a.localhost").body(body.into()).expect("a request");
    instance.http(InvocationId([2; 16]), request, CallContext::default()).await.result.expect("it answers")
}

#[tokio::test]
async fn bodies_of_every_length_come_and_go_whole_and_leave_nothing_behind() {
    let mut echo = guest("echo").await;
    let mut held = None;
    for length in [300_000, 0, 1, 4095, 4096, 4097, 65_535, 65_536, 65_537, 131_072, 300_000] {
        let sent: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
        let answer = post(&mut echo, sent.clone()).await;
        let (head, body) = answer.body().split_at(answer.body().len() - length);
        assert_eq!((answer.status().as_u16(), head), (200, &b"Method::Post /a?b\n"[..]), "{length} bytes");
        assert!(body == sent, "{length} bytes");
        assert_eq!(*held.get_or_insert(echo.memory_bytes()), echo.memory_bytes(), "{length} bytes");
    }
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused_where_it_is_read_and_only_there() {
    let long = vec![b'.'; REQUEST_BODY_BYTES_MAX + 1];
    let mut echo = guest("echo").await;
    let refused = post(&mut echo, long.clone()).await;
    assert_eq!(
        (refused.status().as_u16(), &refused.body()[..]),
        (413, &b"a request body is at most 1048576 bytes\n"[..])
    );
    assert_eq!(post(&mut echo, b"short".to_vec()).await.status(), 200);
    assert_eq!(post(&mut guest("counter").await, long).await.status(), 200, "it looks at no body");
}
