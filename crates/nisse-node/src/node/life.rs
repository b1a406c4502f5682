//! An agent's life as its owner steers it: stop, pause, resume, update, rollback, destroy, fund.

mod rest;
mod rollback;
mod settle;
mod update;

use nisse_content::PinKind;
use nisse_market::MarketError;
use nisse_model::DeploymentId;
use nisse_orchestrator::{Agent, AgentKey, Assignment, CloseReason, Command, CommandError, Life};

use self::settle::STOP;
use super::deploy::parse_payment;
use super::find::Found;
use super::orders::is_live;
use super::{Node, market_error};
use crate::control::{AgentStatus, Destroyed, FundRequest};
use crate::error::{ErrorKind, NodeError};
use crate::packages;
use crate::wallets::KeyName;

/// How often a stop is sent whose nonce another tool with the same key had used: each try learns of one that is taken.
const STOP_TRIES_MAX: u32 = 16;

impl Node {
    /// Ends the lease; what is left of the deposit goes back to its owner.
    pub async fn stop(&self, text: &str) -> Result<AgentStatus, NodeError> {
        let (deployment, found) = self.find(text).await?;
        let owner = match &found {
            Found::Agent(agent) if agent.life.is_live() => agent.placement.owner,
            // What failed here may be an order on the market again, with its deposit.
            Found::Agent(agent) if self.is_held(deployment).await? => agent.placement.owner,
            Found::Agent(agent) => return Err(not_now("stop", agent)),
            Found::Order(order) if order.is_live() => order.view.owner,
            Found::Order(order) => return Err(order.not_here("stop")),
        };
        let market = self.market_of(self.owner_key(owner)?, &deployment)?;
        let mut milestones = self.core.milestones.subscribe();
        let mut stopped = market.stop(&self.core.fresh_name("stop"), deployment.number).await;
        for _ in 1..STOP_TRIES_MAX {
            if !matches!(stopped, Err(MarketError::Lost)) {
                break;
            }
            stopped = market.stop(&self.core.fresh_name("stop"), deployment.number).await;
        }
        stopped.map_err(|error| market_error(&error))?;
        self.until(STOP, &mut milestones, deployment, |agent| !agent.life.is_live()).await?;
        self.here(deployment).await
    }

    /// Whether the market still holds a deployment open or running.
    pub(super) async fn is_held(&self, deployment: DeploymentId) -> Result<bool, NodeError> {
        let market = self.market_of(KeyName::Operator, &deployment)?;
        let view = market.deployment(deployment.number).await.map_err(|error| market_error(&error))?;
        Ok(is_live(view.state))
    }

    async fn carry_out(&self, deployment: DeploymentId, command: Command) -> Result<(), NodeError> {
        let done = self.core.driver.command(deployment, command).await?;
        done.map_err(|error| {
            let code = match error {
                CommandError::Unknown(_) => "agent_unknown",
                CommandError::NotNow { .. } | CommandError::Updating => "not_now",
            };
            NodeError::new(ErrorKind::Conflict, code, format!("failed to {error}"))
        })
    }

