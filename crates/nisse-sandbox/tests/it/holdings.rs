//! What the host holds for a guest counts as the guest's memory: filled, it ends the guest; dropped, it is given back.

use bytes::Bytes;
use nisse_model::{ByteSize, Cpu, Fuel, InvocationId, TrapKind};
use nisse_sandbox::limits::{ALLOWANCE_BYTES, BODY_BYTES, HANDLE_BYTES, HANDLES_MAX};
use nisse_sandbox::{CallContext, Limits, LiveInstance};

use crate::http::proxy;
use crate::support::{Setup, ask, guest};

const MEMORY_BYTES: u64 = 32 << 20;

fn setup() -> Setup {
    let limits = Limits { fuel_per_call: Fuel(u64::MAX / 2), cpu: Cpu { millis: 64_000 }, ..Limits::default() };
    Setup { limits: Limits { memory: ByteSize(MEMORY_BYTES), ..limits }, ..Setup::default() }
}

/// The most that may be counted beyond: what every instance is allowed, and handles of which nothing is known but that
/// they are there, which are counted at the end of their invocation.
const BEYOND_BYTES_MAX: u64 = ALLOWANCE_BYTES + HANDLES_MAX as u64 * HANDLE_BYTES;

#[tokio::test]
async fn what_the_host_is_made_to_hold_ends_at_the_memory_that_was_bought() {
    let setup = setup();
    let mut neighbour = setup.start(&guest("echo")).await;
    ask(&mut neighbour, "/").await.result.expect("it answers");
    let held = neighbour.memory_bytes();
    for path in ["/bodies", "/request-bodies", "/full-fields", "/many-fields", "/copied-fields", "/authorities"] {
        let mut instance = setup.start(&guest("handle-leaker")).await;
        let trap = ask(&mut instance, path).await.result.expect_err("it is stopped");
        assert_eq!(trap.kind, TrapKind::OutOfMemory, "{path}: {trap:?}");
        let counted = instance.memory_bytes();
        assert!((MEMORY_BYTES - (4 << 20)..=MEMORY_BYTES + BEYOND_BYTES_MAX).contains(&counted), "{path}: {counted}");
        assert_eq!(neighbour.memory_bytes(), held, "{path} is on the neighbour's account");
        assert_eq!(ask(&mut neighbour, "/").await.result.expect("it answers").status(), 200);
    }
}

#[tokio::test]
async fn what_is_dropped_is_given_back_however_often_it_is_taken() {
    let setup = setup();
    let mut instance = setup.start(&guest("handle-leaker")).await;
    ask(&mut instance, "/dropped?count=10").await.result.expect("it answers");
    let before = instance.memory_bytes();
    // Of each kind far more than fits at once.
    let response = ask(&mut instance, "/dropped?count=600").await.result.unwrap_or_else(|trap| panic!("{trap:?}"));
    assert_eq!(response.body().as_ref(), b"dropped 600\n");
    assert_eq!(instance.memory_bytes(), before);
}

#[tokio::test]
async fn what_is_kept_from_one_call_to_the_next_stays_counted() {
    let setup = setup();
    let mut instance = setup.start(&guest("handle-leaker")).await;
    ask(&mut instance, "/").await.result.expect("it answers");
    let mut before = instance.memory_bytes();
    for _ in 0..5 {
        ask(&mut instance, "/bodies?count=10").await.result.expect("it answers");
        let now = instance.memory_bytes();
        assert!((10 * BODY_BYTES..12 * BODY_BYTES).contains(&(now - before)), "{} bytes of 10 bodies", now - before);
        before = now;
    }
    let mut calls = 0;
    let trap = loop {
        calls += 1;
        assert!(calls < 100, "it goes on for ever");
        if let Err(trap) = ask(&mut instance, "/bodies?count=10").await.result {
            break trap;
        }
    };
    assert_eq!(trap.kind, TrapKind::OutOfMemory, "{trap:?}");
}

#[tokio::test]
async fn requests_that_wait_for_their_bodies_hold_no_more_than_the_memory_that_was_bought() {
    let setup = setup();
    let mut instance = setup.start(&guest("handle-leaker")).await;
    let trap = ask(&mut instance, "/sends").await.result.expect_err("it is stopped");
    assert!(matches!(trap.kind, TrapKind::OutOfMemory | TrapKind::Protocol | TrapKind::Unreachable), "{trap:?}");
    assert!(instance.memory_bytes() <= MEMORY_BYTES + BEYOND_BYTES_MAX, "{}", instance.memory_bytes());
}

async fn post(instance: &mut LiveInstance, body: Bytes) -> Result<(), nisse_sandbox::Trap> {
    let request = http::Request::post("/").header("host", "test.localhost").body(body).expect("a request");
    instance.http(InvocationId([1; 16]), request, CallContext::default()).await.result.map(drop)
}

#[tokio::test]
async fn requests_that_are_never_dropped_stay_counted_with_their_bodies_and_heads() {
    let setup = setup();
    let mut instance = setup.start(&proxy("(call $answer (local.get $out) (i32.const 16))")).await;
    let before = instance.memory_bytes();
    post(&mut instance, Bytes::from(vec![b'x'; 4 << 20])).await.expect("it answers");
    let one = instance.memory_bytes() - before;
    assert!((4 << 20..5 << 20).contains(&one), "{one} bytes of a body of 4 MiB");
    let long = "x".repeat(50_000);
    let request =
        http::Request::get(format!("/{}", &long[..20_000])).header("host", "test.localhost").header("x", &long);
    let request = request.body(Bytes::new()).expect("a request");
    instance.http(InvocationId([1; 16]), request, CallContext::default()).await.result.expect("it answers");
    let head = instance.memory_bytes() - before - one;
    assert!((70_000..80_000).contains(&head), "{head} bytes of a head of 70,000");
    let mut answers = 0;
    let trap = loop {
        match post(&mut instance, Bytes::from(vec![b'x'; 4 << 20])).await {
            Ok(()) => answers += 1,
            Err(trap) => break trap,
        }
        assert!(answers < 8, "8 bodies of 4 MiB fill 32 MiB");
    };
    assert_eq!(trap.kind, TrapKind::OutOfMemory, "{trap:?}");
    ask(&mut instance, "/").await.result.expect_err("its instance has ended");
}
