//! Reads the journal at start: the orchestrator's state, the agents' states, the index of records, and what was about
//! to leave the node when it went down.

#[cfg(test)]
mod tests;
mod writes;

use std::collections::BTreeMap;

use nisse_content::BlockStore;
use nisse_model::{Address, AgentName, CredentialId, DeploymentId, Effect, InvocationId, InvocationRecord, SpaceWrite};
use nisse_orchestrator::{Decision, JobChange, Orchestrator};
use nisse_store::{Database, Position, Snapshot, StateStore};

use crate::agent::{Outward, outward_effects, state_writes};
use crate::entry::{Closing, Completion, Entry, StateChange};
use crate::error::{ErrorKind, NodeError, chain};
use crate::jobs::{Completed, table, weight};
use crate::records::Places;
use crate::spaces::space_changes;
use writes::Gathered;

/// Largest export of a state that is put back, in bytes.
const STATE_EXPORT_BYTES_MAX: u64 = nisse_store::SNAPSHOT_BYTES_MAX;
/// Changes of jobs that become rows at a time, in bytes.
const JOBS_GATHERED_BYTES_MAX: usize = 4 << 20;

/// What the journal tells, record by record.
pub(crate) struct Recovery<'a> {
    states: &'a StateStore,
    database: &'a Database,
    content: &'a BlockStore,
    make: &'a dyn Fn() -> Orchestrator,
    orchestrator: Orchestrator,
    writes: Gathered<'a>,
    /// What the last completion that changed an alarm made of it, unless a decision has taken it up.
    alarms: BTreeMap<DeploymentId, (Position, Outward)>,
    publications: Vec<Outward>,
    /// What agents changed in spaces.
    spaces: Vec<RecoveredChanges>,
    /// Where the outbox begins: answers of records before this place have arrived.
    pub(crate) outbox: Position,
    completed: Completed,
    jobs: Vec<JobChange>,
    jobs_bytes: usize,
    places: Places,
}

/// What an invocation changed in a space: made once, as the space knows.
pub(crate) struct RecoveredChanges {
    pub(crate) deployment: DeploymentId,
    pub(crate) owner: Address,
    pub(crate) agent: AgentName,
    pub(crate) position: Position,
    pub(crate) space: CredentialId,
    pub(crate) changes: Vec<(String, SpaceWrite)>,
}

/// What recovery leaves to the node.
pub(crate) struct Recovered {
    pub(crate) orchestrator: Orchestrator,
    /// To be sent to the driver: all of it is idempotent.
    pub(crate) outward: Vec<Outward>,
    pub(crate) spaces: Vec<RecoveredChanges>,
    /// Invocations that succeeded, and what they answered where that was kept.
    pub(crate) completed: Completed,
    /// Where the journal holds which records.
    pub(crate) places: Places,
}

impl<'a> Recovery<'a> {
    pub(crate) fn new(
        (states, database): (&'a StateStore, &'a Database),
        content: &'a BlockStore,
        make: &'a dyn Fn() -> Orchestrator,
    ) -> Self {
        Self {
            states,
            database,
            content,
            make,
            orchestrator: make(),
            writes: Gathered::new(states),
            alarms: BTreeMap::new(),
            publications: Vec::new(),
            spaces: Vec::new(),
            outbox: Position(0),
            completed: Completed::new(),
            jobs: Vec::new(),
            jobs_bytes: 0,
            places: Places::default(),
        }
    }

    /// Takes one record, oldest first.
    pub(crate) fn take(&mut self, position: Position, bytes: &[u8]) -> Result<(), NodeError> {
        let entry = Entry::decode(bytes).map_err(|error| {
            let text = format!("failed to recover record {} of the journal: {}", position.0, chain(&error));
            NodeError::new(ErrorKind::Failed, "journal_unreadable", text)
        })?;
        match entry {
            Entry::Decision(decision) => {
                self.take_up(&decision);
                self.orchestrator.restore(&decision);
                Ok(())
            }
            Entry::Snapshot(decisions) => {
                self.orchestrator = (self.make)();
                decisions.iter().for_each(|decision| self.orchestrator.restore(decision));
                Ok(())
            }
            // An opening without its closing stands: the node went down before its answer came to its end.
            Entry::Completion(completion) | Entry::Opening(completion) => self.completion(position, completion),
            Entry::Closing(Closing { deployment, record }) => {
                self.record(deployment, position, record);
                Ok(())
            }
            Entry::State(change) => self.state(position, &change),
            Entry::Intent(_) => Ok(()),
            Entry::Jobs(changes) => {
                for change in &changes {
                    self.jobs_bytes += weight(change);
                    // What it answered is wanted no more.
                    if let JobChange::Ended { id, .. } = change
                        && let Some(answer) = self.completed.get_mut(&id.0)
                    {
                        *answer = None;
                    }
                }
                self.jobs.extend(changes);
                if self.jobs_bytes >= JOBS_GATHERED_BYTES_MAX { self.apply_jobs() } else { Ok(()) }
            }
        }
    }

