//! Every function that a guest can import, called with whatever a guest can pass: extreme numbers, handles of something
//! else, handles dropped twice, pointers out of bounds. A guest may be stopped for it; the host may not.
//!
//! The list comes from the WIT files, so that a function that is added there is called here.

use std::fmt::Write as _;
use std::path::Path;

use nisse_model::{Fuel, InstanceId};
use nisse_sandbox::{AgentProgram, CallContext, HostFailureKind, HostReply, Limits, LiveInstance};
use wit_parser::abi::{AbiVariant, WasmType};
use wit_parser::{Resolve, TypeDefKind};

use crate::support::{Setup, answer, component, grants, invocation};

/// Calls of each function on its own, and calls of all of them in a row, each on what the ones before left behind.
const CALLS_OF_EACH: u64 = 25;
const CALLS_IN_A_ROW: u64 = 5_000;
/// What an instance holds before it is mistreated: these calls give it the handles 1, 2, 3 and so on, as far as they do.
const OUTFIT: [(&str, &[i64]); 17] = [
    ("[constructor]fields", &[]),
    ("[constructor]fields", &[]),
    ("[constructor]fields", &[]),
    ("[constructor]outgoing-request", &[2]),
    ("[constructor]outgoing-response", &[3]),
    ("[constructor]request-options", &[]),
    ("[method]outgoing-response.body", &[3, 2_048]),
    ("[method]outgoing-request.body", &[2, 2_048]),
    ("[method]outgoing-body.write", &[5, 2_048]),
    ("get-stdin", &[]),
    ("get-stdout", &[]),
    ("get-stderr", &[]),
    ("instance-network", &[]),
    ("subscribe-duration", &[1_000]),
    ("subscribe-duration", &[i64::MAX]),
    ("[constructor]fields", &[]),
    ("[constructor]outgoing-request", &[14]),
];
/// Handles that the outfit gives, and a few more.
const HANDLES: u64 = 18;
/// What a guest exports and does not import.
const EXPORTED: [&str; 3] = ["nisse:agent/handler", "wasi:http/incoming-handler", "wasi:cli/run"];
/// Numbers at the edges of something: of types, of the memory, of small handles and enumerations.
const EDGES: [i64; 20] = [
    0,
    1,
    2,
    3,
    4,
    5,
    7,
    8,
    16,
    1_024,
    65_532,
    262_143,
    262_144,
    1_000_000_000,
    i32::MAX as i64,
    i32::MIN as i64,
    u32::MAX as i64,
    i64::MAX,
    i64::MIN,
    -1,
];

struct Import {
    interface: String,
    name: String,
    params: Vec<&'static str>,
    results: Vec<&'static str>,
}

fn core_type(of: &WasmType) -> &'static str {
    match of {
        WasmType::I32 | WasmType::Pointer | WasmType::Length => "i32",
        WasmType::I64 | WasmType::PointerOrI64 => "i64",
        WasmType::F32 => "f32",
        WasmType::F64 => "f64",
    }
}

/// Every function of every interface of `wit/`, and the drop of every resource.
fn imports() -> Vec<Import> {
    let mut resolve = Resolve::default();
    resolve.push_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit")).expect("the WIT folder parses");
    let mut imports = Vec::new();
    for (id, interface) in resolve.interfaces.iter() {
        let Some(name) = resolve.id_of(id) else { continue };
        if EXPORTED.iter().any(|exported| name.split('@').next() == Some(exported)) {
            continue;
        }
        for function in interface.functions.values() {
            let signature = resolve.wasm_signature(AbiVariant::GuestImport, function);
            imports.push(Import {
                interface: name.clone(),
                name: function.name.clone(),
                params: signature.params.iter().map(core_type).collect(),
                results: signature.results.iter().map(core_type).collect(),
            });
        }
        for (resource, of) in &interface.types {
            if matches!(resolve.types[*of].kind, TypeDefKind::Resource) {
                let (interface, name) = (name.clone(), format!("[resource-drop]{resource}"));
                imports.push(Import { interface, name, params: vec!["i32"], results: Vec::new() });
            }
        }
    }
    imports
}

