//! Guests that mean harm: each is contained with a sentence, and the engine goes on for the others.

use std::time::Duration;

use nisse_model::{ByteSize, Cpu, EFFECTS_MAX, Effect, Fuel, InvocationId, Timestamp, TrapKind};
use nisse_sandbox::limits::{HANDLES_MAX, LOG_LINE_BYTES_MAX, LOG_LINES_MAX};
use nisse_sandbox::{CallContext, HostCall, Limits};

use crate::support::{Setup, answer, ask, get, guest, invocation, stopped};

fn with_limits(limits: Limits) -> Setup {
    Setup { limits, ..Setup::default() }
}

#[tokio::test]
async fn a_memory_bomb_ends_at_the_memory_that_was_bought() {
    let setup = with_limits(Limits { memory: ByteSize(32 << 20), ..Limits::default() });
    let trap = stopped(&setup, "memory-bomb", "/").await;
    assert_eq!(trap.kind, TrapKind::OutOfMemory);
    insta::assert_snapshot!(trap, @"run the guest: it needed more memory than it has: raise `memory` in agent.yaml");
    let mut instance = setup.start(&guest("memory-bomb")).await;
    let end = instance.http(InvocationId([1; 16]), get("/count"), CallContext::default()).await;
    let body = end.result.expect("a refusal can be handled").into_body();
    let pieces: u64 = String::from_utf8_lossy(&body).trim_end_matches(" MiB\n").parse().expect("a number");
    assert!((8..32).contains(&pieces), "{pieces} MiB of 32 were given");
    assert!(instance.memory_bytes() <= 32 << 20);
}

#[tokio::test]
async fn an_endless_loop_burns_the_fuel_of_one_call() {
    let setup = with_limits(Limits { fuel_per_call: Fuel(50_000_000), ..Limits::default() });
    let mut instance = setup.start(&guest("endless-loop")).await;
    let end = instance.http(InvocationId([1; 16]), get("/spin"), CallContext::default()).await;
    assert_eq!(end.trace.fuel, Fuel(50_000_000));
    let trap = end.result.expect_err("it is stopped");
    insta::assert_snapshot!(trap, @"run the guest: it burnt all the fuel of one call: does it loop for ever?");
}

#[tokio::test]
async fn an_endless_loop_is_stopped_at_the_deadline_while_others_run() {
    let setup = with_limits(Limits { fuel_per_call: Fuel(u64::MAX / 2), ..Limits::default() });
    let mut instance = setup.start(&guest("endless-loop")).await;
    let mut spin = invocation(b"spin");
    spin.deadline = spin.event.time.plus_ms(100);
    let mut neighbour = setup.start(&guest("echo")).await;
    let context = CallContext::default;
    let answers = async {
        for _ in 0..5 {
            let end = neighbour.http(InvocationId([2; 16]), get("/"), context()).await;
            assert_eq!(end.result.expect("the neighbour answers").status(), 200);
            tokio::task::yield_now().await;
        }
    };
    // One thread runs both: the loop has to yield.
    let (end, ()) = tokio::join!(instance.handle(&spin, context()), answers);
    assert_eq!(end.result.expect_err("it is stopped").kind, TrapKind::Deadline);
}

#[tokio::test]
async fn a_loop_of_host_calls_is_stopped() {
    let setup = Setup::default();
    let trap = stopped(&setup, "endless-loop", "/calls").await;
    insta::assert_snapshot!(trap, @"run the guest: make another host call: 4096 are allowed in one invocation");
}

#[tokio::test]
async fn waiting_for_ever_ends_at_the_deadline() {
    let setup = with_limits(Limits { http_time: Duration::from_millis(50), ..Limits::default() });
    for path in ["/wait", "/polls"] {
        let trap = stopped(&setup, "endless-loop", path).await;
        assert!(matches!(trap.kind, TrapKind::Deadline | TrapKind::OutOfFuel), "{path}: {trap:?}");
    }
}

