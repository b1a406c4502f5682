use std::time::Duration;

use http::Response;
use http_body_util::BodyExt as _;
use nisse_model::{RecordOutcome, Timestamp};
use nisse_testkit::PausedClock;

use super::*;
use crate::agent::commit::tests::{World, trace};

const CHUNK: usize = 4 << 10;

/// What a guest gets to hear that writes up to this many chunks to a client who takes one in each `pause`.
async fn told(chunks_max: usize, pause: Duration) -> (usize, Result<(), CutKind>) {
    let world = World::new();
    let states = world.states();
    let mut committer = world.committer(&states);
    committer.parts.clock = Arc::new(PausedClock::new(Timestamp(1)));
    let (answered, head) = oneshot::channel();
    let mut outlet = Outlet::new(&mut committer, InvocationId([1; 16]), answered);
    let trace = trace(RecordOutcome::Cut(CutKind::Interrupted));
    outlet.begin(Opening { head: Response::new(()), effects: Vec::new(), trace }).await.expect("its head leaves");
    let AnswerBody::Stream(mut body) = head.await.expect("there is a head").response.into_body() else {
        panic!("it is streamed")
    };
    let reader = tokio::spawn(async move {
        while let Some(Ok(_)) = body.frame().await {
            tokio::time::sleep(pause).await;
        }
    });
    let mut written = 0;
    let mut end = Ok(());
    while written < chunks_max && end.is_ok() {
        end = outlet.chunk(Bytes::from(vec![7; CHUNK])).await;
        written += usize::from(end.is_ok());
    }
    drop(outlet);
    reader.abort();
    (written, end)
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_a_little_at_a_time_does_not_hold_the_agent() {
    let begun = tokio::time::Instant::now();
    let (written, end) = told(1_000, Duration::from_secs(2)).await;
    assert_eq!(end, Err(CutKind::Stalled));
    assert!(written < 20, "{written} chunks");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_keeps_up_with_the_lowest_rate_gets_its_whole_answer() {
    // 4 KiB in each sixteenth of a second are 64 KiB per second.
    assert_eq!(told(1_000, Duration::from_millis(62)).await, (1_000, Ok(())));
}
