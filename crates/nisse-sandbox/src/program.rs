//! An agent's program, linked and ready to be instantiated: the compiled component and what it may reach.

use std::sync::Arc;

use nisse_model::{Config, Grants, InstanceId};
use nisse_store::Clock;
use wasmtime::Store;
use wasmtime::component::{InstancePre, Linker};
use wasmtime_wasi_http::p2::bindings::ProxyIndices;

use crate::bindings::handler::EventsIndices;
use crate::capability::CAPABILITIES;
use crate::compile::CompiledArtifact;
use crate::cpu::CpuBucket;
use crate::dispatch::Recording;
use crate::engine::Engine;
use crate::guest_state::GuestState;
use crate::host::Host;
use crate::inspection::{ImportRefused, Inspection};
use crate::instance::{LiveInstance, StartError};
use crate::limits::{FUEL_SLICE, HOST_CALL_BYTES_MAX, Limits};

/// What a program is run with.
pub struct ProgramOptions {
    /// What the agent may do.
    pub grants: Grants,
    /// The merged `config:` block.
    pub config: Config,
    /// What the agent may use.
    pub limits: Limits,
    /// Whether host calls are written down.
    pub recording: Recording,
    /// Answers the host calls.
    pub host: Arc<dyn Host>,
    /// Time, for the processor share and deadlines.
    pub clock: Arc<dyn Clock>,
}

/// Why a compiled component cannot be linked.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// It imports what it was not granted, or what nobody offers, or exports nothing to call.
    #[error(transparent)]
    Import(#[from] ImportRefused),
    /// An import has another type than the one nisse offers.
    #[error("link the component: {0}")]
    Mismatch(String),
}

/// A linked program. Cheap to clone.
#[derive(Clone)]
pub struct AgentProgram(pub(crate) Arc<Program>);

pub(crate) struct Program {
    pub(crate) engine: Engine,
    pub(crate) pre: InstancePre<GuestState>,
    pub(crate) handler: Option<EventsIndices>,
    pub(crate) proxy: Option<ProxyIndices>,
    pub(crate) grants: Arc<Grants>,
    pub(crate) config: Arc<str>,
    pub(crate) limits: Limits,
    pub(crate) recording: Recording,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) cpu: CpuBucket,
}

impl AgentProgram {
    /// Links exactly what is granted. `inspection` is of the artifact that was compiled.
    pub fn link(
        engine: &Engine,
        artifact: &CompiledArtifact,
        inspection: &Inspection,
        options: ProgramOptions,
    ) -> Result<Self, LinkError> {
        let ProgramOptions { grants, config, limits, recording, host, clock } = options;
        inspection.check(&grants)?;
        let mut linker = Linker::new(engine.wasmtime());
        for capability in CAPABILITIES.into_iter().filter(|capability| capability.need.is_met(&grants)) {
            (capability.link)(&mut linker).map_err(mismatch)?;
        }
        let pre = linker.instantiate_pre(artifact.component()).map_err(mismatch)?;
        let handler = inspection.handles_events().then(|| EventsIndices::new(&pre)).transpose().map_err(mismatch)?;
        let proxy = inspection.answers_http().then(|| ProxyIndices::new(&pre)).transpose().map_err(mismatch)?;
        let cpu = CpuBucket::new(limits.cpu, clock.elapsed());
        let (grants, config) = (Arc::new(grants), Arc::from(config.as_str()));
        let engine = engine.clone();
        Ok(Self(Arc::new(Program { engine, pre, handler, proxy, grants, config, limits, recording, host, clock, cpu })))
    }

    /// Whether it exports `nisse:agent/handler`.
    pub fn handles_events(&self) -> bool {
        self.0.handler.is_some()
    }

    /// Whether it exports `wasi:http/incoming-handler`; without it, requests become `http` events.
    pub fn answers_http(&self) -> bool {
        self.0.proxy.is_some()
    }

    /// What it may use.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Brings an instance to life. Its start functions run now, within the limits of one call.
    pub async fn start(&self, birth: InstanceId) -> Result<LiveInstance, StartError> {
        LiveInstance::start(self.0.clone(), birth).await
    }
}

impl Program {
    /// A store with nothing in it but limits.
    pub(crate) fn store(&self) -> Store<GuestState> {
        let state =
            GuestState::new(self.host.clone(), self.grants.clone(), self.recording, self.config.clone(), &self.limits);
        let mut store = Store::new(self.engine.wasmtime(), state);
        store.limiter(|state| {
            // So that no growth is refused for the sake of handles that were dropped.
            state.reckon();
            &mut state.limiter
        });
        store.set_hostcall_fuel(HOST_CALL_BYTES_MAX);
        store.fuel_async_yield_interval(Some(FUEL_SLICE)).expect("the engine counts fuel");
        store
    }
}

fn mismatch(error: wasmtime::Error) -> LinkError {
    LinkError::Mismatch(format!("{error:#}"))
}
