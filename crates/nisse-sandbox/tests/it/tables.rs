//! What an instance is made of: tables, memories and core instances, each under a limit of its own, and instructions that
//! no compiler writes.

use std::time::Duration;

use nisse_model::{ByteSize, Fuel, InstanceId, TrapKind};
use nisse_sandbox::limits::{CORE_INSTANCES_MAX, MEMORIES_MAX, TABLE_ELEMENTS_MAX, TABLES_MAX};
use nisse_sandbox::{
    AgentProgram, CompiledArtifact, Engine, EngineOptions, Inspection, Limits, ProgramOptions, StartError, Trap,
};

use crate::support::{Setup, answer, ask, component, guest, plain_engine, stopped};

/// With instances from the pool and without one.
fn both(limits: &Limits) -> [Setup; 2] {
    let pooled = Setup { limits: limits.clone(), ..Setup::default() };
    [pooled, Setup { engine: plain_engine(), limits: limits.clone(), ..Setup::default() }]
}

fn with_memory(mebibytes: u64) -> Limits {
    Limits { memory: ByteSize(mebibytes << 20), ..Limits::default() }
}

async fn number(setup: &Setup, path: &str) -> usize {
    answer(setup, "table-bomb", path).await.trim_end().parse().expect("a number")
}

/// A component whose module has these parts besides a handler, and which instantiates an empty module so many times.
fn made_of(parts: &str, instances: usize) -> Vec<u8> {
    let mut artifact = component(
        "export nisse:agent/handler@0.1.0;",
        &format!(
            r#"(module
  (memory (export "memory") 1)
  {parts}
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
  (func (export "nisse:agent/handler@0.1.0#handle") (param i32) (result i32) unreachable))"#
        ),
    );
    if instances > 0 {
        let modules = wasmparser::Parser::new(0)
            .parse_all(&artifact)
            .filter(|payload| matches!(payload, Ok(wasmparser::Payload::ModuleSection { .. })));
        let empty = u8::try_from(modules.count()).expect("few modules");
        // A section of one core module without anything in it, and one of instances of it, as the binary format spells them.
        artifact.extend_from_slice(b"\x01\x08\0asm\x01\0\0\0");
        let instances = [0u8, empty, 0].repeat(instances);
        let count = u8::try_from(instances.len() / 3).expect("few instances");
        artifact.extend_from_slice(&[2]);
        leb128(&mut artifact, instances.len() + 1);
        artifact.push(count);
        artifact.extend_from_slice(&instances);
    }
    artifact
}

