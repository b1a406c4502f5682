//! Writes as the contracts take them: which contract, and the call's bytes.

use alloy::primitives::aliases::U40;
use alloy::primitives::{B256, Bytes, I256, U256};
use alloy::sol_types::SolCall;
use nisse_model::{Address, Amount, ContentId, Hash256, Resources};

use super::{DeployOrder, MarketCall, OrderTerms, PublicationTerms};
use crate::contracts::{self, Escrow, Heartbeats, Manager, Nodes, OracleFeeds, Reputation, TalosToken};
use crate::market::MarketAddresses;
use crate::tx::to_alloy;

impl MarketCall {
    pub(super) fn encode(&self, at: &MarketAddresses) -> (Address, Vec<u8>) {
        match self {
            Self::Faucet { amount } => (at.token, TalosToken::faucetCall { amount: wide(*amount) }.abi_encode()),
            Self::Transfer { to, amount } => {
                (at.token, TalosToken::transferCall { to: to_alloy(*to), amount: wide(*amount) }.abi_encode())
            }
            // Without a limit, so that two deploys at once do not take each other's allowance: the Escrow takes only
            // what its Manager was told by the payer's own call.
            Self::ApproveEscrow => (at.token, approve(at.escrow)),
            Self::ApproveNodes => (at.token, approve(at.nodes)),
            Self::Register { endpoint, capacity, stake } => {
                let call =
                    Nodes::registerCall { endpoint: endpoint.clone(), capacity: resources(capacity), stake: stake.0 };
                (at.nodes, call.abi_encode())
            }
            Self::SetEndpoint { endpoint } => {
                (at.nodes, Nodes::setEndpointCall { endpoint: endpoint.clone() }.abi_encode())
            }
            Self::AddStake { amount } => (at.nodes, Nodes::addStakeCall { amount: amount.0 }.abi_encode()),
            Self::WithdrawEarnings { to } => (at.escrow, Escrow::withdrawCall { to: to_alloy(*to) }.abi_encode()),
            Self::PublishAnswer { deployment, asset, answer } => {
                let answer = I256::try_from(*answer).expect("128 bits fit into 256");
                let call = OracleFeeds::publishCall { deployment: *deployment, asset: asset.clone(), answer };
                (at.feeds, call.abi_encode())
            }
            Self::ClaimSlashed => (at.nodes, Nodes::claimSlashedCall {}.abi_encode()),
            Self::Heartbeat { root } => (heartbeats(at), Heartbeats::heartbeatCall { root: hash(*root) }.abi_encode()),
            Self::SlashMissed { deployment, period } => {
                let period = U40::saturating_from(*period);
                let call =
                    Heartbeats::slashMissedCall { manager: to_alloy(at.manager), deployment: *deployment, period };
                (heartbeats(at), call.abi_encode())
            }
            Self::CountLease { deployment } => {
                let call = Reputation::countCall { manager: to_alloy(at.manager), deployment: *deployment };
                (at.reputation.unwrap_or_default(), call.abi_encode())
            }
            _ => (at.manager, self.encode_for_manager()),
        }
    }