    /// A decision takes up what the completion that it names did to an alarm, and with it all before. One about an alarm
    /// that was handled takes up nothing: another one may have been set meanwhile, and was promised to its caller.
    fn take_up(&mut self, decision: &Decision) {
        let (deployment, taken) = match decision {
            Decision::AlarmSet { deployment, completion: Some(taken), .. }
            | Decision::AlarmCleared { deployment, completion: Some(taken), .. } => (deployment, *taken),
            // As an older nisse wrote it, which named no completion: the one that was told last.
            Decision::AlarmSet { deployment, attempt: 1, completion: None, .. } => (deployment, u64::MAX),
            _ => return,
        };
        if self.alarms.get(deployment).is_some_and(|(position, _)| position.0 <= taken) {
            self.alarms.remove(deployment);
        }
    }

    fn completion(&mut self, position: Position, completion: Completion) -> Result<(), NodeError> {
        let Completion { deployment, owner, agent, invocation, succeeded, effects, record, .. } = completion;
        if succeeded {
            let answer = effects.iter().find_map(|effect| match effect {
                Effect::Answer(answer) => Some(answer.clone()),
                _ => None,
            });
            self.completed.insert(invocation, answer);
        }
        for (space, changes) in space_changes(&effects) {
            let agent = agent.clone();
            self.spaces.push(RecoveredChanges { deployment, owner, agent, position, space, changes });
        }
        let writes = state_writes(&effects);
        if !writes.is_empty() {
            self.writes.add(position, owner, agent, writes).map_err(|error| failed(&error))?;
        }
        for outward in outward_effects(deployment, InvocationId(invocation), position, &effects) {
            match outward {
                alarm @ Outward::Alarm { .. } => {
                    self.alarms.insert(deployment, (position, alarm));
                }
                publication @ Outward::Publish { .. } if position >= self.outbox => {
                    self.publications.push(publication);
                }
                Outward::Publish { .. } => {}
            }
        }
        self.record(deployment, position, record);
        Ok(())
    }

    fn record(&mut self, deployment: DeploymentId, position: Position, record: Vec<u8>) {
        if let Some(seq) = InvocationRecord::seq_of(&record) {
            self.places.restore(deployment, seq, position, record);
        }
    }

    fn state(&mut self, position: Position, change: &StateChange) -> Result<(), NodeError> {
        self.writes.apply().map_err(|error| failed(&error))?;
        let state = self.states.agent(change.owner, &change.agent);
        if state.applied().map_err(|error| failed(&error))?.is_some_and(|applied| applied >= position) {
            return Ok(());
        }
        match change.snapshot {
            None => state.destroy(position).map_err(|error| failed(&error)),
            Some(cid) => {
                let export = self.content.read_file(cid, STATE_EXPORT_BYTES_MAX).map_err(|error| failed(&error))?;
                let snapshot = Snapshot::read(&export).map_err(|error| failed(&error))?;
                state.import(position, &snapshot).map(drop).map_err(|error| failed(&error))
            }
        }
    }

    fn apply_jobs(&mut self) -> Result<(), NodeError> {
        self.jobs_bytes = 0;
        table::apply(self.database, &std::mem::take(&mut self.jobs)).map_err(|error| failed(&error))
    }

    /// Everything was read.
    pub(crate) fn finish(mut self) -> Result<Recovered, NodeError> {
        self.writes.apply().map_err(|error| failed(&error))?;
        self.apply_jobs()?;
        let alarms = self.alarms.into_values().map(|(_, alarm)| alarm);
        let outward = alarms.chain(self.publications).collect();
        Ok(Recovered {
            orchestrator: self.orchestrator,
            outward,
            spaces: self.spaces,
            completed: self.completed,
            places: self.places,
        })
    }
}

fn failed(error: &dyn std::error::Error) -> NodeError {
    NodeError::caused(ErrorKind::Failed, "recovery_failed", error)
}