fn leb128(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Whether the pool has no room for its modules, whatever lives.
fn misfit(setup: &Setup, artifact: &[u8]) -> Option<String> {
    CompiledArtifact::compile_here(&setup.engine, artifact).err()
}

/// Why it does not come to life.
async fn stillborn(setup: &Setup, artifact: &[u8]) -> Trap {
    let program = setup.link(artifact).expect("it links");
    match program.start(InstanceId([7; 16])).await.err().expect("it does not come to life") {
        StartError::Trap(trap) => trap,
        StartError::Full => panic!("there is a place for it"),
    }
}

#[tokio::test]
async fn a_table_grows_to_its_limit_and_no_further() {
    for setup in both(&with_memory(64)) {
        let elements = number(&setup, "/tables").await;
        assert!((TABLE_ELEMENTS_MAX - 1_000..=TABLE_ELEMENTS_MAX).contains(&elements), "{elements}");
        assert!(number(&setup, "/huge").await < 1_000, "2^32 - 1 elements were given");
    }
}

#[tokio::test]
async fn the_elements_of_tables_count_as_the_agents_memory() {
    // 256 KiB are two pages of memory and 16,384 elements.
    let limits = Limits { memory: ByteSize(256 << 10), ..Limits::default() };
    for setup in both(&limits) {
        let elements = number(&setup, "/tables").await;
        assert!((15_000..=16_384).contains(&elements), "{elements} elements in 128 KiB");
    }
}

#[tokio::test]
async fn memory_grows_to_what_was_bought_even_where_impossible_growths_lie_between() {
    for setup in both(&with_memory(32)) {
        for path in ["/memory", "/again"] {
            let pages = number(&setup, path).await;
            assert!((490..=512).contains(&pages), "{path}: {pages} pages of 64 KiB with 32 MiB");
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_a_trap_of_its_own_kind() {
    let setup = Setup::default();
    for (path, kind) in [
        ("/null", TrapKind::IndirectCall),
        ("/wrong", TrapKind::IndirectCall),
        ("/beyond", TrapKind::OutOfBounds),
        ("/divide", TrapKind::Arithmetic),
    ] {
        let trap = stopped(&setup, "table-bomb", path).await;
        assert_eq!(trap.kind, kind, "{path}: {trap:?}");
    }
}

#[tokio::test]
async fn a_component_of_too_many_tables_memories_or_instances_does_not_come_to_life() {
    for setup in both(&Limits::default()) {
        let tables = "(table 1 funcref)".repeat(TABLES_MAX + 1);
        let memories = "(memory 1)".repeat(MEMORIES_MAX + 1);
        for (what, artifact) in [
            ("tables", made_of(&tables, 0)),
            ("memories", made_of(&memories, 0)),
            ("instances", made_of("", CORE_INSTANCES_MAX)),
            ("elements", made_of(&format!("(table {} funcref)", TABLE_ELEMENTS_MAX + 1), 0)),
            ("pages", made_of("(memory 65536)", 0)),
        ] {
            let why = match misfit(&setup, &artifact) {
                Some(text) => text,
                None => stillborn(&setup, &artifact).await.text,
            };
            assert!(why.contains("limit") || why.contains("exceeds"), "{what}: {why}");
        }
        // What toolchains make stays possible.
        let program = setup.link(&made_of("(table 1 funcref) (table 1 funcref)", 20)).expect("it links");
        program.start(InstanceId([7; 16])).await.expect("it comes to life");
    }
}

#[tokio::test]
async fn a_start_function_is_under_the_limits_of_a_call() {
    let limits = Limits { fuel_per_call: Fuel(50_000_000), http_time: Duration::from_secs(5), ..Limits::default() };
    for setup in both(&limits) {
        for (start, kind) in [
            ("(loop (br 0))", TrapKind::OutOfFuel),
            ("unreachable", TrapKind::Unreachable),
            ("(call $start)", TrapKind::StackOverflow),
            ("(loop (br_if 0 (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable", TrapKind::OutOfMemory),
        ] {
            let artifact = made_of(&format!("(func $start {start}) (start $start)"), 0);
            let trap = stillborn(&setup, &artifact).await;
            assert_eq!(trap.kind, kind, "{start}: {trap:?}");
        }
    }
}

#[tokio::test]
async fn a_full_pool_refuses_one_more_life_and_has_room_again_when_one_ends() {
    let engine = Engine::new(EngineOptions { pooled_instances: 4 }).expect("an engine");
    assert!(engine.is_pooled());
    let artifact = guest("proxy-hello");
    // Not out of the tests' common cache: that code belongs to another engine.
    let compiled = CompiledArtifact::compile_here(&engine, &artifact).expect("it compiles");
    let setup = Setup::default();
    let options = ProgramOptions {
        grants: setup.grants.clone(),
        config: setup.config.clone(),
        limits: setup.limits.clone(),
        recording: setup.recording,
        host: setup.host.clone(),
        clock: setup.clock.clone(),
    };
    let inspection = Inspection::read(&artifact).expect("a component");
    let program = AgentProgram::link(&engine, &compiled, &inspection, options).expect("it links");
    let mut lives = Vec::new();
    let refused = loop {
        match program.start(InstanceId([lives.len() as u8; 16])).await {
            Ok(life) => lives.push(life),
            Err(refused) => break refused,
        }
    };
    assert!(lives.len() <= 4, "{} lives in 4 slots", lives.len());
    // Not a trap: no guest is to blame.
    assert_eq!(refused, StartError::Full);
    insta::assert_snapshot!(refused, @"find a place for an instance: all are taken");
    for life in &mut lives {
        assert_eq!(ask(life, "/").await.result.expect("those that live go on").status(), 200);
    }
    lives.pop();
    program.start(InstanceId([9; 16])).await.expect("there is room again");
}

#[tokio::test]
async fn bombs_that_went_off_leave_the_pool_to_the_others() {
    let setup = Setup { limits: with_memory(32), ..Setup::default() };
    assert!(setup.engine.is_pooled());
    // More lives than the pool has slots: each gives its own back.
    let program = setup.link(&guest("table-bomb")).expect("it links");
    for life in 0..200u8 {
        let mut instance = program.start(InstanceId([life; 16])).await.expect("there is a slot");
        let _ = ask(&mut instance, ["/tables", "/null", "/beyond"][usize::from(life) % 3]).await;
    }
    assert_eq!(answer(&setup, "proxy-hello", "/").await, "hello\n");
}
