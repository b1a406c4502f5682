//! Writing: submit an intent, wait for its outcome, read what it did.

use alloy::primitives::U256;
use nisse_model::{Address, Amount, AmountPerHour, ContentId, Hash256, Resources};

use super::{DeployOrder, Market, MarketCall, MarketError, PublicationTerms};
use crate::contracts::TalosToken;
use crate::event::MarketEvent;
use crate::offer::SignedOffer;
use crate::tx::{BlockRef, ChainHash, MinedTx, QueueError, TxOutcome, to_alloy, to_model};

/// Approvals of one contract that are sent before a key is given up.
const APPROVALS_MAX: u32 = 16;

/// A write that was carried out.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// Its transaction.
    pub tx: ChainHash,
    /// Its block.
    pub block: BlockRef,
    /// Gas burnt.
    pub gas_used: u64,
    /// What happened, in order.
    pub events: Vec<MarketEvent>,
}

impl Written {
    pub(crate) fn of(mined: MinedTx) -> Self {
        let events = mined.logs.iter().flatten().filter_map(MarketEvent::read).collect();
        Self { tx: mined.hash, block: mined.block, gas_used: mined.gas_used, events }
    }
}

/// What an outcome means to a caller.
pub(super) fn done(outcome: TxOutcome) -> Result<MinedTx, MarketError> {
    match outcome {
        TxOutcome::Mined(mined) => Ok(mined),
        TxOutcome::Reverted { tx, reason } => {
            Err(MarketError::Reverted { block: tx.block.number, gas_used: tx.gas_used, reason })
        }
        TxOutcome::Lost => Err(MarketError::Lost),
    }
}

impl Market {
    /// Takes a write under the caller's name for it. Once this returns, it is durable and will be carried out once.
    pub async fn submit(&self, intent: &str, call: &MarketCall) -> Result<(), MarketError> {
        let addresses = &self.inner.addresses;
        Ok(self.inner.queue.submit(intent, call.intent(addresses)).await?)
    }

    /// Waits for what became of a write of this run or of an earlier one.
    pub async fn outcome(&self, intent: &str) -> Result<Written, MarketError> {
        done(self.inner.queue.outcome(intent).await?).map(Written::of)
    }

    /// [`Market::submit`] and [`Market::outcome`].
    pub async fn write(&self, intent: &str, call: &MarketCall) -> Result<Written, MarketError> {
        self.submit(intent, call).await?;
        self.outcome(intent).await
    }

    /// Test tokens for this key.
    pub async fn faucet(&self, intent: &str, amount: Amount) -> Result<Written, MarketError> {
        self.write(intent, &MarketCall::Faucet { amount }).await
    }

    /// Makes this key a node with this stake.
    pub async fn register(
        &self,
        intent: &str,
        endpoint: &str,
        capacity: Resources,
        stake: Amount,
    ) -> Result<Written, MarketError> {
        self.approve("nodes", self.inner.addresses.nodes, &MarketCall::ApproveNodes).await?;
        self.write(intent, &MarketCall::Register { endpoint: endpoint.to_owned(), capacity, stake }).await
    }

    /// Adds to the stake of this key's node.
    pub async fn add_stake(&self, intent: &str, amount: Amount) -> Result<Written, MarketError> {
        self.approve("nodes", self.inner.addresses.nodes, &MarketCall::ApproveNodes).await?;
        self.write(intent, &MarketCall::AddStake { amount }).await
    }

    /// Announces where this node is reached from now on.
    pub async fn set_endpoint(&self, intent: &str, endpoint: &str) -> Result<Written, MarketError> {
        self.write(intent, &MarketCall::SetEndpoint { endpoint: endpoint.to_owned() }).await
    }

    /// Publishes a package; the publication's number.
    pub async fn publish(&self, intent: &str, terms: PublicationTerms) -> Result<u64, MarketError> {
        let written = self.write(intent, &MarketCall::Publish(terms)).await?;
        let published = written.events.iter().find_map(|event| match event {
            MarketEvent::Published { publication, .. } => Some(*publication),
            _ => None,
        });
        published.ok_or(MarketError::Malformed { what: "the publication's number" })
    }

    /// Orders a publication to be run; the deployment's number.
    pub async fn deploy(&self, intent: &str, order: DeployOrder) -> Result<u64, MarketError> {
        self.approve("escrow", self.inner.addresses.escrow, &MarketCall::ApproveEscrow).await?;
        deployed(&self.write(intent, &MarketCall::Deploy(order)).await?)
    }

    /// Takes a node's offer: the order is that node's at once. The deployment's number.
    pub async fn deploy_with(&self, intent: &str, order: DeployOrder, offer: SignedOffer) -> Result<u64, MarketError> {
        self.approve("escrow", self.inner.addresses.escrow, &MarketCall::ApproveEscrow).await?;
        let call = MarketCall::DeployWith { order: Box::new(order), offer: Box::new(offer) };
        deployed(&self.write(intent, &call).await?)
    }

    /// The TIP's `deploy(agent_id, cid, payment)`; the deployment's number.
    pub async fn deploy_literal(
        &self,
        intent: &str,
        agent_id: &str,
        cid: &str,
        payment: Amount,
    ) -> Result<u64, MarketError> {
        self.approve("escrow", self.inner.addresses.escrow, &MarketCall::ApproveEscrow).await?;
        let call = MarketCall::DeployLiteral { agent_id: agent_id.to_owned(), cid: cid.to_owned(), payment };
        deployed(&self.write(intent, &call).await?)
    }

