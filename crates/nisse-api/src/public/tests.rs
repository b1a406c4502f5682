//! What a client reads whose body was not taken, and that its connection ends there.

use std::net::Ipv4Addr;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep};

use super::*;
use crate::body::{BODY_STALL_MAX, BODY_TIME_MAX, REQUEST_BYTES_MAX};
use crate::listen::server;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A connection to a listener that reads bodies as agents get theirs, and answers with their length.
fn connection() -> tokio::io::DuplexStream {
    let (there, here) = tokio::io::duplex(64 << 10);
    tokio::spawn(async move {
        let bodies = Bodies::default();
        let service = service_fn(|request: Request<Incoming>| async {
            Ok::<_, Infallible>(match bodies.whole(HERE, request.into_body()).await {
                Ok(body) => text(StatusCode::OK, &format!("{} bytes", body.bytes.len())),
                Err(error) => without_body(error),
            })
        });
        let _ = server().serve_connection(TokioIo::new(here), service).await;
    });
    there
}

/// All that comes until the other side closes.
async fn until_closed(io: &mut tokio::io::DuplexStream) -> String {
    let mut all = Vec::new();
    io.read_to_end(&mut all).await.expect("a close is an end");
    String::from_utf8(all).expect("answers are text")
}

const POST: &str = "POST / HTTP/1.1\r\nhost: a\r\n";

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_ends_with_408_and_a_close() {
    let (mut from, mut to) = tokio::io::split(connection());
    to.write_all(format!("{POST}content-length: 1000\r\n\r\n").as_bytes()).await.expect("it listens");
    let drip = tokio::spawn(async move {
        while to.write_all(b"a").await.is_ok() {
            sleep(Duration::from_secs(8)).await
        }
    });
    let begun = Instant::now();
    let mut all = String::new();
    from.read_to_string(&mut all).await.expect("a close is an end");
    assert!(begun.elapsed() <= BODY_TIME_MAX + Duration::from_secs(1), "{:?}", begun.elapsed());
    assert!(all.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{all}");
    assert!(all.contains("connection: close\r\n"), "{all}");
    assert!(all.ends_with("\r\n\r\na request's body comes within 60 s, and never pauses for 10 s\n"), "{all}");
    drip.await.expect("it ends with the connection");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_ends_sooner() {
    for head in ["content-length: 1000\r\n\r\na", "transfer-encoding: chunked\r\n\r\n1\r\na\r\n"] {
        let mut io = connection();
        io.write_all(format!("{POST}{head}").as_bytes()).await.expect("it listens");
        let begun = Instant::now();
        let all = until_closed(&mut io).await;
        assert!(all.starts_with("HTTP/1.1 408 "), "{all}");
        assert!(begun.elapsed() <= BODY_STALL_MAX + Duration::from_secs(1), "{:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_announces_too_much_is_refused_at_once() {
    let mut io = connection();
    let too_much = REQUEST_BYTES_MAX + 1;
    let head = format!("{POST}expect: 100-continue\r\ncontent-length: {too_much}\r\n\r\n");
    io.write_all(head.as_bytes()).await.expect("it listens");
    let begun = Instant::now();
    let all = until_closed(&mut io).await;
    assert!(all.starts_with("HTTP/1.1 413 "), "{all}");
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_connection_goes_on_after_a_body_that_came_in_time() {
    let mut io = connection();
    let twice = format!("{POST}content-length: 3\r\n\r\nabcGET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    io.write_all(twice.as_bytes()).await.expect("it listens");
    let all = until_closed(&mut io).await;
    assert!(all.contains("\r\n\r\n3 bytes\nHTTP/1.1 200 OK\r\n"), "{all}");
    assert!(all.ends_with("\r\n\r\n0 bytes\n"), "{all}");
}

#[tokio::test(start_paused = true)]
async fn a_head_without_an_end_is_refused_before_it_fills_memory() {
    let (mut from, mut to) = tokio::io::split(connection());
    let flood = tokio::spawn(async move {
        let mut sent = 0;
        let _ = to.write_all(format!("{POST}x: ").as_bytes()).await;
        while to.write_all(&[b'a'; 1_024]).await.is_ok() {
            sent += 1_024;
        }
        sent
    });
    let mut all = Vec::new();
    let _ = from.read_to_end(&mut all).await;
    assert!(all.starts_with(b"HTTP/1.1 431 "), "{}", String::from_utf8_lossy(&all));
    drop(from);
    assert!(flood.await.expect("it ends with the connection") <= 256 << 10);
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_caller_leaves_while_it_waits_for_its_turn_is_taken_back() {
    for sent in ["GET / HTTP/1.1\r\nhost: a\r\n\r\n", "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc"] {
        let (mut there, here) = tokio::io::duplex(64 << 10);
        let turn = Arc::new(tokio::sync::Mutex::new(()));
        let running = Arc::clone(&turn).lock_owned().await;
        let (queued, waits) = tokio::sync::mpsc::unbounded_channel();
        let queue = Arc::clone(&turn);
        let connection = tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| async {
                let _body = request.into_body().collect().await;
                queued.send(()).expect("the test listens");
                let _turn = queue.lock().await;
                Ok::<_, Infallible>(text(StatusCode::OK, "it ran"))
            });
            server().serve_connection(TokioIo::new(here), service).await
        });
        let mut waits = waits;
        there.write_all(sent.as_bytes()).await.expect("it listens");
        waits.recv().await.expect("it waits for its turn");
        drop(there);
        let ended = connection.await.expect("no panic");
        assert!(ended.expect_err("its caller has left").is_incomplete_message(), "{sent}");
        drop(running);
        assert_eq!(Arc::strong_count(&turn), 1, "nothing waits for the turn any more");
    }
}