#[tokio::test]
async fn a_recursion_without_end_fills_its_own_stack_only() {
    let setup = Setup::default();
    let trap = stopped(&setup, "recursion", "/").await;
    assert_eq!(trap.kind, TrapKind::StackOverflow);
    insta::assert_snapshot!(trap, @"run the guest: its stack is full: does it recurse for ever?");
}

#[tokio::test(start_paused = true)]
async fn an_agent_without_processor_share_left_is_suspended_and_not_stopped() {
    let cpu = Cpu { millis: 10 };
    let setup = with_limits(Limits { cpu, fuel_per_call: Fuel(u64::MAX / 2), ..Limits::default() });
    let mut instance = setup.start(&guest("endless-loop")).await;
    let end = instance.handle(&invocation(b"spin"), CallContext::default()).await;
    assert_eq!(end.result.expect_err("it is stopped").kind, TrapKind::Deadline);
    // 10 ms of fuel are one burst; what it burnt beyond is at most a few beats.
    assert!(end.trace.fuel < Fuel(2_000_000_000), "it burnt {} with a share of 0.01", end.trace.fuel);
}

#[tokio::test(start_paused = true)]
async fn host_calls_are_charged_to_the_processor_share() {
    let share = Limits { cpu: Cpu { millis: 10 }, fuel_per_call: Fuel(u64::MAX / 2), ..Limits::default() };
    let setup = with_limits(Limits { memory: ByteSize(128 << 20), ..share });
    // 10,000 waits of nothing are as much as the whole burst, and next to no fuel of the guest's own.
    let mut instance = setup.start(&guest("endless-loop")).await;
    let end = instance.handle(&invocation(b"polls"), CallContext::default()).await;
    assert_eq!(end.result.expect_err("it is suspended until the deadline").kind, TrapKind::Deadline);
    assert!(end.trace.fuel < Fuel(8_000_000), "it burnt {} of its own", end.trace.fuel);
}

#[tokio::test]
async fn a_flood_of_log_lines_is_counted_and_dropped() {
    let setup = with_limits(Limits { fuel_per_call: Fuel(u64::MAX / 2), ..Limits::default() });
    let mut instance = setup.start(&guest("log-flood")).await;
    let end = instance.handle(&invocation(b"fast"), CallContext::default()).await;
    end.result.expect("no trap").expect("no failure");
    assert_eq!(setup.host.calls().len() as u32, LOG_LINES_MAX);
    assert_eq!(end.trace.log_lines_dropped, 100_000 - LOG_LINES_MAX);
}

#[tokio::test]
async fn a_huge_log_line_is_cut_or_costs_the_guest_its_life() {
    let setup = with_limits(Limits { memory: ByteSize(128 << 20), ..Limits::default() });
    let mut instance = setup.start(&guest("log-flood")).await;
    let end = instance.handle(&invocation(b"huge"), CallContext::default()).await;
    let longest = setup.host.calls().into_iter().map(|call| match call {
        HostCall::Log { text, .. } => text.len(),
        _ => 0,
    });
    assert!(longest.max().unwrap_or(0) <= LOG_LINE_BYTES_MAX);
    if let Err(trap) = end.result {
        // 16 MiB in one call are past what a guest may make the host copy.
        assert_eq!(trap.kind, TrapKind::Other, "{trap:?}");
    }
}

#[tokio::test]
async fn log_lines_can_neither_forge_nor_hide_nor_move_the_cursor() {
    let setup = Setup::default();
    let mut instance = setup.start(&guest("log-flood")).await;
    let end = instance.handle(&invocation(b"escapes"), CallContext::default()).await;
    end.result.expect("no trap").expect("no failure");
    let lines = setup.host.calls().into_iter().map(|call| match call {
        HostCall::Log { text, .. } => text,
        other => panic!("only log lines were written, not {other:?}"),
    });
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r#"
    \u{1b}[2J\u{1b}[H\u{1b}[31mcleared
    \u{1b}]0;title\u{7}\u{1b}]52;c;ZWNobyBoaQ==\u{7}clipboard
    \u{1b}]8;;https://evil.example/\u{1b}\link\u{1b}]8;;\u{1b}\
    \u{9b}31m eight-bit control
    one\ntwo\r\nthree\rfour
    x\n2026-01-01T00:00:00Z ERROR nisse: forged=true agent="neighbour"
    ","level":"error","forged":true,"x":"
    nul\u{0}nul \u{8}\u{8}\u{8}backspace \u{7f}delete
    \u{202e}desrever\u{202c} \u{2066}isolate\u{2069} \u{200b}zero width
    "#);
}

