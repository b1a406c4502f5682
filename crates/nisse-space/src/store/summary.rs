//! What is known of a document without loading it.

use automerge::ChangeHash;
use minicbor::{Decoder, Encoder};

use super::StoreError;
use crate::chunk::Changes;
use crate::document_id::DocumentId;

/// The first item of the stored form.
const VERSION: u64 = 1;

/// A document from outside.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// Its heads, in order.
    pub heads: Vec<ChangeHash>,
    /// Chunks that make it.
    pub chunks: u64,
    /// Bytes of changes in them.
    pub bytes: u64,
}

impl Summary {
    /// One chunk more.
    pub(super) fn take(&mut self, changes: &Changes) {
        self.heads.retain(|head| !changes.before.contains(head) || changes.after.contains(head));
        for head in &changes.after {
            if let Err(place) = self.heads.binary_search(head) {
                self.heads.insert(place, *head);
            }
        }
        self.chunks += 1;
        self.bytes += changes.bytes.len() as u64;
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(24 + 34 * self.heads.len());
        self.write(&mut Encoder::new(&mut bytes)).expect("writing to memory does not fail");
        bytes
    }

    fn write(
        &self,
        encoder: &mut Encoder<&mut Vec<u8>>,
    ) -> Result<(), minicbor::encode::Error<core::convert::Infallible>> {
        encoder.array(4)?.u64(VERSION)?.u64(self.chunks)?.u64(self.bytes)?.array(self.heads.len() as u64)?;
        for head in &self.heads {
            encoder.bytes(&head.0)?;
        }
        Ok(())
    }

    pub(super) fn decode(document: DocumentId, row: &[u8]) -> Result<Self, StoreError> {
        let damaged = |reason: String| StoreError::Damaged { document, reason };
        let read = || -> Result<Self, minicbor::decode::Error> {
            let mut decoder = Decoder::new(row);
            decoder.array()?;
            let version = decoder.u64()?;
            if version != VERSION {
                return Err(minicbor::decode::Error::message(format!("its summary is of version {version}")));
            }
            let (chunks, bytes) = (decoder.u64()?, decoder.u64()?);
            let count = decoder.array()?.unwrap_or_default();
            let mut heads = Vec::new();
            for _ in 0..count {
                let head = decoder.bytes()?;
                let head = head.try_into().map_err(|_| minicbor::decode::Error::message("a head is no hash"))?;
                heads.push(ChangeHash(head));
            }
            Ok(Self { heads, chunks, bytes })
        };
        read().map_err(|error| damaged(error.to_string()))
    }
}
