//! What happened on the market: contract logs in the words of the model.

mod read;

use alloy::primitives::Log;
use nisse_model::{Address, Amount, AmountPerHour, Hash256, Timestamp};

pub(crate) use read::{amount, maybe, seconds};

use crate::package::ListedPackage;
use crate::selection::Selection;
use crate::tx::{BlockRef, ChainHash};

/// An event and where it stands. (block, log index) names it for good; after a reorganisation the same event may
/// come again in another block.
#[derive(Debug, Clone, PartialEq)]
pub struct EventAt {
    /// Its block.
    pub block: BlockRef,
    /// Its block's time.
    pub time: Timestamp,
    /// Its transaction.
    pub tx: ChainHash,
    /// Its place among the block's logs.
    pub log_index: u64,
    /// The contract that spoke.
    pub contract: Address,
    /// What happened.
    pub event: MarketEvent,
}

/// Everything that a node needs to decide about an order and to fetch the agent.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderView {
    /// Number of the publication.
    pub publication: u64,
    /// What is to run.
    pub package: ListedPackage,
    /// Paid in with the order.
    pub payment: Amount,
    /// Highest price.
    pub max_rate: AmountPerHour,
    /// Seconds for which bids are collected; 0 = the first valid bid wins.
    pub bid_window_seconds: u32,
    /// When bids close; `None` while unverified.
    pub bidding_ends: Option<Timestamp>,
    /// Gas that the node may spend for the agent in each started hour.
    pub gas_budget: u64,
    /// The one node that may bid.
    pub only_node: Option<Address>,
    /// A home lease: no payment, no end.
    pub home: bool,
    /// The artifact's CID proves its hash, or a quorum attested it.
    pub verified: bool,
}

/// Why a deployment was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoppedBy {
    /// Its owner ended it.
    Owner,
    /// Its node ended it.
    Node,
}

/// Why an order went back to the market.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReopenedFor {
    /// The node did not acknowledge in time.
    NoAck,
    /// The node rejected it.
    Rejected,
    /// The node showed no life in a heartbeat period.
    Silent,
}

/// One event. `deployment` is the number on the contract that spoke; of `Missed` and
/// `Counted`, on the Manager that they name.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields say what the contracts' own documentation says of them")]
pub enum MarketEvent {
    Published { publication: u64, publisher: Address, agent_id: String },
    Deployed { deployment: u64, owner: Address, order: Box<OrderView> },
    OfferRevoked { node: Address, nonce: u64 },
    OrderTerms { deployment: u64, selection: Selection, provider: Option<String> },
    Superseded { deployment: u64, market: Address, old: u64 },
    Attested { deployment: u64, node: Address, attestations: u8 },
    Verified { deployment: u64, bidding_ends: Timestamp },
    BidPlaced { deployment: u64, node: Address, rate: AmountPerHour },
    BidCommitted { deployment: u64, node: Address, commitment: Hash256, round_ends: Timestamp },
    BidRevealed { deployment: u64, node: Address, rate: AmountPerHour },
    BidReclaimed { deployment: u64, node: Address, commitment: Hash256 },
    Assigned { deployment: u64, node: Address, rate: AmountPerHour, ack_by: Option<Timestamp> },
    Started { deployment: u64, node: Address, incarnation: u32, rate: AmountPerHour, started: Timestamp },
    Settled { deployment: u64, node: Address, amount: Amount },
    Stopped { deployment: u64, node: Option<Address>, by: StoppedBy, refund: Amount },
    Expired { deployment: u64, node: Address },
    Rejected { deployment: u64, node: Address, reason: String },
    Reopened { deployment: u64, node: Address, reason: ReopenedFor, bidding_ends: Timestamp },
    UpdateRequested { deployment: u64, node: Address, revision: u32, order: Box<OrderView> },
    Updated { deployment: u64, node: Address, revision: u32, publication: u64, incarnation: u32 },
    UpdateRejected { deployment: u64, node: Address, revision: u32, reason: String },
    Paused { deployment: u64, node: Address },
    Resumed { deployment: u64, node: Address },
    Deposited { deployment: u64, from: Address, amount: Amount },
    WithdrawRequested { deployment: u64, amount: Amount, ready_at: Timestamp },
    Withdrawn { deployment: u64, amount: Amount },
    FeedCreated { deployment: u64, asset: String, feed: Address },
    AnswerPublished { deployment: u64, node: Address, answer: i128, round: u128 },
    Heartbeat { node: Address, period: u64, root: Hash256 },
    Missed { market: Address, deployment: u64, node: Address, period: u64, penalty: Amount },
    Counted { market: Address, deployment: u64, node: Address, seconds: u64 },
    Faulted { node: Address, seconds: u64 },
    NodeRegistered { node: Address, endpoint: String, stake: Amount },
    StakeAdded { node: Address, stake: Amount },
}

impl MarketEvent {
    /// Reads one log. `None` for a log that means nothing to nisse, or that no honest contract writes.
    pub(crate) fn read(log: &Log) -> Option<Self> {
        read::event(log)
    }

    /// The deployment that this is about.
    pub fn deployment(&self) -> Option<u64> {
        match self {
            Self::Published { .. }
            | Self::NodeRegistered { .. }
            | Self::StakeAdded { .. }
            | Self::Heartbeat { .. }
            | Self::OfferRevoked { .. }
            | Self::Faulted { .. } => None,
            Self::Deployed { deployment, .. }
            | Self::Superseded { deployment, .. }
            | Self::Attested { deployment, .. }
            | Self::Verified { deployment, .. }
            | Self::BidPlaced { deployment, .. }
            | Self::BidCommitted { deployment, .. }
            | Self::BidRevealed { deployment, .. }
            | Self::BidReclaimed { deployment, .. }
            | Self::Assigned { deployment, .. }
            | Self::Started { deployment, .. }
            | Self::Settled { deployment, .. }
            | Self::Stopped { deployment, .. }
            | Self::Expired { deployment, .. }
            | Self::Rejected { deployment, .. }
            | Self::Reopened { deployment, .. }
            | Self::UpdateRequested { deployment, .. }
            | Self::Updated { deployment, .. }
            | Self::UpdateRejected { deployment, .. }
            | Self::Paused { deployment, .. }
            | Self::Resumed { deployment, .. }
            | Self::Deposited { deployment, .. }
            | Self::WithdrawRequested { deployment, .. }
            | Self::Withdrawn { deployment, .. }
            | Self::FeedCreated { deployment, .. }
            | Self::Missed { deployment, .. }
            | Self::OrderTerms { deployment, .. }
            | Self::Counted { deployment, .. }
            | Self::AnswerPublished { deployment, .. } => Some(*deployment),
        }
    }
}