#[tokio::test]
async fn handles_that_are_never_dropped_fill_only_their_own_table() {
    let setup = Setup::default();
    for path in ["/fields", "/pollables", "/requests", "/options"] {
        let trap = stopped(&setup, "handle-leaker", path).await;
        assert!(matches!(trap.kind, TrapKind::Protocol | TrapKind::Unreachable), "{path}: {trap:?}");
    }
}

#[tokio::test]
async fn bodies_that_never_end_or_never_begin_are_stopped() {
    let setup = with_limits(Limits { http_time: Duration::from_secs(2), ..Limits::default() });
    let trap = stopped(&setup, "body-flood", "/endless").await;
    insta::assert_snapshot!(trap, @"run the guest: its response's body is longer than 8388608 bytes");
    let trap = stopped(&setup, "body-flood", "/none").await;
    insta::assert_snapshot!(trap, @"run the guest: it never set a response");
    let trap = stopped(&setup, "body-flood", "/trap").await;
    assert_eq!(trap.kind, TrapKind::Unreachable);
    let setup = with_limits(Limits { http_time: Duration::from_millis(50), ..Limits::default() });
    let trap = stopped(&setup, "body-flood", "/stall").await;
    insta::assert_snapshot!(trap, @"run the guest: it did not answer in time");
}

#[tokio::test]
async fn a_body_that_breaks_its_own_length_is_refused() {
    let setup = Setup::default();
    for path in ["/short", "/long"] {
        let trap = stopped(&setup, "body-flood", path).await;
        assert_eq!(trap.kind, TrapKind::Protocol, "{path}: {trap:?}");
    }
    let mut instance = setup.start(&guest("body-flood")).await;
    let end = instance.http(InvocationId([1; 16]), get("/headers"), CallContext::default()).await;
    assert!(end.result.is_err(), "10 MB of header fields are refused");
}

#[tokio::test]
async fn a_guest_that_reads_slowly_is_only_slow_for_itself() {
    let setup = with_limits(Limits { http_time: Duration::from_millis(50), ..Limits::default() });
    let trap = stopped(&setup, "slow-reader", "/never").await;
    assert_eq!(trap.kind, TrapKind::Deadline);
}

#[tokio::test]
async fn a_million_empty_writes_hold_nothing_and_trailers_are_not_handed_on() {
    let setup = Setup::default();
    let mut instance = setup.start(&guest("body-flood")).await;
    let before = instance.memory_bytes();
    let response = ask(&mut instance, "/empty").await.result.expect("nothing is still an answer");
    assert!(response.body().is_empty());
    let response = ask(&mut instance, "/trailers").await.result.expect("it answers");
    assert_eq!(response.body().as_ref(), b"before the trailers");
    assert!(response.headers().is_empty(), "{:?}", response.headers());
    assert!(instance.memory_bytes() - before < 4 << 20, "buffers were given back");
}

#[tokio::test]
async fn polling_far_more_than_an_instance_may_hold_ends_it_and_a_long_list_of_one_does_not() {
    let setup = Setup::default();
    let trap = stopped(&setup, "handle-leaker", "/poll?count=100000").await;
    assert_eq!(trap.kind, TrapKind::Protocol, "{trap:?}");
    // Each sleeper is two entries: itself and its subscription.
    let most = HANDLES_MAX / 2 - 16;
    let told = answer(&setup, "handle-leaker", &format!("/poll?count={most}")).await;
    assert!(told.ends_with(&format!(" of {most} are ready\n")), "{told}");
    assert_eq!(answer(&setup, "handle-leaker", "/same?count=5000").await, "5000 of 5000 are ready\n");
    let trap = stopped(&setup, "handle-leaker", "/same?count=3500000").await;
    assert!(trap.text.contains("too much data"), "14 MB of handles in one call: {trap:?}");
}

