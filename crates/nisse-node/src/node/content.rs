//! The content store as its owner sees it.

mod leftovers;

use std::time::Duration;

use bytes::Bytes;
use nisse_content::{FetchError, FetchLimits, Listed, Pin, PinKind, PinName, Profile, Reader};
use nisse_model::{AgentName, ContentId};

use self::leftovers::pins_of_order;
use super::Node;
use crate::control::{ContentAdded, ContentCollected, ContentEntry};
use crate::error::{ErrorKind, NodeError};
use crate::packages::{self, on_disk, parse_cid, state_failed};

/// Largest file that one request reads.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// How long it may take to read one from other nodes.
const FETCH_TIME_MAX: Duration = Duration::from_secs(60);

impl Node {
    /// Adds a file under a pin of its own.
    pub async fn content_add(&self, bytes: Bytes) -> Result<ContentAdded, NodeError> {
        on_disk(&self.core, "add content", move |core| {
            let batch = core.content.batch();
            let cid = batch.add(&mut &*bytes, Profile::UnixFs2025);
            let cid = cid.map_err(|error| failed(&error).with_hint(error.hint()))?;
            let pinned = batch.commit_and_pin(pin_name(cid).as_str(), &[cid]);
            pinned.map_err(|error| failed(&error).with_hint(error.hint()))?;
            Ok(ContentAdded { cid: cid.to_string(), bytes: bytes.len() as u64 })
        })
        .await
    }

    /// A file's bytes, every block verified. What is not held here is read from other nodes, and not kept.
    pub async fn content_get(&self, text: &str) -> Result<Vec<u8>, NodeError> {
        let cid = parse_cid(text)?;
        if !self.core.content.has(&cid) {
            let limits = FetchLimits { bytes_max: FILE_BYTES_MAX, deadline: FETCH_TIME_MAX, reader: Reader::Node };
            let reading = self.core.network.read(self.core.operator, cid, limits, Vec::new());
            let late = || Some(Err(FetchError::Deadline { cid, deadline: limits.deadline }));
            match tokio::time::timeout(limits.deadline, reading).await.unwrap_or_else(|_| late()) {
                Some(Ok(fetched)) => return Ok(fetched.bytes.to_vec()),
                Some(Err(error)) => return Err(NodeError::caused(ErrorKind::Failed, "content_unreachable", &error)),
                None => {}
            }
            let text = format!("failed to find {cid}: it is not held here");
            return Err(NodeError::new(ErrorKind::NotFound, "content_unknown", text).with_hint(
                "`nisse content ls` lists what is held; a gateway under [content] is asked as well".to_owned(),
            ));
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
            // The store knows blocks by their digest, a pin says how they are read.
            let holding = |cid: ContentId| {
                let names = move |root: &&ContentId| root.digest() == cid.digest();
                let named = pins.iter().filter_map(|pin| Some((pin.name.clone(), *pin.roots.iter().find(names)?)));
                named.unzip::<String, ContentId, Vec<_>, Vec<_>>()
            };
            let entry = |block: Listed| {
                let (pins, roots) = holding(block.cid);
                let cid = roots.first().copied().unwrap_or(block.cid).to_string();
                ContentEntry { cid, bytes: block.bytes.0, pinned: block.pinned, pins }
            };
            let mut entries: Vec<ContentEntry> = core.content.ls().into_iter().map(entry).collect();
            entries.sort_by(|left, right| left.cid.cmp(&right.cid));
            Ok(entries)
        })
        .await
    }

    /// Takes away a pin by its name, or all that name a CID: that of `content add`, of a destroyed agent's state, and what
    /// agents left behind that this home knows no more. What one of them still needs stays.
    pub async fn content_remove(&self, text: &str) -> Result<(), NodeError> {
        let by_name = text.contains('/');
        let cid = if by_name { None } else { Some(parse_cid(text)?) };
        let wanted = text.to_owned();
        let named: Vec<String> = on_disk(&self.core, "list pins", move |core| {
            let wanted = |pin: &Pin| cid.map_or(pin.name == wanted, |cid| pin.roots.contains(&cid));
            Ok(core.content.pins().into_iter().filter(wanted).map(|pin| pin.name).collect())
        })
        .await?;
        if named.is_empty() {
            let text = match by_name {
                true => format!("failed to remove {text}: there is no such pin"),
                false => format!("failed to remove {text}: no pin names it"),
            };
            return Err(NodeError::new(ErrorKind::NotFound, "content_unknown", text)
                .with_hint("`nisse content ls` shows what is pinned".to_owned()));
        }
        let (needed, free) = self.needed_of(named).await?;
        if let Some(agent) = needed.filter(|_| free.is_empty()) {
            let text = format!("failed to remove {text}: {agent} needs it");
            return Err(NodeError::new(ErrorKind::Refused, "content_needed", text)
                .with_hint(format!("`nisse destroy {agent}` gives it up")));
        }
        on_disk(&self.core, "unpin content", move |core| {
            // Behind the applied mark, recovery reads no export any more: only then may one go.
            core.states.flush().map_err(|error| state_failed(&error))?;
            free.iter()
                .try_for_each(|name| core.content.unpin(name))
                .map_err(|error| failed(&error).with_hint(error.hint()))
        })
        .await
    }

    /// An agent of this home that needs one of these pins, and the pins that none needs.
    async fn needed_of(&self, named: Vec<String>) -> Result<(Option<AgentName>, Vec<String>), NodeError> {
        let is_package =
            |name: &String| matches!(PinKind::of(name), Some(PinKind::Package | PinKind::Config | PinKind::Ordered));
        // A node that takes the order fetches it from here.
        let orders = if named.iter().any(is_package) { self.orders().await } else { Ok(Vec::new()) };
        let own = self.owners();
        let needed = self.look(move |all| packages::needed(all, &own)).await?;
        let mut by = named.iter().find_map(|name| needed.get(name).cloned());
        let mut free: Vec<String> = named.into_iter().filter(|name| !needed.contains_key(name)).collect();
        if free.iter().any(is_package) {
            for order in orders? {
                let ordered: Vec<String> = pins_of_order(&order).collect();
                if free.iter().any(|name| ordered.contains(name)) {
                    by = Some(order.package.agent_id.name.clone());
                    free.retain(|name| !ordered.contains(name));
                }
            }
        }
        Ok((by, free))
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

fn pin_name(cid: ContentId) -> PinName {
    PinKind::Added.name(cid)
}
