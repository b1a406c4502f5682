//! Bodies that come in time, late, too large, and too many.

use std::convert::Infallible;

use futures::StreamExt as _;
use futures::stream;
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use tokio::time::{Instant, sleep};

use super::*;

/// Pieces of this size, one after each pause, as many as are asked for.
fn pieces(count: usize, bytes: usize, pause: Duration) -> impl Body<Data = Bytes> + Unpin {
    let pieces = stream::iter(0..count).then(move |_| async move {
        sleep(pause).await;
        Ok::<_, Infallible>(Frame::data(Bytes::from(vec![b'a'; bytes])))
    });
    StreamBody::new(Box::pin(pieces))
}

async fn refused(bodies: &Bodies, body: impl Body<Data = Bytes> + Unpin) -> BodyError {
    let error = bodies.whole(HERE, body).await.err().expect("it is refused");
    assert_eq!(bodies.held.load(Ordering::Relaxed), 0, "a refusal gives the room back");
    error
}

#[tokio::test(start_paused = true)]
async fn a_body_is_whole_whatever_its_pieces() {
    let bodies = Bodies::default();
    for (count, bytes) in [(0, 0), (1, 5), (2, 5), (100, 1), (8, 1 << 20)] {
        let held = bodies.whole(HERE, pieces(count, bytes, Duration::ZERO)).await.expect("it came in time");
        assert_eq!(held.bytes, vec![b'a'; count * bytes]);
        assert_eq!(bodies.held.load(Ordering::Relaxed), count * bytes);
    }
    assert_eq!(bodies.held.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_is_given_up() {
    let begun = Instant::now();
    let body = pieces(2, 1, BODY_STALL_MAX + Duration::from_secs(1));
    assert_eq!(refused(&Bodies::default(), body).await, BodyError::Slow);
    assert!(begun.elapsed() < BODY_STALL_MAX + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_for_ever_is_given_up() {
    let begun = Instant::now();
    let body = pieces(usize::MAX, 1, BODY_STALL_MAX - Duration::from_secs(2));
    assert_eq!(refused(&Bodies::default(), body).await, BodyError::Slow);
    assert!(begun.elapsed() < BODY_TIME_MAX + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_slow_and_comes_in_time_is_waited_for() {
    let body = pieces(6, 1, BODY_STALL_MAX - Duration::from_secs(1));
    assert_eq!(Bodies::default().whole(HERE, body).await.expect("it came in time").bytes, "aaaaaa");
}

#[tokio::test(start_paused = true)]
async fn a_body_is_too_large_by_one_byte() {
    let bodies = Bodies::default();
    let body = pieces(REQUEST_BYTES_MAX / 4_096, 4_096, Duration::ZERO);
    assert_eq!(bodies.whole(HERE, body).await.expect("the largest is taken").bytes.len(), REQUEST_BYTES_MAX);
    let body = pieces(REQUEST_BYTES_MAX / 4_096 + 1, 4_096, Duration::ZERO);
    assert_eq!(refused(&bodies, body).await, BodyError::TooLarge(REQUEST_BYTES_MAX));
    let body = Full::new(Bytes::from(vec![0; REQUEST_BYTES_MAX + 1]));
    assert_eq!(refused(&bodies, body).await, BodyError::TooLarge(REQUEST_BYTES_MAX));
}

#[tokio::test(start_paused = true)]
async fn bodies_share_one_room_until_their_calls_are_answered() {
    let bodies = Bodies::new(10);
    let first = bodies.whole(HERE, pieces(2, 3, Duration::ZERO)).await.expect("there is room");
    let second = bodies.whole(HERE, pieces(1, 5, Duration::ZERO)).await;
    assert_eq!(second.err().expect("there is none"), BodyError::NoRoom);
    bodies.whole(HERE, Full::new(Bytes::new())).await.expect("what is empty needs none");
    let third = bodies.whole(HERE, pieces(1, 4, Duration::ZERO)).await.expect("there is still room");
    drop(first);
    bodies.whole(HERE, pieces(1, 6, Duration::ZERO)).await.expect("the first gave its room back");
    drop(third);
    assert_eq!(bodies.held.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_off_is_none() {
    let broken = stream::iter([Ok(Frame::data(Bytes::from_static(b"a"))), Err(std::io::Error::other("gone"))]);
    assert_eq!(refused(&Bodies::default(), StreamBody::new(broken)).await, BodyError::Broken);
}

#[tokio::test(start_paused = true)]
async fn one_address_takes_its_share_of_the_room_and_leaves_the_rest_to_others() {
    let bodies = Bodies::new(8 * ADDRESS_SHARE);
    let [stranger, other]: [IpAddr; 2] = ["203.0.113.7", "203.0.113.8"].map(|text| text.parse().expect("an address"));
    let first = bodies.whole(stranger, pieces(2, 3, Duration::ZERO)).await.expect("there is room");
    let second = bodies.whole(stranger, pieces(1, 3, Duration::ZERO)).await;
    assert_eq!(second.err().expect("its share is 8"), BodyError::NoRoom);
    bodies.whole(stranger, pieces(1, 2, Duration::ZERO)).await.expect("a refusal gave back what it had taken");
    bodies.whole(other, pieces(1, 8, Duration::ZERO)).await.expect("another one's share is untouched");
    bodies.whole(HERE, pieces(7, 8, Duration::ZERO)).await.expect("whoever speaks for many may take all that is left");
    drop(first);
    bodies.whole(stranger, pieces(1, 8, Duration::ZERO)).await.expect("the first gave its room back");
    assert!(bodies.held_from().is_empty(), "nothing is kept of who has gone");
    assert_eq!(bodies.held.load(Ordering::Relaxed), 0);
}
