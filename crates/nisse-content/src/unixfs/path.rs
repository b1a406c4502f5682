//! Follows `/ipfs/{cid}/folder/file` through flat folders.

use nisse_model::{CidCodec, ContentId};

use super::node::NodeKind;
use super::reader::{Blocks, ReadError, decode};

/// Names in one path.
pub const PATH_SEGMENTS_MAX: usize = 32;

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The folders passed, outermost first.
    pub through: Vec<ContentId>,
    /// What the last name points at.
    pub target: ContentId,
}

/// Follows `names` from `root`. Reads the folders on the way and nothing of the target.
pub fn resolve(blocks: impl Blocks, root: ContentId, names: &[String]) -> Result<Resolved, ReadError> {
    if names.len() > PATH_SEGMENTS_MAX {
        return Err(ReadError::PathTooLong(names.len()));
    }
    let mut resolved = Resolved { through: Vec::new(), target: root };
    for name in names {
        let cid = resolved.target;
        let name = name.clone();
        if cid.codec() == CidCodec::Raw {
            return Err(ReadError::NotADirectory { cid, name });
        }
        let block = blocks.block(&cid)?.ok_or(ReadError::NotHeld { cid })?;
        let node = decode(cid, &block)?;
        match node.kind {
            NodeKind::Directory => {}
            NodeKind::HamtShard => return Err(ReadError::Sharded { cid, name }),
            _ => return Err(ReadError::NotADirectory { cid, name }),
        }
        let Some(link) = node.links.iter().find(|link| link.name == name) else {
            return Err(ReadError::NoSuchName { cid, name });
        };
        resolved.through.push(cid);
        resolved.target = link.cid;
    }
    Ok(resolved)
}
