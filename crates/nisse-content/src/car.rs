//! CAR version 1: blocks in a row, as trustless gateways stream them.
//!
//! Writing goes depth first, each block once (`order=dfs; dups=n`). Reading takes any order, but nothing that was not
//! asked for: see [`CarReader`].

mod reader;
mod writer;

pub use reader::{CAR_HEADER_BYTES_MAX, CarError, CarLimits, CarReader, ReceiveError, Received, assemble, receive};
pub use writer::CarStream;

/// How much of what lies beneath a CID is meant (`dag-scope`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DagScope {
    /// The one block.
    Block,
    /// A whole file, or a folder without what it contains.
    Entity,
    /// Everything.
    #[default]
    All,
}

impl DagScope {
    /// As it stands in a URL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Entity => "entity",
            Self::All => "all",
        }
    }

    /// Reads it from a URL.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Block, Self::Entity, Self::All].into_iter().find(|scope| scope.name() == name)
    }

    /// Which links of a node belong to it.
    pub(crate) fn links(self, node: &crate::unixfs::Node) -> impl Iterator<Item = nisse_model::ContentId> + '_ {
        use crate::unixfs::NodeKind;
        // Inside a shard, a name of two letters is the prefix of a further shard; a longer one is an entry.
        let follows = move |name: &str| match (self, node.kind) {
            (Self::Block, _) | (Self::Entity, NodeKind::Directory) => false,
            (Self::Entity, NodeKind::HamtShard) => name.len() == 2,
            _ => true,
        };
        node.links.iter().filter(move |link| follows(&link.name)).map(|link| link.cid)
    }
}
