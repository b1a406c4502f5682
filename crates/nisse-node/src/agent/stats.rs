//! An agent's counters since the node came up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use nisse_model::{Fuel, Hash256};

/// What an agent's last record came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tip {
    /// Its number; 0 before the first.
    pub(crate) seq: u64,
    /// Its hash; zero before the first.
    pub(crate) record: Hash256,
    /// Root of the state behind it.
    pub(crate) state: Hash256,
}

/// Counted by the agent's task, read by `status`.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    memory_bytes: AtomicU64,
    fuel: AtomicU64,
    invocations: AtomicU64,
    traps: AtomicU64,
    tip: Mutex<Tip>,
}

impl Stats {
    /// One invocation ended.
    pub(crate) fn count(&self, fuel: Fuel, trapped: bool) {
        self.fuel.fetch_add(fuel.0, Ordering::Relaxed);
        self.invocations.fetch_add(1, Ordering::Relaxed);
        self.traps.fetch_add(u64::from(trapped), Ordering::Relaxed);
    }

    /// The last record that stands.
    pub(crate) fn tip(&self) -> Tip {
        *self.tip.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_tip(&self, tip: Tip) {
        *self.tip.lock().unwrap_or_else(PoisonError::into_inner) = tip;
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
