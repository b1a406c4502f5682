//! What an agent that waits costs in memory: alive with its instance, and at rest without one. Page tables count.
//!
//! `cargo bench -p nisse-sandbox --bench density [-- --json]`. In a process of its own, since the kernel counts pages by
//! process.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints, and stops at the first surprise")]

#[allow(dead_code, reason = "shared with the tests, which use all of it")]
#[path = "../tests/it/support.rs"]
mod support;

use nisse_model::{InstanceId, InvocationId};
use nisse_sandbox::{AgentProgram, CallContext, Engine, EngineOptions, LiveInstance, Recording};

use self::support::{Setup, get, guest};

/// Agents of which the average is taken.
const AGENTS: usize = 500;
/// Agents before any is counted, so that what all share is there already.
const FIRST: usize = 8;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // The pool of a node, with whatever it keeps resident.
    let engine = Engine::new(EngineOptions::default()).unwrap();
    let setup = Setup { engine, recording: Recording::On, real_clock: true, ..Setup::default() };
    let artifact = guest("counter");
    let link = || setup.link(&artifact).unwrap();
    let alive = |program: &AgentProgram| {
        runtime.block_on(async {
            let mut instance = program.start(InstanceId([7; 16])).await.unwrap();
            instance.http(InvocationId([1; 16]), get("/"), CallContext::default()).await.result.unwrap();
            instance
        })
    };
    let first: Vec<AgentProgram> = (0..FIRST).map(|_| link()).collect();
    let first_alive: Vec<LiveInstance> = first.iter().map(alive).collect();

    let before = kib();
    let programs: Vec<AgentProgram> = (0..AGENTS - FIRST).map(|_| link()).collect();
    let resting = (kib() - before) / programs.len() as f64;
    let before = kib();
    let instances: Vec<LiveInstance> = programs.iter().map(alive).collect();
    let living = (kib() - before) / instances.len() as f64;
    drop((first, first_alive));

    let json = std::env::args().any(|argument| argument == "--json");
    for (name, what, aim, value) in [
        ("resting", "agent at rest: a linked program", "-", resting),
        ("live", "live agent: program and instance, called once", "<= 40 KiB", resting + living),
    ] {
        match json {
            true => println!("{{\"name\":\"{name}\",\"value\":{value}}}"),
            false => println!("{what:<48} {aim:>10} {value:>8.1} KiB"),
        }
    }
}

/// Resident memory and page tables of this process, in KiB.
fn kib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = |name: &str| -> f64 {
        let text = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        text.split_whitespace().next().unwrap().parse().unwrap()
    };
    line("VmRSS:") + line("VmPTE:")
}
