//! What a call costs: medians of many, against the aims of the design's table of numbers.
//!
//! `cargo bench -p nisse-sandbox --bench sandbox` prints aim and measured side by side, `-- --json` one object a line,
//! `-- NAME` those rows alone; numbers of a debug build say nothing.
#![allow(clippy::print_stdout, reason = "a bench prints its table")]

#[allow(dead_code, reason = "shared with the tests, which use all of it")]
#[path = "../tests/it/support.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nisse_model::{Cpu, InstanceId, InvocationId};
use nisse_sandbox::{
    AgentProgram, CallContext, CallKey, CompileCommand, CompileLimits, CompiledArtifact, Compiler, Host, HostCall,
    HostReply, Inspection, Limits, ProgramOptions, Recording, compile_child_main,
};
use nisse_store::{Clock, SystemClock, SystemDisk, SystemEntropy};

use self::support::{Setup, component, get, guest, invocation};

/// Rounds of which the median is taken.
const ROUNDS: usize = 31;
/// The argument with which the bench compiles for itself.
const COMPILE: &str = "compile";
/// Calls in one round.
const CALLS: u32 = 1000;

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

/// A host that holds nothing, so that what is measured is the way to it and back.
struct EmptyHost;

#[async_trait]
impl Host for EmptyHost {
    async fn call(&self, _: CallKey, _: HostCall) -> HostReply {
        HostReply::Value { value: None }
    }
}

/// What the calls of the bench run with: the limits of a node, but for those that would end its instance.
fn options(recording: Recording) -> ProgramOptions {
    let setup = Setup::default();
    ProgramOptions {
        grants: setup.grants,
        config: setup.config,
        limits: Limits { calls_per_instance: u64::MAX, cpu: Cpu { millis: 64_000 }, ..Limits::default() },
        recording,
        host: Arc::new(EmptyHost),
        clock: Arc::new(SystemClock::default()),
    }
}

fn program(recording: Recording, artifact: &[u8]) -> AgentProgram {
    let compiled = CompiledArtifact::compile_here(&support::engine(), artifact).expect("it compiles");
    let inspection = Inspection::read(artifact).expect("a component");
    AgentProgram::link(&support::engine(), &compiled, &inspection, options(recording)).expect("it links")
}

struct Bench {
    clock: SystemClock,
    runtime: tokio::runtime::Runtime,
    json: bool,
    /// Rows whose name holds this, or all.
    only: Option<String>,
}

impl Bench {
    /// The median time of one call of `work`, which makes `calls` of them.
    fn median(&self, calls: u32, mut work: impl AsyncFnMut()) -> Duration {
        let mut rounds: Vec<Duration> = (0..ROUNDS)
            .map(|_| {
                let start = self.clock.elapsed();
                self.runtime.block_on(work());
                (self.clock.elapsed() - start) / calls
            })
            .collect();
        rounds.sort_unstable();
        rounds[ROUNDS / 2]
    }

    fn row(&self, name: &str, what: &str, aim: &str, measure: impl FnOnce() -> Duration) {
        if self.only.as_ref().is_some_and(|only| !name.contains(only)) {
            return;
        }
        let micros = measure().as_nanos() as f64 / 1000.0;
        match self.json {
            true => println!("{{\"name\":\"{name}\",\"value\":{micros}}}"),
            false => println!("{what:<44} {aim:>10} {micros:>10.2} us"),
        }
    }

    /// From an artifact whose code is in the cache to the end of the program's first answer.
    fn first_reply(&self, artifact: &[u8]) -> Duration {
        let folder = tempfile::tempdir().expect("a folder");
        let engine = support::engine();
        let command =
            CompileCommand { program: std::env::current_exe().expect("itself"), arguments: vec![COMPILE.into()] };
        let (disk, limits) = (Arc::new(SystemDisk), CompileLimits::default());
        let compiler = Compiler::new(engine.clone(), disk, folder.path().to_owned(), &SystemEntropy, command, limits)
            .expect("a cache");
        self.runtime.block_on(compiler.compile(artifact)).expect("it compiles");
        self.median(1, async || {
            let inspection = Inspection::read(artifact).expect("a component");
            let compiled = compiler.compile(artifact).await.expect("it is in the cache");
            let options = options(Recording::On);
            let program = AgentProgram::link(&engine, &compiled, &inspection, options).expect("it links");
            let mut instance = program.start(InstanceId([7; 16])).await.expect("it starts");
            instance.http(InvocationId([1; 16]), get("/"), CallContext::default()).await.result.expect("it answers");
        })
    }
}

fn main() {
    if std::env::args().nth(1).as_deref() == Some(COMPILE) {
        compile_child_main(&mut std::io::stdin().lock(), &mut std::io::stdout().lock()).expect("it compiles");
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let json = std::env::args().any(|argument| argument == "--json");
    let only = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let bench = Bench { clock: SystemClock::default(), runtime, json, only };
    let artifact = three_host_calls();
    let event = invocation(b"");
    let birth = InstanceId([7; 16]);
    if !json {
        println!("{:<44} {:>10} {:>13}", "what", "aim", "median");
    }

    let bare = program(Recording::Off, &artifact);
    bench.row("instantiate", "instantiate and drop", "<= 7 us", || {
        bench.median(CALLS, async || {
            for _ in 0..CALLS {
                bare.start(birth).await.expect("it starts");
            }
        })
    });
    bench.row("event fresh", "event, fresh instance, 3 host calls", "<= 25 us", || {
        bench.median(CALLS, async || {
            for _ in 0..CALLS {
                let mut instance = bare.start(birth).await.expect("it starts");
                instance.handle(&event, CallContext::default()).await.result.expect("no trap").expect("no failure");
            }
        })
    });
    for (recording, name, what, aim) in [
        (Recording::Off, "event live", "event, live instance, 3 host calls", "<= 1.5 us"),
        (Recording::On, "event recorded", "event, live and recorded, 3 host calls", "<= 3 us"),
    ] {
        let program = program(recording, &artifact);
        let mut instance = bench.runtime.block_on(program.start(birth)).expect("it starts");
        bench.row(name, what, aim, || {
            bench.median(CALLS, async || {
                for _ in 0..CALLS {
                    instance.handle(&event, CallContext::default()).await.result.expect("no trap").expect("no failure");
                }
            })
        });
    }
    for (recording, name, what) in [
        (Recording::Off, "http live", "HTTP, live instance"),
        (Recording::On, "http recorded", "HTTP, live and recorded"),
    ] {
        let program = program(recording, &guest("proxy-hello"));
        let mut instance = bench.runtime.block_on(program.start(birth)).expect("it starts");
        bench.row(name, what, "-", || {
            bench.median(CALLS, async || {
                for _ in 0..CALLS {
                    let end = instance.http(InvocationId([1; 16]), get("/"), CallContext::default()).await;
                    end.result.expect("it answers");
                }
            })
        });
    }
    let hello = guest("proxy-hello");
    let fresh = program(Recording::Off, &hello);
    bench.row("http fresh", "HTTP, fresh instance", "-", || {
        bench.median(CALLS, async || {
            for _ in 0..CALLS {
                let mut instance = fresh.start(birth).await.expect("it starts");
                let end = instance.http(InvocationId([1; 16]), get("/"), CallContext::default()).await;
                end.result.expect("it answers");
            }
        })
    });
    bench.row("first reply", "cached component, first reply", "<= 1500 us", || bench.first_reply(&hello));
}