    fn encode_for_manager(&self) -> Vec<u8> {
        match self.clone() {
            Self::Publish(terms) => publish(terms).abi_encode(),
            Self::Deploy(order) => match order.terms.clone() {
                None => Manager::deploy_0Call { params: params(order) }.abi_encode(),
                Some(OrderTerms { selection, provider }) => {
                    let (selection, provider) = (selection.to_contract(), provider.unwrap_or_default());
                    let terms = contracts::Terms { selection, provider };
                    Manager::deployUnderCall { params: params(order), terms }.abi_encode()
                }
            },
            Self::DeployWith { order, offer } => {
                let (params, signature) = (params(*order), offer.signature.to_vec().into());
                Manager::deployWithCall { params, offer: offer.offer.to_contract(), signature }.abi_encode()
            }
            Self::DeployLiteral { agent_id, cid, payment } => {
                Manager::deploy_1Call { agentId: agent_id, ipfsCid: cid, payment: wide(payment) }.abi_encode()
            }
            Self::DeployHome(order) => Manager::deployHomeCall { params: params(order) }.abi_encode(),
            Self::Reject { deployment: id, reason } => Manager::rejectCall { id, reason }.abi_encode(),
            Self::Attest { deployment: id } => Manager::attestCall { id }.abi_encode(),
            Self::Bid { deployment: id, rate } => Manager::bid_0Call { id, rate: rate.0 }.abi_encode(),
            Self::BidLiteral { agent_id, rate } => {
                Manager::bid_1Call { agentId: agent_id, price: U256::from(rate.0) }.abi_encode()
            }
            Self::CommitBid { deployment: id, commitment } => {
                Manager::commitBidCall { id, commitment: hash(commitment) }.abi_encode()
            }
            Self::RevealBid { deployment: id, rate, salt } => {
                Manager::revealBidCall { id, rate: rate.0, salt: hash(salt) }.abi_encode()
            }
            Self::ReclaimBid { deployment: id, node, commitment } => {
                Manager::reclaimBidCall { id, node: to_alloy(node), commitment: hash(commitment) }.abi_encode()
            }
            Self::Assign { deployment: id } => Manager::assignCall { id }.abi_encode(),
            Self::AckStart { deployment: id, incarnation } => Manager::ackStartCall { id, incarnation }.abi_encode(),
            Self::Reopen { deployment: id } => Manager::reopenCall { id }.abi_encode(),
            Self::Stop { deployment: id } => Manager::stopCall { id }.abi_encode(),
            Self::Expire { deployment: id } => Manager::expireCall { id }.abi_encode(),
            Self::Settle { deployment: id } => Manager::settleCall { id }.abi_encode(),
            Self::Pause { deployment: id } => Manager::pauseCall { id }.abi_encode(),
            Self::Resume { deployment: id } => Manager::resumeCall { id }.abi_encode(),
            Self::Update { deployment: id, publication, config_hash, artifact_cid } => Manager::updateCall {
                id,
                publicationId: publication,
                configHash: hash(config_hash.unwrap_or_default()),
                artifactCid: cid(artifact_cid),
            }
            .abi_encode(),
            Self::AckUpdate { deployment: id, revision, incarnation } => {
                Manager::ackUpdateCall { id, revision, incarnation }.abi_encode()
            }
            Self::RejectUpdate { deployment: id, revision, reason } => {
                Manager::rejectUpdateCall { id, revision, reason }.abi_encode()
            }
            Self::Deposit { deployment: id, amount } => Manager::depositCall { id, amount: amount.0 }.abi_encode(),
            Self::Faucet { .. }
            | Self::Transfer { .. }
            | Self::ApproveEscrow
            | Self::ApproveNodes
            | Self::Register { .. }
            | Self::SetEndpoint { .. }
            | Self::AddStake { .. }
            | Self::WithdrawEarnings { .. }
            | Self::Heartbeat { .. }
            | Self::SlashMissed { .. }
            | Self::ClaimSlashed
            | Self::CountLease { .. }
            | Self::PublishAnswer { .. } => unreachable!("encoded for its own contract"),
        }
    }
}

/// A market without heartbeats is asked for none by this program: the zero address takes them and does nothing.
fn heartbeats(at: &MarketAddresses) -> Address {
    at.heartbeats.unwrap_or_default()
}

fn publish(terms: PublicationTerms) -> Manager::publishCall {
    let package = terms.package;
    Manager::publishCall {
        agentId: package.agent_id,
        manifestCid: package.manifest_cid.to_bytes().into(),
        manifestHash: hash(package.manifest_cid.digest()),
        artifactCid: package.artifact_cid.to_bytes().into(),
        artifactHash: hash(package.artifact_hash),
        configHash: hash(package.config_hash),
        resources: resources(&package.resources),
        maxRate: terms.max_rate.0,
        bidWindow: terms.bid_window_seconds,
        gasBudget: terms.gas_budget,
    }
}

fn params(order: DeployOrder) -> contracts::DeployParams {
    let (market, number) = order.supersedes.unwrap_or_default();
    contracts::DeployParams {
        publication: order.publication,
        payment: order.payment.0,
        maxRate: order.max_rate.unwrap_or_default().0,
        configHash: hash(order.config_hash.unwrap_or_default()),
        artifactCid: cid(order.artifact_cid),
        onlyNode: to_alloy(order.only_node.unwrap_or_default()),
        supersedesMarket: to_alloy(market),
        supersedesId: number,
    }
}

fn approve(spender: Address) -> Vec<u8> {
    TalosToken::approveCall { spender: to_alloy(spender), amount: U256::MAX }.abi_encode()
}

fn resources(resources: &Resources) -> contracts::Resources {
    contracts::Resources { cpuMillis: resources.cpu.millis, memoryBytes: resources.memory.0, gpu: resources.gpu }
}

fn cid(cid: Option<ContentId>) -> Bytes {
    cid.map(|cid| cid.to_bytes().into()).unwrap_or_default()
}

fn hash(hash: Hash256) -> B256 {
    B256::from(hash.0)
}

fn wide(amount: Amount) -> U256 {
    U256::from(amount.0)
}
