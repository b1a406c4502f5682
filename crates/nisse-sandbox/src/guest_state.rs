//! What stands behind one instance: the data of its wasmtime store.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::AbortHandle;
use nisse_model::{Grants, InvocationId};
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::capability::{OutgoingHttp, StandardOutput};
use crate::dispatch::{Dispatcher, Recording};
use crate::host::{Host, HostCall};
use crate::limits::{HANDLES_MAX, HTTP_FIELDS_BYTES_MAX, Limits, RANDOM_BYTES_MAX};
use crate::memory::{Handles, MemoryLimiter, MemoryMeter};
use crate::overlay::SharedOverlay;

/// Everything that a host call can reach.
pub(crate) struct GuestState {
    pub(crate) table: ResourceTable,
    pub(crate) limiter: MemoryLimiter,
    pub(crate) handles: Handles,
    pub(crate) outgoing_http: OutgoingHttp,
    pub(crate) config: Arc<str>,
    pub(crate) state_bytes_max: u64,
    /// What the invocation that runs now has done.
    pub(crate) call: CallState,
    wasi: WasiCtx,
    wasi_http: WasiHttpCtx,
    output: StandardOutput,
    /// The last monotonic time that the guest saw, in nanoseconds.
    pub(crate) monotonic: u64,
}

/// One invocation, from its beginning to its end.
pub(crate) struct CallState {
    pub(crate) overlay: SharedOverlay,
    pub(crate) invocation: InvocationId,
    /// Bytes of the agent's committed state.
    pub(crate) state_bytes: u64,
    /// Why nothing may be published, when nothing may.
    pub(crate) publish_refused: Option<String>,
    /// Whether the response head has left.
    pub(crate) closed: Arc<AtomicBool>,
    /// How far the invocation was when it set its response's head.
    pub(crate) at_head: Arc<Mutex<Option<AtHead>>>,
    /// Host buffers held for this invocation, given back at its end.
    pub(crate) buffered: u64,
    /// Fuel that was left when the processor share was last charged.
    pub(crate) fuel_charged_at: u64,
}

/// An invocation when it set its response's head, for whoever cannot reach the store while the guest runs.
#[derive(Debug)]
pub(crate) struct AtHead {
    /// All that it changes: after the head nothing is taken any more.
    pub(crate) overlay: SharedOverlay,
    pub(crate) fuel_left: u64,
    /// How many host calls it had made.
    pub(crate) host_calls: usize,
}

impl GuestState {
    pub(crate) fn new(
        host: Arc<dyn Host>,
        grants: Arc<Grants>,
        recording: Recording,
        config: Arc<str>,
        limits: &Limits,
    ) -> Self {
        let meter = MemoryMeter::new(limits.memory.0);
        let output = StandardOutput::new(&meter);
        let mut wasi = WasiCtx::builder();
        wasi.stdout(output.clone()).stderr(output.clone()).max_random_size(RANDOM_BYTES_MAX);
        let mut wasi_http = WasiHttpCtx::new();
        wasi_http.set_field_size_limit(HTTP_FIELDS_BYTES_MAX);
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES_MAX);
        Self {
            table,
            limiter: MemoryLimiter::new(meter.clone()),
            handles: Handles::default(),
            outgoing_http: OutgoingHttp::new(Dispatcher::new(host, grants, recording), meter),
            config,
            state_bytes_max: limits.state.0,
            call: CallState::new(),
            wasi: wasi.build(),
            wasi_http,
            output,
            monotonic: 0,
        }
    }

    pub(crate) fn dispatcher(&mut self) -> &mut Dispatcher {
        &mut self.outgoing_http.dispatcher
    }

    /// Holds a buffer for the invocation that runs, against the agent's memory.
    pub(crate) fn buffer(&mut self, bytes: u64) -> wasmtime::Result<()> {
        self.take(bytes)?;
        self.call.buffered += bytes;
        Ok(())
    }

    /// Starts an invocation with a clean slate.
    pub(crate) fn begin(&mut self, invocation: InvocationId, state_bytes: u64, publish_refused: Option<String>) {
        self.dispatcher().begin(invocation);
        self.call.invocation = invocation;
        self.call.state_bytes = state_bytes;
        self.call.publish_refused = publish_refused;
        drop(self.call.overlay.take());
        *self.call.at_head.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.call.closed.store(false, Ordering::Relaxed);
        self.limiter.refused = false;
    }

    /// Ends what the invocation left in flight and gives its buffers back.
    pub(crate) fn end(&mut self) {
        for request in self.outgoing_http.in_flight.drain(..) {
            AbortHandle::abort(&request);
        }
        self.limiter.meter.give_back(std::mem::take(&mut self.call.buffered));
        self.reckon();
    }

    /// Sends what the guest wrote to its standard output since the last time.
    pub(crate) async fn flush_output(&mut self) {
        for (level, text) in self.output.take_lines() {
            // Past the limit on host calls, lines are dropped like any others.
            if self.dispatcher().log(HostCall::Log { level, text }).await.is_err() {
                break;
            }
        }
    }
}

impl CallState {
    fn new() -> Self {
        Self {
            overlay: SharedOverlay::default(),
            invocation: InvocationId([0; 16]),
            state_bytes: 0,
            publish_refused: None,
            closed: Arc::new(AtomicBool::new(false)),
            at_head: Arc::default(),
            buffered: 0,
            fuel_charged_at: 0,
        }
    }
}

impl WasiView for GuestState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for GuestState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.outgoing_http, table: &mut self.table, ctx: &mut self.wasi_http }
    }
}