    /// Takes a publication into this node's own house; the deployment's number.
    pub async fn deploy_home(&self, intent: &str, order: DeployOrder) -> Result<u64, MarketError> {
        deployed(&self.write(intent, &MarketCall::DeployHome(order)).await?)
    }

    /// Offers to run an order.
    pub async fn bid(&self, intent: &str, deployment: u64, rate: AmountPerHour) -> Result<Written, MarketError> {
        self.write(intent, &MarketCall::Bid { deployment, rate }).await
    }

    /// Says that the agent is live: money runs from here.
    pub async fn ack_start(&self, intent: &str, deployment: u64, incarnation: u32) -> Result<Written, MarketError> {
        self.write(intent, &MarketCall::AckStart { deployment, incarnation }).await
    }

    /// Ends a deployment and refunds the rest.
    pub async fn stop(&self, intent: &str, deployment: u64) -> Result<Written, MarketError> {
        self.write(intent, &MarketCall::Stop { deployment }).await
    }

    /// Lets the agent rest; the node is paid on.
    pub async fn pause(&self, intent: &str, deployment: u64) -> Result<Written, MarketError> {
        self.write(intent, &MarketCall::Pause { deployment }).await
    }

    /// Lets a resting agent go on.
    pub async fn resume(&self, intent: &str, deployment: u64) -> Result<Written, MarketError> {
        self.write(intent, &MarketCall::Resume { deployment }).await
    }

    /// Asks the node to run another publication of the same agent; the request's revision.
    pub async fn update(
        &self,
        intent: &str,
        deployment: u64,
        publication: u64,
        config_hash: Option<Hash256>,
        artifact_cid: Option<ContentId>,
    ) -> Result<u32, MarketError> {
        let call = MarketCall::Update { deployment, publication, config_hash, artifact_cid };
        let written = self.write(intent, &call).await?;
        let revision = written.events.iter().find_map(|event| match event {
            MarketEvent::UpdateRequested { revision, .. } => Some(*revision),
            _ => None,
        });
        revision.ok_or(MarketError::Malformed { what: "the update's revision" })
    }

    /// Runs what the owner asked for.
    pub async fn ack_update(
        &self,
        intent: &str,
        deployment: u64,
        revision: u32,
        incarnation: u32,
    ) -> Result<Written, MarketError> {
        self.write(intent, &MarketCall::AckUpdate { deployment, revision, incarnation }).await
    }

    /// Could not bring an update to life.
    pub async fn reject_update(
        &self,
        intent: &str,
        deployment: u64,
        revision: u32,
        reason: &str,
    ) -> Result<Written, MarketError> {
        self.write(intent, &MarketCall::RejectUpdate { deployment, revision, reason: reason.to_owned() }).await
    }

    /// Tops a deployment up.
    pub async fn deposit(&self, intent: &str, deployment: u64, amount: Amount) -> Result<Written, MarketError> {
        self.approve("escrow", self.inner.addresses.escrow, &MarketCall::ApproveEscrow).await?;
        self.write(intent, &MarketCall::Deposit { deployment, amount }).await
    }

    /// Draws what this key has earned or been refunded.
    pub async fn withdraw(&self, intent: &str, to: Address) -> Result<Written, MarketError> {
        self.write(intent, &MarketCall::WithdrawEarnings { to }).await
    }

    /// Approves a contract of this market; nothing is sent when it is approved already.
    ///
    /// An approval that was lost, or that a reorganisation took away after it was final, is sent again under another
    /// name: a second one changes nothing, and without one this key could never deploy again.
    async fn approve(&self, name: &str, spender: Address, call: &MarketCall) -> Result<(), MarketError> {
        for attempt in 1..=APPROVALS_MAX {
            if self.is_approved(spender).await? {
                return Ok(());
            }
            let intent = match attempt {
                1 => format!("approve/{name}/{spender}"),
                _ => format!("approve/{name}/{spender}/{attempt}"),
            };
            match self.outcome(&intent).await {
                Err(MarketError::Queue(QueueError::UnknownIntent(_))) => match self.write(&intent, call).await {
                    Err(MarketError::Lost) => {}
                    written => return written.map(drop),
                },
                Err(error @ MarketError::Queue(_)) => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
        Err(MarketError::Lost)
    }

    async fn is_approved(&self, spender: Address) -> Result<bool, MarketError> {
        let view = TalosToken::allowanceCall { owner: to_alloy(self.key()), spender: to_alloy(spender) };
        let allowance = self.view(self.inner.addresses.token, "an allowance", view).await?;
        Ok(allowance >= U256::from(u128::MAX))
    }
}

fn deployed(written: &Written) -> Result<u64, MarketError> {
    let number = written.events.iter().find_map(|event| match event {
        MarketEvent::Deployed { deployment, .. } => Some(*deployment),
        _ => None,
    });
    number.ok_or(MarketError::Malformed { what: "the deployment's number" })
}

/// The contract that a creation made.
pub(super) fn created(outcome: TxOutcome) -> Result<Address, MarketError> {
    let created = done(outcome)?.created;
    created.map(|address| to_model(to_alloy(address))).ok_or(MarketError::Malformed { what: "a created contract" })
}