/// A handler that calls one import: the event's data is its number and its arguments, eight bytes each.
fn caller(imports: &[Import]) -> Vec<u8> {
    let (mut world, mut head, mut wrappers, mut table) = (String::new(), String::new(), String::new(), String::new());
    let mut interfaces: Vec<&str> = imports.iter().map(|import| import.interface.as_str()).collect();
    interfaces.dedup();
    for interface in interfaces {
        writeln!(world, "import {interface};").expect("a text grows");
    }
    world.push_str("export nisse:agent/handler@0.1.0;");
    for (number, Import { interface, name, params, results }) in imports.iter().enumerate() {
        let (takes, gives) = (params.join(" "), results.join(" "));
        writeln!(head, r#"(import "{interface}" "{name}" (func $f{number} (param {takes}) (result {gives})))"#)
            .expect("a text grows");
        let load = |(place, of): (usize, &&str)| format!("({of}.load offset={} (local.get $data)) ", 8 + 8 * place);
        let loads: String = params.iter().enumerate().map(load).collect();
        let drops = "drop ".repeat(results.len());
        writeln!(wrappers, "(func $w{number} (param $data i32) {loads} call $f{number} {drops})")
            .expect("a text grows");
        write!(table, "$w{number} ").expect("a text grows");
    }
    component(
        &world,
        &format!(
            r#"(module
  {head}
  (memory (export "memory") 4)
  (type $wrapper (func (param i32)))
  (table $wrappers {count} funcref)
  (elem (table $wrappers) (i32.const 0) func {table})
  (global $next (mut i32) (i32.const 65536))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $next))
    (global.set $next (i32.add (global.get $next) (i32.and (i32.add (local.get 3) (i32.const 15)) (i32.const -16))))
    (local.get $at))
  {wrappers}
  (func (export "nisse:agent/handler@0.1.0#handle") (param $invocation i32) (result i32)
    (local $data i32)
    (local.set $data (i32.load offset=56 (local.get $invocation)))
    (call_indirect $wrappers (type $wrapper) (local.get $data) (i32.load (local.get $data)))
    (global.set $next (i32.const 65536))
    ;; An outcome of nothing: no host call is told to write there.
    (memory.fill (i32.const 2048) (i32.const 0) (i32.const 32))
    (i32.const 2048)))"#,
            count = imports.len(),
        ),
    )
}

/// The same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }

    fn arguments(&mut self, number: usize, import: &Import) -> Vec<u8> {
        let mut data = (number as u64).to_le_bytes().to_vec();
        for of in &import.params {
            let argument = match self.next(10) {
                // What is more often right than wrong: a handle, and a place or a length within the memory.
                0..5 if *of == "i32" => 1 + self.next(HANDLES) as i64,
                5..7 if *of == "i32" => 4_096 + 8 * self.next(16) as i64,
                _ => EDGES[self.next(EDGES.len() as u64) as usize],
            };
            data.extend_from_slice(&argument.to_le_bytes());
        }
        data
    }
}

/// A new instance with its outfit.
async fn outfitted(program: &AgentProgram, imports: &[Import]) -> LiveInstance {
    let mut instance = program.start(InstanceId([7; 16])).await.expect("it starts");
    for (name, arguments) in OUTFIT {
        let number = imports.iter().position(|import| import.name == name).expect("it is imported") as i64;
        let data: Vec<u8> = [&[number], arguments].concat().iter().flat_map(|number| number.to_le_bytes()).collect();
        let end = instance.handle(&invocation(&data), CallContext::default()).await;
        end.result.unwrap_or_else(|trap| panic!("{name}: {trap:?}")).expect("no failure");
    }
    instance
}

fn setup() -> Setup {
    let grants = grants(&["read_ipfs", "publish_to_chain", "space:*:read", "network_outbound:api.example.org"]);
    let setup =
        Setup { limits: Limits { fuel_per_call: Fuel(10_000_000), ..Limits::default() }, grants, ..Setup::default() };
    *setup.host.response.lock().expect("no panic") = Some(HostReply::failed(HostFailureKind::NotFound, "nothing"));
    setup
}

#[tokio::test(start_paused = true)]
async fn no_argument_of_any_import_hurts_the_host() {
    let setup = setup();
    let imports = imports();
    assert!(imports.len() > 200, "only {} imports were found", imports.len());
    let program = setup.link(&caller(&imports)).expect("every import is offered");
    let mut numbers = Numbers(1);
    let mut returned = vec![0u64; imports.len()];
    let mut instance = outfitted(&program, &imports).await;
    let each = (0..imports.len()).flat_map(|number| std::iter::repeat_n(Some(number), CALLS_OF_EACH as usize));
    for number in each.chain(std::iter::repeat_n(None, CALLS_IN_A_ROW as usize)) {
        let number = number.unwrap_or_else(|| numbers.next(imports.len() as u64) as usize);
        let event = invocation(&numbers.arguments(number, &imports[number]));
        let end = instance.handle(&event, CallContext::default()).await;
        returned[number] += u64::from(end.result.is_ok());
        assert!(instance.memory_bytes() <= setup.limits.memory.0, "{} holds too much", imports[number].name);
        if instance.has_ended() {
            instance = outfitted(&program, &imports).await;
        }
    }
    // A call that only ever trapped has not been tried in earnest; those that want a handle of a kind that is never
    // given out, such as a socket, can do nothing else.
    let tried = returned.iter().filter(|times| **times > 0).count();
    assert!(tried > 60, "only {tried} of {} imports ever returned", imports.len());
    assert_eq!(answer(&setup, "proxy-hello", "/").await, "hello\n");
}
