//! From what an owner types to the agent or the order that is meant.

use nisse_model::{Address, AgentName, DeploymentId};
use nisse_orchestrator::Agent;

use super::Node;
use super::orders::Order;
use crate::error::{ErrorKind, NodeError};

/// What a name leads to.
pub(super) enum Found {
    /// An agent that this node runs or ran.
    Agent(Box<Agent>),
    /// An order of this home that this node does not run.
    Order(Box<Order>),
}

/// A name with the owner, where one was given: `NAME`, `NAME--OWNER8`, either with `@vVERSION`.
struct Wanted {
    name: AgentName,
    owner: Option<String>,
}

impl Wanted {
    fn read(text: &str) -> Option<Self> {
        let bare = text.split_once('@').map_or(text, |(name, _)| name);
        let (name, owner) = match bare.split_once("--") {
            Some((name, owner)) => (name, Some(owner.to_owned())),
            None => (bare, None),
        };
        Some(Self { name: name.parse().ok()?, owner })
    }

    fn is(&self, name: &AgentName, owner: Address) -> bool {
        // At least the eight hex digits that a host name shows.
        let digits = self.owner.as_deref();
        self.name == *name && digits.is_none_or(|digits| digits.len() >= 8 && hex::encode(owner.0).starts_with(digits))
    }
}

impl Node {
    /// An agent or an order by its name or deployment. What is live comes first, here or elsewhere.
    pub(super) async fn find(&self, text: &str) -> Result<(DeploymentId, Found), NodeError> {
        if let Ok(deployment) = text.parse::<DeploymentId>() {
            let agent = self.look(move |all| all.agent(&deployment).cloned()).await?;
            // Without the chain there is still what this node knows.
            return match (self.order(deployment).await, agent) {
                (Ok(Some(order)), _) => Ok((deployment, Found::Order(Box::new(order)))),
                (_, Some(agent)) => Ok((deployment, Found::Agent(Box::new(agent)))),
                (Ok(None), None) => Err(self.unknown(text, &[]).await),
                (Err(error), None) => Err(error),
            };
        }
        let Some(wanted) = Wanted::read(text) else { return Err(self.unknown(text, &[]).await) };
        let (name, owner) = (wanted.name.clone(), wanted.owner.clone());
        let here = self
            .look(move |all| {
                let wanted = Wanted { name, owner };
                let is = |agent: &Agent| wanted.is(&agent.placement.package.agent_id.name, agent.placement.owner);
                let matching = all.agents().iter().filter(|(_, agent)| is(agent));
                let best = matching.max_by_key(|(deployment, agent)| (agent.life.is_live(), deployment.number));
                best.map(|(deployment, agent)| (*deployment, agent.clone()))
            })
            .await?;
        if let Some((deployment, agent)) = here.clone().filter(|(_, agent)| agent.life.is_live()) {
            return Ok((deployment, Found::Agent(Box::new(agent))));
        }
        let orders = match (self.orders().await, &here) {
            (Ok(orders), _) => orders,
            (Err(error), None) => return Err(error),
            (Err(_), Some(_)) => Vec::new(),
        };
        let (mut named, others): (Vec<_>, Vec<_>) =
            orders.into_iter().partition(|order| wanted.is(&order.agent_id.name, order.view.owner));
        if !named.is_empty() {
            let newest = named.swap_remove(0);
            return Ok((newest.deployment, Found::Order(Box::new(newest))));
        }
        match here {
            Some((deployment, agent)) => Ok((deployment, Found::Agent(Box::new(agent)))),
            None => Err(self.unknown(text, &others).await),
        }
    }

    /// An agent that this node runs or ran, for a command that needs it here.
    pub(super) async fn find_here(&self, text: &str, verb: &str) -> Result<(DeploymentId, Agent), NodeError> {
        match self.find(text).await? {
            (deployment, Found::Agent(agent)) => Ok((deployment, *agent)),
            (_, Found::Order(order)) => Err(order.not_here(verb)),
        }
    }

    /// No such agent: the nearest name is offered where one is near.
    async fn unknown(&self, text: &str, orders: &[Order]) -> NodeError {
        let names = self.look(|all| {
            let names = all.agents().values().map(|agent| agent.placement.package.agent_id.name.to_string());
            names.collect::<Vec<_>>()
        });
        let mut names = names.await.unwrap_or_default();
        names.extend(orders.iter().map(|order| order.agent_id.name.to_string()));
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let hint = match nisse_model::nearest(text, &names) {
            Some(name) => format!("did you mean `{name}`? `nisse ls` lists the agents of this node"),
            None => "`nisse ls` lists the agents of this node".to_owned(),
        };
        let text = format!("failed to find the agent `{text}` on this node");
        NodeError::new(ErrorKind::NotFound, "agent_unknown", text).with_hint(hint)
    }
}
