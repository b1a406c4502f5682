//! What a server sends.

use automerge::ChangeHash;

use super::writer::Writer;
use super::{PROTOCOL_VERSION, PeerMetadata, PeerName, StorageName, head_text};
use crate::DocumentId;

/// A message to a client: what it says, apart from who says it to whom, since the same may go to many.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outgoing<'b> {
    /// The answer to a client that joins.
    Peer {
        /// What the server says about itself.
        metadata: &'b PeerMetadata,
    },
    /// Why the connection ends now.
    Error {
        /// A text for the client's log.
        message: &'b str,
    },
    /// A sync message of automerge.
    Sync {
        /// The document to sync.
        document: DocumentId,
        /// An encoded `automerge::sync::Message`: at least one byte, since a client drops a message without data.
        data: &'b [u8],
    },
    /// A sync message of one who has nothing of the document and asks for it.
    Request {
        /// The document asked for.
        document: DocumentId,
        /// An encoded `automerge::sync::Message`.
        data: &'b [u8],
    },
    /// The server has not the document, nor has anyone that it knows.
    Unavailable {
        /// The document.
        document: DocumentId,
    },
    /// A message that is passed on as it came.
    Ephemeral {
        /// The one who first sent it: it stands where the server's own name would.
        author: &'b PeerName,
        /// The document that it is about.
        document: DocumentId,
        /// Its number in the session.
        count: u64,
        /// The author's session.
        session: &'b str,
        /// What the application says, in CBOR.
        data: &'b [u8],
    },
    /// The heads that a store has, to one who wanted to hear of them.
    RemoteHeads {
        /// The document that they are of.
        document: DocumentId,
        /// The store.
        storage: &'b StorageName,
        /// The heads.
        heads: &'b [ChangeHash],
        /// When this was known, in milliseconds since 1970.
        timestamp_ms: u64,
    },
}

impl Outgoing<'_> {
    /// One frame from `sender` to `target`, with its keys in the order of automerge-repo's own.
    #[must_use]
    pub fn encode(&self, sender: &PeerName, target: &PeerName) -> Vec<u8> {
        let (sender, target) = (sender.as_str(), target.as_str());
        let mut writer = Writer::default();
        match *self {
            Self::Peer { metadata } => {
                writer.map(5).text("type").text("peer").text("senderId").text(sender);
                write_metadata(&mut writer, metadata);
                writer.text("selectedProtocolVersion").text(PROTOCOL_VERSION).text("targetId").text(target);
            }
            Self::Error { message } => {
                writer.map(4).text("type").text("error").text("senderId").text(sender);
                writer.text("message").text(message).text("targetId").text(target);
            }
            Self::Sync { document, data } => {
                writer.map(5).text("type").text("sync").text("targetId").text(target).text("data").data(data);
                writer.text("documentId").text(&document.to_string()).text("senderId").text(sender);
            }
            Self::Request { document, data } => {
                writer.map(5).text("type").text("request").text("targetId").text(target);
                writer.text("documentId").text(&document.to_string());
                writer.text("data").data(data).text("senderId").text(sender);
            }
            Self::Unavailable { document } => {
                writer.map(4).text("type").text("doc-unavailable").text("targetId").text(target);
                writer.text("documentId").text(&document.to_string()).text("senderId").text(sender);
            }
            Self::Ephemeral { author, document, count, session, data } => {
                writer.map(7).text("type").text("ephemeral").text("senderId").text(author.as_str());
                writer.text("targetId").text(target).text("count").number(count).text("sessionId").text(session);
                writer.text("documentId").text(&document.to_string()).text("data").data(data);
            }
            Self::RemoteHeads { document, storage, heads, timestamp_ms } => {
                writer.map(5).text("type").text("remote-heads-changed").text("targetId").text(target);
                writer.text("documentId").text(&document.to_string()).text("newHeads").map(1).text(storage.as_str());
                writer.map(2).text("heads").list(heads.len());
                for head in heads {
                    writer.text(&head_text(head));
                }
                writer.text("timestamp").number(timestamp_ms).text("senderId").text(sender);
            }
        }
        writer.into_bytes()
    }
}

fn write_metadata(writer: &mut Writer, metadata: &PeerMetadata) {
    writer.text("peerMetadata").map(if metadata.storage.is_some() { 2 } else { 1 });
    if let Some(storage) = &metadata.storage {
        writer.text("storageId").text(storage.as_str());
    }
    writer.text("isEphemeral").boolean(metadata.is_ephemeral);
}
