//! What the node is to do once the decisions beside it are durable.
//!
//! Every action may be asked for again after a restart, so the node performs each one idempotently: transactions
//! carry an intent key made of the deployment and the step.

use nisse_model::{AmountPerHour, DeploymentId};

use crate::agent::{Alarm, NextPackage, Placement};
use crate::decision::Decision;

/// Decisions to make durable, then actions to perform, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Effects {
    /// Already applied to the orchestrator's state.
    pub decisions: Vec<Decision>,
    /// Performed by the node afterwards.
    pub actions: Vec<Action>,
}

/// One thing for the node to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the words of DESIGN and say the same in every variant")]
pub enum Action {
    /// Fetch and check a package before bidding on it.
    Inspect { deployment: DeploymentId, placement: Placement },
    /// An order was refused for a reason that may have passed: see whether it is still open, and open it anew.
    LookAgain { deployment: DeploymentId },
    /// Tell the chain that its artifact is what its hash says.
    Attest { deployment: DeploymentId, round: u64 },
    /// Offer to run it at this rate.
    Bid { deployment: DeploymentId, round: u64, rate: AmountPerHour },
    /// Ask the market to choose: the bidding of this round is over.
    Assign { deployment: DeploymentId, round: u64, attempt: u32 },
    /// Fetch, verify, compile, link.
    Prepare { deployment: DeploymentId, placement: Placement },
    /// Take calls and events; with `raise_started`, have the `started` event handled first.
    Start { deployment: DeploymentId, incarnation: u32, raise_started: bool },
    /// Tell the chain that it runs: money starts.
    Acknowledge { deployment: DeploymentId, incarnation: u32, attempt: u32 },
    /// Give the order back unpaid, saying why.
    Reject { deployment: DeploymentId, reason: String },
    /// Stop taking calls, let the running one end, drop the instance.
    Halt { deployment: DeploymentId },
    /// Prepare another package beside the running one and swap. `restore` names the swap whose kept state comes back:
    /// the update goes to the package before, so it is a rollback.
    Swap { deployment: DeploymentId, next: NextPackage, incarnation: u32, restore: Option<u32> },
    /// Tell the chain that the new package runs.
    AcknowledgeUpdate { deployment: DeploymentId, revision: u32, incarnation: u32 },
    /// Tell the chain that the old package goes on, saying why.
    RefuseUpdate { deployment: DeploymentId, revision: u32, reason: String },
    /// Raise the alarm event.
    RaiseAlarm { deployment: DeploymentId, alarm: Alarm },
    /// The deposit is used up: settle and close on chain.
    Expire { deployment: DeploymentId },
    /// Nothing of it is known here any more: let go of what is held for it.
    Forget { deployment: DeploymentId, placement: Placement },
}
