//! From what an owner types to the agent or the order that is meant.

mod wanted;

use std::cmp::Reverse;

use nisse_model::{AgentName, DeploymentId};
use nisse_orchestrator::{Agent, Assignment, Orchestrator};

use self::wanted::{Candidate, Wanted};
use super::Node;
use super::orders::{Order, Orders};
use crate::caller;
use crate::error::{ErrorKind, NodeError};

/// What a name leads to.
pub(super) enum Found {
    /// An agent that this node runs or ran.
    Agent(Box<Agent>),
    /// An order of this home that this node does not run.
    Order(Box<Order>),
}

/// How far a command looks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// It needs the agent here: the market is asked only where none is live here.
    Here,
    /// It is for orders as well.
    Market,
}

/// The agents of one name that this node runs or ran: live ones first, then the newest.
struct NamedHere {
    agents: Vec<(DeploymentId, Agent)>,
    /// How many of them are live.
    live: usize,
}

impl NamedHere {
    fn candidates(&self) -> Vec<Candidate> {
        self.agents.iter().map(of_agent).collect()
    }

    fn is_live(&self, deployment: &DeploymentId) -> bool {
        self.agents.iter().take(self.live).any(|(live, _)| live == deployment)
    }
}

impl Node {
    /// An agent or an order by its name or deployment. What is live here comes first, then orders, then what ended here.
    pub(super) async fn find(&self, text: &str) -> Result<(DeploymentId, Found), NodeError> {
        self.find_within(text, Reach::Market).await
    }

    async fn find_within(&self, text: &str, reach: Reach) -> Result<(DeploymentId, Found), NodeError> {
        if !caller::is_member() {
            return self.find_any(text, reach).await;
        }
        // A member is not even told which other names are near.
        let found = self.find_any(text, reach).await.ok();
        found.filter(|(_, found)| self.is_seen(found)).ok_or_else(|| {
            let text = format!("failed to find the agent `{text}` among those that your spaces own on this node");
            NodeError::new(ErrorKind::NotFound, "agent_unknown", text)
        })
    }

    /// Whether whoever asks may know of it: the owner of every one, a member of what their spaces own.
    fn is_seen(&self, found: &Found) -> bool {
        let Found::Order(order) = found else {
            return matches!(found, Found::Agent(agent) if self.is_seen_here(agent));
        };
        let is_own = order.view.home && order.view.owner == self.core.operator;
        !caller::is_member() || (is_own && caller::sees(&order.package.agent_id.name))
    }

    pub(super) fn is_seen_here(&self, agent: &Agent) -> bool {
        let is_own = agent.assignment == Assignment::Home && agent.placement.owner == self.core.operator;
        !caller::is_member() || (is_own && caller::sees(&agent.placement.package.agent_id.name))
    }

    async fn find_any(&self, text: &str, reach: Reach) -> Result<(DeploymentId, Found), NodeError> {
        if let Ok(deployment) = text.parse::<DeploymentId>() {
            let live = move |all: &Orchestrator| all.agent(&deployment).filter(|agent| agent.life.is_live()).cloned();
            if let Some(agent) = self.glance(live).await? {
                return Ok((deployment, Found::Agent(Box::new(agent))));
            }
            let order = self.order(deployment).await;
            let agent = self.glance(move |all| all.agent(&deployment).cloned()).await?;
            // Without the chain there is still what this node knows.
            return match (order, agent) {
                (Ok(Some(order)), _) => Ok((deployment, Found::Order(Box::new(order)))),
                (_, Some(agent)) => Ok((deployment, Found::Agent(Box::new(agent)))),
                (Ok(None), None) => Err(self.unknown(text, &Orders::default()).await),
                (Err(error), None) => Err(error),
            };
        }
        let Some(wanted) = Wanted::read(text)? else { return Err(self.unknown(text, &Orders::default()).await) };
        let own = self.owners();
        let mut here = self.named_here(&wanted.name).await?;
        let known = wanted.choose(&here.candidates(), &own);
        // An order can be meant where nothing is live here, or where another key of this home may have one as well.
        let alone = reach == Reach::Here || wanted.owner.is_some() || own.len() == 1;
        let is_live = known.as_ref().is_ok_and(|known| here.is_live(known));
        let mut orders = Orders::default();
        if !(alone && is_live) {
            match self.all_orders().await {
                Ok(found) => orders = found,
                Err(_) if known.is_ok() => {}
                Err(error) => return Err(error),
            }
            // What this node took meanwhile is no order any more.
            here = self.named_here(&wanted.name).await?;
            orders.listed.retain(|order| !here.is_live(&order.deployment));
        }
        let mut candidates = here.candidates();
        candidates.splice(here.live..here.live, orders.listed.iter().map(of_order));
        let meant = match wanted.choose(&candidates, &own) {
            Ok(deployment) => deployment,
            Err(miss) => {
                return Err(match miss.told(text) {
                    Some(error) => error,
                    None => self.unknown(text, &orders).await,
                });
            }
        };
        if let Some(order) = orders.listed.into_iter().find(|order| order.deployment == meant) {
            return Ok((meant, Found::Order(Box::new(order))));
        }
        match here.agents.into_iter().find(|(deployment, _)| *deployment == meant) {
            Some((_, agent)) => Ok((meant, Found::Agent(Box::new(agent)))),
            None => Err(self.unknown(text, &Orders::default()).await),
        }
    }

