//! The content store as its owner sees it.

use nisse_content::Profile;
use nisse_model::ContentId;

use super::Node;
use crate::control::{ContentAdded, ContentCollected, ContentEntry};
use crate::error::{ErrorKind, NodeError};

/// Largest file that one request reads.
const FILE_BYTES_MAX: u64 = 64 << 20;

impl Node {
    /// Adds a file under a pin of its own.
    pub fn content_add(&self, bytes: &[u8]) -> Result<ContentAdded, NodeError> {
        let batch = self.core.content.batch();
        let added = batch.add(&mut &*bytes, Profile::UnixFs2025);
        let cid = added
            .map_err(|error| NodeError::caused(ErrorKind::Failed, "content_failed", &error).with_hint(error.hint()))?;
        batch
            .commit_and_pin(&pin_name(cid), &[cid])
            .map_err(|error| NodeError::caused(ErrorKind::Failed, "content_failed", &error).with_hint(error.hint()))?;
        Ok(ContentAdded { cid: cid.to_string(), bytes: bytes.len() as u64 })
    }

    /// A file's bytes, every block verified.
    pub fn content_get(&self, text: &str) -> Result<Vec<u8>, NodeError> {
        let cid = parse(text)?;
        if !self.core.content.has(&cid) {
            let text = format!("failed to find {cid}: it is not held here");
            return Err(NodeError::new(ErrorKind::NotFound, "content_unknown", text));
        }
        self.core
            .content
            .read_file(cid, FILE_BYTES_MAX)
            .map_err(|error| NodeError::caused(ErrorKind::Failed, "content_failed", &error).with_hint(error.hint()))
    }

    /// All that is held.
    pub fn content_list(&self) -> Result<Vec<ContentEntry>, NodeError> {
        let pins = self.core.content.pins();
        let holding = |cid: ContentId| {
            let named = pins.iter().filter(|pin| pin.roots.contains(&cid));
            named.map(|pin| pin.name.clone()).collect()
        };
        let listed = self.core.content.ls();
        let mut entries: Vec<ContentEntry> = listed
            .into_iter()
            .map(|block| ContentEntry {
                cid: block.cid.to_string(),
                bytes: block.bytes.0,
                pinned: block.pinned,
                pins: holding(block.cid),
            })
            .collect();
        entries.sort_by(|left, right| left.cid.cmp(&right.cid));
        Ok(entries)
    }

    /// Takes away the pin of `content add`; packages and states keep theirs.
    pub fn content_remove(&self, text: &str) -> Result<(), NodeError> {
        let cid = parse(text)?;
        if self.core.pinned(&pin_name(cid)).is_none() {
            let text = format!("failed to remove {cid}: it was not added by `content add`");
            return Err(NodeError::new(ErrorKind::NotFound, "content_unknown", text)
                .with_hint("`nisse content ls` shows which pins hold it".to_owned()));
        }
        let removed = self.core.content.unpin(&pin_name(cid));
        removed.map_err(|error| NodeError::caused(ErrorKind::Failed, "content_failed", &error))
    }

    /// Drops what no pin holds.
    pub fn content_collect(&self) -> Result<ContentCollected, NodeError> {
        let collected = self.core.content.gc();
        let collected = collected.map_err(|error| NodeError::caused(ErrorKind::Failed, "content_failed", &error))?;
        Ok(ContentCollected { blocks: collected.blocks, bytes: collected.freed.0 })
    }
}

fn pin_name(cid: ContentId) -> String {
    format!("added/{cid}")
}

fn parse(text: &str) -> Result<ContentId, NodeError> {
    text.parse().map_err(|error: nisse_model::ParseContentIdError| {
        NodeError::new(ErrorKind::Usage, "cid_invalid", format!("failed to {error}"))
    })
}
