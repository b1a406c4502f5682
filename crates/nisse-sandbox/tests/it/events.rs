//! Events into a component's `nisse:agent/handler`.

use nisse_model::{Effect, FailureKind, Hash256, Invocation, RecordOutcome, Timestamp, TrapKind};
use nisse_sandbox::{CallContext, HostCall};

use crate::support::{Setup, guest, invocation, plain_engine};

#[tokio::test]
async fn a_handler_answers_an_event_and_its_writes_come_back_as_effects() {
    let setup = Setup::default();
    let mut instance = setup.start(&guest("echo")).await;
    let end = instance.handle(&invocation(b"abc"), CallContext::default()).await;
    let outcome = end.result.expect("no trap").expect("no failure");
    assert_eq!((outcome.content_type.as_str(), outcome.data.as_slice()), ("text/plain", &b"abc"[..]));
    let keys = end.effects.iter().map(|effect| match effect {
        Effect::StatePut { key, .. } => key.as_str(),
        other => panic!("only writes were made, not {other:?}"),
    });
    let keys = keys.collect::<Vec<_>>();
    assert_eq!(keys, ["event", "event-type"]);
    assert!(setup.host.calls().is_empty(), "writes never reach the host: {:?}", setup.host.calls());
    let functions: Vec<_> = end.trace.host_calls.iter().map(|call| call.function.as_str()).collect();
    assert_eq!(functions, ["state.put", "state.put"]);
    assert_ne!(end.trace.input, Hash256::ZERO);
    assert_ne!(end.trace.output, Hash256::ZERO);
}

#[tokio::test]
async fn a_failure_keeps_nothing_and_the_instance_lives_on() {
    let setup = Setup::default();
    let mut instance = setup.start(&guest("events-only")).await;
    let end = instance.handle(&invocation(b"fail"), CallContext::default()).await;
    let failure = end.result.expect("no trap").expect_err("it fails");
    assert_eq!((failure.kind, failure.text.as_str()), (FailureKind::Permanent, "as asked"));
    assert_eq!(end.effects, []);
    assert_eq!(end.trace.outcome, RecordOutcome::Failure);
    let end = instance.handle(&Invocation { attempt: 2, ..invocation(b"retry") }, CallContext::default()).await;
    let outcome = end.result.expect("no trap").expect("no failure");
    assert_eq!(String::from_utf8_lossy(&outcome.data), "manual attempt 2 after nothing");
}

#[tokio::test]
async fn a_panic_is_a_trap_with_the_names_of_functions_and_ends_the_instance() {
    let setup = Setup::default();
    let mut instance = setup.start(&guest("events-only")).await;
    let end = instance.handle(&invocation(b"trap"), CallContext::default()).await;
    let trap = end.result.expect_err("it panics");
    assert_eq!(trap.kind, TrapKind::Unreachable);
    insta::assert_snapshot!(trap, @"run the guest: it panicked (an `unreachable` instruction)");
    assert!(!trap.backtrace.is_empty());
    assert_eq!(end.effects, []);
    assert!(instance.has_ended());
    let end = instance.handle(&invocation(b""), CallContext::default()).await;
    assert_eq!(end.result.expect_err("a store is never used after a trap").kind, TrapKind::Stopped);
}

#[tokio::test]
async fn an_alarm_is_an_effect_at_the_clocks_time() {
    let setup = Setup::default();
    let mut instance = setup.start(&guest("events-only")).await;
    let end = instance.handle(&invocation(b"alarm 250"), CallContext::default()).await;
    end.result.expect("no trap").expect("no failure");
    // The scripted host's time is 123 ms past the second.
    assert_eq!(end.effects.last(), Some(&Effect::AlarmSet { at: Timestamp(1_700_000_000_373) }));
    assert!(setup.host.calls().contains(&HostCall::Now));
}

#[tokio::test]
async fn the_same_invocation_gives_the_same_trace_on_a_pooled_and_on_a_plain_engine() {
    let pooled = Setup::default();
    let plain = plain_engine();
    assert!(pooled.engine.is_pooled() && !plain.is_pooled());
    assert_eq!(pooled.engine.hash(), plain.hash());
    assert_eq!(pooled.engine.compatibility_hash(), plain.compatibility_hash());
    let plain = Setup { engine: plain, ..Setup::default() };
    let mut traces = Vec::new();
    for setup in [&pooled, &plain] {
        let mut instance = setup.start(&guest("events-only")).await;
        for data in [&b"alarm 5"[..], b"fail", b"", b"trap"] {
            traces.push(instance.handle(&invocation(data), CallContext::default()).await.trace);
        }
    }
    let (first, second) = traces.split_at(4);
    assert_eq!(first, second);
}

#[tokio::test]
async fn a_program_without_the_asked_handler_says_so() {
    let setup = Setup::default();
    let mut instance = setup.start(&guest("proxy-hello")).await;
    let end = instance.handle(&invocation(b""), CallContext::default()).await;
    insta::assert_snapshot!(end.result.expect_err("no handler"), @"run the guest: it exports no `nisse:agent/handler`");
    let program = setup.link(&guest("echo")).expect("it links");
    assert!(program.handles_events() && program.answers_http());
    let program = setup.link(&guest("events-only")).expect("it links");
    assert!(program.handles_events() && !program.answers_http());
}
