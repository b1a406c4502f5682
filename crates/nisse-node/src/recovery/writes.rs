//! State writes of many completions, gathered into one change of the database each: a change by itself costs more than
//! the record that holds it, and a busy minute of the journal would take seconds to apply again.
//!
//! What is gathered for an agent is a stretch of the journal without a gap, so the last write of each key stands for all
//! of them; the mark of what was applied moves to the stretch's end with it.

use std::collections::{BTreeMap, HashMap};

use nisse_model::{Address, AgentName};
use nisse_store::{Position, StateError, StateStore, StateWrite};

/// Keys and values that are held before they are applied, in bytes.
const GATHERED_BYTES_MAX: usize = 8 << 20;

/// What the completions read so far wrote and no database holds yet.
pub(super) struct Gathered<'a> {
    states: &'a StateStore,
    agents: HashMap<(Address, AgentName), Stretch>,
    bytes: usize,
}

/// The writes of one agent.
struct Stretch {
    /// The last record that the database knows.
    applied: Option<Position>,
    /// The last record that is gathered.
    last: Position,
    writes: BTreeMap<String, Option<Vec<u8>>>,
}

impl<'a> Gathered<'a> {
    pub(super) fn new(states: &'a StateStore) -> Self {
        Self { states, agents: HashMap::new(), bytes: 0 }
    }

    /// Takes the writes of the record at `position`, in the journal's order.
    pub(super) fn add(
        &mut self,
        position: Position,
        owner: Address,
        agent: AgentName,
        writes: Vec<StateWrite>,
    ) -> Result<(), StateError> {
        let stretch = match self.agents.entry((owner, agent)) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(vacant) => {
                let applied = self.states.agent(owner, &vacant.key().1).applied()?;
                vacant.insert(Stretch { applied, last: position, writes: BTreeMap::new() })
            }
        };
        if stretch.applied.is_some_and(|applied| applied >= position) {
            return Ok(());
        }
        stretch.last = position;
        for StateWrite { key, value } in writes {
            self.bytes += key.len() + value.as_ref().map_or(0, Vec::len);
            stretch.writes.insert(key, value);
        }
        if self.bytes > GATHERED_BYTES_MAX { self.apply() } else { Ok(()) }
    }

    /// Applies all that is gathered.
    pub(super) fn apply(&mut self) -> Result<(), StateError> {
        for ((owner, agent), stretch) in self.agents.drain().filter(|(_, stretch)| !stretch.writes.is_empty()) {
            let writes: Vec<_> = stretch.writes.into_iter().map(|(key, value)| StateWrite { key, value }).collect();
            self.states.agent(owner, &agent).apply(stretch.last, &writes)?;
        }
        self.bytes = 0;
        Ok(())
    }
}
