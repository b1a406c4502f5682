//! What a journal tells of the chain that its node lived on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nisse_model::{Address, ByteSize, Cpu, DeploymentId, Timestamp};
use nisse_orchestrator::{Accept, Agent, Capacity, Decision, Life, Orchestrator, Policy, Prices};
use nisse_store::{Database, Journal, JournalError};

use crate::entry::Entry;
use crate::error::{ErrorKind, NodeError};
use crate::home::Home;
use crate::node::start::Seams;
use crate::records;

/// The lowest id that is ever drawn for a home's chain; public chains have lower ones.
const DRAWN_ID_MIN: u64 = 1 << 52;
/// Deployment numbers that are made anew; each is two transactions at least.
const NUMBERS_MAX: u64 = 100_000;

/// The journal, read for the chain's sake.
pub(in crate::node) struct History {
    /// The chain's id; `None` where no deployment was ever heard of.
    pub(in crate::node) chain: Option<u64>,
    /// Every agent that the journal has not forgotten.
    agents: BTreeMap<DeploymentId, Agent>,
    /// The highest number of each market that the journal names.
    pub(in crate::node) highest: BTreeMap<Address, u64>,
}

enum ReadError {
    Journal(JournalError),
    Entry(NodeError),
}

impl From<JournalError> for ReadError {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

impl History {
    /// Reads the journal of a home, changing nothing but a torn end.
    pub(in crate::node) fn read(home: &Home, operator: Address, seams: &Seams) -> Result<Self, NodeError> {
        let make = || Orchestrator::new(reader(operator));
        let mut orchestrator = make();
        // What the journal has let go still has its records, and its number.
        let index = Database::open(Arc::clone(&seams.disk), &home.join("state/index.redb"));
        let recorded = index.and_then(|index| records::deployments(&index));
        let recorded = recorded.map_err(|error| NodeError::caused(ErrorKind::Failed, "database_failed", &error))?;
        let mut named: BTreeSet<DeploymentId> = recorded.into_iter().collect();
        let folder = home.join("journal");
        let journal = Journal::open(Arc::clone(&seams.disk), seams.entropy.as_ref(), &folder, |position, bytes| {
            let entry = Entry::decode(bytes).map_err(|error| {
                let text = format!("failed to read record {} of the journal: {error}", position.0);
                ReadError::Entry(NodeError::new(ErrorKind::Failed, "journal_unreadable", text))
            })?;
            match entry {
                Entry::Decision(decision) => take(&mut orchestrator, &decision, &mut named),
                Entry::Snapshot(decisions) => {
                    orchestrator = make();
                    decisions.iter().for_each(|decision| take(&mut orchestrator, decision, &mut named));
                }
                Entry::Completion(completion) | Entry::Opening(completion) => {
                    named.insert(completion.deployment);
                }
                _ => {}
            }
            Ok(())
        });
        journal.map(drop).map_err(|error| match error {
            ReadError::Journal(error) => NodeError::caused(ErrorKind::Failed, "journal_failed", &error),
            ReadError::Entry(error) => error,
        })?;
        Self::of(&orchestrator, named)
    }

    fn of(orchestrator: &Orchestrator, named: BTreeSet<DeploymentId>) -> Result<Self, NodeError> {
        let chains: BTreeSet<u64> = named.iter().map(|deployment| deployment.chain).collect();
        let refused = |text: String| Err(NodeError::new(ErrorKind::Refused, "chain_other", text));
        let chain = match chains.iter().copied().collect::<Vec<_>>()[..] {
            [] => None,
            [id] if id >= DRAWN_ID_MIN => Some(id),
            [id] => {
                return refused(format!(
                    "failed to rebuild chain {id}: the agents of this home were deployed on a chain of their own, not on this home's"
                ));
            }
            _ => return refused(format!("failed to rebuild the chain: the journal speaks of several, {chains:?}")),
        };
        let mut highest = BTreeMap::new();
        for deployment in &named {
            let number: &mut u64 = highest.entry(deployment.contract).or_default();
            *number = (*number).max(deployment.number);
        }
        if highest.values().any(|number| *number > NUMBERS_MAX) {
            return refused(format!("failed to rebuild the chain: it held more than {NUMBERS_MAX} deployments"));
        }
        Ok(Self { chain, agents: orchestrator.agents().clone(), highest })
    }

    /// The agent of a deployment.
    pub(in crate::node) fn agent(&self, deployment: &DeploymentId) -> Option<&Agent> {
        self.agents.get(deployment)
    }

    /// Agents that have not ended.
    pub(in crate::node) fn live(&self) -> impl Iterator<Item = &Agent> {
        self.agents.values().filter(|agent| agent.life.is_live())
    }

    /// When the first lease that still runs began.
    pub(in crate::node) fn begun(&self) -> Option<Timestamp> {
        self.live().filter_map(acknowledged).min()
    }
}

/// When the old chain took an agent's start. An agent that was updated had been started, whatever else is known.
pub(in crate::node) fn acknowledged(agent: &Agent) -> Option<Timestamp> {
    match agent.life {
        Life::Running { since, acknowledged } | Life::Paused { since, acknowledged } => {
            acknowledged.or((agent.revision_done > 0).then_some(since))
        }
        _ => None,
    }
}

fn take(orchestrator: &mut Orchestrator, decision: &Decision, named: &mut BTreeSet<DeploymentId>) {
    orchestrator.restore(decision);
    named.extend(decision.deployment());
}

/// Restoring asks no policy; one is needed to hold the agents.
pub(in crate::node) fn reader(operator: Address) -> Policy {
    let capacity = Capacity { cpu: Cpu::default(), memory: ByteSize::default(), gpu: false };
    Policy { operator, accept: Accept::Own, capacity, prices: Prices::default(), gas_budget_max: 0 }
}
