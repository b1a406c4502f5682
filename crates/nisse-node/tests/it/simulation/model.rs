//! What is known of the world: only what the node acknowledged, and what was asked of it when the power went.

use std::collections::{BTreeMap, BTreeSet};

use nisse_model::{InvocationRecord, Timestamp};
use nisse_node::Node;
use nisse_node::control::{AgentStatus, DeployRequest};
use nisse_testkit::{Failure, check};

use super::home::package;

/// What an owner adds to a lease, in TALOS.
pub(super) const GIFT: u32 = 2;
/// What an owner pays for a lease, in TALOS.
pub(super) const PAYMENT: u32 = 5;

/// One of the agents of the story: its name and owner stay, deployments come and go.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) name: &'static str,
    /// Whether the other key deploys it and pays; otherwise it has a home lease.
    pub(super) pays: bool,
    pub(super) life: Life,
    /// The package that runs, and the newest that was ever asked for.
    pub(super) version: u32,
    pub(super) version_newest: u32,
    /// An update that was asked for and may come to its end at any time while the agent runs.
    pub(super) pending: Option<u32>,
    /// What was asked and not answered when the last life ended.
    pub(super) asked: Option<Asked>,
    /// All deployments, oldest first; the last one is the one that lives.
    pub(super) deployments: Vec<String>,
    pub(super) memory: Memory,
    /// What the agent remembered before the update that a rollback would undo.
    pub(super) before_update: Option<(u32, Memory)>,
    /// Lines that nothing may bring back.
    pub(super) forgotten: BTreeSet<String>,
    /// Requests that were ever sent.
    pub(super) tried: BTreeSet<String>,
    /// Records that were shown: their hashes by deployment and position.
    pub(super) records: BTreeMap<(String, u64), String>,
    /// How far each deployment's chain of records was checked, and its last record.
    pub(super) checked: BTreeMap<String, (u64, Option<InvocationRecord>)>,
    /// Since when the present deployment lives: what it published before was another one's.
    pub(super) since: u64,
    /// Makes every request a new one.
    pub(super) calls: u64,
    /// TALOS that the present deployment was made with.
    pub(super) paid: u32,
    /// How many gifts into the lease before may have come too late to be paid again.
    pub(super) unseen: u32,
    /// How often more was paid into the present deployment.
    pub(super) funded: u32,
    /// The moment that the last request for an alarm named.
    pub(super) woken: u64,
    /// When its state was last put back or destroyed.
    pub(super) reset_at: u64,
}

/// What an agent's books must say.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory {
    /// Requests that it answered.
    pub(super) calls: BTreeSet<String>,
    /// Alarms that it was seen to have handled.
    pub(super) alarms: BTreeSet<u64>,
    /// An alarm that it was told to set, and that no other was set after.
    pub(super) due: Option<u64>,
}

/// As far as the owner was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Absent,
    Running,
    Paused,
    Stopped,
}

/// A command that was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Deploy,
    Stop,
    Pause,
    Resume,
    Fund,
    Update(u32),
    /// An update, and a pause and a resume while it was under way.
    PausedUpdate(u32),
    /// An update, and a stop while it was under way.
    StoppedUpdate(u32),
    Rollback(u32),
    Destroy,
}

/// All that is known.
#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) slots: Vec<Slot>,
    /// What was added to the content store.
    pub(super) content: BTreeMap<String, Vec<u8>>,
}

impl Default for Model {
    fn default() -> Self {
        let slots = vec![Slot::new("books.home", false), Slot::new("books.paid", true)];
        Self { slots, content: BTreeMap::new() }
    }
}

impl Model {
    /// Deploys every slot for the first time.
    pub(super) async fn begin(&mut self, node: &Node, now: Timestamp) -> Result<(), Failure> {
        for slot in &mut self.slots {
            slot.deploy(node, now).await?;
        }
        Ok(())
    }
}

impl Slot {
    fn new(name: &'static str, pays: bool) -> Self {
        Self {
            name,
            pays,
            life: Life::Absent,
            version: 0,
            version_newest: 0,
            pending: None,
            asked: None,
            deployments: Vec::new(),
            memory: Memory::default(),
            before_update: None,
            forgotten: BTreeSet::new(),
            tried: BTreeSet::new(),
            records: BTreeMap::new(),
            checked: BTreeMap::new(),
            since: 0,
            calls: 0,
            paid: 0,
            unseen: 0,
            funded: 0,
            woken: 0,
            reset_at: 0,
        }
    }

    /// Deploys the package, or the last one again.
    pub(super) async fn deploy(&mut self, node: &Node, now: Timestamp) -> Result<(), Failure> {
        self.asked = Some(Asked::Deploy);
        // Every start sets the alarm.
        (self.memory.due, self.before_update, self.pending, self.since) = (None, None, None, now.0);
        // A start pays what the lease before had been paid, less what came in when it was about to end.
        let again = self.life == Life::Stopped;
        self.paid = if again { self.paid + GIFT * self.funded } else { PAYMENT };
        self.unseen = if again { self.unseen + self.funded } else { 0 };
        self.funded = 0;
        let deployed = match self.life {
            Life::Stopped => node.start(self.name).await?,
            _ => {
                let key = Some(if self.pays { "deployer" } else { "operator" }.to_owned());
                let payment = self.pays.then(|| self.paid.to_string());
                let package = package(self.name, self.version);
                let request = DeployRequest {
                    package,
                    payment,
                    max_rate: None,
                    bid_window_seconds: None,
                    select: None,
                    instant: false,
                    key,
                    wait_ms: None,
                    space: None,
                };
                node.deploy(request, &mut node.timeline()).await?
            }
        };
        self.asked = None;
        self.life = Life::Running;
        check(deployed.state == "running", || format!("{} is {} after it was deployed", self.name, deployed.state))?;
        self.deployments.push(deployed.deployment);
        Ok(())
    }

    /// Whether the agent of this status is this slot's.
    pub(super) fn is(&self, agent: &AgentStatus) -> bool {
        agent.agent_id.split('@').next() == Some(self.name)
    }

    /// What may have become of it, given what was asked last.
    pub(super) fn may_be(&self, life: Life) -> bool {
        let asked_for = match self.asked {
            Some(Asked::Deploy | Asked::Resume) => life == Life::Running,
            Some(Asked::Stop | Asked::StoppedUpdate(_)) => life == Life::Stopped,
            Some(Asked::Pause) => life == Life::Paused,
            Some(Asked::PausedUpdate(_)) => matches!(life, Life::Running | Life::Paused),
            Some(Asked::Destroy) => matches!(life, Life::Stopped | Life::Absent),
            Some(Asked::Fund | Asked::Update(_) | Asked::Rollback(_)) | None => false,
        };
        asked_for || life == self.life
    }

    /// Whether this may be the package that runs.
    pub(super) fn may_run(&self, version: u32) -> bool {
        match self.asked {
            Some(
                Asked::Update(next) | Asked::Rollback(next) | Asked::PausedUpdate(next) | Asked::StoppedUpdate(next),
            ) => version == next || version == self.version,
            _ => version == self.version || Some(version) == self.pending,
        }
    }
}
