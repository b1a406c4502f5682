//! One dag-pb node with the UnixFS message inside it.
//!
//! Links are written before Data, as the dag-pb specification orders them; both orders are read.

use bytes::Bytes;
use nisse_model::{ContentId, ParseContentIdError};

use super::protobuf::{Fields, Value, WireError, put_head, put_number};
use crate::varint;

/// What a UnixFS node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    /// A leaf of a file in the oldest layout.
    Raw,
    /// A flat folder: one link for each name.
    Directory,
    /// A file or a part of one.
    File,
    /// A symbolic link.
    Symlink,
    /// A part of a sharded folder.
    HamtShard,
}

impl NodeKind {
    /// The word for it in a sentence.
    pub fn word(self) -> &'static str {
        match self {
            Self::Raw | Self::File => "file",
            Self::Directory => "directory",
            Self::Symlink => "symbolic link",
            Self::HamtShard => "sharded directory",
        }
    }
}

/// A link to a child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What it points at.
    pub cid: ContentId,
    /// Name inside a folder; empty inside a file.
    pub name: String,
    /// Bytes of all blocks beneath, as the writer claims.
    pub total_bytes: u64,
}

/// A decoded node. Its claims about sizes are only claims until the children were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// Children in order.
    pub links: Vec<Link>,
    /// File bytes held by the node itself, before those of its children.
    pub data: Bytes,
    /// Bytes of the whole file beneath, if said.
    pub file_bytes: Option<u64>,
    /// File bytes under each child.
    pub child_bytes: Vec<u64>,
}

impl Node {
    /// Reads a dag-pb block. Never panics, whatever the bytes.
    pub fn decode(block: &Bytes) -> Result<Self, NodeError> {
        let (mut links, mut data) = (Vec::new(), None);
        for field in Fields::new(block, 0..block.len()) {
            match field? {
                (1, Value::Bytes(range)) if data.is_none() => data = Some(range),
                (2, Value::Bytes(range)) => links.push(decode_link(block, range)?),
                (field, _) => return Err(NodeError::Field { message: "PBNode", field }),
            }
        }
        let message = data.ok_or(NodeError::NotUnixFs)?;
        let mut node = Self { kind: NodeKind::Raw, links, data: Bytes::new(), file_bytes: None, child_bytes: vec![] };
        let mut kind = None;
        for field in Fields::new(block, message) {
            match field? {
                (1, Value::Number(number)) => kind = Some(decode_kind(number)?),
                (2, Value::Bytes(range)) => node.data = block.slice(range),
                (3, Value::Number(bytes)) => node.file_bytes = Some(bytes),
                (4, Value::Number(bytes)) => node.child_bytes.push(bytes),
                (4, Value::Bytes(range)) => decode_packed(&block[range], &mut node.child_bytes)?,
                // Hash type and fan-out of a shard, mode and time of a file: they do not change its bytes.
                (5..=7, Value::Number(_)) | (8, Value::Bytes(_)) => {}
                (field, _) => return Err(NodeError::Field { message: "UnixFS", field }),
            }
        }
        node.kind = kind.ok_or(NodeError::NotUnixFs)?;
        Ok(node)
    }
}

fn decode_link(block: &Bytes, range: std::ops::Range<usize>) -> Result<Link, NodeError> {
    let (mut cid, mut name, mut total_bytes) = (None, String::new(), 0);
    for field in Fields::new(block, range) {
        match field? {
            (1, Value::Bytes(range)) if cid.is_none() => cid = Some(ContentId::from_bytes(&block[range])?),
            (2, Value::Bytes(range)) => {
                name = std::str::from_utf8(&block[range]).map_err(|_| NodeError::Name)?.to_owned();
            }
            (3, Value::Number(bytes)) => total_bytes = bytes,
            (field, _) => return Err(NodeError::Field { message: "PBLink", field }),
        }
    }
    Ok(Link { cid: cid.ok_or(NodeError::EmptyLink)?, name, total_bytes })
}

fn decode_kind(number: u64) -> Result<NodeKind, NodeError> {
    Ok(match number {
        0 => NodeKind::Raw,
        1 => NodeKind::Directory,
        2 => NodeKind::File,
        4 => NodeKind::Symlink,
        5 => NodeKind::HamtShard,
        other => return Err(NodeError::Kind(other)),
    })
}

fn decode_packed(mut bytes: &[u8], into: &mut Vec<u64>) -> Result<(), NodeError> {
    while !bytes.is_empty() {
        let (value, length) = varint::read(bytes).map_err(WireError::from)?.ok_or(WireError::Truncated)?;
        into.push(value);
        bytes = &bytes[length..];
    }
    Ok(())
}

/// A child while a file is being built.
#[derive(Debug, Clone, Copy)]
pub(super) struct Child {
    pub(super) cid: ContentId,
    pub(super) file_bytes: u64,
    pub(super) total_bytes: u64,
}

/// A leaf in dag-pb: the bytes inside a UnixFS file message.
pub(super) fn encode_leaf(data: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(data.len() + 24);
    put_number(&mut message, 1, 2);
    if !data.is_empty() {
        put_head(&mut message, 2, data.len());
        message.extend_from_slice(data);
    }
    put_number(&mut message, 3, data.len() as u64);
    let mut block = Vec::with_capacity(message.len() + 8);
    put_head(&mut block, 1, message.len());
    block.extend_from_slice(&message);
    block
}

/// A node that joins children, and the file bytes beneath it.
pub(super) fn encode_join(children: &[Child]) -> (Vec<u8>, u64) {
    let file_bytes = children.iter().map(|child| child.file_bytes).sum();
    let (mut block, mut link) = (Vec::new(), Vec::new());
    for child in children {
        link.clear();
        let cid = child.cid.to_bytes();
        put_head(&mut link, 1, cid.len());
        link.extend_from_slice(&cid);
        put_head(&mut link, 2, 0);
        put_number(&mut link, 3, child.total_bytes);
        put_head(&mut block, 2, link.len());
        block.extend_from_slice(&link);
    }
    let mut message = Vec::new();
    put_number(&mut message, 1, 2);
    put_number(&mut message, 3, file_bytes);
    for child in children {
        put_number(&mut message, 4, child.file_bytes);
    }
    put_head(&mut block, 1, message.len());
    block.extend_from_slice(&message);
    (block, file_bytes)
}

/// Why a block is not a dag-pb node that nisse reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// Not protobuf.
    #[error("read it as protobuf: {0}")]
    Wire(String),
    /// A field that the format does not have, or a second one where one is allowed.
    #[error("read field {field} of {message}: it does not belong there")]
    Field {
        /// Which message.
        message: &'static str,
        /// Field number.
        field: u64,
    },
    /// A link without a CID.
    #[error("read a link: it points at nothing")]
    EmptyLink,
    /// A link's CID is not one that nisse takes.
    #[error("read a link")]
    Link(#[from] ParseContentIdError),
    /// A name that is not UTF-8.
    #[error("read a link: its name is not UTF-8")]
    Name,
    /// dag-pb, but not UnixFS.
    #[error("read it as UnixFS: the message is missing or has no type")]
    NotUnixFs,
    /// A UnixFS type that is not read.
    #[error("read UnixFS type {0}: raw, directory, file, symbolic link and shard are known")]
    Kind(u64),
}

impl From<WireError> for NodeError {
    fn from(error: WireError) -> Self {
        Self::Wire(error.to_string())
    }
}
