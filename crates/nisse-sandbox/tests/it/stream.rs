//! Answers that leave while their guest makes them, into an outflow that the test plays.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use nisse_model::{CutKind, Effect, Hash256, InvocationId, MessageHasher, RecordOutcome, TrapKind};
use nisse_sandbox::limits::{STREAM_AFTER, STREAM_AFTER_BYTES, STREAM_ALONE_MAX, STREAM_TIME_MAX};
use nisse_sandbox::{CallContext, HttpAnswer, InvocationEnd, LiveInstance, Opening, Outflow};
use tokio::time::Instant;

use crate::http::proxy;
use crate::support::{Setup, get, guest};

/// Bodies around the sizes at which an answer begins to leave and at which its guest has to wait for room, in bytes.
const SIZES: [usize; 9] =
    [64 << 10, (64 << 10) + 1, 68 << 10, 70_000, 100 << 10, 128 << 10, 300 << 10, 576 << 10, 600_000];

/// What came out, and when, counted from the request.
#[derive(Default, Clone)]
struct Seen(Arc<Mutex<Vec<(Duration, What)>>>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Head(Vec<Effect>),
    Chunk(Bytes),
}

impl Seen {
    fn all(&self) -> Vec<(Duration, What)> {
        self.0.lock().expect("no panic").clone()
    }

    fn body(&self) -> Vec<u8> {
        let chunks = self.all().into_iter().filter_map(|(_, what)| match what {
            What::Chunk(bytes) => Some(bytes),
            What::Head(_) => None,
        });
        chunks.flatten().collect()
    }
}

/// A client that does as the test wants.
struct Client {
    begun: Instant,
    seen: Seen,
    /// What the commit says.
    refused: Option<String>,
    /// What becomes of the chunk behind so many.
    cut: Option<(usize, CutKind)>,
    /// How long it takes over each chunk.
    slow: Duration,
    chunks: usize,
    gone: bool,
}

impl Client {
    fn new(seen: &Seen) -> Self {
        let seen = seen.clone();
        Self { begun: Instant::now(), seen, refused: None, cut: None, slow: Duration::ZERO, chunks: 0, gone: false }
    }

    fn see(&self, what: What) {
        self.seen.0.lock().expect("no panic").push((self.begun.elapsed(), what));
    }
}

#[async_trait]
impl Outflow for Client {
    async fn begin(&mut self, opening: Opening) -> Result<(), String> {
        if let Some(text) = self.refused.take() {
            return Err(text);
        }
        assert_eq!(opening.trace.outcome, RecordOutcome::Cut(CutKind::Interrupted));
        assert!(opening.trace.fuel.0 > 0, "what the head took is known");
        self.see(What::Head(opening.effects));
        Ok(())
    }

    async fn chunk(&mut self, bytes: Bytes) -> Result<(), CutKind> {
        if let Some((_, cut)) = self.cut.filter(|(after, _)| self.chunks >= *after) {
            return Err(cut);
        }
        self.chunks += 1;
        // A chunk that is kept counts as the agent's memory.
        self.see(What::Chunk(Bytes::copy_from_slice(&bytes)));
        tokio::time::sleep(self.slow).await;
        Ok(())
    }

    fn poll_gone(&mut self, _: &mut Context<'_>) -> Poll<()> {
        if self.gone { Poll::Ready(()) } else { Poll::Pending }
    }
}

async fn start() -> LiveInstance {
    Setup::default().start(&guest("stream")).await
}

async fn ask(instance: &mut LiveInstance, method: &str, path: &str, client: &mut Client) -> InvocationEnd<HttpAnswer> {
    let mut request = get(path);
    *request.method_mut() = method.parse().expect("a method");
    instance.http_streamed(InvocationId([1; 16]), request, CallContext::default(), client).await
}

fn digest(body: &[u8]) -> Hash256 {
    let mut hasher = MessageHasher::response(200, [("content-type", b"text/plain".as_slice())].into_iter());
    hasher.body(body);
    hasher.finish()
}

#[tokio::test]
async fn an_answer_that_is_small_when_its_handler_returns_is_given_in_one_piece() {
    let (seen, mut instance) = (Seen::default(), start().await);
    let end = ask(&mut instance, "POST", "/", &mut Client::new(&seen)).await;
    assert!(matches!(end.result, Ok(HttpAnswer::Whole(response)) if response.body().as_ref() == b"at once\n"));
    assert_eq!(end.effects.len(), 1);
    assert_eq!(end.trace.output, digest(b"at once\n"));
    assert!(seen.all().is_empty());
}

