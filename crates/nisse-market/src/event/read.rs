//! Logs of the contracts, read into events.

use alloy::primitives::{Log, U256};
use alloy::sol_types::SolEventInterface;
use nisse_model::{Address, Amount, AmountPerHour, Hash256, Timestamp};

use super::{MarketEvent, OrderView, ReopenedFor, StoppedBy};
use crate::contracts::{self, Heartbeats, Manager, Nodes, OracleFeeds, Reputation};
use crate::package::FoundPackage;
use crate::selection::Selection;
use crate::tx::to_model;

pub(super) fn event(log: &Log) -> Option<MarketEvent> {
    manager(log).or_else(|| nodes(log)).or_else(|| feeds(log)).or_else(|| heartbeats(log)).or_else(|| reputation(log))
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
        E::OfferRevoked(e) => MarketEvent::OfferRevoked { node: to_model(e.node), nonce: e.nonce },
        E::OrderTerms(e) => MarketEvent::OrderTerms {
            deployment: e.id,
            selection: Selection::read(&e.selection)?,
            provider: (!e.provider.is_empty()).then_some(e.provider),
        },
        E::Superseded(e) => MarketEvent::Superseded { deployment: e.id, market: to_model(e.market), old: e.oldId },
        E::Attested(e) => {
            MarketEvent::Attested { deployment: e.id, node: to_model(e.node), attestations: e.attestations }
        }
        E::Verified(e) => MarketEvent::Verified { deployment: e.id, bidding_ends: seconds(e.biddingEnds) },
        E::BidPlaced(e) => {
            MarketEvent::BidPlaced { deployment: e.id, node: to_model(e.node), rate: AmountPerHour(e.rate) }
        }
        E::BidCommitted(e) => MarketEvent::BidCommitted {
            deployment: e.id,
            node: to_model(e.node),
            commitment: Hash256(e.commitment.0),
            round_ends: seconds(e.roundEnds),
        },
        E::BidRevealed(e) => {
            MarketEvent::BidRevealed { deployment: e.id, node: to_model(e.node), rate: AmountPerHour(e.rate) }
        }
        E::BidReclaimed(e) => {
            MarketEvent::BidReclaimed { deployment: e.id, node: to_model(e.node), commitment: Hash256(e.commitment.0) }
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
                contracts::ReopenReason::Silent => ReopenedFor::Silent,
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

fn heartbeats(log: &Log) -> Option<MarketEvent> {
    use Heartbeats::HeartbeatsEvents as E;
    Some(match E::decode_log(log).ok()?.data {
        E::Heartbeat(e) => {
            MarketEvent::Heartbeat { node: to_model(e.node), period: e.period.to(), root: Hash256(e.root.0) }
        }
        E::Missed(e) => MarketEvent::Missed {
            market: to_model(e.manager),
            deployment: e.deployment,
            node: to_model(e.node),
            period: e.period.to(),
            penalty: amount(e.penalty),
        },
    })
}

fn reputation(log: &Log) -> Option<MarketEvent> {
    use Reputation::ReputationEvents as E;
    Some(match E::decode_log(log).ok()?.data {
        E::Counted(e) => MarketEvent::Counted {
            market: to_model(e.manager),
            deployment: e.deployment,
            node: to_model(e.node),
            seconds: e.seconds_.saturating_to(),
        },
        E::Faulted(e) => MarketEvent::Faulted { node: to_model(e.node), seconds: e.seconds_.saturating_to() },
    })
}

fn order(order: &contracts::Order) -> Option<OrderView> {
    Some(OrderView {
        publication: order.publication,
        package: FoundPackage {
            agent_id: &order.agentId,
            manifest_cid: &order.manifestCid,
            artifact_cid: &order.artifactCid,
            artifact_hash: order.artifactHash,
            config_hash: order.configHash,
            resources: &order.resources,
        }
        .read()?,
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

/// The zero address means nobody.
pub(crate) fn maybe(address: alloy::primitives::Address) -> Option<Address> {
    (!address.is_zero()).then(|| to_model(address))
}

/// A time of the chain.
pub(crate) fn seconds(seconds: u64) -> Timestamp {
    Timestamp(seconds.saturating_mul(1000))
}

/// The contracts keep every amount below 2^96.
pub(crate) fn amount(amount: U256) -> Amount {
    Amount(amount.saturating_to())
}
