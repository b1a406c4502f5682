//! One agent on this node: what it is, who deployed it, and where in its life it stands.

mod update;

use nisse_model::{Address, AgentName, Amount, AmountPerHour, LeaseTerms, PackageRef, Resources, Timestamp};
use serde::{Deserialize, Serialize};

use crate::orchestrator::{AlarmPace, Asking};
use crate::reason::{CloseReason, FailureStage};
use crate::stored::{millis, text};

pub use update::NextPackage;

/// A package with the owner who deployed it and the room it asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// The deployer's address.
    #[serde(with = "text")]
    pub owner: Address,
    /// What runs.
    #[serde(with = "crate::stored::package")]
    pub package: PackageRef,
    /// What it asks for.
    #[serde(with = "crate::stored::resources")]
    pub resources: Resources,
}

impl Placement {
    /// What its host names are made of: two placements with the same one cannot both be reached. An alias has dashes
    /// for dots, and an owner shows as eight hex digits.
    pub(crate) fn host_key(&self) -> (String, String) {
        (self.package.agent_id.name.as_str().replace('.', "-"), self.owner.short())
    }

    /// State and endpoint are keyed by owner and name, never by deployment.
    pub fn key(&self) -> (Address, AgentName) {
        (self.owner, self.package.agent_id.name.clone())
    }
}

/// Why this node runs an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Assignment {
    /// The node's owner deployed it here: rate zero, no end, no heartbeat.
    Home,
    /// A paid lease.
    Lease(Lease),
}

/// What the escrow holds for a paid agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Price per hour.
    #[serde(with = "crate::stored::rate")]
    pub rate: AmountPerHour,
    /// All that was ever paid in, less what the client took back.
    #[serde(with = "crate::stored::amount")]
    pub deposited: Amount,
}

/// Where an agent's life stands. A variant carries only what that state knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "life", rename_all = "snake_case")]
pub enum Life {
    /// Assigned; fetching, verifying, compiling, linking.
    Preparing,
    /// Prepared; its `started` event is being handled.
    Starting,
    /// Serving. Money runs from the acknowledgement.
    Running {
        /// When `started` had been handled.
        #[serde(with = "millis")]
        since: Timestamp,
        /// When the chain took `ackStart`; `None` while that is under way. At home there is nothing to wait for.
        #[serde(with = "crate::stored::millis_option")]
        acknowledged: Option<Timestamp>,
    },
    /// Keeps its events and its lease, runs nothing.
    Paused {
        /// When.
        #[serde(with = "millis")]
        since: Timestamp,
        /// As in `Running`.
        #[serde(with = "crate::stored::millis_option")]
        acknowledged: Option<Timestamp>,
    },
    /// Ended by its owner, by its deposit or by the market.
    Stopped {
        /// Why.
        reason: CloseReason,
        /// When.
        #[serde(with = "millis")]
        at: Timestamp,
    },
    /// Could not run. Costs nobody money.
    Failed {
        /// Where it failed.
        stage: FailureStage,
        /// What happened, as one sentence.
        reason: String,
        /// When.
        #[serde(with = "millis")]
        at: Timestamp,
    },
}

impl Life {
    /// Whether it takes room on the node.
    pub fn is_live(&self) -> bool {
        !matches!(self, Self::Stopped { .. } | Self::Failed { .. })
    }

    /// The word that `status` prints.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Preparing => "preparing",
            Self::Starting => "starting",
            Self::Running { .. } => "running",
            Self::Paused { .. } => "paused",
            Self::Stopped { .. } => "stopped",
            Self::Failed { .. } => "failed",
        }
    }
}

/// The agent's one alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// When the handler asked to be woken.
    #[serde(with = "millis")]
    pub at: Timestamp,
    /// When it is due: later than `at` after a failed try.
    #[serde(with = "millis")]
    pub due: Timestamp,
    /// 1 for the first try.
    pub attempt: u32,
    /// Counts the alarms that this agent ever set, so that two for the same moment are still two.
    pub number: u64,
}

/// What stands where an alarm did before an update: none as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AlarmBefore {
    pub(crate) alarm: Option<Alarm>,
}

