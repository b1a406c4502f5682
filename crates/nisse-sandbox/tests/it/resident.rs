//! One live instance behind a bounded queue.

use std::sync::Arc;
use std::time::Duration;

use nisse_model::InvocationId;
use nisse_sandbox::{CallContext, CallError, Limits, ResidentAgent};

use crate::support::{CountingEntropy, Setup, get, guest, invocation};

fn resident(setup: &Setup, name: &str) -> ResidentAgent {
    ResidentAgent::new(setup.link(&guest(name)).expect("it links"), Arc::new(CountingEntropy::default()))
}

async fn call(agent: &ResidentAgent, path: &str) -> nisse_sandbox::InvocationEnd<http::Response<bytes::Bytes>> {
    agent.http(InvocationId([1; 16]), get(path), CallContext::default()).await.expect("it is called")
}

#[tokio::test]
async fn calls_share_an_instance_until_its_count_is_full() {
    let limits = Limits { calls_per_instance: 2, ..Limits::default() };
    let agent = resident(&Setup { limits, ..Setup::default() }, "proxy-hello");
    let mut lives = Vec::new();
    for _ in 0..5 {
        let trace = call(&agent, "/").await.trace;
        lives.push((trace.instance.0[0], trace.index));
    }
    assert_eq!(lives, [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]);
}

#[tokio::test]
async fn after_a_trap_the_next_call_starts_a_new_instance() {
    let agent = resident(&Setup::default(), "events-only");
    let trap = agent.handle(&invocation(b"trap"), CallContext::default()).await.expect("it is called");
    assert!(trap.result.is_err());
    let end = agent.handle(&invocation(b""), CallContext::default()).await.expect("it is called");
    assert!(end.result.expect("no trap").is_ok());
    assert_eq!((end.trace.instance.0[0], end.trace.index), (1, 0));
}

#[tokio::test]
async fn an_idle_instance_is_ended_and_comes_back() {
    let setup = Setup::default();
    let agent = resident(&setup, "proxy-hello");
    call(&agent, "/").await;
    assert!(!agent.reap_idle());
    assert!(agent.memory_bytes().expect("nothing runs") > 0);
    setup.clock.advance(Duration::from_secs(301));
    assert!(agent.reap_idle());
    assert_eq!(agent.memory_bytes(), Some(0));
    assert_eq!(call(&agent, "/").await.trace.instance.0[0], 1);
}

#[tokio::test]
async fn a_full_queue_refuses_and_a_dropped_call_takes_its_instance_with_it() {
    let limits = Limits { queue: 2, ..Limits::default() };
    let agent = Arc::new(resident(&Setup { limits, ..Setup::default() }, "endless-loop"));
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let agent = agent.clone();
            tokio::spawn(async move { call(&agent, "/wait").await })
        })
        .collect();
    while agent.waiting() < 2 {
        tokio::task::yield_now().await;
    }
    let refused = agent.http(InvocationId([1; 16]), get("/"), CallContext::default()).await;
    let refused = refused.expect_err("the queue is full");
    insta::assert_snapshot!(refused, @"take another call: 2 are waiting");
    assert!(matches!(refused, CallError::Busy(2)));
    for task in waiting {
        task.abort();
        let _ = task.await;
    }
    assert_eq!(agent.waiting(), 0);
    let trace = call(&agent, "/").await.trace;
    assert!(trace.instance.0[0] > 0, "the instance of the dropped call is not used again");
}
