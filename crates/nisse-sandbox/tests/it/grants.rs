//! The deploy-time gate: what a component imports against what it was granted.

use nisse_sandbox::{
    AgentProgram, CompiledArtifact, ImportRefused, InspectError, Inspection, LinkError, ProgramOptions,
};

use crate::support::{Setup, component, grants};

const IPFS_WORLD: &str = "import nisse:agent/ipfs@0.1.0; export nisse:agent/handler@0.1.0;";

/// A component for `world` whose handler traps: only its imports matter.
fn importing(world: &str, import: &str) -> Vec<u8> {
    component(
        world,
        &format!(
            r#"(module
  {import}
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
  (func (export "nisse:agent/handler@0.1.0#handle") (param i32) (result i32) unreachable))"#
        ),
    )
}

fn ipfs_component() -> Vec<u8> {
    importing(IPFS_WORLD, r#"(import "nisse:agent/ipfs@0.1.0" "read" (func (param i32 i32 i32)))"#)
}

fn chain_component() -> Vec<u8> {
    importing(
        "import nisse:agent/chain@0.1.0; export nisse:agent/handler@0.1.0;",
        r#"(import "nisse:agent/chain@0.1.0" "publish" (func (param i32 i32 i64 i32 i32)))"#,
    )
}

#[test]
fn an_import_without_its_permission_is_refused_by_name_with_the_line_to_add() {
    let setup = Setup::default();
    for (artifact, permission) in [(ipfs_component(), "read_ipfs"), (chain_component(), "publish_to_chain")] {
        let Err(LinkError::Import(refused)) = setup.link(&artifact) else { panic!("it linked without a grant") };
        assert!(refused.to_string().contains(permission), "{refused}");
        assert!(refused.hint().starts_with(&format!("add \"{permission}\" to `permissions`")), "{}", refused.hint());
        let setup = Setup { grants: grants(&[permission]), ..Setup::default() };
        setup.link(&artifact).expect("it links with the grant");
    }
    let Err(LinkError::Import(refused)) = setup.link(&ipfs_component()) else { panic!("it linked without a grant") };
    insta::assert_snapshot!(refused, @"link `nisse:agent/ipfs@0.1.0`: it needs the permission `read_ipfs`");
    insta::assert_snapshot!(refused.hint(), @r#"add "read_ipfs" to `permissions` in agent.yaml"#);
}

#[test]
fn an_import_that_nobody_offers_is_refused_by_name() {
    let world = "import acme: interface { f: func(); } export nisse:agent/handler@0.1.0;";
    let artifact = importing(world, r#"(import "acme" "f" (func))"#);
    let refused = Inspection::read(&artifact).expect("a component").check(&grants(&["read_ipfs"]));
    let refused = refused.expect_err("nobody offers it");
    insta::assert_snapshot!(refused, @"link `acme`: nisse does not offer this interface to agents");
    insta::assert_snapshot!(refused.hint(), @"build the component against wit/agent.wit; it offers nisse:agent/state, nisse:agent/alarm, nisse:agent/types, nisse:agent/config, nisse:agent/log, nisse:agent/ipfs, nisse:agent/chain, nisse:agent/spaces and WASI 0.2");
}

#[test]
fn another_version_of_what_is_offered_is_refused_with_the_one_that_is() {
    let check = |import: &str| {
        let artifact = wat::parse_str(format!(r#"(component (import "{import}" (instance)))"#)).expect("it assembles");
        Inspection::read(&artifact).expect("a component").check(&grants(&["read_ipfs"]))
    };
    let refused = check("nisse:agent/state@0.2.0").expect_err("there is no such version");
    insta::assert_snapshot!(refused, @"link `nisse:agent/state@0.2.0`: nisse offers version 0.1 of this interface");
    insta::assert_snapshot!(refused.hint(), @"build the component against wit/agent.wit of this nisse");
    let refused = check("wasi:http/types@0.4.1").expect_err("there is no such version");
    insta::assert_snapshot!(refused, @"link `wasi:http/types@0.4.1`: nisse offers version 0.2 of this interface");
    insta::assert_snapshot!(refused.hint(), @"build the component against WASI 0.2");
    for import in ["nisse:agent/state", "wasi:io/poll", "wasi:io/poll@0.20.1", "wasi:io/poll@0.2.0-rc-2023-11-10"] {
        check(import).expect_err(import);
    }
    for import in ["nisse:agent/state@0.1.7", "wasi:io/poll@0.2.0", "wasi:io/poll@0.2.99"] {
        // It exports nothing, which is looked at last.
        assert!(matches!(check(import), Err(ImportRefused::NoHandler)), "{import}");
    }
}

#[test]
fn asynchronous_functions_are_of_the_next_wasi() {
    let artifact = wat::parse_str(
        r#"(component
  (core module $m (func (export "f") (result i32) i32.const 0) (func (export "callback") (param i32 i32 i32) (result i32) i32.const 0))
  (core instance $i (instantiate $m))
  (func (export "f") async (canon lift (core func $i "f") async (callback (core func $i "callback")))))"#,
    )
    .expect("it assembles");
    let refused = Inspection::read(&artifact).expect_err("the next WASI");
    insta::assert_snapshot!(refused, @"run a component that uses asynchronous functions: nisse runs WASI 0.2 components; build it for `wasm32-wasip2` or against `wasi:http@0.2`");
}

#[test]
fn a_core_module_is_told_how_to_become_a_component() {
    let module = wat::parse_str("(module)").expect("it assembles");
    let refused = Inspection::read(&module).expect_err("a core module");
    insta::assert_snapshot!(refused, @"run a core module: nisse runs components; make it one with `wasm-tools component new`, or build with `cargo build --target wasm32-wasip2`");
}

#[test]
fn a_component_of_the_next_wasi_is_told_what_to_build() {
    let artifact = wat::parse_str(r#"(component (import "wasi:clocks/system-clock@0.3.0" (instance)))"#);
    let refused = Inspection::read(&artifact.expect("it assembles")).expect_err("preview 3");
    insta::assert_snapshot!(refused, @"run a component that uses wasi:clocks/system-clock@0.3.0: nisse runs WASI 0.2 components; build it for `wasm32-wasip2` or against `wasi:http@0.2`");
}

#[test]
fn a_component_without_a_handler_is_refused() {
    let artifact = wat::parse_str("(component)").expect("it assembles");
    let Err(refused) = Setup::default().link(&artifact) else { panic!("there is nothing to call") };
    insta::assert_snapshot!(refused, @"find a handler in the component: it exports neither `nisse:agent/handler@0.1` nor `wasi:http/incoming-handler@0.2`");
}

#[test]
fn an_import_of_another_type_than_the_one_offered_does_not_link() {
    let artifact = wat::parse_str(
        r#"(component
  (import "nisse:agent/config@0.1.0" (instance (export "get" (func (param "x" u32)))))
  (core module $m (func (export "f")))
  (core instance $i (instantiate $m))
  (instance $handler)
  (export "nisse:agent/handler@0.1.0" (instance $handler)))"#,
    )
    .expect("it assembles");
    let setup = Setup::default();
    let compiled = CompiledArtifact::compile_here(&setup.engine, &artifact).expect("it compiles");
    let inspection = Inspection::read(&artifact).expect("a component");
    let options = ProgramOptions {
        grants: setup.grants.clone(),
        config: setup.config.clone(),
        limits: setup.limits.clone(),
        recording: setup.recording,
        host: setup.host.clone(),
        clock: setup.clock.clone(),
    };
    let refused = AgentProgram::link(&setup.engine, &compiled, &inspection, options);
    assert!(matches!(refused.err(), Some(LinkError::Mismatch(_))));
}

#[test]
fn files_that_would_choke_a_compiler_are_refused_unread() {
    let text = "not WebAssembly at all".as_bytes();
    assert!(matches!(Inspection::read(text), Err(InspectError::Malformed(_))));
    let whole = ipfs_component();
    for end in (0..whole.len()).step_by(7) {
        // A cut between two sections reads as a component that offers nothing.
        let read = Inspection::read(&whole[..end]);
        assert!(!read.is_ok_and(|inspection| inspection.handles_events()), "{end} bytes of {}", whole.len());
    }
    let functions = "(func)".repeat(100_001);
    let bomb = wat::parse_str(format!("(component (core module {functions}))")).expect("it assembles");
    let refused = Inspection::read(&bomb).expect_err("too many functions");
    insta::assert_snapshot!(refused, @"compile a component's functions: 100001 found, at most 100000 are allowed");
    let modules = "(core module)".repeat(201);
    let bomb = wat::parse_str(format!("(component {modules})")).expect("it assembles");
    assert!(matches!(Inspection::read(&bomb), Err(InspectError::TooLarge { found: 201, .. })));
    let nested = format!("{}{}", "(component ".repeat(150), ")".repeat(150));
    if let Ok(bomb) = wat::parse_str(nested) {
        let _ = Inspection::read(&bomb);
    }
}
