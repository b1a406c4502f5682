//! What the node's tasks share. Everything in here is safe to use from any of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nisse_content::BlockStore;
use nisse_egress::Egress;
use nisse_market::Signer;
use nisse_market::embedded::EmbeddedChain;
use nisse_model::{Address, AgentName, ContentId, DeploymentId, Hash256, InvocationId, Timestamp};
use nisse_orchestrator::{AgentKey, Decision, Declared, Life, Orchestrator, Up};
use nisse_store::{Clock, Commit, Database, Entropy, Journal, JournalError, StateStore};
use tokio::sync::{broadcast, mpsc, watch};

use crate::access::{self, CallNonces, Guard};
use crate::agent::{AgentHandle, Outward};
use crate::audit::Audit;
use crate::bids::OnTheirWay;
use crate::driver::DriverHandle;
use crate::heartbeats::Heard;
use crate::home::Home;
use crate::identity::Identity;
use crate::jobs::{AllUp, JobsHandle};
use crate::keys::Keys;
use crate::lane::{Lane, Lanes};
use crate::ledger::Ledger;
use crate::link::Peers;
use crate::logs::Logs;
use crate::network::Network;
use crate::options::NodeOptions;
use crate::owned::Owned;
use crate::prepare::{Checked, Preparer};
use crate::public::PublicAgent;
use crate::records::Records;
use crate::routes::{Route, Routes, host_names};
use crate::spaces::{AgentSpaces, Spaces};
use crate::supervisor::Supervisor;
use crate::timeline::Timeline;
use crate::unapplied::Unapplied;
use crate::vault::NodeVault;
use crate::wallets::Wallets;

/// Milestones that a slow listener may lag behind.
pub(crate) const MILESTONES_MAX: usize = 1_024;

/// An answer of the chain that is older than this says nothing of now.
const CHAIN_ANSWERS: Duration = Duration::from_secs(15);
/// How long to wait for a journal whose queue is full.
const QUEUE_PAUSE: Duration = Duration::from_millis(2);

/// The shared parts.
pub(crate) struct Core {
    pub(crate) options: NodeOptions,
    pub(crate) home: Home,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) unapplied: Arc<Unapplied>,
    pub(crate) database: Arc<Database>,
    pub(crate) states: StateStore,
    pub(crate) content: Arc<BlockStore>,
    pub(crate) egress: Egress,
    pub(crate) network: Network,
    pub(crate) preparer: Preparer,
    pub(crate) chain: Option<EmbeddedChain>,
    pub(crate) keys: Keys,
    pub(crate) wallets: Arc<Wallets>,
    pub(crate) signer: Arc<dyn Signer>,
    pub(crate) operator: Address,
    pub(crate) logs: Logs,
    pub(crate) records: Arc<Records>,
    pub(crate) outward: mpsc::Sender<Outward>,
    pub(crate) routes: Routes,
    pub(crate) driver: DriverHandle,
    pub(crate) jobs: JobsHandle,
    pub(crate) supervisor: Arc<Supervisor>,
    pub(crate) milestones: broadcast::Sender<Milestone>,
    pub(crate) since: Timestamp,
    pub(crate) lanes: Lanes,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) heard: Heard,
    pub(crate) bids: OnTheirWay,
    pub(crate) moving: Moving,
    pub(crate) vault: NodeVault,
    pub(crate) audit: Arc<Audit>,
    pub(crate) identity: Identity,
    pub(crate) peers: Peers,
    pub(crate) spaces: Spaces,
    pub(crate) owned: Owned,
}

/// What changes while the node runs; spoken to through [`Core`] alone.
#[derive(Default)]
pub(crate) struct Moving {
    running: Mutex<BTreeMap<DeploymentId, Running>>,
    prepared: Mutex<BTreeMap<DeploymentId, Arc<Checked>>>,
    deploying: Mutex<BTreeSet<(Address, AgentName)>>,
    /// By the agent's label: an update forgets nothing of what was asked.
    asked: Mutex<BTreeMap<String, Arc<CallNonces>>>,
    chain_time: AtomicU64,
    /// When that was first seen, and when the chain answered last, in milliseconds of the steady clock.
    chain_seen: AtomicU64,
    chain_answered: AtomicU64,
    failure: watch::Sender<Option<String>>,
    /// Why this node does not show life, though it must.
    silent: watch::Sender<Option<String>>,
    /// Why this node is not registered, though it is to serve others.
    unregistered: watch::Sender<Option<String>>,
    /// Why this node bids on nothing, though there are orders that it would take.
    dear: watch::Sender<Option<String>>,
}

