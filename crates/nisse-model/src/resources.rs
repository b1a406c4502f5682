//! What an agent asks of a node: a share of a processor, memory, and whether it wants a GPU.

use std::fmt;

use crate::{ByteSize, Cpu};

/// The `resources` of `agent.yaml`, within the limits below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Resources {
    /// Share of a processor; 1 ≤ `millis` ≤ [`Resources::CPU_MAX`].
    pub cpu: Cpu,
    /// Linear memories plus the host buffers held for the agent (DESIGN §5.14).
    pub memory: ByteSize,
    /// Whether a GPU is wanted.
    pub gpu: bool,
}

impl Resources {
    /// Largest share: an agent handles one event at a time, so more than this is never burnt.
    pub const CPU_MAX: Cpu = Cpu { millis: 64_000 };
    /// Smallest memory: below one MiB no component of today's toolchains starts.
    pub const MEMORY_MIN: ByteSize = ByteSize(1 << 20);
    /// Largest memory: what a 32-bit linear memory can address.
    pub const MEMORY_MAX: ByteSize = ByteSize(4 << 30);

    /// Whether all of this fits into `free`.
    pub fn fits_into(&self, free: &Self) -> bool {
        self.cpu <= free.cpu && self.memory <= free.memory && (!self.gpu || free.gpu)
    }
}

impl fmt::Display for Resources {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "cpu {}, memory {}", self.cpu, self.memory)?;
        if self.gpu { formatter.write_str(", gpu") } else { Ok(()) }
    }
}
