//! What the orchestrator decided: the only thing that changes its state, and what the node's journal keeps.
//!
//! These types are the stored form. They are written by [`crate::encode`] with a version before them; a change of
//! shape is a new version.

use nisse_model::{AmountPerHour, DeploymentId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::agent::{Agent, Assignment, NextPackage, Placement};
use crate::reason::{CloseReason, FailureStage, Refusal};
use crate::stored::{millis, text};

/// One durable decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are the words of DESIGN and say the same in every variant")]
pub enum Decision {
    /// The node came up: every live agent is restarted.
    Booted {
        #[serde(with = "millis")]
        at: Timestamp,
    },
    /// The node takes no new work, or takes it again.
    Draining { draining: bool },
    /// An order is worth looking at: its package is being fetched and checked.
    OrderSeen {
        #[serde(with = "text")]
        deployment: DeploymentId,
        placement: Placement,
        #[serde(with = "crate::stored::rate")]
        max_rate: AmountPerHour,
        /// Milliseconds; zero when the first valid bid wins.
        #[serde(with = "millis")]
        bids_until: Timestamp,
        round: u64,
        #[serde(default)]
        gas_budget: u64,
        /// It takes no bids before its artifact is attested.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unverified: bool,
    },
    /// The artifact of an unverified order is what its hash says: the chain is told so.
    Attested {
        #[serde(with = "text")]
        deployment: DeploymentId,
    },
    /// An order was looked at and not bid on.
    OrderRefused {
        #[serde(with = "text")]
        deployment: DeploymentId,
        refusal: Refusal,
    },
    /// A bid was made; its room is held until it is won or lost.
    BidMade {
        #[serde(with = "text")]
        deployment: DeploymentId,
        #[serde(with = "crate::stored::rate")]
        rate: AmountPerHour,
    },
    /// The bid did not win, or the order is gone, refused ones too.
    BidLost {
        #[serde(with = "text")]
        deployment: DeploymentId,
    },
    /// The market gave the order to this node.
    Assigned {
        #[serde(with = "text")]
        deployment: DeploymentId,
        placement: Placement,
        assignment: Assignment,
        /// The last incarnation that the market knew of.
        #[serde(default)]
        began: u32,
    },
    /// The package is here, verified, compiled and linked.
    Prepared {
        #[serde(with = "text")]
        deployment: DeploymentId,
    },
    /// `started` was handled; the endpoint is live.
    Started {
        #[serde(with = "text")]
        deployment: DeploymentId,
        #[serde(with = "millis")]
        at: Timestamp,
    },
    /// The chain took `ackStart` at this time of its own clock: money runs.
    Acknowledged {
        #[serde(with = "text")]
        deployment: DeploymentId,
        #[serde(with = "millis")]
        at: Timestamp,
    },
    /// The lease's deposit changed.
    Funded {
        #[serde(with = "text")]
        deployment: DeploymentId,
        #[serde(with = "crate::stored::amount")]
        deposited: nisse_model::Amount,
    },
    Paused {
        #[serde(with = "text")]
        deployment: DeploymentId,
        #[serde(with = "millis")]
        at: Timestamp,
    },
    Resumed {
        #[serde(with = "text")]
        deployment: DeploymentId,
        #[serde(with = "millis")]
        at: Timestamp,
    },
    /// The owner wants the package before the last update back, with its state; the update itself comes by the market.
    RollbackAsked {
        #[serde(with = "text")]
        deployment: DeploymentId,
    },
    /// The owner asked for another package; the old one goes on until it is ready.
    UpdateBegan {
        #[serde(with = "text")]
        deployment: DeploymentId,
        next: NextPackage,
    },
    /// The new package runs.
    Updated {
        #[serde(with = "text")]
        deployment: DeploymentId,
        #[serde(with = "millis")]
        at: Timestamp,
    },
    /// The new package was refused; the old one goes on.
    UpdateRefused {
        #[serde(with = "text")]
        deployment: DeploymentId,
        reason: String,
    },
    /// It could not be run.
    Failed {
        #[serde(with = "text")]
        deployment: DeploymentId,
        stage: FailureStage,
        reason: String,
        #[serde(with = "millis")]
        at: Timestamp,
    },
    /// It ended.
    Stopped {
        #[serde(with = "text")]
        deployment: DeploymentId,
        reason: CloseReason,
        #[serde(with = "millis")]
        at: Timestamp,
    },
    /// A handler set its alarm, or a failed one is tried again later.
    AlarmSet {
        #[serde(with = "text")]
        deployment: DeploymentId,
        #[serde(with = "millis")]
        at: Timestamp,
        #[serde(with = "millis")]
        due: Timestamp,
        attempt: u32,
        number: u64,
        /// The completion whose effect it takes up; `None` for one that is tried again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        completion: Option<u64>,
        /// By a new package whose update is not decided yet: where that is refused, the alarm before comes back.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        on_trial: bool,
    },
    /// A handler cleared its alarm, or the alarm was handled.
    AlarmCleared {
        #[serde(with = "text")]
        deployment: DeploymentId,
        /// The completion whose effect it takes up; `None` for one that was handled.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        completion: Option<u64>,
        /// As in `AlarmSet`.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        on_trial: bool,
    },
    /// Everything about one agent at once: what a compacted journal begins with.
    Remembered {
        #[serde(with = "text")]
        deployment: DeploymentId,
        agent: Box<Agent>,
    },
    /// Nothing of it is kept here any more.
    Forgotten {
        #[serde(with = "text")]
        deployment: DeploymentId,
    },
}

impl Decision {
    /// The deployment that it is about.
    pub fn deployment(&self) -> Option<DeploymentId> {
        match self {
            Self::Booted { .. } | Self::Draining { .. } => None,
            Self::OrderSeen { deployment, .. }
            | Self::Attested { deployment }
            | Self::OrderRefused { deployment, .. }
            | Self::BidMade { deployment, .. }
            | Self::BidLost { deployment }
            | Self::Assigned { deployment, .. }
            | Self::Prepared { deployment }
            | Self::Started { deployment, .. }
            | Self::Acknowledged { deployment, .. }
            | Self::Funded { deployment, .. }
            | Self::Paused { deployment, .. }
            | Self::Resumed { deployment, .. }
            | Self::RollbackAsked { deployment }
            | Self::UpdateBegan { deployment, .. }
            | Self::Updated { deployment, .. }
            | Self::UpdateRefused { deployment, .. }
            | Self::Failed { deployment, .. }
            | Self::Stopped { deployment, .. }
            | Self::AlarmSet { deployment, .. }
            | Self::AlarmCleared { deployment, .. }
            | Self::Remembered { deployment, .. }
            | Self::Forgotten { deployment } => Some(*deployment),
        }
    }
}