/// A live agent as the node's other parts see it.
#[derive(Clone)]
pub(crate) struct Running {
    pub(crate) handle: AgentHandle,
    /// Names the agent at the egress.
    pub(crate) label: String,
    /// As granted.
    pub(crate) permissions: Vec<String>,
    /// Whom it takes requests of, unless it takes everybody's.
    pub(crate) guard: Option<Arc<Guard>>,
    /// What its package declares.
    pub(crate) declared: Arc<Declared>,
    /// What it has of spaces.
    pub(crate) spaces: Option<Arc<AgentSpaces>>,
    /// Which start of its deployment. Nothing is routed to one that the orchestrator has not decided yet.
    pub(crate) incarnation: u32,
}

/// Something worth telling the person who waits for a deployment.
#[derive(Debug, Clone)]
pub(crate) struct Milestone {
    pub(crate) deployment: DeploymentId,
    pub(crate) name: &'static str,
    pub(crate) detail: String,
}

impl Core {
    /// The live agent of a deployment.
    pub(crate) fn running(&self, deployment: &DeploymentId) -> Option<Running> {
        lock(&self.moving.running).get(deployment).cloned()
    }

    /// Every live agent.
    pub(crate) fn all_running(&self) -> Vec<Running> {
        lock(&self.moving.running).values().cloned().collect()
    }

    pub(crate) fn set_running(&self, deployment: DeploymentId, running: Running) {
        lock(&self.moving.running).insert(deployment, running);
    }

    pub(crate) fn take_running(&self, deployment: &DeploymentId) -> Option<Running> {
        lock(&self.moving.running).remove(deployment)
    }

    pub(crate) fn set_prepared(&self, deployment: DeploymentId, checked: Arc<Checked>) {
        lock(&self.moving.prepared).insert(deployment, checked);
    }

    pub(crate) fn take_prepared(&self, deployment: &DeploymentId) -> Option<Arc<Checked>> {
        lock(&self.moving.prepared).remove(deployment)
    }

    /// Whether nobody else is deploying this name for this owner; it is taken then.
    pub(crate) fn begin_deploying(&self, owner: Address, name: &AgentName) -> bool {
        lock(&self.moving.deploying).insert((owner, name.clone()))
    }

    pub(crate) fn end_deploying(&self, owner: Address, name: &AgentName) {
        lock(&self.moving.deploying).remove(&(owner, name.clone()));
    }

    /// The chain's clock: what its newest look showed, or the node's own before the first one.
    pub(crate) fn chain_time(&self, now: Timestamp) -> Timestamp {
        match self.moving.chain_time.load(Ordering::Relaxed) {
            0 => now,
            at => Timestamp(at),
        }
    }

    pub(crate) fn set_chain_time(&self, at: Timestamp) {
        let now = u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moving.chain_answered.store(now, Ordering::Relaxed);
        // In this order: whoever reads between the two takes the chain to be behind, never ahead.
        if self.moving.chain_time.load(Ordering::Relaxed) != at.0 {
            self.moving.chain_seen.store(now, Ordering::Relaxed);
            self.moving.chain_time.store(at.0, Ordering::Relaxed);
        }
    }

    /// Whether the chain has answered of late.
    pub(crate) fn chain_answers(&self) -> bool {
        let answered = Duration::from_millis(self.moving.chain_answered.load(Ordering::Relaxed));
        self.clock.elapsed().saturating_sub(answered) < CHAIN_ANSWERS
    }

    /// The time that a block made now would carry, as far as can be told. A chain that makes blocks only for transactions
    /// has an old newest one: since that came, its clock has gone on, and it is not behind this machine's.
    pub(crate) fn next_block_time(&self) -> Timestamp {
        match self.chain {
            Some(_) => self.chain_clock(),
            None => self.chain_clock().max(self.clock.now()),
        }
    }

