//! The content store as its owner sees it.

use bytes::Bytes;
use nisse_content::{Listed, Profile};
use nisse_model::{AgentName, ContentId, DeploymentId, PackageRef};
use nisse_orchestrator::Agent;

use super::Node;
use super::orders::Order;
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

    /// Takes away the pins that name it: that of `content add`, of a destroyed agent's state, and what agents left
    /// behind that this home knows no more. What one of them still needs stays.
    pub async fn content_remove(&self, text: &str) -> Result<(), NodeError> {
        let cid = parse(text)?;
        let pins = self.core.content.pins().into_iter().filter(|pin| pin.roots.contains(&cid));
        let named: Vec<String> = pins.map(|pin| pin.name).collect();
        if named.is_empty() {
            let text = format!("failed to remove {cid}: no pin names it");
            return Err(NodeError::new(ErrorKind::NotFound, "content_unknown", text)
                .with_hint("`nisse content ls` shows what is pinned".to_owned()));
        }
        let mut needed_by = None;
        let mut free = Vec::new();
        for name in named {
            match self.needs(&name, cid).await? {
                Some(agent) => needed_by = Some(agent),
                None => free.push(name),
            }
        }
        if let Some(agent) = needed_by.filter(|_| free.is_empty()) {
            let text = format!("failed to remove {cid}: {agent} needs it");
            return Err(NodeError::new(ErrorKind::Refused, "content_needed", text)
                .with_hint(format!("`nisse destroy {agent}` gives it up")));
        }
        on_disk(&self.core, "unpin content", move |core| {
            free.iter()
                .try_for_each(|name| core.content.unpin(name))
                .map_err(|error| failed(&error).with_hint(error.hint()))
        })
        .await
    }

    /// The agent of this home that a pin is kept for.
    async fn needs(&self, pin: &str, cid: ContentId) -> Result<Option<AgentName>, NodeError> {
        let of_package = move |package: &PackageRef| {
            [package.manifest_cid, package.artifact_cid, ContentId::raw(package.config_hash)].contains(&cid)
        };
        if let Some(state) = pin.strip_prefix("state/") {
            let deployment = state.rsplit_once('/').and_then(|(deployment, _)| deployment.parse::<DeploymentId>().ok());
            let Some(deployment) = deployment else { return Ok(None) };
            let agent = self.look(move |all| all.agent(&deployment).map(name_of)).await?;
            return Ok(agent);
        }
        if !pin.starts_with("package/") && !pin.starts_with("config/") {
            return Ok(None);
        }
        let needing = self.look(move |all| {
            let needs = |agent: &Agent| {
                let coming = agent.next.iter().chain(&agent.queued).map(|next| &next.placement.package);
                [&agent.placement.package].into_iter().chain(&agent.previous).chain(coming).any(of_package)
            };
            all.agents().values().find(|agent| needs(agent)).map(name_of)
        });
        if let Some(agent) = needing.await? {
            return Ok(Some(agent));
        }
        // A node that takes the order fetches it from here.
        let ordered = |order: &Order| {
            [order.view.manifest_cid, order.view.artifact_cid].contains(&cid)
                || ContentId::raw(order.view.config_hash) == cid
        };
        let orders = self.orders().await?;
        Ok(orders.iter().find(|order| ordered(order)).map(|order| order.agent_id.name.clone()))
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

fn name_of(agent: &Agent) -> AgentName {
    agent.placement.package.agent_id.name.clone()
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