    async fn named_here(&self, name: &AgentName) -> Result<NamedHere, NodeError> {
        let name = name.clone();
        let named = self.glance(move |all| {
            let named = all.agents().iter().filter(|(_, agent)| agent.placement.package.agent_id.name == name);
            named.map(|(deployment, agent)| (*deployment, agent.clone())).collect::<Vec<_>>()
        });
        let mut agents = named.await?;
        agents.sort_by_key(|(deployment, agent)| (!agent.life.is_live(), Reverse(deployment.number)));
        let live = agents.partition_point(|(_, agent)| agent.life.is_live());
        Ok(NamedHere { agents, live })
    }

    /// An agent that this node runs or ran, for a command that needs it here.
    pub(super) async fn find_here(&self, text: &str, verb: &str) -> Result<(DeploymentId, Agent), NodeError> {
        match self.find_within(text, Reach::Here).await? {
            (deployment, Found::Agent(agent)) => Ok((deployment, *agent)),
            (_, Found::Order(order)) => Err(order.not_here(verb)),
        }
    }

    /// An agent that this node runs or ran, or the order of one that another node may run.
    pub(super) async fn find_running(&self, text: &str) -> Result<(DeploymentId, Found), NodeError> {
        self.find_within(text, Reach::Here).await
    }

    /// No such agent: the nearest name is offered where one is near.
    async fn unknown(&self, text: &str, orders: &Orders) -> NodeError {
        let names = self.glance(|all| {
            let names = all.agents().values().map(|agent| agent.placement.package.agent_id.name.to_string());
            names.collect::<Vec<_>>()
        });
        let mut names = names.await.unwrap_or_default();
        names.extend(orders.listed.iter().map(|order| order.package.agent_id.name.to_string()));
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let hint = match nisse_model::nearest(text, &names) {
            None if text.parse::<u64>().is_ok() => {
                format!("`nisse market show {text}` shows a deployment by its number")
            }
            Some(name) => format!("did you mean `{name}`? `nisse ls` lists the agents of this node"),
            None => "`nisse ls` lists the agents of this node".to_owned(),
        };
        let hint = orders.cut().map_or(hint.clone(), |cut| format!("{hint}; {cut}"));
        let text = format!("failed to find the agent `{text}` on this node");
        NodeError::new(ErrorKind::NotFound, "agent_unknown", text).with_hint(hint)
    }
}

fn of_agent((deployment, agent): &(DeploymentId, Agent)) -> Candidate {
    let placement = &agent.placement;
    Candidate { deployment: *deployment, agent_id: placement.package.agent_id.clone(), owner: placement.owner }
}

fn of_order(order: &Order) -> Candidate {
    Candidate { deployment: order.deployment, agent_id: order.package.agent_id.clone(), owner: order.view.owner }
}