    /// The chain's clock as it goes on since its newest block, whatever this machine's own says.
    pub(crate) fn chain_clock(&self) -> Timestamp {
        let time = self.chain_time(self.clock.now());
        if self.chain.is_some() {
            return time;
        }
        let seen = Duration::from_millis(self.moving.chain_seen.load(Ordering::Relaxed));
        let since = self.clock.elapsed().saturating_sub(seen).as_millis();
        time.plus_ms(u64::try_from(since).unwrap_or(u64::MAX))
    }

    /// Names an agent in caps, logs, their files and audit lines: unique per (owner, name), and what an owner can type.
    pub(crate) fn label(&self, owner: Address, name: &AgentName) -> String {
        label(self.operator, owner, name)
    }

    /// The content that a pin of this name holds.
    pub(crate) fn pinned(&self, name: &str) -> Option<ContentId> {
        let pins = self.content.pins();
        pins.into_iter().find(|pin| pin.name == name).and_then(|pin| pin.roots.first().copied())
    }

    /// The lane of a deployment.
    pub(crate) fn lane(&self, deployment: DeploymentId) -> Arc<Lane> {
        self.lanes.of(&self.supervisor, deployment)
    }

    /// Appends to the journal. A full queue is waited for: it empties as fast as the disk allows.
    pub(crate) async fn append(journal: &Journal, records: &[&[u8]]) -> Result<Commit, JournalError> {
        loop {
            match journal.append_batch(records) {
                Err(JournalError::QueueFull) => tokio::time::sleep(QUEUE_PAUSE).await,
                other => return other,
            }
        }
    }

    /// An invocation id that is the same after a crash: made of what the invocation is for.
    pub(crate) fn stable_invocation(at: Timestamp, parts: &[&[u8]]) -> InvocationId {
        let digest = Hash256::of_parts(parts);
        let mut chance = [0; 10];
        chance.copy_from_slice(&digest.0[..10]);
        InvocationId::new(at, chance)
    }

    /// A timeline that begins now.
    pub(crate) fn timeline(&self) -> Timeline {
        Timeline::begin(Arc::clone(&self.clock))
    }

    /// A fresh name for something that a request makes.
    pub(crate) fn fresh_name(&self, kind: &str) -> String {
        let mut bytes = [0; 12];
        self.entropy.fill(&mut bytes);
        format!("{kind}:{}", hex::encode(bytes))
    }

    /// Tells whoever waits.
    pub(crate) fn milestone(&self, deployment: DeploymentId, name: &'static str, detail: impl Into<String>) {
        let detail = detail.into();
        tracing::info!(target: "nisse::event::deployment", deployment = %deployment, step = name, detail);
        // Nobody waiting is no error.
        let _ = self.milestones.send(Milestone { deployment, name, detail });
    }

    /// Tells of a decision that is durable now.
    pub(crate) fn announce(&self, decision: &Decision) {
        match decision {
            Decision::OrderRefused { deployment, refusal } => {
                self.milestone(*deployment, "refused", refusal.to_string())
            }
            Decision::Assigned { deployment, .. } => self.milestone(*deployment, "assigned", "given to this node"),
            Decision::Started { deployment, .. } => self.milestone(*deployment, "started", "serving"),
            Decision::Acknowledged { deployment, .. } => {
                self.milestone(*deployment, "acknowledged", "the chain has taken the start")
            }
            Decision::Updated { deployment, .. } => self.milestone(*deployment, "updated", "the new package serves"),
            Decision::UpdateRefused { deployment, reason } => {
                self.milestone(*deployment, "update refused", reason.clone());
            }
            Decision::Failed { deployment, stage, reason, .. } => {
                self.milestone(*deployment, "failed", format!("at {stage}: {reason}"));
            }
            Decision::Stopped { deployment, reason, .. } => self.milestone(*deployment, "stopped", reason.to_string()),
            _ => {}
        }
    }

    /// What was asked of an agent with rules.
    pub(crate) fn asked_of(&self, label: &str) -> Arc<CallNonces> {
        let mut asked = lock(&self.moving.asked);
        let now = self.clock.now().seconds();
        asked.retain(|_, nonces| Arc::strong_count(nonces) > 1 || !nonces.is_idle(now));
        Arc::clone(asked.entry(label.to_owned()).or_insert_with(|| Arc::new(access::nonces())))
    }

