//! Files as IPFS stores them: cut into blocks, joined by dag-pb nodes. Written and read here without a protobuf crate.
//!
//! The same bytes under the same [`Profile`] give the CID that Kubo and Helia give, to the bit; the tests hold their
//! recorded vectors. Reading takes any profile and any balanced or trickle layout.

mod builder;
mod node;
mod path;
mod protobuf;
mod reader;

pub use builder::{BlockSink, FileBuilder, cid_of};
pub use node::{Link, Node, NodeError, NodeKind};
pub use path::{PATH_SEGMENTS_MAX, Resolved, resolve};
pub use reader::{Blocks, DAG_DEPTH_MAX, FileReader, MemoryBlocks, ReadError, ReadLimits};

/// How a file is cut: the parameters that decide its CID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Profile {
    /// `unixfs-v1-2025` of IPIP-499: CIDv1, raw leaves, 1 MiB chunks, 1024 links. What Helia 7 writes.
    #[default]
    UnixFs2025,
    /// `unixfs-v0-2015`: CIDv0, dag-pb leaves, 256 KiB chunks, 174 links. Kubo's default for a decade.
    UnixFs2015,
    /// CIDv1, raw leaves, 256 KiB chunks, 174 links: `ipfs add --cid-version=1` before Kubo 0.40.
    RawLeaves256KiB,
}

impl Profile {
    /// Bytes of one leaf.
    pub fn chunk_bytes(self) -> usize {
        match self {
            Self::UnixFs2025 => 1024 * 1024,
            Self::UnixFs2015 | Self::RawLeaves256KiB => 256 * 1024,
        }
    }

    /// Links of one node.
    pub fn links_max(self) -> usize {
        match self {
            Self::UnixFs2025 => 1024,
            Self::UnixFs2015 | Self::RawLeaves256KiB => 174,
        }
    }

    /// Whether ids are CIDv0 and leaves are wrapped in dag-pb.
    fn is_v0(self) -> bool {
        self == Self::UnixFs2015
    }

    /// Its name in IPIP-499, or ours where that has none.
    pub fn name(self) -> &'static str {
        match self {
            Self::UnixFs2025 => "unixfs-v1-2025",
            Self::UnixFs2015 => "unixfs-v0-2015",
            Self::RawLeaves256KiB => "raw-leaves-256KiB",
        }
    }
}
