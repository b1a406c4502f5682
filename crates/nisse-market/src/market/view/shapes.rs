//! What stands on the market, in the words of the model.

use nisse_model::{Address, Amount, AmountPerHour, Resources, Timestamp};

use crate::package::ListedPackage;

/// The shortest bid window of an order whose bids are sealed: the contract's.
const SEALED_WINDOW_MIN_SECONDS: u32 = 2;

/// Where a deployment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeploymentState {
    /// A dag-pb artifact that no quorum attested yet.
    Unverified,
    /// Bids are taken.
    Open,
    /// A node is to start it.
    Assigned,
    /// It runs, and is paid for.
    Running,
    /// Owner or node ended it.
    Stopped,
    /// Its deposit was used up.
    Expired,
}

/// Everything that a status page shows of one deployment.
#[derive(Debug, Clone, PartialEq)]
pub struct DeploymentView {
    /// Its number.
    pub number: u64,
    /// Who pays and decides.
    pub owner: Address,
    /// Where it stands.
    pub state: DeploymentState,
    /// Who runs it, or leads the bidding.
    pub node: Option<Address>,
    /// Number of the publication that runs.
    pub publication: u64,
    /// What runs, or is to run.
    pub package: ListedPackage,
    /// Gas that the node may spend for the agent in each started hour.
    pub gas_budget: u64,
    /// Of the lease, or of the best bid while open.
    pub rate: AmountPerHour,
    /// Highest price; zero at home.
    pub max_rate: AmountPerHour,
    /// Seconds for which bids are collected.
    pub bid_window_seconds: u32,
    /// End of bidding, or last moment of the ack.
    pub deadline: Option<Timestamp>,
    /// When money began to run.
    pub started: Option<Timestamp>,
    /// When the deposit is used up.
    pub ends_at: Option<Timestamp>,
    /// Paid in, less what the client withdrew or was refunded.
    pub deposited: Amount,
    /// Credited to the node so far.
    pub paid: Amount,
    /// What a settlement now would credit.
    pub due: Amount,
    /// Number of the agent's last start.
    pub incarnation: u32,
    /// A home lease.
    pub home: bool,
    /// Resting.
    pub paused: bool,
    /// The artifact's CID proves its hash, or a quorum attested it.
    pub verified: bool,
    /// The one node that may bid.
    pub only_node: Option<Address>,
    /// The Manager and number that this one continues.
    pub supersedes: Option<(Address, u64)>,
    /// The pending update's revision and publication.
    pub update: Option<(u32, u64)>,
}

impl DeploymentView {
    /// When the round of bids on an open order is over; `None` where the first valid bid wins.
    pub fn round_ends(&self) -> Option<Timestamp> {
        self.deadline.filter(|_| self.state == DeploymentState::Open && self.bid_window_seconds > 0)
    }

    /// When the sealed bids of an open order are revealed: from the one and before the other, which ends the round.
    pub fn reveals(&self) -> Option<(Timestamp, Timestamp)> {
        let ends = self.deadline.filter(|_| self.state == DeploymentState::Open)?;
        let window = self.bid_window_seconds;
        // One that an update brought; it has no time to commit.
        let reveals = if window < SEALED_WINDOW_MIN_SECONDS { window } else { window / 2 };
        Some((Timestamp(ends.0.saturating_sub(u64::from(reveals) * 1_000)), ends))
    }
}

/// A published package.
#[derive(Debug, Clone, PartialEq)]
pub struct PublicationView {
    /// Its number.
    pub number: u64,
    /// Who published it.
    pub publisher: Address,
    /// What was published.
    pub package: ListedPackage,
    /// Highest price.
    pub max_rate: AmountPerHour,
    /// Seconds for which bids are collected.
    pub bid_window_seconds: u32,
    /// When.
    pub published: Timestamp,
}

/// Whether a node takes part in the market.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeStatus {
    /// It may bid.
    Active,
    /// It does not want to.
    Paused,
}

/// A registered node.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeView {
    /// Whether it takes part.
    pub status: NodeStatus,
    /// Its stake at work.
    pub stake: Amount,
    /// Of it, held for leases.
    pub locked: Amount,
    /// On its way out.
    pub unbonding: Amount,
    /// When that is free.
    pub unbonded: Option<Timestamp>,
    /// When it registered.
    pub registered: Timestamp,
    /// What it offers.
    pub capacity: Resources,
    /// Where it answers.
    pub endpoint: String,
}
