//! From the contracts' shapes to the model's; `None` for what no healthy market holds.

use nisse_model::{Amount, AmountPerHour, Timestamp};

use super::{DeploymentState, DeploymentView, NodeStatus, NodeView, PublicationView};
use crate::contracts::{self, Nodes};
use crate::event::{maybe, seconds};
use crate::package::{FoundPackage, resources};
use crate::tx::to_model;

pub(in crate::market) fn deployment(found: &contracts::Deployment) -> Option<DeploymentView> {
    let supersedes = maybe(found.standing.supersedesMarket).map(|market| (market, found.standing.supersedesId));
    Some(DeploymentView {
        number: found.id,
        owner: to_model(found.owner),
        state: match found.state {
            contracts::State::Unverified => DeploymentState::Unverified,
            contracts::State::Open => DeploymentState::Open,
            contracts::State::Assigned => DeploymentState::Assigned,
            contracts::State::Running => DeploymentState::Running,
            contracts::State::Stopped => DeploymentState::Stopped,
            contracts::State::Expired => DeploymentState::Expired,
            contracts::State::None | contracts::State::__Invalid => return None,
        },
        node: maybe(found.node),
        publication: found.publication,
        package: FoundPackage {
            agent_id: &found.agentId,
            manifest_cid: &found.manifestCid,
            artifact_cid: &found.artifactCid,
            artifact_hash: found.terms.artifactHash,
            config_hash: found.terms.configHash,
            resources: &found.terms.resources,
        }
        .read()?,
        gas_budget: found.terms.gasBudget,
        rate: AmountPerHour(found.terms.rate),
        max_rate: AmountPerHour(found.terms.maxRate),
        bid_window_seconds: found.terms.bidWindow,
        deadline: moment(found.money.deadline),
        started: moment(found.money.startedAt),
        ends_at: moment(found.money.endsAt),
        deposited: Amount(found.money.deposited),
        paid: Amount(found.money.paid),
        due: Amount(found.money.due),
        incarnation: found.standing.incarnation,
        home: found.standing.home,
        paused: found.standing.paused,
        verified: found.standing.verified,
        only_node: maybe(found.standing.onlyNode),
        supersedes,
        update: (found.standing.updatePublication != 0)
            .then_some((found.standing.updateRevision, found.standing.updatePublication)),
    })
}

pub(super) fn publication(found: &contracts::Publication) -> Option<PublicationView> {
    Some(PublicationView {
        number: found.id,
        publisher: to_model(found.publisher),
        package: FoundPackage {
            agent_id: &found.agentId,
            manifest_cid: &found.manifestCid,
            artifact_cid: &found.artifactCid,
            artifact_hash: found.artifactHash,
            config_hash: found.configHash,
            resources: &found.resources,
        }
        .read()?,
        max_rate: AmountPerHour(found.maxRate),
        bid_window_seconds: found.bidWindow,
        published: seconds(found.publishedAt),
    })
}

/// `None` when it is not registered.
pub(in crate::market) fn node(found: Nodes::Node) -> Option<NodeView> {
    let status = match found.status {
        Nodes::Status::Active => NodeStatus::Active,
        Nodes::Status::Paused => NodeStatus::Paused,
        Nodes::Status::None | Nodes::Status::__Invalid => return None,
    };
    Some(NodeView {
        status,
        stake: Amount(found.stake),
        locked: Amount(found.locked),
        unbonding: Amount(found.unbonding),
        unbonded: moment(found.unbondedAt),
        registered: seconds(found.registeredAt),
        capacity: resources(&found.capacity),
        endpoint: found.endpoint,
    })
}

/// Zero means never.
fn moment(at: u64) -> Option<Timestamp> {
    (at != 0).then(|| seconds(at))
}
