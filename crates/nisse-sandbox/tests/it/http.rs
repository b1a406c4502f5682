//! Requests into a component's `wasi:http/incoming-handler`.

use nisse_model::{InvocationId, RecordOutcome, TrapKind};
use nisse_sandbox::{CallContext, Recording};

use crate::support::{Setup, component, get, guest};

const PROXY_WORLD: &str = "
    import wasi:http/types@0.2.12;
    import wasi:io/streams@0.2.12;
    export wasi:http/incoming-handler@0.2.12;
";

/// A proxy component whose handler is `body`. `$answer` answers 200 with the text at `$hello`.
pub(crate) fn proxy(body: &str) -> Vec<u8> {
    component(
        PROXY_WORLD,
        &format!(
            r#"(module
  (import "wasi:http/types@0.2.12" "[constructor]fields" (func $fields (result i32)))
  (import "wasi:http/types@0.2.12" "[constructor]outgoing-response" (func $response (param i32) (result i32)))
  (import "wasi:http/types@0.2.12" "[method]outgoing-response.body" (func $body (param i32 i32)))
  (import "wasi:http/types@0.2.12" "[static]response-outparam.set"
    (func $set (param i32 i32 i32 i32 i64 i32 i32 i32 i32)))
  (import "wasi:http/types@0.2.12" "[method]outgoing-body.write" (func $write (param i32 i32)))
  (import "wasi:http/types@0.2.12" "[static]outgoing-body.finish" (func $finish (param i32 i32 i32 i32)))
  (import "wasi:http/types@0.2.12" "[resource-drop]incoming-request" (func $drop-request (param i32)))
  (import "wasi:io/streams@0.2.12" "[method]output-stream.blocking-write-and-flush"
    (func $blocking-write (param i32 i32 i32 i32)))
  (import "wasi:io/streams@0.2.12" "[resource-drop]output-stream" (func $drop-stream (param i32)))
  (memory (export "memory") 2)
  (global $next (mut i32) (i32.const 65536))
  (global $count (mut i32) (i32.const 0))
  (data (i32.const 1024) "hello from wasm\n")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $next))
    (global.set $next (i32.add (global.get $next) (i32.and (i32.add (local.get 3) (i32.const 15)) (i32.const -16))))
    (local.get $at))
  (func $head (param $out i32) (result i32)
    (local $r i32)
    (local.set $r (call $response (call $fields)))
    (call $body (local.get $r) (i32.const 16))
    (call $set (local.get $out) (i32.const 0) (local.get $r)
      (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
    (i32.load (i32.const 20)))
  (func $answer (param $out i32) (param $length i32)
    (local $body i32) (local $stream i32) (local $chunk i32)
    (local.set $body (call $head (local.get $out)))
    (call $write (local.get $body) (i32.const 16))
    (local.set $stream (i32.load (i32.const 20)))
    (loop $more
      (local.set $chunk (select (i32.const 4096) (local.get $length)
        (i32.gt_u (local.get $length) (i32.const 4096))))
      (call $blocking-write (local.get $stream) (i32.const 1024) (local.get $chunk) (i32.const 16))
      (local.set $length (i32.sub (local.get $length) (local.get $chunk)))
      (br_if $more (local.get $length)))
    (call $drop-stream (local.get $stream))
    (call $finish (local.get $body) (i32.const 0) (i32.const 0) (i32.const 32)))
  (func (export "wasi:http/incoming-handler@0.2.12#handle") (param $request i32) (param $out i32)
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    {body})
)"#
        ),
    )
}

#[tokio::test]
async fn a_plain_proxy_component_answers_a_request_on_a_live_instance() {
    let setup = Setup::default();
    let guest = proxy("(call $drop-request (local.get $request)) (call $answer (local.get $out) (i32.const 16))");
    let mut instance = setup.start(&guest).await;
    for index in 0..3 {
        let end = instance.http(InvocationId([index as u8; 16]), get("/"), CallContext::default()).await;
        let response = end.result.expect("it answers");
        assert_eq!(response.status(), 200);
        assert_eq!(response.body().as_ref(), b"hello from wasm\n");
        assert_eq!(end.trace.index, index);
        assert_eq!(end.trace.outcome, RecordOutcome::Ok);
        assert!(end.trace.fuel.0 > 0);
    }
    assert!(!instance.has_ended());
}

#[tokio::test]
async fn a_live_instance_answers_thousands_of_requests_and_holds_no_more_than_after_the_first() {
    for recording in [Recording::On, Recording::Off] {
        let setup = Setup { recording, real_clock: true, ..Setup::default() };
        let mut instance = setup.start(&guest("proxy-hello")).await;
        let mut held = None;
        for number in 0..3000 {
            let end = instance.http(InvocationId([1; 16]), get("/"), CallContext::default()).await;
            assert_eq!(end.result.unwrap_or_else(|trap| panic!("call {number}: {}", trap.report())).status(), 200);
            if number == 100 {
                held = Some(instance.memory_bytes());
            }
        }
        assert_eq!(Some(instance.memory_bytes()), held);
    }
}

#[tokio::test]
async fn a_body_of_many_chunks_arrives_whole() {
    let setup = Setup::default();
    let guest = proxy("(call $drop-request (local.get $request)) (call $answer (local.get $out) (i32.const 65000))");
    let mut instance = setup.start(&guest).await;
    let before = instance.memory_bytes();
    let end = instance.http(InvocationId([1; 16]), get("/"), CallContext::default()).await;
    assert_eq!(end.result.expect("it answers").body().len(), 65000);
    assert_eq!(instance.memory_bytes(), before, "the body's buffers were given back");
}

#[tokio::test]
async fn a_response_that_was_never_set_is_a_trap_that_ends_the_instance() {
    let setup = Setup::default();
    let mut instance = setup.start(&proxy("")).await;
    let end = instance.http(InvocationId([1; 16]), get("/"), CallContext::default()).await;
    let trap = end.result.expect_err("nothing was answered");
    assert_eq!(trap.kind, TrapKind::Protocol);
    insta::assert_snapshot!(trap, @"run the guest: it returned without setting a response");
    assert!(instance.has_ended());
}

#[tokio::test]
async fn a_body_that_was_never_finished_is_a_trap() {
    let setup = Setup::default();
    let mut instance = setup.start(&proxy("(drop (call $head (local.get $out)))")).await;
    let end = instance.http(InvocationId([1; 16]), get("/"), CallContext::default()).await;
    let trap = end.result.expect_err("the body is open");
    insta::assert_snapshot!(trap, @"run the guest: it returned without finishing its response's body");
}

#[tokio::test]
async fn handles_that_are_never_dropped_end_the_instance_and_not_the_node() {
    let setup = Setup::default();
    let guest = proxy("(call $answer (local.get $out) (i32.const 16)) (loop (drop (call $fields)) (br 0))");
    let mut instance = setup.start(&guest).await;
    let end = instance.http(InvocationId([1; 16]), get("/"), CallContext::default()).await;
    let trap = end.result.expect_err("the table is full");
    assert_eq!(trap.kind, TrapKind::Protocol);
    assert!(trap.text.contains("handle"), "{}", trap.text);
}
