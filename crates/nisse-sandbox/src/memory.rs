//! The memory of an agent: its linear memories and tables plus the buffers that the host holds for it, under one limit.
//!
//! Growth is decided here alone, so that whether `memory.grow` works is a matter of the manifest and not of the
//! machine.

mod handles;
mod held;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::ResourceLimiter;

pub(crate) use self::handles::{Handles, fields_bytes, method_bytes};
pub(crate) use self::held::{Held, HeldBody, held_chunk};
use crate::limits::{
    ALLOWANCE_BYTES, CORE_INSTANCES_MAX, MEMORIES_MAX, TABLE_ELEMENT_BYTES, TABLE_ELEMENTS_MAX, TABLES_MAX,
};

/// Counts bytes of one instance against its limit. Clones share the count.
#[derive(Debug, Clone)]
pub(crate) struct MemoryMeter(Arc<Count>);

#[derive(Debug)]
struct Count {
    used: AtomicU64,
    max: u64,
}

/// The agent's memory is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("hold {wanted} more bytes for the agent: its memory of {max} bytes is spent")]
pub struct MemorySpent {
    /// Bytes that were asked for.
    pub wanted: u64,
    /// The agent's limit.
    pub max: u64,
}

impl MemoryMeter {
    pub(crate) fn new(max: u64) -> Self {
        Self(Arc::new(Count { used: AtomicU64::new(0), max }))
    }

    pub(crate) fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// What is left for the host's buffers.
    pub(crate) fn left(&self) -> u64 {
        (self.0.max + ALLOWANCE_BYTES).saturating_sub(self.used())
    }

    /// Takes bytes for a buffer of the host, all or none. A small allowance beyond the limit lets a guest whose own memory
    /// fills it still take a request and answer.
    pub(crate) fn take(&self, wanted: u64) -> Result<(), MemorySpent> {
        self.take_below(self.0.max + ALLOWANCE_BYTES, wanted)
    }

    /// Takes bytes for a linear memory or a table, all or none.
    fn grow(&self, wanted: u64) -> Result<(), MemorySpent> {
        self.take_below(self.0.max, wanted)
    }

    fn take_below(&self, most: u64, wanted: u64) -> Result<(), MemorySpent> {
        let taken = self.0.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(wanted).filter(|sum| *sum <= most)
        });
        taken.map(drop).map_err(|_| MemorySpent { wanted, max: self.0.max })
    }

    pub(crate) fn give_back(&self, bytes: u64) {
        let before = self.0.used.fetch_sub(bytes, Ordering::Relaxed);
        debug_assert!(before >= bytes, "more memory given back than was taken");
    }

    /// Puts what is there in the place of what was charged for it. It is there, whether the limit has room for it or not;
    /// where it has none, nothing more is given.
    pub(crate) fn settle(&self, charged: u64, there: u64) {
        match there.checked_sub(charged) {
            Some(more) => drop(self.0.used.fetch_add(more, Ordering::Relaxed)),
            None => self.give_back(charged - there),
        }
    }
}

/// What wasmtime asks before anything inside an instance grows.
#[derive(Debug)]
pub(crate) struct MemoryLimiter {
    pub(crate) meter: MemoryMeter,
    /// Whether a growth was refused since the flag was last cleared: it explains the trap that follows.
    pub(crate) refused: bool,
}

impl MemoryLimiter {
    pub(crate) fn new(meter: MemoryMeter) -> Self {
        Self { meter, refused: false }
    }

    fn grow(&mut self, bytes: u64) -> bool {
        let taken = self.meter.grow(bytes).is_ok();
        self.refused |= !taken;
        taken
    }
}

/// What was taken for a growth is never given back. Wasmtime may also tell of failed growths that it has not asked about,
/// and those took nothing; one that is asked about here fails only when the machine has no memory.
impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let allowed = maximum.is_none_or(|maximum| desired <= maximum);
        Ok(allowed && self.grow(desired.saturating_sub(current) as u64))
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.refused = true;
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let allowed = desired <= maximum.unwrap_or(TABLE_ELEMENTS_MAX).min(TABLE_ELEMENTS_MAX);
        Ok(allowed && self.grow(desired.saturating_sub(current) as u64 * TABLE_ELEMENT_BYTES))
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}
