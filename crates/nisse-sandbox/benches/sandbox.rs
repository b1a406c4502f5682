//! What a call costs: medians of many, against the aims of the design's table of numbers.
//!
//! `cargo bench -p nisse-sandbox` prints aim and measured side by side; numbers of a debug build say nothing.
#![allow(clippy::print_stdout, reason = "a bench prints its table")]

#[allow(dead_code, reason = "shared with the tests, which use all of it")]
#[path = "../tests/it/support.rs"]
mod support;

use std::time::Duration;

use nisse_model::{InstanceId, InvocationId};
use nisse_sandbox::{AgentProgram, CallContext, Limits, Recording};
use nisse_store::{Clock, SystemClock};

use self::support::{Setup, component, get, guest, invocation};

/// Rounds of which the median is taken.
const ROUNDS: usize = 31;
/// Calls in one round.
const CALLS: u32 = 200;

/// A handler that reads the agent's state three times and answers nothing.
fn three_host_calls() -> Vec<u8> {
    component(
        "import nisse:agent/state@0.1.0; export nisse:agent/handler@0.1.0;",
        r#"(module
  (import "nisse:agent/state@0.1.0" "get" (func $get (param i32 i32 i32)))
  (memory (export "memory") 2)
  (data (i32.const 512) "count")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
  (func (export "nisse:agent/handler@0.1.0#handle") (param i32) (result i32)
    (call $get (i32.const 512) (i32.const 5) (i32.const 64))
    (call $get (i32.const 512) (i32.const 5) (i32.const 64))
    (call $get (i32.const 512) (i32.const 5) (i32.const 64))
    (i32.const 1024)))"#,
    )
}

fn program(recording: Recording, artifact: &[u8]) -> AgentProgram {
    let limits = Limits { calls_per_instance: u64::MAX, ..Limits::default() };
    Setup { recording, limits, real_clock: true, ..Setup::default() }.link(artifact).expect("it links")
}

struct Bench {
    clock: SystemClock,
    runtime: tokio::runtime::Runtime,
}

impl Bench {
    /// The median time of one call of `work`, which makes [`CALLS`] of them.
    fn median(&self, mut work: impl AsyncFnMut()) -> Duration {
        let mut rounds: Vec<Duration> = (0..ROUNDS)
            .map(|_| {
                let start = self.clock.elapsed();
                self.runtime.block_on(work());
                (self.clock.elapsed() - start) / CALLS
            })
            .collect();
        rounds.sort_unstable();
        rounds[ROUNDS / 2]
    }
}

fn row(what: &str, aim: &str, measured: Duration) {
    println!("{what:<44} {aim:>10} {:>10.2} us", measured.as_nanos() as f64 / 1000.0);
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let bench = Bench { clock: SystemClock::default(), runtime };
    let artifact = three_host_calls();
    let event = invocation(b"");
    let birth = InstanceId([7; 16]);
    println!("{:<44} {:>10} {:>13}", "what", "aim", "median");

    let bare = program(Recording::Off, &artifact);
    row(
        "instantiate and drop",
        "<= 7 us",
        bench.median(async || {
            for _ in 0..CALLS {
                bare.start(birth).await.expect("it starts");
            }
        }),
    );
    row(
        "event, fresh instance, 3 host calls",
        "<= 25 us",
        bench.median(async || {
            for _ in 0..CALLS {
                let mut instance = bare.start(birth).await.expect("it starts");
                instance.handle(&event, CallContext::default()).await.result.expect("no trap").expect("no failure");
            }
        }),
    );
    for (recording, what, aim) in [
        (Recording::Off, "event, live instance, 3 host calls", "<= 1.5 us"),
        (Recording::On, "event, live and recorded, 3 host calls", "<= 3 us"),
    ] {
        let program = program(recording, &artifact);
        let mut instance = bench.runtime.block_on(program.start(birth)).expect("it starts");
        row(
            what,
            aim,
            bench.median(async || {
                for _ in 0..CALLS {
                    instance.handle(&event, CallContext::default()).await.result.expect("no trap").expect("no failure");
                }
            }),
        );
    }
    for (recording, what) in [(Recording::Off, "HTTP, live instance"), (Recording::On, "HTTP, live and recorded")] {
        let program = program(recording, &guest("proxy-hello"));
        let mut instance = bench.runtime.block_on(program.start(birth)).expect("it starts");
        row(
            what,
            "-",
            bench.median(async || {
                for _ in 0..CALLS {
                    let end = instance.http(InvocationId([1; 16]), get("/"), CallContext::default()).await;
                    end.result.expect("it answers");
                }
            }),
        );
    }
}
