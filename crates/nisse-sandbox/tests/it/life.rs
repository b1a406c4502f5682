//! The life of one instance: what ends it, what it holds, and what the next one begins with.

use std::time::Duration;

use nisse_model::{InstanceId, TrapKind};
use nisse_sandbox::{CallContext, Limits};

use crate::support::{Setup, ask, component, guest, invocation};

#[tokio::test]
async fn an_instance_ends_when_its_count_of_calls_is_full() {
    let limits = Limits { calls_per_instance: 2, ..Limits::default() };
    let program = Setup { limits, ..Setup::default() }.link(&guest("proxy-hello")).expect("it links");
    let mut lives = Vec::new();
    for birth in 0..2 {
        let mut instance = program.start(InstanceId([birth; 16])).await.expect("it starts");
        while !instance.has_ended() {
            let trace = ask(&mut instance, "/").await.trace;
            lives.push((trace.instance.0[0], trace.index));
        }
        let late = ask(&mut instance, "/").await.result.expect_err("it has ended");
        assert_eq!(late.kind, TrapKind::Stopped);
    }
    assert_eq!(lives, [(0, 0), (0, 1), (1, 0), (1, 1)]);
}

#[tokio::test]
async fn after_a_trap_a_new_instance_of_the_same_program_begins_afresh() {
    let program = Setup::default().link(&guest("events-only")).expect("it links");
    let mut first = program.start(InstanceId([1; 16])).await.expect("it starts");
    assert!(first.handle(&invocation(b"trap"), CallContext::default()).await.result.is_err());
    assert!(first.has_ended());
    let mut second = program.start(InstanceId([2; 16])).await.expect("it starts");
    let end = second.handle(&invocation(b""), CallContext::default()).await;
    assert!(end.result.expect("no trap").is_ok());
    assert_eq!((end.trace.instance.0[0], end.trace.index), (2, 0));
}

#[tokio::test]
async fn an_instance_is_idle_only_after_its_time() {
    let setup = Setup::default();
    let mut instance = setup.start(&guest("proxy-hello")).await;
    ask(&mut instance, "/").await.result.expect("it answers");
    assert!(!instance.is_idle());
    assert!(instance.memory_bytes() > 0);
    setup.clock.advance(Duration::from_secs(301));
    assert!(instance.is_idle());
    ask(&mut instance, "/").await.result.expect("it still answers");
    assert!(!instance.is_idle(), "a call keeps it");
}

#[tokio::test]
async fn a_call_that_its_caller_drops_half_way_takes_the_instance_with_it() {
    let setup = Setup::default();
    let mut instance = setup.start(&guest("endless-loop")).await;
    let left = tokio::time::timeout(Duration::ZERO, ask(&mut instance, "/wait")).await;
    assert!(left.is_err(), "it waits");
    assert!(instance.has_ended(), "nobody knows what state it was left in");
    let late = ask(&mut instance, "/").await.result.expect_err("it is not used again");
    assert_eq!(late.kind, TrapKind::Stopped);
}

#[tokio::test]
async fn a_new_instance_sees_nothing_of_the_one_before_in_its_slot() {
    let setup = Setup::default();
    let program = setup.link(&secret_keeper()).expect("it links");
    // More lives than the pool has slots, so that slots are used again.
    for life in 0..200u8 {
        let mut instance = program.start(InstanceId([life; 16])).await.expect("it starts");
        let end = instance.handle(&invocation(b""), CallContext::default()).await;
        let failure = end.result.expect("no trap").expect_err("it reports what it found by failing");
        assert_eq!(failure.text, "", "life {life} read what another wrote");
        let again = instance.handle(&invocation(b""), CallContext::default()).await;
        let failure = again.result.expect("no trap").expect_err("it reports what it found by failing");
        assert_eq!(failure.text, "SECRET", "the same life reads its own");
    }
}

/// Fails with what lies at the far end of its memory and its table's last element, then writes a secret there.
fn secret_keeper() -> Vec<u8> {
    component(
        "export nisse:agent/handler@0.1.0;",
        r#"(module
  (memory (export "memory") 64)
  (table $table 1000 funcref)
  (elem declare func $something)
  (func $something)
  (data (i32.const 32) "SECRET")
  (global $next (mut i32) (i32.const 4096))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $next))
    (global.set $next (i32.add (global.get $next) (i32.and (i32.add (local.get 3) (i32.const 15)) (i32.const -16))))
    (local.get $at))
  (func (export "nisse:agent/handler@0.1.0#handle") (param i32) (result i32)
    ;; result<outcome, failure>: an error, permanent, with the text at 4,000,000.
    (i32.store8 (i32.const 1024) (i32.const 1))
    (i32.store8 (i32.const 1028) (i32.const 1))
    (i32.store (i32.const 1032) (i32.const 4000000))
    ;; Six bytes when something lies there, in the memory or in the table.
    (i32.store (i32.const 1036)
      (select (i32.const 6) (i32.const 0)
        (i32.or (i32.load8_u (i32.const 4000000)) (i32.eqz (ref.is_null (table.get $table (i32.const 999)))))))
    (if (i32.load (i32.const 1036))
      (then)
      (else
        (memory.copy (i32.const 4000000) (i32.const 32) (i32.const 6))
        (table.set $table (i32.const 999) (ref.func $something))))
    (i32.const 1024)))"#,
    )
}
