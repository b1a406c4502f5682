//! Which documents of a space are kept here, where that is not all of them.

use std::collections::BTreeSet;

use nisse_store::{DatabaseError, Rows as _, Table, WriteTransaction};

use super::{Store, StoreError};
use crate::document_id::DocumentId;

/// By space: that not all are kept. By space and document: that this one is.
const KEPT: Table = Table::new("space.kept");
const VERSION: u8 = 1;

impl Store {
    /// The documents that are kept here; none: all.
    pub fn kept(&self) -> Result<Option<BTreeSet<DocumentId>>, StoreError> {
        let (mut is_part, mut is_damaged, mut kept) = (false, false, BTreeSet::new());
        let space = self.space.0.0.as_slice();
        self.database.read(|rows| {
            rows.with_prefix(KEPT, space, &mut |key, row| {
                match (key.strip_prefix(space), row) {
                    (Some([]), [VERSION]) => is_part = true,
                    (Some(name), []) if name.len() == 16 => {
                        kept.extend(name.first_chunk().copied().map(DocumentId));
                    }
                    _ => is_damaged = true,
                }
                true
            })
        })?;
        match is_damaged || !is_part && !kept.is_empty() {
            true => Err(StoreError::Register("which documents are kept is none of this nisse's".to_owned())),
            false => Ok(is_part.then_some(kept)),
        }
    }

    /// Notes which documents are kept from now on, durable when this returns; none: all. What is here stays.
    pub(crate) fn keep_documents(&self, only: Option<&BTreeSet<DocumentId>>) -> Result<(), StoreError> {
        self.database.write(|rows| {
            rows.remove_prefix(KEPT, &self.space.0.0)?;
            if let Some(only) = only {
                rows.put(KEPT, &self.space.0.0, &[VERSION])?;
                self.put_kept(rows, only)?;
            }
            Ok(())
        })
    }

    pub(super) fn put_kept(
        &self,
        rows: &mut WriteTransaction,
        documents: &BTreeSet<DocumentId>,
    ) -> Result<(), DatabaseError> {
        documents.iter().try_for_each(|document| rows.put(KEPT, &self.key(*document), &[]))
    }
}