#[tokio::test]
async fn a_recursion_through_host_calls_ends_as_any_other() {
    let setup = Setup::default();
    let trap = stopped(&setup, "recursion", "/host").await;
    assert_eq!(trap.kind, TrapKind::StackOverflow, "{trap:?}");
    assert_eq!(answer(&setup, "recursion", "/ok").await, "ok\n");
}

#[tokio::test]
async fn a_handler_that_never_comes_to_an_end_is_stopped_whatever_it_does() {
    let limits = Limits { fuel_per_call: Fuel(200_000_000), ..Limits::default() };
    let setup = with_limits(limits);
    for what in ["spin", "calls", "wait", "polls"] {
        let mut event = invocation(what.as_bytes());
        event.deadline = event.event.time.plus_ms(100);
        let mut instance = setup.start(&guest("endless-loop")).await;
        let end = instance.handle(&event, CallContext::default()).await;
        let trap = end.result.expect_err("it never ends");
        let expected: &[TrapKind] = match what {
            "wait" => &[TrapKind::Deadline],
            "calls" => &[TrapKind::Protocol, TrapKind::Deadline],
            _ => &[TrapKind::OutOfFuel, TrapKind::Deadline],
        };
        assert!(expected.contains(&trap.kind), "{what}: {trap:?}");
    }
}

#[tokio::test]
async fn tiny_keys_without_end_run_into_the_count_of_changes() {
    let setup = Setup::default();
    let trap = stopped(&setup, "state-filler", "/tiny").await;
    assert_eq!(trap.kind, TrapKind::Protocol);
    insta::assert_snapshot!(trap, @"run the guest: make another change: 4096 are allowed in one invocation");
}

#[tokio::test]
async fn an_alarm_set_a_million_times_is_one_effect_or_none() {
    let setup = Setup::default();
    let trap = stopped(&setup, "alarm-storm", "/flood").await;
    insta::assert_snapshot!(trap, @"run the guest: make another host call: 4096 are allowed in one invocation");
    let mut instance = setup.start(&guest("alarm-storm")).await;
    let end = ask(&mut instance, "/storm").await;
    end.result.expect("it answers");
    assert!(end.effects.len() < EFFECTS_MAX);
    assert_eq!(end.effects.last(), Some(&Effect::AlarmSet { at: Timestamp(0) }), "a time that has passed is no error");
}

#[tokio::test]
async fn a_status_that_ends_no_request_is_no_answer() {
    let setup = Setup::default();
    for status in [100, 101, 102, 103, 199] {
        let trap = stopped(&setup, "header-forger", &format!("/status?code={status}")).await;
        assert_eq!(trap.kind, TrapKind::Protocol);
        assert!(trap.text.starts_with(&format!("it answered with the status {status}")), "{trap:?}");
    }
    for status in [0, 1, 99, 1000, 65535] {
        assert_eq!(
            answer(&setup, "header-forger", &format!("/status?code={status}")).await,
            "the status was refused\n"
        );
    }
}

#[tokio::test]
async fn heads_that_would_split_or_smuggle_are_refused_field_by_field() {
    let setup = Setup::default();
    assert_eq!(answer(&setup, "header-forger", "/fields").await, "", "a field that begins another was taken");
    for bytes in ["0", "5", "46", "1000", "18446744073709551616", "-1", "0x10", "+46", " 46"] {
        let mut instance = setup.start(&guest("header-forger")).await;
        // 45 bytes follow, whatever is declared.
        let path = format!("/length?bytes={}", bytes.replace(' ', "%20"));
        let end = ask(&mut instance, &path).await;
        if let Ok(response) = &end.result {
            assert!(response.headers().get("content-length").is_none(), "{bytes}: {response:?}");
        }
    }
}
