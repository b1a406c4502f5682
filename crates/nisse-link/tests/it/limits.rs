//! Caps: what one peer, and all of them, may take up.

use std::sync::Arc;
use std::time::Duration;

use futures::poll;
use nisse_link::{Limits, Link, LinkError, LinkOptions};
use nisse_testkit::SimClock;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};

use crate::world::{connect, dial, eventually, everybody, keep_accepting, link, link_within, options, soon, stream};

fn limits() -> Limits {
    Limits { bytes_per_second: 0, streams_per_second: 0, ..Limits::default() }
}

#[tokio::test]
async fn one_peer_gets_its_connections_and_no_more() {
    let bob = link_within(2, Limits { connections_per_peer: 2, ..limits() }).await;
    let (alice, carol) = (link(1).await, link(3).await);
    let _serving = keep_accepting(&bob, everybody());
    let first = dial(&alice, &bob).await.unwrap();
    let _second = dial(&alice, &bob).await.unwrap();
    let refused = dial(&alice, &bob).await;
    assert!(matches!(refused, Err(LinkError::Limit("connections that the peer takes"))));
    dial(&carol, &bob).await.unwrap();
    first.close("to make room");
    eventually(async || dial(&alice, &bob).await.ok()).await;
}

#[tokio::test]
async fn all_peers_together_get_their_connections_and_no_more() {
    let bob = link_within(2, Limits { connections: 2, ..limits() }).await;
    let (alice, carol, dave) = (link(1).await, link(3).await, link(4).await);
    let _serving = keep_accepting(&bob, everybody());
    let (_first, second) = (dial(&alice, &bob).await.unwrap(), dial(&carol, &bob).await.unwrap());
    let refused = dial(&dave, &bob).await;
    assert!(matches!(refused, Err(LinkError::Limit("connections that the peer takes"))));
    assert!(matches!(dial(&bob, &dave).await, Err(LinkError::Limit("connections"))), "its own dials count, too");
    drop(second);
    eventually(async || dial(&dave, &bob).await.ok()).await;
}

#[tokio::test]
async fn dials_count_for_who_dials() {
    let alice = link_within(1, Limits { connections_per_peer: 1, ..limits() }).await;
    let bob = link(2).await;
    let _serving = keep_accepting(&bob, everybody());
    let connection = dial(&alice, &bob).await.unwrap();
    assert!(matches!(dial(&alice, &bob).await, Err(LinkError::Limit("connections with one peer"))));
    drop(connection);
    dial(&alice, &bob).await.unwrap();
}

#[tokio::test]
async fn a_peer_waits_with_a_stream_too_many_until_one_has_ended() {
    let alice = link(1).await;
    let bob = link_within(2, Limits { streams_per_connection: 2, ..limits() }).await;
    let (dialled, accepted) = connect(&alice, &bob).await;
    let (first, first_at_bob) = stream(&dialled, &accepted).await;
    let _second = stream(&dialled, &accepted).await;
    let mut third = Box::pin(dialled.open());
    for _ in 0..20 {
        assert!(poll!(&mut third).is_pending());
        tokio::task::yield_now().await;
    }
    drop((first, first_at_bob));
    soon(third).await.unwrap();
}

/// A link whose peers get this much each second, of a clock that stands until it is moved.
async fn slow(number: u8, bytes_per_second: u64, streams_per_second: u32) -> (Link, SimClock) {
    let clock = SimClock::default();
    let limits = Limits { bytes_per_second, streams_per_second, ..limits() };
    let options = LinkOptions { limits, ..options(number) };
    (Link::bind_with_clock(options, Arc::new(clock.clone())).await.unwrap(), clock)
}