#[tokio::test]
async fn a_long_answer_leaves_once_it_has_outgrown_what_is_kept_and_its_record_names_all_of_it() {
    let (seen, mut instance) = (Seen::default(), start().await);
    let end = ask(&mut instance, "GET", "/large", &mut Client::new(&seen)).await;
    assert!(matches!(end.result, Ok(HttpAnswer::Streamed)));
    assert_eq!(seen.body().len(), 1 << 20);
    let first = seen.all().into_iter().find_map(|(_, what)| match what {
        What::Chunk(bytes) => Some(bytes.len() as u64),
        What::Head(_) => None,
    });
    assert!(first.is_some_and(|first| first > STREAM_AFTER_BYTES && first < 2 * STREAM_AFTER_BYTES), "{first:?}");
    assert_eq!((end.trace.outcome, end.trace.output), (RecordOutcome::Ok, digest(&seen.body())));
    assert!(!instance.has_ended());
    let held = instance.memory_bytes();
    assert!(ask(&mut instance, "GET", "/large", &mut Client::new(&seen)).await.result.is_ok());
    assert_eq!(instance.memory_bytes(), held, "every buffer was given back");
}

/// What came of a call: in one piece or through its outflow.
fn body_of(end: &InvocationEnd<HttpAnswer>, seen: &Seen) -> Vec<u8> {
    match end.result.as_ref().expect("it answers") {
        HttpAnswer::Whole(response) => response.body().to_vec(),
        HttpAnswer::Streamed => seen.body(),
    }
}

#[tokio::test]
async fn an_answer_of_any_size_is_whole_though_its_handler_returned_before_it_left() {
    let mut instance = Setup::default().start(&guest("echo")).await;
    for (index, bytes) in SIZES.into_iter().enumerate() {
        let seen = Seen::default();
        let sent = vec![b'x'; bytes];
        let request = http::Request::post("/").header("host", "h").body(sent.clone().into()).expect("a request");
        let id = InvocationId([1; 16]);
        let end = instance.http_streamed(id, request, CallContext::default(), &mut Client::new(&seen)).await;
        let expected = [b"Method::Post /\n".as_slice(), &sent].concat();
        assert_eq!(body_of(&end, &seen).len(), expected.len());
        assert!(body_of(&end, &seen) == expected, "{bytes} bytes are what was sent");
        assert_eq!((end.trace.outcome, end.trace.index), (RecordOutcome::Ok, index as u32));
        let at_head = seen.all().into_iter().find_map(|(_, what)| match what {
            What::Head(effects) => Some(effects),
            What::Chunk(_) => None,
        });
        assert_eq!(at_head.is_some(), bytes >= 64 << 10, "{bytes} bytes leave early");
        assert_eq!(at_head.unwrap_or_default().len() + end.effects.len(), 1, "its change is handed over once");
    }
    assert!(!instance.has_ended());
}

#[tokio::test]
async fn an_answer_in_small_writes_is_whole_at_any_size() {
    for bytes in SIZES {
        let seen = Seen::default();
        let answer =
            format!("(call $drop-request (local.get $request)) (call $answer (local.get $out) (i32.const {bytes}))");
        let mut instance = Setup::default().start(&proxy(&answer)).await;
        let end = ask(&mut instance, "GET", "/", &mut Client::new(&seen)).await;
        assert_eq!((body_of(&end, &seen).len(), end.trace.outcome), (bytes, RecordOutcome::Ok));
        assert!(!instance.has_ended());
    }
}

#[tokio::test]
async fn an_answer_whose_handler_has_returned_is_cut_or_refused_and_the_instance_answers_on() {
    let mut instance = Setup::default().start(&guest("echo")).await;
    let request =
        || http::Request::post("/").header("host", "h").body(vec![b'x'; 100 << 10].into()).expect("a request");
    let seen = Seen::default();
    let mut gone = Client { cut: Some((0, CutKind::Gone)), ..Client::new(&seen) };
    let end = instance.http_streamed(InvocationId([1; 16]), request(), CallContext::default(), &mut gone).await;
    assert_eq!(end.trace.outcome, RecordOutcome::Cut(CutKind::Gone));
    assert!(!instance.has_ended());
    assert_eq!(instance.http(InvocationId([2; 16]), get("/"), CallContext::default()).await.trace.index, 1);
    let mut refused = Client { refused: Some("the disk is full".to_owned()), ..Client::new(&seen) };
    let end = instance.http_streamed(InvocationId([3; 16]), request(), CallContext::default(), &mut refused).await;
    assert_eq!(end.result.expect_err("nothing was committed").text, "the disk is full");
    assert_eq!(end.effects, []);
}

