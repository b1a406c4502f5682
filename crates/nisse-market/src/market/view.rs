//! Reading the market at the newest block.

mod read;
mod shapes;

use alloy::providers::Provider as _;
use nisse_model::{Address, Amount};

pub(super) use read::{deployment as read_deployment, node as read_node};
pub use shapes::{DeploymentState, DeploymentView, NodeStatus, NodeView, PublicationView};

use super::{Market, MarketError};
use crate::contracts::{Escrow, Manager, Nodes, TalosToken};
use crate::event::amount;
use crate::tx::{QueueError, to_alloy};

impl Market {
    /// One deployment by number.
    pub async fn deployment(&self, number: u64) -> Result<DeploymentView, MarketError> {
        let manager = self.inner.addresses.manager;
        let found = self.view(manager, "a deployment", Manager::deploymentCall { id: number }).await?;
        read::deployment(&found).ok_or(MarketError::Malformed { what: "a deployment" })
    }

    /// How many deployments there are; they are numbered from 1.
    pub async fn deployments(&self) -> Result<u64, MarketError> {
        self.view(self.inner.addresses.manager, "the number of deployments", Manager::deploymentsCall {}).await
    }

    /// The newest publication of an agent id by its publisher.
    pub async fn publication(&self, publisher: Address, agent_id: &str) -> Result<PublicationView, MarketError> {
        let call = Manager::publicationCall { publisher: to_alloy(publisher), agentId: agent_id.to_owned() };
        let found = self.view(self.inner.addresses.manager, "a publication", call).await?;
        read::publication(&found).ok_or(MarketError::Malformed { what: "a publication" })
    }

    /// A node, or `None` when it is not registered.
    pub async fn node(&self, operator: Address) -> Result<Option<NodeView>, MarketError> {
        let call = Nodes::nodeCall { operator: to_alloy(operator) };
        let found = self.view(self.inner.addresses.nodes, "a node", call).await?;
        Ok(read::node(found))
    }

    /// Tokens in somebody's hands.
    pub async fn balance(&self, account: Address) -> Result<Amount, MarketError> {
        let call = TalosToken::balanceOfCall { account: to_alloy(account) };
        self.view(self.inner.addresses.token, "a balance", call).await.map(amount)
    }

    /// What somebody pays gas with: the chain's own coin, with as many decimals as the token.
    pub async fn gas(&self, account: Address) -> Result<Amount, MarketError> {
        let balance = self.inner.client.provider().get_balance(to_alloy(account)).await;
        Ok(amount(balance.map_err(QueueError::from_question)?))
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
}
