//! Each write of the market as a value, so that a decision can be journalled before it is carried out.

mod encode;

use alloy::primitives::U256;
use nisse_model::{Address, Amount, AmountPerHour, ContentId, Hash256, Resources};

use super::MarketAddresses;
use crate::offer::SignedOffer;
use crate::package::ListedPackage;
use crate::selection::Selection;
use crate::tx::TxIntent;

/// What a package is published with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicationTerms {
    /// What.
    pub package: ListedPackage,
    /// Highest price of a paid deployment.
    pub max_rate: AmountPerHour,
    /// Seconds for which bids are collected; 0 = the first valid bid wins.
    pub bid_window_seconds: u32,
    /// Gas that the node may spend for the agent in each started hour.
    pub gas_budget: u64,
}

/// What an order asks for beside its publication; not known to a market from before there was a reputation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OrderTerms {
    /// How the winner is chosen.
    pub selection: Selection,
    /// URL of a gateway that has the package: told with the order and not kept.
    pub provider: Option<String>,
}

/// The arguments of a typed deploy. A home lease leaves payment, rate and node empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeployOrder {
    /// Anyone's publication.
    pub publication: u64,
    /// Moved into escrow.
    pub payment: Amount,
    /// `None`: as published.
    pub max_rate: Option<AmountPerHour>,
    /// `None`: as published.
    pub config_hash: Option<Hash256>,
    /// Another CID of the same artifact.
    pub artifact_cid: Option<ContentId>,
    /// The one node that may bid.
    pub only_node: Option<Address>,
    /// The Manager and number that this one continues.
    pub supersedes: Option<(Address, u64)>,
    /// `None`: the lowest price wins.
    pub terms: Option<OrderTerms>,
}

/// One write.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say what the contracts' own documentation says of them")]
pub enum MarketCall {
    /// Test tokens for this key.
    Faucet {
        amount: Amount,
    },
    /// Tokens of this key's.
    Transfer {
        to: Address,
        amount: Amount,
    },
    /// Lets the Escrow take what this key deploys and deposits.
    ApproveEscrow,
    /// Lets Nodes take this key's stake.
    ApproveNodes,
    Register {
        endpoint: String,
        capacity: Resources,
        stake: Amount,
    },
    SetEndpoint {
        endpoint: String,
    },
    /// More of it, for a node that is registered.
    AddStake {
        amount: Amount,
    },
    Publish(PublicationTerms),
    Deploy(DeployOrder),
    /// An order that is its node's at once: the client takes the offer.
    DeployWith {
        order: Box<DeployOrder>,
        offer: Box<SignedOffer>,
    },
    /// A node's word that a dag-pb artifact is what its hash says.
    Attest {
        deployment: u64,
    },
    /// The TIP's own `deploy(agent_id, cid, payment)`: the caller's own newest publication.
    DeployLiteral {
        agent_id: String,
        cid: String,
        payment: Amount,
    },
    DeployHome(DeployOrder),
    Reject {
        deployment: u64,
        reason: String,
    },
    Bid {
        deployment: u64,
        rate: AmountPerHour,
    },
    /// The TIP's own `bid(agent_id, price_per_hour)`: the one open order of that agent.
    BidLiteral {
        agent_id: String,
        rate: AmountPerHour,
    },
    /// A bid that nobody sees yet.
    CommitBid {
        deployment: u64,
        commitment: Hash256,
    },
    /// What this key committed to.
    RevealBid {
        deployment: u64,
        rate: AmountPerHour,
        salt: Hash256,
    },
    /// Frees what a bid that was not revealed has locked of its node's stake.
    ReclaimBid {
        deployment: u64,
        node: Address,
        commitment: Hash256,
    },
    Assign {
        deployment: u64,
    },
    AckStart {
        deployment: u64,
        incarnation: u32,
    },
    Reopen {
        deployment: u64,
    },
    Stop {
        deployment: u64,
    },
    Expire {
        deployment: u64,
    },
    Settle {
        deployment: u64,
    },
    Pause {
        deployment: u64,
    },
    Resume {
        deployment: u64,
    },
    Update {
        deployment: u64,
        publication: u64,
        config_hash: Option<Hash256>,
        artifact_cid: Option<ContentId>,
    },
    AckUpdate {
        deployment: u64,
        revision: u32,
        incarnation: u32,
    },
    RejectUpdate {
        deployment: u64,
        revision: u32,
        reason: String,
    },
    Deposit {
        deployment: u64,
        amount: Amount,
    },
    /// What this key has earned or been refunded, to `to`.
    WithdrawEarnings {
        to: Address,
    },
    /// This node lives; the root is of what its leases came to.
    Heartbeat {
        root: Hash256,
    },
    /// Proves that a lease's node was silent for a period.
    SlashMissed {
        deployment: u64,
        period: u64,
    },
    /// Notes the paid time of a lease for its node's reputation.
    CountLease {
        deployment: u64,
    },
    /// What this key is owed of slashes.
    ClaimSlashed,
    /// An answer of an agent that this node runs.
    PublishAnswer {
        deployment: u64,
        asset: String,
        answer: i128,
    },
}

impl MarketCall {
    /// The transaction that carries this out.
    pub(crate) fn intent(&self, at: &MarketAddresses) -> TxIntent {
        let (to, data) = self.encode(at);
        TxIntent { to: Some(to), value: U256::ZERO, data: data.into() }
    }
}
