//! The content store as its owner sees it.

use bytes::Bytes;
use nisse_content::{Listed, Profile};
use nisse_model::ContentId;

use super::Node;
use crate::control::{ContentAdded, ContentCollected, ContentEntry};
use crate::error::{ErrorKind, NodeError};
use crate::packages::on_disk;

/// Largest file that one request reads.
const FILE_BYTES_MAX: u64 = 64 << 20;

impl Node {
    /// Adds a file under a pin of its own.
    pub async fn content_add(&self, bytes: Bytes) -> Result<ContentAdded, NodeError> {
        on_disk(&self.core, "add content", move |core| {
            let batch = core.content.batch();
            let cid = batch.add(&mut &*bytes, Profile::UnixFs2025);
            let cid = cid.map_err(|error| failed(&error).with_hint(error.hint()))?;
            let pinned = batch.commit_and_pin(&pin_name(cid), &[cid]);
            pinned.map_err(|error| failed(&error).with_hint(error.hint()))?;
            Ok(ContentAdded { cid: cid.to_string(), bytes: bytes.len() as u64 })
        })
        .await
    }

    /// A file's bytes, every block verified.
    pub async fn content_get(&self, text: &str) -> Result<Vec<u8>, NodeError> {
        let cid = parse(text)?;
        if !self.core.content.has(&cid) {
            let text = format!("failed to find {cid}: it is not held here");
            return Err(NodeError::new(ErrorKind::NotFound, "content_unknown", text)
                .with_hint("`nisse content ls` lists what is held".to_owned()));
        }
        on_disk(&self.core, "read content", move |core| {
            let read = core.content.read_file(cid, FILE_BYTES_MAX);
            read.map_err(|error| failed(&error).with_hint(error.hint()))
        })
        .await
    }

    /// All that is held.
    pub async fn content_list(&self) -> Result<Vec<ContentEntry>, NodeError> {
        on_disk(&self.core, "list content", |core| {
            let pins = core.content.pins();
            let holding = |cid: ContentId| {
                let named = pins.iter().filter(|pin| pin.roots.contains(&cid));
                named.map(|pin| pin.name.clone()).collect()
            };
            let entry = |block: Listed| ContentEntry {
                cid: block.cid.to_string(),
                bytes: block.bytes.0,
                pinned: block.pinned,
                pins: holding(block.cid),
            };
            let mut entries: Vec<ContentEntry> = core.content.ls().into_iter().map(entry).collect();
            entries.sort_by(|left, right| left.cid.cmp(&right.cid));
            Ok(entries)
        })
        .await
    }

    /// Takes away the pin of `content add`; packages and states keep theirs.
    pub async fn content_remove(&self, text: &str) -> Result<(), NodeError> {
        let cid = parse(text)?;
        if self.core.pinned(&pin_name(cid)).is_none() {
            let text = format!("failed to remove {cid}: it was not added by `content add`");
            return Err(NodeError::new(ErrorKind::NotFound, "content_unknown", text)
                .with_hint("`nisse content ls` shows which pins hold it".to_owned()));
        }
        on_disk(&self.core, "unpin content", move |core| {
            core.content.unpin(&pin_name(cid)).map_err(|error| failed(&error))
        })
        .await
    }

    /// Drops what no pin holds.
    pub async fn content_collect(&self) -> Result<ContentCollected, NodeError> {
        on_disk(&self.core, "collect content", |core| {
            let collected = core.content.gc().map_err(|error| failed(&error).with_hint(error.hint()))?;
            Ok(ContentCollected { blocks: collected.blocks, bytes: collected.freed.0, left: collected.left() })
        })
        .await
    }
}

fn failed(error: &dyn std::error::Error) -> NodeError {
    NodeError::caused(ErrorKind::Failed, "content_failed", error)
}

fn pin_name(cid: ContentId) -> String {
    format!("added/{cid}")
}

fn parse(text: &str) -> Result<ContentId, NodeError> {
    text.parse().map_err(|error: nisse_model::ParseContentIdError| {
        NodeError::new(ErrorKind::Usage, "cid_invalid", format!("failed to {error}"))
    })
}
