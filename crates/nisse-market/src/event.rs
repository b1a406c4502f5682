//! What happened on the market: contract logs in the words of the model.

use alloy::primitives::{Bytes, Log, U256};
use alloy::sol_types::SolEventInterface;
use nisse_model::{Address, Amount, AmountPerHour, ByteSize, ContentId, Cpu, Hash256, Resources, Timestamp};

use crate::contracts::{self, Manager, Nodes, OracleFeeds};
use crate::tx::{BlockRef, ChainHash, to_model};

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
    /// Name and version.
    pub agent_id: String,
    /// One raw block: agent.yaml.
    pub manifest_cid: ContentId,
    /// The artifact, raw or dag-pb.
    pub artifact_cid: ContentId,
    /// SHA-256 of the artifact's bytes.
    pub artifact_hash: Hash256,
    /// SHA-256 of the merged configuration; zero for none.
    pub config_hash: Hash256,
    /// What the agent needs.
    pub resources: Resources,
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
    /// The node's free stake no longer covered it.
    StakeGone,
}

/// One event. `deployment` is the number on the contract that spoke.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields say what the contracts' own documentation says of them")]
pub enum MarketEvent {
    Published { publication: u64, publisher: Address, agent_id: String },
    Deployed { deployment: u64, owner: Address, order: Box<OrderView> },
    Superseded { deployment: u64, market: Address, old: u64 },
    Attested { deployment: u64, node: Address, attestations: u8 },
    Verified { deployment: u64, bidding_ends: Timestamp },
    BidPlaced { deployment: u64, node: Address, rate: AmountPerHour },
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
    NodeRegistered { node: Address, endpoint: String, stake: Amount },
    StakeAdded { node: Address, stake: Amount },
}

impl MarketEvent {
    /// Reads one log. `None` for a log that means nothing to nisse, or that no honest contract writes.
    pub(crate) fn read(log: &Log) -> Option<Self> {
        manager(log).or_else(|| nodes(log)).or_else(|| feeds(log))
    }

    /// The deployment that this is about.
    pub fn deployment(&self) -> Option<u64> {
        match self {
            Self::Published { .. } | Self::NodeRegistered { .. } | Self::StakeAdded { .. } => None,
            Self::Deployed { deployment, .. }
            | Self::Superseded { deployment, .. }
            | Self::Attested { deployment, .. }
            | Self::Verified { deployment, .. }
            | Self::BidPlaced { deployment, .. }
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
            | Self::AnswerPublished { deployment, .. } => Some(*deployment),
        }
    }
}

fn manager(log: &Log) -> Option<MarketEvent> {
    use Manager::ManagerEvents as E;
    Some(match E::decode_log(log).ok()?.data {
        E::Published(e) => MarketEvent::Published {
            publication: e.id,
            publisher: to_model(e.publisher),
            agent_id: e.publication.agentId,
        },
        E::Deployed(e) => {
            MarketEvent::Deployed { deployment: e.id, owner: to_model(e.owner), order: Box::new(order(&e.order)?) }
        }
        E::Superseded(e) => MarketEvent::Superseded { deployment: e.id, market: to_model(e.market), old: e.oldId },
        E::Attested(e) => {
            MarketEvent::Attested { deployment: e.id, node: to_model(e.node), attestations: e.attestations }
        }
        E::Verified(e) => MarketEvent::Verified { deployment: e.id, bidding_ends: seconds(e.biddingEnds) },
        E::BidPlaced(e) => {
            MarketEvent::BidPlaced { deployment: e.id, node: to_model(e.node), rate: AmountPerHour(e.rate) }
        }
        E::Assigned(e) => MarketEvent::Assigned {
            deployment: e.id,
            node: to_model(e.node),
            rate: AmountPerHour(e.rate),
            ack_by: (e.ackBy != 0).then(|| seconds(e.ackBy)),
        },
        E::Started(e) => MarketEvent::Started {
            deployment: e.id,
            node: to_model(e.node),
            incarnation: e.incarnation,
            rate: AmountPerHour(e.rate),
            started: seconds(e.startedAt),
        },
        E::Settled(e) => MarketEvent::Settled { deployment: e.id, node: to_model(e.node), amount: amount(e.amount) },
        E::Stopped(e) => MarketEvent::Stopped {
            deployment: e.id,
            node: maybe(e.node),
            by: match e.reason {
                contracts::StopReason::Owner => StoppedBy::Owner,
                contracts::StopReason::Node => StoppedBy::Node,
                contracts::StopReason::__Invalid => return None,
            },
            refund: amount(e.refund),
        },
        E::Expired(e) => MarketEvent::Expired { deployment: e.id, node: to_model(e.node) },
        E::Rejected(e) => MarketEvent::Rejected { deployment: e.id, node: to_model(e.node), reason: e.reason },
        E::Reopened(e) => MarketEvent::Reopened {
            deployment: e.id,
            node: to_model(e.node),
            reason: match e.reason {
                contracts::ReopenReason::NoAck => ReopenedFor::NoAck,
                contracts::ReopenReason::Rejected => ReopenedFor::Rejected,
                contracts::ReopenReason::StakeGone => ReopenedFor::StakeGone,
                contracts::ReopenReason::__Invalid => return None,
            },
            bidding_ends: seconds(e.biddingEnds),
        },
        E::UpdateRequested(e) => MarketEvent::UpdateRequested {
            deployment: e.id,
            node: to_model(e.node),
            revision: e.revision,
            order: Box::new(order(&e.order)?),
        },
        E::Updated(e) => MarketEvent::Updated {
            deployment: e.id,
            node: to_model(e.node),
            revision: e.revision,
            publication: e.publication,
            incarnation: e.incarnation,
        },
        E::UpdateRejected(e) => MarketEvent::UpdateRejected {
            deployment: e.id,
            node: to_model(e.node),
            revision: e.revision,
            reason: e.reason,
        },
        E::Paused(e) => MarketEvent::Paused { deployment: e.id, node: to_model(e.node) },
        E::Resumed(e) => MarketEvent::Resumed { deployment: e.id, node: to_model(e.node) },
        E::Deposited(e) => {
            MarketEvent::Deposited { deployment: e.id, from: to_model(e.from), amount: Amount(e.amount) }
        }
        E::ClientWithdrawRequested(e) => {
            MarketEvent::WithdrawRequested { deployment: e.id, amount: Amount(e.amount), ready_at: seconds(e.readyAt) }
        }
        E::ClientWithdrawn(e) => MarketEvent::Withdrawn { deployment: e.id, amount: Amount(e.amount) },
    })
}

