//! Where the branches of a state's tree are: in the database, or in memory for a root that is only foreseen.

use std::collections::BTreeMap;

use super::NODES;
use super::root::{self, Nodes, Slot};
use super::scope::Scope;
use crate::{DatabaseError, Rows, WriteTransaction};

/// The tree's nodes inside a change.
pub(super) struct Stored<'a> {
    rows: &'a mut WriteTransaction,
    scope: &'a Scope,
}

impl<'a> Stored<'a> {
    pub(super) fn new(rows: &'a mut WriteTransaction, scope: &'a Scope) -> Self {
        Self { rows, scope }
    }
}

impl Nodes for Stored<'_> {
    fn load(&self, path: &[u8]) -> Result<[Slot; 16], DatabaseError> {
        self.scope.node(self.rows, path)
    }

    fn store(&mut self, path: &[u8], slots: Option<&[Slot; 16]>) -> Result<(), DatabaseError> {
        let key = self.scope.below(path);
        match slots {
            Some(slots) => self.rows.put(NODES, &key, &root::encode_node(slots)),
            None => self.rows.remove(NODES, &key).map(drop),
        }
    }
}

/// The tree's nodes under changes that are never stored.
pub(super) struct Preview<'a, R> {
    rows: &'a R,
    scope: &'a Scope,
    changed: BTreeMap<Vec<u8>, [Slot; 16]>,
}

impl<'a, R> Preview<'a, R> {
    pub(super) fn new(rows: &'a R, scope: &'a Scope) -> Self {
        Self { rows, scope, changed: BTreeMap::new() }
    }
}

impl<R: Rows> Nodes for Preview<'_, R> {
    fn load(&self, path: &[u8]) -> Result<[Slot; 16], DatabaseError> {
        self.changed.get(path).map_or_else(|| self.scope.node(self.rows, path), |slots| Ok(*slots))
    }

    fn store(&mut self, path: &[u8], slots: Option<&[Slot; 16]>) -> Result<(), DatabaseError> {
        if let Some(slots) = slots {
            self.changed.insert(path.to_owned(), *slots);
        }
        Ok(())
    }
}
