//! The one wasmtime engine of a process, configured so that a run gives the same result on every machine.
//!
//! Fuel is the bill and the limit, since it is deterministic; the epoch only makes a guest yield. Proposals that the
//! design leaves out are compiled in but switched off here, because builds without them have open advisories.

mod beat;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use nisse_model::Hash256;
use sha2::{Digest, Sha256};
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

use self::beat::Beat;
pub(crate) use self::beat::Running;
use crate::limits::{
    AGENT_MEMORY_BYTES_MAX, CALL_STACK_BYTES, CORE_INSTANCES_MAX, MEMORIES_MAX, TABLE_ELEMENTS_MAX, TABLES_MAX,
    WASM_STACK_BYTES,
};

/// Names the meaning of a run: the same id means the same result and the same fuel, whatever the machine.
/// It changes with wasmtime's major version and with any switch below.
const ENGINE_ID: &str = "wasmtime-48/fuel-1/nan-canonical/relaxed-simd-deterministic/stack-524288";
/// Bytes of a linear memory that stay mapped when a slot of the pool is reset.
const KEEP_RESIDENT_MEMORY_BYTES: usize = 128 << 10;
/// Bytes of a table that stay mapped when a slot of the pool is reset.
const KEEP_RESIDENT_TABLE_BYTES: usize = 16 << 10;
/// Bytes of a call's native stack that are zeroed in place when it is given back, since the kernel's way costs a new
/// page fault each.
const KEEP_RESIDENT_STACK_BYTES: usize = 16 << 10;
/// Address space for one linear memory; with it, bounds are checked by the processor.
const MEMORY_RESERVATION_BYTES: u64 = 4 << 30;
/// Instances that live at once by default.
const INSTANCES_MAX: u32 = 512;

/// How an [`Engine`] places its instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineOptions {
    /// Instances that live at once in the pool; 0 maps each on demand, which is slower and needs no address space
    /// ahead.
    pub pooled_instances: u32,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { pooled_instances: INSTANCES_MAX }
    }
}

/// Why an engine cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// wasmtime refuses the configuration on this machine.
    #[error("configure the WebAssembly engine: {0}")]
    Configuration(String),
    /// The thread that makes guests yield did not start.
    #[error("start the thread that makes guests yield")]
    Thread(#[source] std::io::Error),
}

/// Compiles, loads and runs components. Cheap to clone; one per process.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    wasmtime: wasmtime::Engine,
    beat: Beat,
    compatibility: Hash256,
    pooled: bool,
}

impl Engine {
    /// An engine that places instances in a pool, or one by one where the pool cannot be mapped.
    pub fn new(options: EngineOptions) -> Result<Self, EngineError> {
        if options.pooled_instances > 0 {
            match Self::with_config(&pooled(options.pooled_instances), true) {
                Ok(engine) => return Ok(engine),
                Err(error) => tracing::warn!(%error, "the instance pool cannot be mapped, instances are placed singly"),
            }
        }
        Self::with_config(&deterministic(), false)
    }

    fn with_config(config: &Config, pooled: bool) -> Result<Self, EngineError> {
        let wasmtime =
            wasmtime::Engine::new(config).map_err(|error| EngineError::Configuration(format!("{error:#}")))?;
        let mut hasher = ShaHasher(Sha256::new());
        wasmtime.precompile_compatibility_hash().hash(&mut hasher);
        let compatibility = Hash256(hasher.0.finalize().into());
        let beat = Beat::start(&wasmtime).map_err(EngineError::Thread)?;
        Ok(Self { inner: Arc::new(Inner { wasmtime, beat, compatibility, pooled }) })
    }

    /// What invocation records name: the same on every machine that runs a component in the same way.
    pub fn hash(&self) -> Hash256 {
        Hash256::of(ENGINE_ID.as_bytes())
    }

    /// What compiled code is bound to: wasmtime's version, its switches and this processor's features.
    pub fn compatibility_hash(&self) -> Hash256 {
        self.inner.compatibility
    }

    /// Whether instances are placed in a pool.
    pub fn is_pooled(&self) -> bool {
        self.inner.pooled
    }

    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.inner.wasmtime
    }

    /// Keeps the epoch going for as long as the value lives.
    pub(crate) fn running(&self) -> Running<'_> {
        self.inner.beat.running()
    }

    /// Compiles a component in this process. Only the compile child calls it for artifacts that came from outside:
    /// compilation has no bound of its own in time and memory.
    pub fn compile(&self, artifact: &[u8]) -> Result<Vec<u8>, String> {
        self.inner.wasmtime.precompile_component(artifact).map_err(|error| format!("{error:#}"))
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Engine").field("pooled", &self.inner.pooled).finish_non_exhaustive()
    }
}

/// The switches that decide what a run means, and nothing about where instances are placed.
fn deterministic() -> Config {
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .epoch_interruption(true)
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .wasm_threads(false)
        .shared_memory(false)
        .wasm_gc(false)
        .wasm_function_references(false)
        .wasm_exceptions(false)
        .wasm_memory64(false)
        .wasm_stack_switching(false)
        .concurrency_support(false)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(CALL_STACK_BYTES)
        .async_stack_zeroing(true)
        .memory_reservation(MEMORY_RESERVATION_BYTES)
        .memory_may_move(false);
    config
}

fn pooled(instances: u32) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(4))
        .total_memories(instances)
        .total_tables(instances.saturating_mul(2))
        // An instance that lives always finds a stack for its call, however many others are being born.
        .total_stacks(instances.saturating_mul(2))
        .max_core_instances_per_component(CORE_INSTANCES_MAX as u32)
        .max_memories_per_component(MEMORIES_MAX as u32)
        .max_memories_per_module(MEMORIES_MAX as u32)
        .max_tables_per_component(TABLES_MAX as u32)
        .max_tables_per_module(TABLES_MAX as u32)
        .table_elements(TABLE_ELEMENTS_MAX)
        .max_memory_size(AGENT_MEMORY_BYTES_MAX as usize)
        .linear_memory_keep_resident(KEEP_RESIDENT_MEMORY_BYTES)
        .table_keep_resident(KEEP_RESIDENT_TABLE_BYTES)
        .async_stack_keep_resident(KEEP_RESIDENT_STACK_BYTES)
        // Where the kernel can tell which pages were written, only those are reset.
        .pagemap_scan(Enabled::Auto);
    let mut config = deterministic();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

/// Feeds what the standard library hashes into SHA-256.
struct ShaHasher(Sha256);

impl Hasher for ShaHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        u64::from_le_bytes(digest[..8].try_into().expect("a digest has more than eight bytes"))
    }
}
