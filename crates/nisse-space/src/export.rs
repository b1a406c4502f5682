//! A space as one file: what another home needs to hold it, and to check it by itself.
//!
//! It has the credentials by which the space's chunks are judged, and all chunks of it, those that count and those that are set
//! aside: document by document, in the order in which the store has them. Taking it back is not here: whoever reads an export
//! brings what is in it as any other replica does.

mod codec;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use nisse_model::Credential;

use crate::chunk::{Chunk, ChunkError, ChunkId};
use crate::chunk_sync::Item;
use crate::document_id::DocumentId;
use crate::store::{Place, Store, StoreError};
use codec::Writer;

pub use codec::{ExportError, ExportHeader, ExportPart, ExportReader};

/// Bytes after which a portion is given.
const PORTION_BYTES: usize = 1 << 20;

/// An export as it is written. Others may go on changing the space: what is taken meanwhile is in it or is not, and what was
/// there when it was begun is.
pub struct Export {
    store: Store,
    writer: Writer,
    /// The document that is written, and what of it was not yet.
    document: Option<DocumentId>,
    left: VecDeque<(Place, ChunkId)>,
}

impl Export {
    /// With the bytes that it begins with.
    pub fn begin(store: Store, header: &ExportHeader) -> (Self, Vec<u8>) {
        let (writer, bytes) = Writer::begin(header);
        (Self { store, writer, document: None, left: VecDeque::new() }, bytes)
    }

    /// Credentials, each behind its parents: before the chunks whose authors they say something of, or behind all of them.
    pub fn credentials(&mut self, credentials: &[Credential]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for credential in credentials {
            self.writer.credential(&credential.encode(), &mut bytes);
        }
        bytes
    }

    /// The next chunks; none: those were all.
    pub fn chunks(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        let mut bytes = Vec::new();
        while bytes.len() < PORTION_BYTES {
            let Some((place, chunk)) = self.left.pop_front() else {
                let Some(document) = self.store.next_document(self.document)? else { break };
                self.document = Some(document);
                self.left = self.store.places(document)?.into();
                continue;
            };
            let Some(document) = self.document else { break };
            if let Some(stored) = self.store.stored(document, chunk, place)? {
                self.writer.chunk(&stored, &mut bytes);
            }
        }
        Ok((!bytes.is_empty()).then_some(bytes))
    }

    /// The bytes that it ends with.
    pub fn end(self) -> Vec<u8> {
        self.writer.end()
    }
}

/// Where a space has a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whereabouts {
    /// In its document.
    Placed,
    /// Held, and in no document.
    Aside,
    /// Nowhere.
    Nowhere,
}

impl Store {
    /// Where a chunk is.
    pub fn whereabouts(&self, item: Item) -> Result<Whereabouts, StoreError> {
        Ok(match self.place(item.document, item.chunk)? {
            Some(Place::Numbered(_)) => Whereabouts::Placed,
            Some(Place::Aside) => Whereabouts::Aside,
            None => Whereabouts::Nowhere,
        })
    }
}

/// The name of a chunk by its stored form. Its signature is not verified.
pub fn item_of_stored(stored: &[u8]) -> Result<Item, ChunkError> {
    let document = Chunk::decode_own(stored)?.document;
    Ok(Item { document, chunk: ChunkId(nisse_model::Hash256::of(stored)) })
}
