//! What a client sends.

use automerge::ChangeHash;

use super::cbor::{Fields, Reader};
use super::{
    FRAME_BYTES_MAX, HEADS_MAX, MessageError, PEER_BYTES_MAX, PROTOCOL_VERSION, PeerMetadata, PeerName,
    SESSION_BYTES_MAX, STORAGE_BYTES_MAX, STORAGES_MAX, StorageName, TYPE_BYTES_MAX, VERSIONS_MAX, parse_head,
};
use crate::DocumentId;

/// The longest text that could be a document's name: longer ones are refused before they are looked at.
const DOCUMENT_BYTES_MAX: usize = 64;
/// The longest text that could be a head.
const HEAD_BYTES_MAX: usize = 64;

/// A message of a client. Its data is borrowed from the frame and not looked at: [`crate::gauge`] does that.
///
/// `target` is whom the client means it for; automerge-repo's own server does not look at it.
#[derive(Debug, Clone, PartialEq)]
pub enum Incoming<'b> {
    /// The first message of a connection.
    Join {
        /// What the client calls itself.
        sender: PeerName,
        /// What it says about itself.
        metadata: PeerMetadata,
        /// Whether it speaks [`PROTOCOL_VERSION`]. A client that names no versions does.
        speaks_v1: bool,
    },
    /// The last message of a connection; clients 2.5.6 just close it.
    Leave {
        /// What the client calls itself.
        sender: PeerName,
    },
    /// A sync message of automerge.
    Sync {
        /// What the client calls itself.
        sender: PeerName,
        /// Whom it means the message for.
        target: Option<PeerName>,
        /// The document to sync.
        document: DocumentId,
        /// An encoded `automerge::sync::Message`.
        data: &'b [u8],
    },
    /// A sync message of one who has nothing of the document and asks for it.
    Request {
        /// What the client calls itself.
        sender: PeerName,
        /// Whom it means the message for.
        target: Option<PeerName>,
        /// The document asked for.
        document: DocumentId,
        /// An encoded `automerge::sync::Message`.
        data: &'b [u8],
    },
    /// The client has not the document, nor has anyone that it knows.
    Unavailable {
        /// What the client calls itself.
        sender: PeerName,
        /// Whom it means the message for.
        target: Option<PeerName>,
        /// The document that it has not.
        document: DocumentId,
    },
    /// A message that is passed on and kept nowhere.
    Ephemeral {
        /// The one who first sent it, which need not be the client.
        sender: PeerName,
        /// Whom it means the message for.
        target: Option<PeerName>,
        /// The document that it is about.
        document: DocumentId,
        /// Rises with each message of the session: one not above the last was seen already.
        count: u64,
        /// The sender's session.
        session: &'b str,
        /// What the application says, in CBOR.
        data: &'b [u8],
    },
    /// The client wants to hear of the heads that other stores have, or no longer.
    RemoteSubscription {
        /// What the client calls itself.
        sender: PeerName,
        /// Whom it means the message for.
        target: Option<PeerName>,
        /// The stores that it wants to hear of.
        add: Vec<StorageName>,
        /// The stores that it wants to hear of no longer.
        remove: Vec<StorageName>,
    },
    /// The client tells of the heads that other stores have.
    RemoteHeads {
        /// What the client calls itself.
        sender: PeerName,
        /// Whom it means the message for.
        target: Option<PeerName>,
        /// The document that they are of.
        document: DocumentId,
        /// The heads by store.
        stores: Vec<RemoteHeads>,
    },
    /// A type of message that is not known here.
    Unknown(&'b str),
}

/// The heads that a store has of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteHeads {
    /// The store.
    pub storage: StorageName,
    /// The heads.
    pub heads: Vec<ChangeHash>,
    /// When this was known, in milliseconds since 1970 by the clock of the one who knew.
    pub timestamp_ms: u64,
}