fn nodes(log: &Log) -> Option<MarketEvent> {
    use Nodes::NodesEvents as E;
    Some(match E::decode_log(log).ok()?.data {
        E::NodeRegistered(e) => {
            MarketEvent::NodeRegistered { node: to_model(e.node), endpoint: e.endpoint, stake: Amount(e.stake) }
        }
        E::StakeAdded(e) => MarketEvent::StakeAdded { node: to_model(e.node), stake: Amount(e.stake) },
    })
}

fn feeds(log: &Log) -> Option<MarketEvent> {
    use OracleFeeds::OracleFeedsEvents as E;
    Some(match E::decode_log(log).ok()?.data {
        E::FeedCreated(e) => {
            MarketEvent::FeedCreated { deployment: e.deployment, asset: e.asset, feed: to_model(e.feed) }
        }
        E::AnswerPublished(e) => MarketEvent::AnswerPublished {
            deployment: e.deployment,
            node: to_model(e.node),
            answer: e.answer.try_into().ok()?,
            round: e.roundId.to(),
        },
    })
}

fn order(order: &contracts::Order) -> Option<OrderView> {
    Some(OrderView {
        publication: order.publication,
        agent_id: order.agentId.clone(),
        manifest_cid: content(&order.manifestCid)?,
        artifact_cid: content(&order.artifactCid)?,
        artifact_hash: Hash256(order.artifactHash.0),
        config_hash: Hash256(order.configHash.0),
        resources: resources(&order.resources),
        payment: Amount(order.payment),
        max_rate: AmountPerHour(order.maxRate),
        bid_window_seconds: order.bidWindow,
        bidding_ends: (order.biddingEnds != 0).then(|| seconds(order.biddingEnds)),
        gas_budget: order.gasBudget,
        only_node: maybe(order.onlyNode),
        home: order.home,
        verified: order.verified,
    })
}

pub(crate) fn resources(resources: &contracts::Resources) -> Resources {
    Resources { cpu: Cpu { millis: resources.cpuMillis }, memory: ByteSize(resources.memoryBytes), gpu: resources.gpu }
}

/// The zero address means nobody.
pub(crate) fn maybe(address: alloy::primitives::Address) -> Option<Address> {
    (!address.is_zero()).then(|| to_model(address))
}

pub(crate) fn content(bytes: &Bytes) -> Option<ContentId> {
    ContentId::from_bytes(bytes).ok()
}

/// A time of the chain.
pub(crate) fn seconds(seconds: u64) -> Timestamp {
    Timestamp(seconds.saturating_mul(1000))
}

/// The contracts keep every amount below 2^96.
pub(crate) fn amount(amount: U256) -> Amount {
    Amount(amount.saturating_to())
}
