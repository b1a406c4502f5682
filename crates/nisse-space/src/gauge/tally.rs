//! What was counted so far, against the limits.

use std::collections::HashSet;

use super::{GaugeError, Limits, Size};

/// The running counts of one measurement.
pub(super) struct Tally<'l> {
    limits: &'l Limits,
    size: Size,
    /// The names of the actors: at most [`Limits::actors_max`] of at most [`Limits::actor_bytes_max`].
    actors: HashSet<Vec<u8>>,
}

/// Adds to a count unless the limit is passed.
fn add(what: &'static str, count: &mut u64, more: u64, allowed: u64) -> Result<(), GaugeError> {
    let found = count.saturating_add(more);
    if found > allowed {
        return Err(GaugeError::TooMuch { what, found, allowed });
    }
    *count = found;
    Ok(())
}

impl<'l> Tally<'l> {
    pub(super) fn new(limits: &'l Limits) -> Self {
        Self { limits, size: Size::default(), actors: HashSet::new() }
    }

    pub(super) fn size(&self) -> Size {
        Size { actors: self.actors.len() as u64, ..self.size }
    }

    pub(super) fn limits(&self) -> &'l Limits {
        self.limits
    }

    pub(super) fn inflated_left(&self) -> u64 {
        self.limits.inflated_bytes_max - self.size.inflated
    }

    pub(super) fn add_chunk(&mut self) {
        self.size.chunks += 1;
    }

    pub(super) fn add_inflated(&mut self, bytes: u64) -> Result<(), GaugeError> {
        add("inflated bytes", &mut self.size.inflated, bytes, self.limits.inflated_bytes_max)
    }

    pub(super) fn add_expanded(&mut self, bytes: u64) -> Result<(), GaugeError> {
        add("bytes of texts in runs", &mut self.size.expanded, bytes, self.limits.expanded_bytes_max)
    }

    pub(super) fn add_operations(&mut self, count: u64) -> Result<(), GaugeError> {
        add("operations", &mut self.size.operations, count, self.limits.operations_max)
    }

    pub(super) fn add_links(&mut self, count: u64) -> Result<(), GaugeError> {
        add("links between operations or changes", &mut self.size.links, count, self.limits.links_max)
    }

    pub(super) fn add_changes(&mut self, count: u64) -> Result<(), GaugeError> {
        add("changes", &mut self.size.changes, count, self.limits.changes_max)?;
        self.check_clocks()
    }

    pub(super) fn add_actor(&mut self, name: &[u8]) -> Result<(), GaugeError> {
        if self.actors.contains(name) {
            return Ok(());
        }
        add("actors", &mut (self.actors.len() as u64), 1, self.limits.actors_max)?;
        self.actors.insert(name.to_vec());
        self.check_clocks()
    }

    fn check_clocks(&self) -> Result<(), GaugeError> {
        let (found, allowed) = (self.size.changes.saturating_mul(self.actors.len() as u64), self.limits.clocks_max);
        if found > allowed {
            return Err(GaugeError::TooMuch { what: "changes times actors", found, allowed });
        }
        Ok(())
    }
}