    /// Stops it, keeps an export of its state in the content store, then deletes the state.
    pub async fn destroy(&self, text: &str) -> Result<Destroyed, NodeError> {
        let (deployment, found) = self.find(text).await?;
        if let Found::Order(order) = &found
            && let Some(node) = order.taken_by
        {
            let name = &order.package.agent_id.name;
            let text =
                format!("failed to destroy {name}: its state is with the node {node}, and cannot be brought here yet");
            return Err(NodeError::new(ErrorKind::Conflict, "not_here", text)
                .with_hint(format!("`nisse stop {name}` ends the lease and leaves the state there")));
        }
        let (open, agent_id, owner) = match &found {
            Found::Agent(agent) => {
                let given_back = Life::is_live(&agent.life) || may_be_open(&agent.life);
                (given_back, agent.placement.package.agent_id.clone(), agent.placement.owner)
            }
            Found::Order(order) => (order.is_live(), order.package.agent_id.clone(), order.view.owner),
        };
        if open && self.is_held(deployment).await? {
            self.stop(&deployment.to_string()).await?;
        }
        // The last commit of the agent belongs into the export.
        self.core.lane(deployment).idle().await;
        let name = agent_id.name.clone();
        let shown = name.clone();
        let elsewhere = self
            .look(move |all| {
                let ended = all.agent(&deployment).is_none_or(|agent| !agent.life.is_live());
                let twin = all.find(Some(owner), &shown).is_some_and(|(_, agent)| agent.life.is_live());
                if ended { Ok(twin) } else { Err(()) }
            })
            .await?
            .map_err(|()| {
                let text = format!("failed to destroy {name}: it did not stop in time");
                NodeError::new(ErrorKind::Conflict, "not_now", text)
            })?;
        let mut state_cid = None;
        let asked = name.clone();
        let usage = packages::on_disk(&self.core, "read a state", move |core| {
            core.states.agent(owner, &asked).usage().map_err(|error| packages::state_failed(&error))
        });
        // Another live deployment of the same agent goes on with the state.
        if !elsewhere && usage.await?.bytes > 0 {
            let kept = packages::keep_state(&self.core, PinKind::Destroyed.name(deployment), owner, &name).await?;
            state_cid = Some(kept.to_string());
            packages::destroy_state(&self.core, owner, &name).await?;
        }
        if !elsewhere {
            let key = AgentKey { owner, name: name.clone() };
            self.core.jobs.ask(move |jobs, _, effects| jobs.forget(&key, effects)).await?;
        }
        let ended = self
            .look(move |all| {
                let same = |agent: &Agent| agent.placement.key() == (owner, name.clone()) && !agent.life.is_live();
                all.agents().iter().filter(|(_, agent)| same(agent)).map(|(id, _)| *id).collect::<Vec<_>>()
            })
            .await?;
        for deployment in ended {
            let forgotten = self.core.driver.forget(deployment).await?;
            forgotten.map_err(|error| NodeError::new(ErrorKind::Conflict, "not_now", format!("failed to {error}")))?;
        }
        self.core.logs.settle().await;
        // What is left now is found after the next update as well.
        if let Err(error) = self.end_leftovers(true).await {
            tracing::debug!(error = error.text, "what the agent left behind is not looked through");
        }
        Ok(Destroyed { agent_id: agent_id.to_string(), state_cid })
    }

    /// Pays more into the lease.
    pub async fn fund(&self, text: &str, request: FundRequest) -> Result<AgentStatus, NodeError> {
        let (deployment, found) = self.find(text).await?;
        let (home, owner) = match &found {
            Found::Agent(agent) => (agent.assignment == Assignment::Home, agent.placement.owner),
            Found::Order(order) => (order.view.home, order.view.owner),
        };
        if home {
            let text = "failed to fund a home lease: it costs nothing and has no end";
            return Err(NodeError::new(ErrorKind::Conflict, "home_lease", text));
        }
        let amount = parse_payment(&request.amount)?;
        let market = self.market_of(self.owner_key(owner)?, &deployment)?;
        self.check_balance(&market, amount).await?;
        let intent = self.core.fresh_name("fund");
        market.deposit(&intent, deployment.number, amount).await.map_err(|error| market_error(&error))?;
        self.here(deployment).await
    }
}

/// Whether an ended agent's order can be open on the market: this node gave it back, or it failed in its home.
pub(super) fn may_be_open(life: &Life) -> bool {
    matches!(life, Life::Failed { .. } | Life::Stopped { reason: CloseReason::Reopened | CloseReason::Silent, .. })
}

pub(super) fn not_now(verb: &str, agent: &Agent) -> NodeError {
    let text = format!("failed to {verb} an agent that is {}", agent.life.word());
    NodeError::new(ErrorKind::Conflict, "not_now", text)
}
