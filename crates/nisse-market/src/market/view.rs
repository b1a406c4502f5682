//! Reading the market at the newest block.

use nisse_model::{Address, Amount, AmountPerHour, ContentId, Hash256, Resources, Timestamp};

use super::{Market, MarketError};
use crate::contracts::{self, Escrow, Manager, Nodes, OracleFeed, OracleFeeds, TalosToken};
use crate::event::{amount, content, maybe, resources, seconds};
use crate::tx::{to_alloy, to_model};

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
    /// Name and version.
    pub agent_id: String,
    /// The raw block of agent.yaml.
    pub manifest_cid: ContentId,
    /// The artifact.
    pub artifact_cid: ContentId,
    /// SHA-256 of the artifact's bytes.
    pub artifact_hash: Hash256,
    /// SHA-256 of the merged configuration; zero for none.
    pub config_hash: Hash256,
    /// What the agent needs.
    pub resources: Resources,
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

/// A published package.
#[derive(Debug, Clone, PartialEq)]
pub struct PublicationView {
    /// Its number.
    pub number: u64,
    /// Who published it.
    pub publisher: Address,
    /// Name and version.
    pub agent_id: String,
    /// The raw block of agent.yaml.
    pub manifest_cid: ContentId,
    /// The artifact.
    pub artifact_cid: ContentId,
    /// SHA-256 of the artifact's bytes.
    pub artifact_hash: Hash256,
    /// SHA-256 of the merged configuration; zero for none.
    pub config_hash: Hash256,
    /// What the agent needs.
    pub resources: Resources,
    /// Highest price.
    pub max_rate: AmountPerHour,
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

/// The newest answer of an oracle feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OracleAnswer {
    /// The feed's contract.
    pub feed: Address,
    /// Its count.
    pub round: u128,
    /// The value, with the feed's 8 decimals.
    pub answer: i128,
    /// When.
    pub updated: Timestamp,
}

impl Market {
    /// One deployment by number.
    pub async fn deployment(&self, number: u64) -> Result<DeploymentView, MarketError> {
        let manager = self.inner.addresses.manager;
        let found = self.view(manager, "a deployment", Manager::deploymentCall { id: number }).await?;
        deployment(&found).ok_or(MarketError::Malformed { what: "a deployment" })
    }

    /// How many deployments there are; they are numbered from 1.
    pub async fn deployments(&self) -> Result<u64, MarketError> {
        self.view(self.inner.addresses.manager, "the number of deployments", Manager::deploymentsCall {}).await
    }

    /// The newest publication of an agent id by its publisher.
    pub async fn publication(&self, publisher: Address, agent_id: &str) -> Result<PublicationView, MarketError> {
        let call = Manager::publicationCall { publisher: to_alloy(publisher), agentId: agent_id.to_owned() };
        let found = self.view(self.inner.addresses.manager, "a publication", call).await?;
        publication(&found).ok_or(MarketError::Malformed { what: "a publication" })
    }

    /// One publication by number.
    pub async fn publication_by_number(&self, number: u64) -> Result<PublicationView, MarketError> {
        let call = Manager::publicationByIdCall { id: number };
        let found = self.view(self.inner.addresses.manager, "a publication", call).await?;
        publication(&found).ok_or(MarketError::Malformed { what: "a publication" })
    }

    /// A node, or `None` when it is not registered.
    pub async fn node(&self, operator: Address) -> Result<Option<NodeView>, MarketError> {
        let call = Nodes::nodeCall { operator: to_alloy(operator) };
        let found = self.view(self.inner.addresses.nodes, "a node", call).await?;
        let status = match found.status {
            Nodes::Status::Active => NodeStatus::Active,
            Nodes::Status::Paused => NodeStatus::Paused,
            Nodes::Status::None | Nodes::Status::__Invalid => return Ok(None),
        };
        Ok(Some(NodeView {
            status,
            stake: Amount(found.stake),
            locked: Amount(found.locked),
            unbonding: Amount(found.unbonding),
            unbonded: moment(found.unbondedAt),
            registered: seconds(found.registeredAt),
            capacity: resources(&found.capacity),
            endpoint: found.endpoint,
        }))
    }

    /// The least stake of a node.
    pub async fn min_stake(&self) -> Result<Amount, MarketError> {
        self.view(self.inner.addresses.nodes, "the least stake", Nodes::minStakeCall {}).await.map(Amount)
    }

    /// Tokens in somebody's hands.
    pub async fn balance(&self, account: Address) -> Result<Amount, MarketError> {
        let call = TalosToken::balanceOfCall { account: to_alloy(account) };
        self.view(self.inner.addresses.token, "a balance", call).await.map(amount)
    }

    /// Tokens that somebody may draw from the Escrow.
    pub async fn claimable(&self, payee: Address) -> Result<Amount, MarketError> {
        let call = Escrow::claimableCall { payee: to_alloy(payee) };
        self.view(self.inner.addresses.escrow, "what may be drawn", call).await.map(amount)
    }

    /// All that somebody was ever credited with.
    pub async fn earned(&self, payee: Address) -> Result<Amount, MarketError> {
        let call = Escrow::earnedCall { payee: to_alloy(payee) };
        self.view(self.inner.addresses.escrow, "what was earned", call).await.map(amount)
    }

    /// Gas that the node may have spent for a running deployment by now.
    pub async fn gas_allowance(&self, number: u64) -> Result<u64, MarketError> {
        let call = Manager::gasAllowanceCall { id: number };
        let allowance = self.view(self.inner.addresses.manager, "the gas allowance", call).await?;
        Ok(allowance.saturating_to())
    }

    /// The newest answer of a deployment's feed, or `None` when it never published.
    pub async fn latest_answer(&self, number: u64, asset: &str) -> Result<Option<OracleAnswer>, MarketError> {
        let call = OracleFeeds::feedOfCall { deployment: number, asset: asset.to_owned() };
        let feed = maybe(self.view(self.inner.addresses.feeds, "a feed", call).await?);
        let Some(feed) = feed else { return Ok(None) };
        let data = self.view(feed, "a feed's answer", OracleFeed::latestRoundDataCall {}).await?;
        Ok(Some(OracleAnswer {
            feed,
            round: data.roundId.to(),
            answer: data.answer.try_into().map_err(|_| MarketError::Malformed { what: "a feed's answer" })?,
            updated: seconds(data.updatedAt.saturating_to()),
        }))
    }
}

fn deployment(found: &contracts::Deployment) -> Option<DeploymentView> {
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
        agent_id: found.agentId.clone(),
        manifest_cid: content(&found.manifestCid)?,
        artifact_cid: content(&found.artifactCid)?,
        artifact_hash: Hash256(found.terms.artifactHash.0),
        config_hash: Hash256(found.terms.configHash.0),
        resources: resources(&found.terms.resources),
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

fn publication(found: &contracts::Publication) -> Option<PublicationView> {
    Some(PublicationView {
        number: found.id,
        publisher: to_model(found.publisher),
        agent_id: found.agentId.clone(),
        manifest_cid: content(&found.manifestCid)?,
        artifact_cid: content(&found.artifactCid)?,
        artifact_hash: Hash256(found.artifactHash.0),
        config_hash: Hash256(found.configHash.0),
        resources: resources(&found.resources),
        max_rate: AmountPerHour(found.maxRate),
        published: seconds(found.publishedAt),
    })
}

/// Zero means never.
fn moment(at: u64) -> Option<Timestamp> {
    (at != 0).then(|| seconds(at))
}
