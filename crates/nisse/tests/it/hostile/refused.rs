//! Packages that never come to life: refused at deploy with a sentence that says what to do, or failed at their start
//! without costing anybody anything.

use insta::assert_snapshot;
use serde_json::json;

use crate::harness::{Home, example};

use super::neighbour::beside_the_neighbour;

/// A package around a component in WebAssembly text, sealed.
fn package(home: &Home, name: &str, text: &str) -> String {
    let package = home.copy_of("recursion", name);
    package.edit("recursion", name).edit(".wasm", "-made.wasm");
    let bytes = wat::parse_str(text).unwrap();
    std::fs::write(home.beside(name).join(format!("{name}-made.wasm")), bytes).unwrap();
    home.ok(&["pkg", "seal", package.path()]);
    package.path().to_owned()
}

#[test]
fn what_is_no_component_of_wasi_0_2_is_told_how_to_become_one() {
    let home = Home::new();
    let _node = home.up(&[]);
    let refusal = |name: &str, text: &str| home.run(&["deploy", &package(&home, name, text)]).refusal();
    assert_snapshot!(refusal("core", "(module)"), @r#"
    exit 3
    error: failed to run a core module: nisse runs components; make it one with `wasm-tools component new`, or build with `cargo build --target wasm32-wasip2`
    "#);
    let wasi3 = r#"(component (import "wasi:http/handler@0.3.0" (instance)))"#;
    assert_snapshot!(refusal("wasi3", wasi3), @r#"
    exit 3
    error: failed to run a component that uses wasi:http/handler@0.3.0: nisse runs WASI 0.2 components; build it for `wasm32-wasip2` or against `wasi:http@0.2`
    "#);
    let unknown = r#"(component (import "acme:database/query@1.0.0" (instance)))"#;
    assert_snapshot!(refusal("unknown", unknown), @r#"
    exit 3
    error: failed to link `acme:database/query@1.0.0`: nisse does not offer this interface to agents
    hint: build the component against wit/agent.wit; it offers nisse:agent/state, nisse:agent/alarm, nisse:agent/types, nisse:agent/config, nisse:agent/log, nisse:agent/ipfs, nisse:agent/chain, nisse:agent/spaces and WASI 0.2
    "#);
    let newer = r#"(component (import "nisse:agent/state@0.2.0" (instance)))"#;
    assert_snapshot!(refusal("newer", newer), @r#"
    exit 3
    error: failed to link `nisse:agent/state@0.2.0`: nisse offers version 0.1 of this interface
    hint: build the component against wit/agent.wit of this nisse
    "#);
    let ungranted = r#"(component (import "nisse:agent/ipfs@0.1.0" (instance)))"#;
    assert_snapshot!(refusal("ungranted", ungranted), @r#"
    exit 3
    error: failed to link `nisse:agent/ipfs@0.1.0`: it needs the permission `read_ipfs`
    hint: add "read_ipfs" to `permissions` in agent.yaml
    "#);
    assert_snapshot!(refusal("handlerless", "(component)"), @r#"
    exit 3
    error: failed to find a handler in the component: it exports neither `nisse:agent/handler@0.1` nor `wasi:http/incoming-handler@0.2`
    hint: export one of them: `nisse_sdk::export!` does in Rust, and any toolchain's `wasi:http/proxy` component has the second
    "#);
    let functions = format!("(component (core module {}))", "(func)".repeat(100_001));
    assert_snapshot!(refusal("bomb", &functions), @r#"
    exit 3
    error: failed to compile a component's functions: 100001 found, at most 100000 are allowed
    "#);
}

#[test]
fn a_trap_at_start_is_a_state_that_says_what_to_do() {
    let home = Home::new();
    let node = home.up(&[]);
    beside_the_neighbour(&node, || {
        let refused = home.run(&["deploy", &example("trap-at-start")]);
        assert_snapshot!(refused.refusal(), @r#"
        exit 1
        error: failed to start nisse.test.trap-at-start@v1.0.0: at start: run the agent: it panicked (an `unreachable` instruction)
        hint: `nisse logs` shows what its `started` handler said
        "#);
        let status = home.json(&["status", "nisse.test.trap-at-start"]);
        assert_eq!(status["state"], "failed");
        assert_snapshot!(status["reason"].as_str().unwrap(), @"at start: run the agent: it panicked (an `unreachable` instruction)");
        assert_snapshot!(status["hint"].as_str().unwrap(), @"`nisse logs` shows what its `started` handler said");
        assert_eq!(home.json(&["market", "show", "2"])["paid"], "0", "it cost nobody money");
    });
}

#[test]
fn a_component_that_chokes_the_compiler_is_refused_while_its_neighbour_answers() {
    let home = Home::new();
    let node = home.up(&[]);
    beside_the_neighbour(&node, || {
        // One jump with as many targets as a function may have, again and again.
        let targets = "0 1 2 3 4 5 6 7 ".repeat(60_000);
        let (open, close) = ("(block ".repeat(8), ")".repeat(8));
        let jump = format!("(func (param i32) {open} (br_table {targets} (local.get 0)) {close})");
        let handler = r#"(instance $handler) (export "nisse:agent/handler@0.1.0" (instance $handler))"#;
        let invalid = format!("(component (core module {} (func (result i32))) {handler})", jump.repeat(3));
        let ended = home.run(&["deploy", &package(&home, "invalid", &invalid)]);
        assert_ne!(ended.code, 0);
        assert!(ended.err.contains("at compile: compile the component: "), "{}", ended.err);
        let status = home.json(&["status", "nisse.test.invalid"]);
        assert_eq!(status["state"], "failed", "{status}");
        assert!(status["reason"].as_str().unwrap().contains("compile the component"), "{status}");
    });
    assert_ne!(home.json(&["ls"]), json!([]));
}