impl<'b> Incoming<'b> {
    /// Reads a frame.
    ///
    /// # Errors
    /// When it is no message, or one past a limit.
    pub fn decode(frame: &'b [u8]) -> Result<Self, MessageError> {
        if frame.len() > FRAME_BYTES_MAX {
            return Err(MessageError::FrameTooLong { found: frame.len(), allowed: FRAME_BYTES_MAX });
        }
        let mut reader = Reader::new(frame);
        let fields = Fields::read("a message", &mut reader)?;
        if reader.remaining() > 0 {
            return Err(MessageError::Trailing(reader.remaining()));
        }
        let kind = fields.need("type")?.text("type", TYPE_BYTES_MAX)?;
        Ok(match kind {
            "join" => Self::Join {
                sender: sender(&fields)?,
                metadata: metadata(&fields)?,
                speaks_v1: speaks_v1(fields.find("supportedProtocolVersions")?)?,
            },
            "leave" => Self::Leave { sender: sender(&fields)? },
            "sync" => Self::Sync {
                sender: sender(&fields)?,
                target: target(&fields)?,
                document: document(&fields)?,
                data: fields.need("data")?.bytes("data")?,
            },
            "request" => Self::Request {
                sender: sender(&fields)?,
                target: target(&fields)?,
                document: document(&fields)?,
                data: fields.need("data")?.bytes("data")?,
            },
            "doc-unavailable" => {
                Self::Unavailable { sender: sender(&fields)?, target: target(&fields)?, document: document(&fields)? }
            }
            "ephemeral" => Self::Ephemeral {
                sender: sender(&fields)?,
                target: target(&fields)?,
                document: document(&fields)?,
                count: fields.need("count")?.number("count")?,
                session: fields.need("sessionId")?.text("sessionId", SESSION_BYTES_MAX)?,
                data: fields.need("data")?.bytes("data")?,
            },
            "remote-subscription-change" => Self::RemoteSubscription {
                sender: sender(&fields)?,
                target: target(&fields)?,
                add: storages("add", fields.find("add")?)?,
                remove: storages("remove", fields.find("remove")?)?,
            },
            "remote-heads-changed" => Self::RemoteHeads {
                sender: sender(&fields)?,
                target: target(&fields)?,
                document: document(&fields)?,
                stores: remote_heads(fields.need("newHeads")?)?,
            },
            unknown => Self::Unknown(unknown),
        })
    }
}

fn sender(fields: &Fields<'_>) -> Result<PeerName, MessageError> {
    PeerName::of("senderId", fields.need("senderId")?.text("senderId", PEER_BYTES_MAX)?)
}

fn target(fields: &Fields<'_>) -> Result<Option<PeerName>, MessageError> {
    let Some(mut value) = fields.find("targetId")? else { return Ok(None) };
    PeerName::of("targetId", value.text("targetId", PEER_BYTES_MAX)?).map(Some)
}

fn document(fields: &Fields<'_>) -> Result<DocumentId, MessageError> {
    fields.need("documentId")?.text("documentId", DOCUMENT_BYTES_MAX)?.parse().map_err(MessageError::Document)
}

fn metadata(fields: &Fields<'_>) -> Result<PeerMetadata, MessageError> {
    let Some(mut value) = fields.find("peerMetadata")? else { return Ok(PeerMetadata::default()) };
    let fields = Fields::read("peerMetadata", &mut value)?;
    let storage = match fields.find("storageId")? {
        Some(mut value) => Some(StorageName::new(value.text("storageId", STORAGE_BYTES_MAX)?)?),
        None => None,
    };
    let is_ephemeral = match fields.find("isEphemeral")? {
        Some(mut value) => value.boolean("isEphemeral")?,
        None => false,
    };
    Ok(PeerMetadata { storage, is_ephemeral })
}

fn speaks_v1(versions: Option<Reader<'_>>) -> Result<bool, MessageError> {
    let Some(mut versions) = versions else { return Ok(true) };
    let mut speaks_v1 = false;
    for _ in 0..versions.list("supportedProtocolVersions", VERSIONS_MAX)? {
        if versions.is_text() {
            speaks_v1 |= versions.text("a version of the protocol", TYPE_BYTES_MAX)? == PROTOCOL_VERSION;
        } else {
            versions.pass_over()?;
        }
    }
    Ok(speaks_v1)
}

fn storages(what: &'static str, list: Option<Reader<'_>>) -> Result<Vec<StorageName>, MessageError> {
    let Some(mut list) = list else { return Ok(Vec::new()) };
    (0..list.list(what, STORAGES_MAX)?).map(|_| StorageName::new(list.text(what, STORAGE_BYTES_MAX)?)).collect()
}

fn remote_heads(mut map: Reader<'_>) -> Result<Vec<RemoteHeads>, MessageError> {
    let mut stores = Vec::new();
    for _ in 0..map.map("newHeads", STORAGES_MAX)? {
        let storage = StorageName::new(map.text("newHeads", STORAGE_BYTES_MAX)?)?;
        let fields = Fields::read("newHeads", &mut map)?;
        let mut list = fields.need("heads")?;
        let heads = (0..list.list("heads", HEADS_MAX)?)
            .map(|_| parse_head(list.text("heads", HEAD_BYTES_MAX)?))
            .collect::<Result<_, _>>()?;
        let timestamp_ms = fields.need("timestamp")?.number("timestamp")?;
        stores.push(RemoteHeads { storage, heads, timestamp_ms });
    }
    Ok(stores)
}