#[tokio::test]
async fn a_sender_stops_where_its_bytes_are_used_up() {
    let (alice, clock) = slow(1, 10_000, 0).await;
    let bob = link_within(2, limits()).await;
    let (dialled, accepted) = connect(&alice, &bob).await;
    let (mut sending, mut receiving) = stream(&dialled, &accepted).await;
    // One byte was written to open the stream.
    assert_eq!(sending.write(&[7; 50_000]).await.unwrap(), 9_999);
    assert!(poll!(Box::pin(sending.write(b"more"))).is_pending());
    // Another connection is no way around it.
    let (again, _again_at_bob) = connect(&alice, &bob).await;
    let mut other = again.open().await.unwrap();
    assert!(poll!(Box::pin(other.write(b"more"))).is_pending());
    clock.advance(Duration::from_millis(300));
    assert_eq!(soon(sending.write(&[7; 50_000])).await.unwrap(), 3_000);
    assert!(poll!(Box::pin(sending.write(b"more"))).is_pending());
    clock.advance(Duration::from_secs(3_600));
    assert_eq!(soon(other.write(&[7; 50_000])).await.unwrap(), 10_000);
    sending.shutdown().await.unwrap();
    let mut received = Vec::new();
    soon(receiving.read_to_end(&mut received)).await.unwrap();
    assert_eq!(received.len(), 9_999 + 3_000);
}

/// Reads until it would wait.
async fn read_all_there(stream: &mut nisse_link::Stream, read: &mut usize) {
    let mut bytes = vec![0; 64 << 10];
    std::future::poll_fn(|context| {
        loop {
            let mut buffer = ReadBuf::new(&mut bytes);
            match std::pin::Pin::new(&mut *stream).poll_read(context, &mut buffer) {
                std::task::Poll::Ready(done) => done.unwrap(),
                std::task::Poll::Pending => return std::task::Poll::Ready(()),
            }
            *read += buffer.filled().len();
        }
    })
    .await;
}

#[tokio::test]
async fn a_receiver_takes_no_more_than_its_peer_may_send() {
    let alice = link_within(1, limits()).await;
    let (bob, clock) = slow(2, 200_000, 0).await;
    let (dialled, accepted) = connect(&alice, &bob).await;
    let (mut sending, mut receiving) = stream(&dialled, &accepted).await;
    soon(sending.write_all(&[7; 1_000_000])).await.unwrap();
    let mut read = 1;
    eventually(async || {
        read_all_there(&mut receiving, &mut read).await;
        (read >= 200_000).then_some(())
    })
    .await;
    assert_eq!(read, 200_000, "what is read counts to the byte");
    assert!(poll!(Box::pin(receiving.write(b"answer"))).is_pending(), "both ways count together");
    for seconds in 2..=5 {
        clock.advance(Duration::from_secs(1));
        eventually(async || {
            read_all_there(&mut receiving, &mut read).await;
            (read >= (seconds * 200_000).min(1_000_001)).then_some(())
        })
        .await;
        assert_eq!(read, seconds * 200_000);
    }
}

#[tokio::test]
async fn who_comes_back_finds_what_it_had_left() {
    let alice = link_within(1, limits()).await;
    let (bob, clock) = slow(2, 10_000, 0).await;
    let (dialled, accepted) = connect(&alice, &bob).await;
    let (_sending, mut receiving) = stream(&dialled, &accepted).await;
    assert_eq!(receiving.write(&[7; 50_000]).await.unwrap(), 9_999);
    dialled.close("to come back");
    soon(accepted.closed()).await;
    drop((dialled, accepted, receiving, _sending));
    let (_dialled, accepted) = connect(&alice, &bob).await;
    let mut stream = accepted.open().await.unwrap();
    assert!(poll!(Box::pin(stream.write(b"more"))).is_pending());
    clock.advance(Duration::from_millis(1));
    assert_eq!(soon(stream.write(&[7; 50_000])).await.unwrap(), 10);
}

#[tokio::test]
async fn streams_are_taken_and_opened_no_faster_than_the_rate() {
    let alice = link_within(1, limits()).await;
    let (bob, clock) = slow(2, 0, 3).await;
    let (dialled, accepted) = connect(&alice, &bob).await;
    let mut kept = Vec::new();
    for _ in 0..5 {
        let mut opened = dialled.open().await.unwrap();
        opened.write_u8(1).await.unwrap();
        kept.push(opened);
    }
    for _ in 0..3 {
        kept.push(soon(accepted.accept()).await.unwrap());
    }
    assert!(poll!(Box::pin(accepted.accept())).is_pending());
    assert!(poll!(Box::pin(accepted.open())).is_pending());
    clock.advance(Duration::from_millis(334));
    let mut fourth = soon(accepted.accept()).await.unwrap();
    assert_eq!(soon(fourth.read_u8()).await.unwrap(), 1);
    assert!(poll!(Box::pin(accepted.accept())).is_pending());
    assert!(poll!(Box::pin(accepted.open())).is_pending());
}
