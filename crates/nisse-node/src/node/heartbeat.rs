//! What a heartbeat said of a lease, held against the chain.

use nisse_market::{DeploymentState, heartbeat_proof, heartbeat_root};
use nisse_model::{DeploymentId, Hash256};

use super::{Node, market_error};
use crate::control::HeartbeatProof;
use crate::error::{ErrorKind, NodeError};
use crate::heartbeats::Told;
use crate::packages::on_disk;
use crate::wallets::KeyName;

impl Node {
    /// What the last heartbeat of a deployment's node said of it, here or elsewhere. It is proven under the heartbeat's
    /// root, which the chain is asked for.
    pub async fn heartbeat(&self, text: &str) -> Result<HeartbeatProof, NodeError> {
        let deployment = self.deployment_id(text).await?;
        let told = on_disk(&self.core, "read a heartbeat", move |core| {
            let told = Told::last_of(&core.database, deployment);
            told.map_err(|error| NodeError::caused(ErrorKind::Failed, "database_failed", &error))
        });
        if let Some((told, place)) = told.await? {
            let proof = self.proof_of(&told, place);
            return self.held_against_the_chain(deployment, proof).await;
        }
        if let Ok(Some(order)) = self.order(deployment).await
            && order.taken_by.is_some()
        {
            let proof = self.elsewhere(order, "prove a heartbeat of")?.heartbeat().await?;
            return self.held_against_the_chain(deployment, proof).await;
        }
        Err(self.no_heartbeat(deployment).await)
    }

    /// Why nothing is known of a deployment's heartbeats.
    async fn no_heartbeat(&self, deployment: DeploymentId) -> NodeError {
        let found = match self.market_of(KeyName::Operator, &deployment) {
            Ok(market) => market.deployment(deployment.number).await.map_err(|error| market_error(&error)),
            Err(error) => Err(error),
        };
        let unknown = |why: &str, hint: &str| {
            let text = format!("failed to find a heartbeat of {deployment}: {why}");
            NodeError::new(ErrorKind::NotFound, "heartbeat_unknown", text).with_hint(hint.to_owned())
        };
        let listed = "`nisse market ls` lists the deployments";
        match found {
            Err(error) if error.code == "market_unreachable" => error,
            Err(_) => unknown("the market does not know this deployment", listed),
            Ok(view) if view.home => {
                unknown("it is a home lease", "nodes show life for paid leases: nobody loses money by this one")
            }
            Ok(view) if view.state != DeploymentState::Running => {
                unknown("no node runs it now", &format!("`nisse market show {}` tells its life", deployment.number))
            }
            Ok(view) if view.owner != self.core.operator && !self.owners().contains(&view.owner) => unknown(
                "its node proves it to its owner, who is not of this home",
                "ask from the home that deployed it",
            ),
            Ok(_) => unknown(
                "its node has shown no life for it yet, or longer than two hours ago",
                "a node does within the first quarter of each period, of 10 minutes on most markets",
            ),
        }
    }

    fn proof_of(&self, told: &Told, place: usize) -> HeartbeatProof {
        let lease = told.leases[place];
        HeartbeatProof {
            deployment: lease.deployment.to_string(),
            node: self.core.operator.to_string(),
            period: told.period,
            block: told.block,
            records: lease.records,
            state_root: lease.state_root.to_string(),
            record_hash: lease.record_hash.to_string(),
            proof: heartbeat_proof(&told.leases, place).iter().map(Hash256::to_string).collect(),
            root: heartbeat_root(&told.leases).to_string(),
        }
    }

    async fn held_against_the_chain(
        &self,
        deployment: DeploymentId,
        proof: HeartbeatProof,
    ) -> Result<HeartbeatProof, NodeError> {
        let refused = |why: &str| {
            let text = format!("failed to prove a heartbeat of {deployment}: {why}");
            Err(NodeError::new(ErrorKind::Refused, "heartbeat_false", text))
        };
        let (lease, root) = match proof.verify() {
            Ok(verified) => verified,
            Err(error) => return refused(&format!("failed to {error}")),
        };
        let Ok(node) = proof.node.parse() else { return refused("its node is none") };
        if lease.deployment != deployment {
            return refused("it is of another deployment");
        }
        let market = self.market_of(KeyName::Operator, &deployment)?;
        let found = market.root_of_heartbeat(node, proof.period, proof.block).await;
        match found.map_err(|error| market_error(&error))? {
            Some(there) if there == root => Ok(proof),
            Some(_) => refused("the chain has another root for it"),
            None => refused("the chain has no such heartbeat in the block that it names"),
        }
    }
}
