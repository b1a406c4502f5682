//! What the orchestrator is told: news from the chain, results of its actions, its owner's commands, time.

use nisse_model::{Amount, AmountPerHour, DeploymentId, Timestamp};

use crate::agent::{Assignment, NextPackage, Placement};
use crate::reason::{CloseReason, FailureStage};

/// An open order on the market.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Which.
    pub deployment: DeploymentId,
    /// What is to run, for whom.
    pub placement: Placement,
    /// The most that it pays.
    pub max_rate: AmountPerHour,
    /// Gas that its answers may burn in each hour.
    pub gas_budget: u64,
    /// When bidding ends; `None` when the first valid bid wins.
    pub bids_until: Option<Timestamp>,
    /// The block in which it opened: an order that came back to the market is another round of bids.
    pub round: u64,
    /// It takes no bids before a quorum of nodes has attested that its artifact is what its hash says.
    pub unverified: bool,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the words of DESIGN and say the same in every variant")]
pub enum Event {
    /// A deployment is open for bids.
    OrderOpened(Order),
    /// A deployment that this node refused is open for bids still: what stood in its way may have passed.
    OrderStands(Order),
    /// The market gave a deployment to this node. `began`: the last incarnation that it knows of, here or elsewhere;
    /// `gas_budget`: gas that its answers may burn in each hour.
    Assigned { deployment: DeploymentId, placement: Placement, assignment: Assignment, began: u32, gas_budget: u64 },
    /// What had ended here is this node's still: the blocks that said otherwise are gone.
    HeldAgain { deployment: DeploymentId, placement: Placement, assignment: Assignment, began: u32, gas_budget: u64 },
    /// The market gave it to another node.
    AssignedElsewhere { deployment: DeploymentId },
    /// An order that was to be looked at again takes no bids any more.
    OrderGone { deployment: DeploymentId },
    /// It came back to the market in the block `round`: bids of earlier rounds do not stand any more.
    Reopened { deployment: DeploymentId, round: u64 },
    /// The chain took `ackStart`.
    Acknowledged { deployment: DeploymentId, at: Timestamp },
    /// The deposit changed.
    Funded { deployment: DeploymentId, deposited: Amount },
    /// Its owner asked for another package.
    UpdateRequested { deployment: DeploymentId, next: NextPackage },
    /// The deployment ended on chain.
    Closed { deployment: DeploymentId, reason: CloseReason },
    /// The market registered this node, or took more stake of it.
    StakeLaid,
    /// An action came to its end.
    Finished { deployment: DeploymentId, result: ActionResult },
    /// A handler's completion record, already durable, held this alarm effect. `completion` is the record's place in the
    /// journal: the one decision that follows names it, and what no decision names is told again after a crash.
    /// `on_trial`: the handler is a new package's, whose update is not decided yet.
    AlarmChanged { deployment: DeploymentId, completion: u64, at: Option<Timestamp>, on_trial: bool },
    /// Time passed. `chain` is the chain's own clock, by which money runs.
    Tick { chain: Timestamp },
}

/// How an action ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the words of the actions")]
pub enum ActionResult {
    /// `Action::Inspect`.
    Inspected(Result<(), PrepareError>),
    /// `Action::Prepare`.
    Prepared(Result<(), PrepareError>),
    /// `Action::Start`: the `started` event was handled, or why not.
    Started(Result<(), String>),
    /// `Action::Swap` of this revision: the new package runs, or why the old one goes on.
    Swapped { revision: u32, result: Result<(), PrepareError> },
    /// `Action::Swap` of this revision: neither package runs, and what it came to is still open.
    SwapLost { revision: u32, error: PrepareError },
    /// The market did not take a write.
    NotTaken(MarketStep),
    /// The market took no bid in this round because of this node's stake, which may be mended.
    StakeTooLow { round: u64, reason: String },
    /// `Action::Assign`: no bid stands in this round, this node's neither.
    NoBids { round: u64 },
    /// `Action::RaiseAlarm`: the handler of the alarm with this number came back.
    AlarmHandled { number: u64, end: AlarmEnd },
}

/// A write to the market that is asked for again as long as it is called for, or that decides about a bid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the words of the actions")]
pub enum MarketStep {
    /// `Action::Bid` in this round.
    Bid { round: u64 },
    /// `Action::Assign` in this round.
    Assign { round: u64 },
    /// `Action::Acknowledge`.
    Acknowledge,
    /// `Action::Expire`.
    Expire,
}

/// How an alarm's handler ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlarmEnd {
    /// Handled.
    Done,
    /// Failed in a way that another try could mend.
    Retry,
    /// Failed for good.
    GiveUp,
    /// The agent was not up: this was no try.
    NotUp,
}

/// Why a package cannot run here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrepareError {
    /// Where it failed.
    pub stage: FailureStage,
    /// What happened, as one sentence.
    pub reason: String,
}

/// What the owner asks of an agent on this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Keep the lease and the events, run nothing.
    Pause,
    /// Run again.
    Resume,
    /// The next update to the package before the last one brings that package's state back.
    Rollback,
}
