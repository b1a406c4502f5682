//! A key that is not admitted any more: everything with it ends, and it does not come back.

use nisse_link::LinkError;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::world::{List, connect, dial, keep_accepting, link, soon, stream};

#[tokio::test]
async fn a_cut_ends_streams_of_both_sides_at_both_ends() {
    let (alice, bob) = (link(1).await, link(2).await);
    let (one, one_at_bob) = connect(&alice, &bob).await;
    let (two_at_bob, two) = connect(&bob, &alice).await;
    let mut streams = Vec::new();
    for (here, there) in [(&one, &one_at_bob), (&two, &two_at_bob)] {
        streams.extend(<[_; 2]>::from(stream(here, there).await));
        streams.extend(<[_; 2]>::from(stream(there, here).await));
    }
    bob.cut(&alice.did());
    for stream in &mut streams {
        // An error, not the end of the stream: nobody takes half of what was sent for all of it.
        assert!(soon(stream.read_u8()).await.is_err());
        let mut byte = [0];
        assert!(stream.read(&mut byte).await.is_err());
        assert!(stream.write_all(b"more").await.is_err());
    }
    for connection in [&one, &two] {
        assert_eq!(soon(connection.closed()).await, "closed by the peer: cut");
        assert!(matches!(connection.open().await, Err(LinkError::Broken(_))));
        assert!(soon(connection.accept()).await.is_none());
    }
    for connection in [&one_at_bob, &two_at_bob] {
        assert_eq!(soon(connection.closed()).await, "closed here");
    }
}

#[tokio::test]
async fn a_cut_is_for_one_key_only() {
    let (alice, bob, carol) = (link(1).await, link(2).await, link(3).await);
    let (_of_alice, at_bob) = connect(&alice, &bob).await;
    let (of_carol, of_carol_at_bob) = connect(&carol, &bob).await;
    bob.cut(&alice.did());
    soon(at_bob.closed()).await;
    let (mut asking, mut answering) = stream(&of_carol, &of_carol_at_bob).await;
    asking.write_u8(7).await.unwrap();
    assert_eq!(soon(answering.read_u8()).await.unwrap(), 7);
}

#[tokio::test]
async fn who_was_cut_and_is_not_admitted_does_not_come_back() {
    let (alice, bob) = (link(1).await, link(2).await);
    let list = List::of(&[alice.did()]);
    let _serving = keep_accepting(&bob, list.clone());
    let connection = dial(&alice, &bob).await.unwrap();
    list.strike(alice.did());
    bob.cut(&alice.did());
    assert_eq!(soon(connection.closed()).await, "closed by the peer: cut");
    for _ in 0..3 {
        assert!(matches!(dial(&alice, &bob).await, Err(LinkError::Refused { .. })));
    }
}

#[tokio::test]
async fn who_was_cut_and_is_admitted_comes_back() {
    let (alice, bob) = (link(1).await, link(2).await);
    let (dialled, _accepted) = connect(&alice, &bob).await;
    bob.cut(&alice.did());
    soon(dialled.closed()).await;
    let (again, at_bob) = connect(&alice, &bob).await;
    stream(&again, &at_bob).await;
}

#[tokio::test]
async fn a_dropped_stream_does_not_outlive_a_cut() {
    let (alice, bob) = (link(1).await, link(2).await);
    let (dialled, accepted) = connect(&alice, &bob).await;
    let (mut opened, mut other) = stream(&dialled, &accepted).await;
    // More than the other side takes unread: the end of it stays under way.
    let writing = async { opened.write_all(&[1; 16 << 20]).await };
    assert!(tokio::time::timeout(std::time::Duration::from_millis(200), writing).await.is_err());
    drop((opened, dialled));
    alice.cut(&bob.did());
    assert_eq!(soon(accepted.closed()).await, "closed by the peer: cut");
    let mut rest = Vec::new();
    assert!(soon(other.read_to_end(&mut rest)).await.is_err());
}
