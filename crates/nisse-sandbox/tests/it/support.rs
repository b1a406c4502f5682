//! Guests and hosts for tests.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use nisse_model::{Config, Event, Grants, Hash256, InstanceId, Invocation, InvocationId, Manifest, Policy, Timestamp};
use nisse_sandbox::{
    ARTIFACT_BYTES_MAX, AgentProgram, CallContext, CallKey, CompiledArtifact, Engine, EngineOptions, Host, HostCall,
    HostReply, Inspection, InvocationEnd, Limits, LinkError, LiveInstance, ProgramOptions, Recording, Trap,
};
use nisse_store::{Clock, Disk, SystemClock, SystemDisk};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Everything a test program is linked with; changed field by field.
pub(crate) struct Setup {
    pub(crate) engine: Engine,
    pub(crate) host: Arc<ScriptedHost>,
    pub(crate) clock: Arc<StillClock>,
    /// Used instead of `clock` where time has to pass.
    pub(crate) real_clock: bool,
    pub(crate) limits: Limits,
    pub(crate) grants: Grants,
    pub(crate) config: Config,
    pub(crate) recording: Recording,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            engine: engine(),
            host: Arc::new(ScriptedHost::default()),
            clock: Arc::new(StillClock::default()),
            real_clock: false,
            limits: Limits::default(),
            grants: Grants::none(),
            config: Config::new(&serde_json::Map::new()).expect("an empty config"),
            recording: Recording::On,
        }
    }
}

impl Setup {
    pub(crate) fn link(&self, artifact: &[u8]) -> Result<AgentProgram, LinkError> {
        let inspection = Inspection::read(artifact).expect("a component");
        let compiled = self.compile(artifact);
        let options = ProgramOptions {
            grants: self.grants.clone(),
            config: self.config.clone(),
            limits: self.limits.clone(),
            recording: self.recording,
            host: self.host.clone(),
            clock: if self.real_clock { Arc::new(SystemClock::default()) } else { self.clock.clone() },
        };
        AgentProgram::link(&self.engine, &compiled, &inspection, options)
    }

    /// Compiled once per process and engine: compiling is most of what these tests cost.
    fn compile(&self, artifact: &[u8]) -> CompiledArtifact {
        static COMPILED: Mutex<BTreeMap<(bool, Hash256), CompiledArtifact>> = Mutex::new(BTreeMap::new());
        let key = (self.engine.is_pooled(), Hash256::of(artifact));
        if let Some(compiled) = COMPILED.lock().expect("no panic").get(&key) {
            return compiled.clone();
        }
        let compiled = CompiledArtifact::compile_here(&self.engine, artifact).expect("it compiles");
        COMPILED.lock().expect("no panic").insert(key, compiled.clone());
        compiled
    }

    pub(crate) async fn start(&self, artifact: &[u8]) -> LiveInstance {
        self.link(artifact).expect("it links").start(InstanceId([7; 16])).await.expect("it starts")
    }
}

/// One engine for all tests of the process, as a node has one.
pub(crate) fn engine() -> Engine {
    static ENGINE: std::sync::OnceLock<Engine> = std::sync::OnceLock::new();
    ENGINE.get_or_init(|| Engine::new(EngineOptions { pooled_instances: 64 }).expect("an engine")).clone()
}

/// The same without a pool, each instance placed singly.
pub(crate) fn plain_engine() -> Engine {
    static ENGINE: std::sync::OnceLock<Engine> = std::sync::OnceLock::new();
    ENGINE.get_or_init(|| Engine::new(EngineOptions { pooled_instances: 0 }).expect("an engine")).clone()
}

/// A guest of `examples/guests`, as it is committed.
pub(crate) fn guest(name: &str) -> Vec<u8> {
    let path = format!("{}/../../examples/guests/{name}/{name}.wasm", env!("CARGO_MANIFEST_DIR"));
    SystemDisk.read(Path::new(&path), ARTIFACT_BYTES_MAX as u64).expect("the guest is committed")
}

/// Grants of an agent that declares these permissions.
pub(crate) fn grants(permissions: &[&str]) -> Grants {
    let lines: String = permissions.iter().map(|permission| format!("  - \"{permission}\"\n")).collect();
    let yaml = format!(
        "agent_id: \"test@v1.0.0\"\ndescription: \"A guest of a test.\"\nresources:\n  cpu: \"1\"\n  memory: \"64MiB\"\n  \
         gpu: \"false\"\nentry_point: \"a.wasm\"\nartifact_hash: \"{}\"\npermissions:\n{lines}",
        "0".repeat(64)
    );
    let manifest = Manifest::parse(&yaml).expect("a manifest");
    Grants::from_manifest(&manifest, Policy { owner_is_node_operator: true }).expect("granted")
}

