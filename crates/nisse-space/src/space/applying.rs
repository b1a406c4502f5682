//! Changes of objects that somebody committed elsewhere: tried before, made once afterwards, whatever crashes between.
//!
//! What a journal holds is applied again after a crash. How far it was applied stands in the same transaction as the chunks
//! that it made, by the name of whoever committed it.

use std::collections::BTreeMap;

use nisse_store::Position;

use super::objects::{SpaceObjectError, Write};
use super::{Author, Effect, Space, SpaceError, Turn};
use crate::objects::{Object, ObjectId, Query};
use crate::store::Applied;

/// What became of changes that were committed elsewhere.
#[derive(Debug, Default)]
pub struct Outcome {
    /// For those who are connected.
    pub effects: Vec<Effect>,
    /// What could not be made, by its place: it never will be.
    pub refused: Vec<(usize, SpaceObjectError)>,
}

impl Space {
    /// How objects would be once these changes were made, by id. Nothing is changed.
    pub fn suppose(
        &mut self,
        writes: &[(ObjectId, Write<'_>)],
        author: &dyn Author,
    ) -> Result<BTreeMap<ObjectId, Object>, SpaceObjectError> {
        self.takes_changes()?;
        // Nothing is unloaded while what is loaded has changes that nobody made.
        self.look()?;
        let mut turn = Turn::new(author);
        let supposed = self.supposed(writes, &mut turn);
        self.undo(&mut turn);
        supposed
    }

    fn supposed(
        &mut self,
        writes: &[(ObjectId, Write<'_>)],
        turn: &mut Turn<'_>,
    ) -> Result<BTreeMap<ObjectId, Object>, SpaceObjectError> {
        let mut objects = BTreeMap::new();
        for (id, write) in writes {
            self.write(*id, *write, turn)?;
        }
        for (id, _) in writes {
            if !objects.contains_key(id)
                && let Some(object) = self.object(*id)?
            {
                objects.insert(*id, object);
            }
        }
        Ok(objects)
    }

    /// The objects that a query finds, if these changes were made.
    pub fn query_supposing(
        &mut self,
        query: &Query,
        writes: &[(ObjectId, Write<'_>)],
        author: &dyn Author,
    ) -> Result<Vec<Object>, SpaceObjectError> {
        if writes.is_empty() {
            return self.query(query);
        }
        let mut supposed = self.suppose(writes, author)?;
        let mut all = self.every_object()?;
        for object in &mut all {
            if let Some(changed) = supposed.remove(&object.id) {
                *object = changed;
            }
        }
        all.extend(supposed.into_values());
        Ok(query.run(&all)?.into_iter().cloned().collect())
    }

    /// Makes what `by` committed at a position of its journal, durable when this returns. What was made before is left out. An error
    /// says that it can be made later.
    pub fn apply(
        &mut self,
        (by, position): (&str, Position),
        writes: &[(ObjectId, Write<'_>)],
        author: &dyn Author,
    ) -> Result<Outcome, SpaceError> {
        let mut outcome = Outcome::default();
        let begun = match self.held.store.applied(by)? {
            Some((last, _)) if last > position => return Ok(outcome),
            Some((last, count)) if last == position => count as usize,
            _ => 0,
        };
        self.takes_changes()?;
        if !author.can_sign() {
            return Err(SpaceError::Sealed);
        }
        self.look().map_err(unreadable)?;
        let rest = writes.get(begun..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(outcome);
        }
        let applied = |count: usize| Applied { by: by.to_owned(), position, count: count as u32 };
        let mut turn = Turn::new(author);
        if rest.iter().all(|(id, write)| self.write(*id, *write, &mut turn).is_ok()) {
            outcome.effects = self.make(turn, applied(writes.len()))?;
            return Ok(outcome);
        }
        self.undo(&mut turn);
        // One that cannot be made keeps no other.
        for (place, (id, write)) in rest.iter().enumerate().map(|(at, write)| (begun + at, write)) {
            self.look().map_err(unreadable)?;
            let mut turn = Turn::new(author);
            match self.write(*id, *write, &mut turn) {
                Ok(()) => {}
                Err(SpaceObjectError::Space(error)) => {
                    self.undo(&mut turn);
                    return Err(error);
                }
                Err(error) => {
                    self.undo(&mut turn);
                    outcome.refused.push((place, error));
                }
            }
            outcome.effects.extend(self.make(turn, applied(place + 1))?);
        }
        Ok(outcome)
    }

    fn make(&mut self, mut turn: Turn<'_>, applied: Applied) -> Result<Vec<Effect>, SpaceError> {
        turn.applied = Some(applied);
        self.conclude(&mut turn);
        self.takes_changes()?;
        Ok(turn.effects)
    }

    /// What a turn changed and nobody kept is nowhere.
    pub(super) fn undo(&mut self, turn: &mut Turn<'_>) {
        for one in std::mem::take(&mut turn.chunks) {
            self.held.documents.drop(one.chunk.changes().document);
        }
    }

    fn takes_changes(&self) -> Result<(), SpaceError> {
        match &self.held.fault {
            Some(fault) => Err(SpaceError::ReadOnly(fault.clone())),
            None => Ok(()),
        }
    }
}

fn unreadable(error: SpaceObjectError) -> SpaceError {
    match error {
        SpaceObjectError::Space(error) => error,
        other => SpaceError::ReadOnly(format!("failed to {other}")),
    }
}