/// One agent on this node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// What runs and for whom.
    pub placement: Placement,
    /// Why here.
    pub assignment: Assignment,
    /// Where it stands.
    pub life: Life,
    /// Counts starts of the same deployment: an update or a new assignment begins another incarnation.
    pub incarnation: u32,
    /// How often a node came up and found it live.
    pub restarts: u32,
    /// The one alarm, if set.
    pub alarm: Option<Alarm>,
    /// The alarm that an update found, once the new package has changed it and until the update is decided.
    #[serde(default)]
    pub(crate) alarm_before: Option<AlarmBefore>,
    /// The package that an update asked for, while the old one still runs.
    pub next: Option<NextPackage>,
    /// The package before the last update, for `rollback`.
    #[serde(with = "crate::stored::package_option")]
    pub previous: Option<PackageRef>,
    /// Why the last update was refused.
    pub update_refused: Option<String>,
    /// The last update request that was answered.
    pub revision_done: u32,
    /// The update that put `previous` away: its state before the swap is kept under this number.
    pub previous_revision: u32,
    /// Its owner wants the package before the last update back, with its state.
    pub rollback_asked: bool,
    /// A request that came while another one was under way.
    pub queued: Option<NextPackage>,
    /// Alarms set so far.
    pub alarms: u64,
    /// When the chain took a start of which this one knows nothing, while the agent comes up: money runs already. After a
    /// reorganisation a lease comes back as it had been.
    #[serde(default, with = "crate::stored::millis_option", skip_serializing_if = "Option::is_none")]
    pub(crate) acknowledged_before: Option<Timestamp>,
    /// It came as far as serving, so there may be a state that its owner wants back. Before this was noted, all did.
    #[serde(default = "yes")]
    pub(crate) ran: bool,
    /// A wake-up was handed to the agent and has not come back.
    #[serde(skip)]
    pub(crate) alarm_in_flight: bool,
    /// How often it was woken of late.
    #[serde(skip)]
    pub(crate) alarm_pace: AlarmPace,
    /// The swap to `next` is under way in the agent's lane.
    #[serde(skip)]
    pub(crate) swapping: bool,
    /// The market is asked to take its start.
    #[serde(skip)]
    pub(crate) acknowledging: Asking,
    /// The market is asked to end it.
    #[serde(skip)]
    pub(crate) expiring: Asking,
    /// It had been running and did not come up again after a restart of the node.
    #[serde(skip)]
    pub(crate) setback: Option<Setback>,
}

fn yes() -> bool {
    true
}

/// A running agent that did not come up again: tried a bounded number of times before its lease is given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setback {
    /// Tries so far.
    pub tries: u32,
    /// When the next one comes; `None` while one is under way.
    pub due: Option<Timestamp>,
    /// Where the last one failed.
    pub stage: FailureStage,
    /// What happened, as one sentence.
    pub reason: String,
}

impl Agent {
    pub(crate) fn new(placement: Placement, assignment: Assignment, incarnation: u32) -> Self {
        Self {
            placement,
            assignment,
            life: Life::Preparing,
            incarnation,
            restarts: 0,
            alarm: None,
            alarm_before: None,
            next: None,
            previous: None,
            update_refused: None,
            revision_done: 0,
            previous_revision: 0,
            rollback_asked: false,
            queued: None,
            alarms: 0,
            acknowledged_before: None,
            ran: false,
            alarm_in_flight: false,
            alarm_pace: AlarmPace::default(),
            swapping: false,
            acknowledging: Asking::default(),
            expiring: Asking::default(),
            setback: None,
        }
    }

    /// What keeps a running agent from coming up, where something does.
    pub fn setback(&self) -> Option<&Setback> {
        self.setback.as_ref()
    }

    /// The same agent under a deployment of its own on a newer version of the market. What that market has yet to hear
    /// of it begins anew: revisions of updates, and with them the way back to the package before the last one.
    #[must_use]
    pub fn reopened(&self, acknowledged: Option<Timestamp>) -> Self {
        let life = match self.life.clone() {
            Life::Running { since, .. } => Life::Running { since, acknowledged },
            Life::Paused { since, .. } => Life::Paused { since, acknowledged },
            other => other,
        };
        Self {
            life,
            previous: None,
            update_refused: None,
            revision_done: 0,
            previous_revision: 0,
            rollback_asked: false,
            acknowledged_before: None,
            ..self.clone()
        }
    }

    /// When money began to run, by the chain's clock, as far as that was heard.
    pub(crate) fn paid_since(&self) -> Option<Timestamp> {
        match self.life {
            Life::Running { acknowledged, .. } | Life::Paused { acknowledged, .. } => acknowledged,
            Life::Preparing | Life::Starting => self.acknowledged_before,
            Life::Stopped { .. } | Life::Failed { .. } => None,
        }
    }

    /// When the lease's deposit is used up; `None` at home and before money runs.
    pub fn ends_at(&self) -> Option<Timestamp> {
        let Assignment::Lease(lease) = &self.assignment else { return None };
        LeaseTerms { rate: lease.rate, started: self.paid_since()? }.ends_at(lease.deposited)
    }
}
