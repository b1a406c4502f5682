//! An agent's counters since the node came up.

use std::sync::atomic::{AtomicU64, Ordering};

use nisse_model::Fuel;

/// Counted by the agent's task, read by `status`.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    memory_bytes: AtomicU64,
    fuel: AtomicU64,
    invocations: AtomicU64,
    traps: AtomicU64,
}

impl Stats {
    /// One invocation ended.
    pub(crate) fn count(&self, fuel: Fuel, trapped: bool) {
        self.fuel.fetch_add(fuel.0, Ordering::Relaxed);
        self.invocations.fetch_add(1, Ordering::Relaxed);
        self.traps.fetch_add(u64::from(trapped), Ordering::Relaxed);
    }

    /// What the live instance holds now.
    pub(crate) fn set_memory(&self, bytes: u64) {
        self.memory_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Linear memories and host buffers.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.memory_bytes.load(Ordering::Relaxed)
    }

    /// All fuel burnt.
    pub(crate) fn fuel(&self) -> u64 {
        self.fuel.load(Ordering::Relaxed)
    }

    /// All invocations.
    pub(crate) fn invocations(&self) -> u64 {
        self.invocations.load(Ordering::Relaxed)
    }
}