    /// Makes the routing table anew from the agents that live, and says which of them take jobs.
    pub(crate) fn publish_routes(&self, orchestrator: &Orchestrator) {
        let running = lock(&self.moving.running);
        let (mut table, mut up) = (HashMap::new(), AllUp::new());
        let mut agents: Vec<_> = orchestrator.agents().iter().collect();
        // A live agent's route wins over that of an ended one of the same name.
        agents.sort_by_key(|(deployment, agent)| (agent.life.is_live(), deployment.number));
        for (deployment, agent) in agents {
            let placement = &agent.placement;
            let decided = running.get(deployment).filter(|running| running.incarnation == agent.incarnation);
            if let Some(running) = decided.filter(|_| matches!(agent.life, Life::Running { .. })) {
                let (owner, name) = placement.key();
                let (deployment, incarnation) = (*deployment, running.incarnation);
                let declared = Arc::clone(&running.declared);
                up.insert(AgentKey { owner, name }, Up { deployment, incarnation, declared });
            }
            let route = match decided {
                Some(running) => {
                    Route::Agent(PublicAgent { handle: running.handle.clone(), guard: running.guard.clone() })
                }
                None => Route::Away(agent.life.word()),
            };
            let name = &placement.package.agent_id.name;
            for host in host_names(name, placement.owner, self.operator, &self.options.suffix) {
                table.insert(host, route.clone());
            }
        }
        drop(running);
        self.routes.publish(table);
        self.jobs.set_up(up);
    }

    /// Makes what was written without a sync durable: the next start reads less of the journal.
    pub(crate) fn flush(&self) {
        let index = self.database.flush().map_err(|error| crate::error::chain(&error));
        let states = self.states.flush().map_err(|error| crate::error::chain(&error));
        for error in [index, states].into_iter().filter_map(Result::err) {
            tracing::warn!(error, "the index was not flushed; the next start reads the journal instead");
        }
    }

    /// What the operator should know: the disk refuses what the node records, its heartbeat does not go out, it is not
    /// registered, gas is too dear to bid, or the journal cannot be cut.
    pub(crate) fn trouble(&self) -> Option<String> {
        let (unregistered, dear) = (|| self.moving.unregistered.borrow().clone(), || self.moving.dear.borrow().clone());
        self.disk_trouble()
            .or_else(|| self.silent())
            .or_else(unregistered)
            .or_else(dear)
            .or_else(|| self.unapplied.overdue())
    }

    pub(crate) fn set_unregistered(&self, reason: Option<String>) {
        self.moving.unregistered.send_replace(reason);
    }

    pub(crate) fn set_dear(&self, reason: Option<String>) {
        self.moving.dear.send_replace(reason);
    }

    /// Why this node does not show life to the market, though it must.
    pub(crate) fn silent(&self) -> Option<String> {
        self.moving.silent.borrow().clone()
    }

    pub(crate) fn set_silent(&self, reason: Option<String>) {
        self.moving.silent.send_replace(reason);
    }

    /// Why nothing is recorded now: the disk refuses it.
    pub(crate) fn disk_trouble(&self) -> Option<String> {
        self.driver.trouble().map(|words| words.to_string()).or_else(|| self.records.trouble())
    }

    /// The node cannot go on: said to whoever runs it.
    pub(crate) fn fail(&self, reason: String) {
        self.moving.failure.send_replace(Some(reason));
    }

    /// Waits until the node cannot go on.
    pub(crate) async fn failed(&self) -> String {
        let mut failure = self.moving.failure.subscribe();
        tokio::select! {
            reason = failure.wait_for(Option::is_some) => match reason {
                Ok(reason) => reason.clone().unwrap_or_default(),
                Err(_) => "the node went away".to_owned(),
            },
            reason = self.supervisor.broken() => reason,
        }
    }
}

/// [`Core::label`] on the node of this operator.
pub(crate) fn label(operator: Address, owner: Address, name: &AgentName) -> String {
    if owner == operator { name.to_string() } else { format!("{name}--{}", hex::encode(owner.0)) }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