#[tokio::test(start_paused = true)]
async fn events_leave_one_by_one_and_the_head_before_the_first() {
    let (seen, mut instance) = (Seen::default(), start().await);
    let end = ask(&mut instance, "GET", "/events", &mut Client::new(&seen)).await;
    assert!(matches!(end.result, Ok(HttpAnswer::Streamed)));
    let all = seen.all();
    assert_eq!(all.len(), 6, "{all:?}");
    assert!(all[0].0 < STREAM_AFTER + Duration::from_millis(5), "the head waits no longer than that");
    for (number, (at, what)) in all[1..].iter().enumerate() {
        assert_eq!(*what, What::Chunk(Bytes::from(format!("data: {number}\n\n"))));
        assert!(*at >= Duration::from_millis(200) * (number as u32 + 1), "event {number} at {at:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_invocation_changed_is_handed_over_with_the_head_and_only_there() {
    let (seen, mut instance) = (Seen::default(), start().await);
    let end = ask(&mut instance, "POST", "/events", &mut Client::new(&seen)).await;
    assert_eq!(end.effects, []);
    let head = seen.all().swap_remove(0).1;
    assert!(
        matches!(&head, What::Head(effects) if matches!(&effects[..], [Effect::StatePut { key, .. }] if key == "count")),
        "{head:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn changes_after_the_head_are_refused_in_words() {
    let (seen, mut instance) = (Seen::default(), start().await);
    let end = ask(&mut instance, "GET", "/late-write", &mut Client::new(&seen)).await;
    assert_eq!((end.effects.len(), end.trace.outcome), (0, RecordOutcome::Ok));
    insta::assert_snapshot!(String::from_utf8(seen.body()).expect("text"), @"
    begun
    put: use the state: the answer has left
    delete: use the state: the answer has left
    alarm: set the alarm: the response head has left: an HTTP invocation sets its alarm before it answers
    ");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_or_stalls_ends_the_body_and_not_the_instance() {
    for cut in [CutKind::Gone, CutKind::Stalled] {
        let (seen, mut instance) = (Seen::default(), start().await);
        let mut client = Client { cut: Some((3, cut)), ..Client::new(&seen) };
        let end = ask(&mut instance, "POST", "/endless", &mut client).await;
        assert!(matches!(end.result, Ok(HttpAnswer::Streamed)));
        assert_eq!(end.trace.outcome, RecordOutcome::Cut(cut));
        assert_eq!(end.trace.output, digest(&seen.body()), "what had been handed on");
        assert!(!instance.has_ended(), "its write failed and it returned");
        assert_eq!(instance.http(InvocationId([2; 16]), get("/"), CallContext::default()).await.trace.index, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_seen_to_be_gone_wakes_nobody_for_nothing() {
    let (seen, mut instance) = (Seen::default(), start().await);
    let mut client = Client { gone: true, ..Client::new(&seen) };
    let end = ask(&mut instance, "GET", "/events", &mut client).await;
    assert_eq!(end.trace.outcome, RecordOutcome::Cut(CutKind::Gone));
    assert!(client.begun.elapsed() < STREAM_ALONE_MAX, "the first write failed");
    assert_eq!(seen.body(), b"");
}

#[tokio::test(start_paused = true)]
async fn a_trap_in_the_middle_is_recorded_over_what_had_left() {
    let (seen, mut instance) = (Seen::default(), start().await);
    let end = ask(&mut instance, "POST", "/trap", &mut Client::new(&seen)).await;
    assert_eq!(end.trace.outcome, RecordOutcome::Trap(TrapKind::Unreachable));
    assert_eq!((seen.body().as_slice(), end.trace.output), (b"first\n".as_slice(), digest(b"first\n")));
    assert_eq!(end.effects, [], "what it changed left with the head");
    assert!(instance.has_ended());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_committed_does_not_leave() {
    let (seen, mut instance) = (Seen::default(), start().await);
    let mut client = Client { refused: Some("the disk is full".to_owned()), ..Client::new(&seen) };
    let end = ask(&mut instance, "POST", "/events", &mut client).await;
    let trap = end.result.expect_err("nothing was committed");
    assert_eq!((trap.kind, trap.text.as_str()), (TrapKind::Stopped, "the disk is full"));
    assert_eq!(end.effects, [], "and nothing is kept");
    assert!(seen.all().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_streamed_answer_has_a_longest_time_however_slow_its_client_is() {
    let (seen, mut instance) = (Seen::default(), start().await);
    let mut client = Client { slow: Duration::from_secs(1), ..Client::new(&seen) };
    let end = ask(&mut instance, "GET", "/endless", &mut client).await;
    let trap = end.result.expect_err("it takes for ever");
    insta::assert_snapshot!(trap, @"run the guest: its answer took longer than 120 s");
    assert_eq!(end.trace.outcome, RecordOutcome::Trap(TrapKind::Deadline));
    let elapsed = client.begun.elapsed();
    assert!(elapsed >= STREAM_TIME_MAX && elapsed < STREAM_TIME_MAX + Duration::from_secs(5), "{elapsed:?}");
    assert!(client.chunks <= 121, "the guest stood still while its client was slow");
}

#[tokio::test]
async fn a_call_that_never_began_has_no_place_among_the_records() {
    let (seen, mut instance) = (Seen::default(), start().await);
    let first = ask(&mut instance, "GET", "/trap", &mut Client::new(&seen)).await;
    assert!(first.began && instance.has_ended());
    let second = ask(&mut instance, "GET", "/", &mut Client::new(&seen)).await;
    assert!(!second.began && second.result.is_err());
}