/// A component for `world` of `wit/`, made from core WebAssembly text.
pub(crate) fn component(world: &str, wat: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    resolve.push_path(wit).expect("the WIT folder parses");
    let inline = format!("package test:guest;\nworld guest {{\n{world}\n}}");
    let package = resolve.push_str("guest.wit", &inline).expect("the world parses");
    let world = resolve.select_world(&[package], Some("guest")).expect("the world is there");
    let mut module = wat::parse_str(wat).expect("the text assembles");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).expect("metadata is embedded");
    ComponentEncoder::default().module(&module).expect("a module").validate(true).encode().expect("a component")
}

/// Answers from a map, and remembers what was asked.
#[derive(Default)]
pub(crate) struct ScriptedHost {
    pub(crate) asked: Mutex<Vec<(CallKey, HostCall)>>,
    pub(crate) state: Mutex<BTreeMap<String, Vec<u8>>>,
    /// What the outside answers, when it answers.
    pub(crate) response: Mutex<Option<HostReply>>,
}

impl ScriptedHost {
    pub(crate) fn calls(&self) -> Vec<HostCall> {
        self.asked.lock().expect("no panic").iter().map(|(_, call)| call.clone()).collect()
    }
}

#[async_trait]
impl Host for ScriptedHost {
    async fn call(&self, key: CallKey, call: HostCall) -> HostReply {
        self.asked.lock().expect("no panic").push((key, call.clone()));
        let state = self.state.lock().expect("no panic");
        match call {
            HostCall::StateGet { key } => HostReply::Value { value: state.get(&key).cloned() },
            HostCall::StateKeys { prefix, after, limit } => {
                let later = |key: &&String| after.as_ref().is_none_or(|after| *key > after);
                let keys = state.keys().filter(|key| key.starts_with(&prefix)).filter(later);
                HostReply::Keys { keys: keys.take(limit as usize).cloned().collect() }
            }
            HostCall::IpfsRead { .. }
            | HostCall::HttpSend { .. }
            | HostCall::SpaceList
            | HostCall::SpaceGet { .. }
            | HostCall::SpaceQuery { .. }
            | HostCall::SpaceTry { .. } => {
                self.response.lock().expect("no panic").clone().expect("the test has an answer")
            }
            HostCall::Now => HostReply::Time { now_ms: 1_700_000_000_123 },
            HostCall::Random { length } => HostReply::Random { bytes: vec![4; length as usize] },
            HostCall::Log { .. } => HostReply::Done,
        }
    }
}

/// A clock that only a test moves.
#[derive(Default)]
pub(crate) struct StillClock(Mutex<Duration>);

impl StillClock {
    pub(crate) fn advance(&self, by: Duration) {
        *self.0.lock().expect("no panic") += by;
    }
}

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000 + self.elapsed().as_millis() as u64)
    }

    fn elapsed(&self) -> Duration {
        *self.0.lock().expect("no panic")
    }
}

pub(crate) fn get(path: &str) -> http::Request<bytes::Bytes> {
    http::Request::get(path).header("host", "test.localhost").body(bytes::Bytes::new()).expect("a request")
}

/// One request to a live instance.
pub(crate) async fn ask(instance: &mut LiveInstance, path: &str) -> InvocationEnd<http::Response<bytes::Bytes>> {
    instance.http(InvocationId([1; 16]), get(path), CallContext::default()).await
}

/// What a new instance of a guest answers to one request.
pub(crate) async fn answer(setup: &Setup, name: &str, path: &str) -> String {
    let mut instance = setup.start(&guest(name)).await;
    let response = ask(&mut instance, path).await.result.unwrap_or_else(|trap| panic!("{path}: {}", trap.report()));
    assert_eq!(response.status(), 200, "{path}");
    String::from_utf8_lossy(response.body()).into_owned()
}

/// Why a new instance of a guest was stopped in one request. It has kept nothing and answers no more.
pub(crate) async fn stopped(setup: &Setup, name: &str, path: &str) -> Trap {
    let mut instance = setup.start(&guest(name)).await;
    let end = ask(&mut instance, path).await;
    assert_eq!(end.effects, [], "a trap keeps nothing");
    assert!(instance.has_ended());
    end.result.expect_err("it is stopped")
}

pub(crate) fn invocation(data: &[u8]) -> Invocation {
    let time = Timestamp(1_700_000_000_000);
    let event = Event::manual("e1".to_owned(), time, "text/plain".to_owned(), data.to_vec());
    let (id, function) = (InvocationId([1; 16]), Invocation::MAIN.to_owned());
    Invocation { id, function, event, attempt: 1, deadline: time.plus_ms(5_000) }
}
