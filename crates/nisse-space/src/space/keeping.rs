//! Which documents of a space are kept here, and asked for at other replicas.
//!
//! A home may keep a part: the root, the schemas that were declared by then, what it named, and what is made here. Nothing else is
//! asked for and nothing else is sent to it. What it has besides it gives, and says of it that it is not all.

use std::collections::BTreeSet;

use super::objects::SpaceObjectError;
use super::{Space, SpaceError};
use crate::chunk_sync::Wanted;
use crate::document_id::DocumentId;
use crate::objects::ObjectId;
use crate::root::root_document;

impl Space {
    /// Keeps these objects and documents alone from now on, or all; what is here stays. Objects are those that the root links.
    pub fn keep(&mut self, only: Option<(&[ObjectId], &[DocumentId])>) -> Result<(), SpaceObjectError> {
        if let Some(fault) = &self.held.fault {
            return Err(SpaceError::ReadOnly(fault.clone()).into());
        }
        let kept = match only {
            None => None,
            Some((objects, documents)) => {
                let mut kept: BTreeSet<DocumentId> = documents.iter().copied().collect();
                kept.insert(root_document(self.held.store.space()));
                for id in objects {
                    kept.insert(self.linked(*id)?.ok_or(SpaceObjectError::Unknown(*id))?);
                }
                // Whoever writes is bound by them.
                for schema in self.schemas()? {
                    kept.extend(self.linked(schema.id)?);
                }
                Some(kept)
            }
        };
        self.held.store.keep_documents(kept.as_ref()).map_err(SpaceError::from)?;
        self.held.is_rekept |= self.held.kept != kept;
        self.held.kept = kept;
        Ok(())
    }

    /// What is asked for at other replicas. Where more is kept than can be named, all of it.
    pub fn wanted(&self) -> Wanted {
        match &self.held.kept {
            Some(kept) if kept.len() <= Wanted::DOCUMENTS_MAX => Wanted::Only(kept.clone()),
            _ => Wanted::All,
        }
    }

    /// Whether other documents are kept since this was asked last: replicas that are connected know of those before.
    pub fn is_rekept(&mut self) -> bool {
        std::mem::take(&mut self.held.is_rekept)
    }

    /// Objects that the root links and of which nothing is here; none are looked for where all is kept.
    pub fn elsewhere(&mut self) -> Result<u64, SpaceObjectError> {
        if self.wanted() == Wanted::All {
            return Ok(0);
        }
        let mut elsewhere = 0;
        for place in self.directory()?.links.values() {
            let is_here = self.held.store.summary(*place).map_err(SpaceError::from)?.is_some();
            elsewhere += u64::from(!is_here);
        }
        Ok(elsewhere)
    }
}
