//! An agent's life as its owner steers it: stop, pause, resume, update, rollback, destroy, fund.

mod settle;

use nisse_content::PinKind;
use nisse_market::MarketError;
use nisse_model::DeploymentId;
use nisse_orchestrator::{Agent, Assignment, CloseReason, Command, CommandError, Life};

use self::settle::{STOP, UPDATE};
use super::deploy::parse_payment;
use super::find::Found;
use super::orders::is_live;
use super::{Node, market_error};
use crate::control::{AgentStatus, Destroyed, FundRequest, UpdateRequest};
use crate::error::{ErrorKind, NodeError};
use crate::home::KeyName;
use crate::life::kept_name;
use crate::packages::{self, Stored};

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
        self.agent(&deployment.to_string()).await
    }

    /// Whether the market still holds a deployment open or running.
    pub(super) async fn is_held(&self, deployment: DeploymentId) -> Result<bool, NodeError> {
        let market = self.market_of(KeyName::Operator, &deployment)?;
        let view = market.deployment(deployment.number).await.map_err(|error| market_error(&error))?;
        Ok(is_live(view.state))
    }

    /// Runs nothing; the lease and its price go on.
    pub async fn pause(&self, text: &str) -> Result<AgentStatus, NodeError> {
        self.command(text, Command::Pause).await
    }

    /// Runs again.
    pub async fn resume(&self, text: &str) -> Result<AgentStatus, NodeError> {
        self.command(text, Command::Resume).await
    }

    async fn command(&self, text: &str, command: Command) -> Result<AgentStatus, NodeError> {
        let verb = match command {
            Command::Pause => "pause",
            Command::Resume => "resume",
            Command::Rollback => "roll back",
        };
        let (deployment, _) = self.find_here(text, verb).await?;
        self.carry_out(deployment, command).await?;
        self.agent(&deployment.to_string()).await
    }

    async fn carry_out(&self, deployment: DeploymentId, command: Command) -> Result<(), NodeError> {
        let done = self.core.driver.command(deployment, command).await?;
        done.map_err(|error| {
            let code = match error {
                CommandError::Unknown(_) => "agent_unknown",
                CommandError::NotNow { .. } => "not_now",
            };
            NodeError::new(ErrorKind::Conflict, code, format!("failed to {error}"))
        })
    }

    /// Swaps to another package; the old one goes on until the new one is ready.
    pub async fn update(&self, text: &str, request: UpdateRequest) -> Result<AgentStatus, NodeError> {
        let (deployment, agent) = self.find_here(text, "update").await?;
        let stored = packages::store(&self.core, request.package, agent.placement.owner).await?;
        let (old, new) = (&agent.placement.package.agent_id, &stored.reference.agent_id);
        if old.name != new.name {
            let text = format!("failed to update {} to {}: another agent's package", old.name, new.name);
            return Err(NodeError::new(ErrorKind::Refused, "agent_other", text)
                .with_hint("`nisse deploy DIR` runs it as an agent of its own".to_owned()));
        }
        if new.version < old.version && !request.allow_downgrade {
            let text =
                format!("failed to update {} from {} to {}: a lower version", old.name, old.version, new.version);
            return Err(NodeError::new(ErrorKind::Refused, "downgrade", text)
                .with_hint("add --allow-downgrade if it is meant".to_owned()));
        }
        self.swap_to(deployment, &agent, stored).await
    }

    /// Goes back to the package before the last update, and to the state that it left behind. The later state is kept
    /// as an export.
    pub async fn rollback(&self, text: &str) -> Result<AgentStatus, NodeError> {
        let (deployment, agent) = self.find_here(text, "roll back").await?;
        let Some(previous) = agent.previous.clone() else {
            let text = format!("failed to roll {} back: it was never updated", agent.placement.package.agent_id.name);
            return Err(NodeError::new(ErrorKind::Conflict, "never_updated", text));
        };
        if self.core.pinned(kept_name(deployment, agent.previous_revision).as_str()).is_none() {
            let text = "failed to roll back: the state before the update is not in the content store any more";
            return Err(NodeError::new(ErrorKind::NotFound, "state_gone", text));
        }
        // Noted durably before the update is asked for, so that a crash between the two forgets nothing. The state of
        // now is kept as an export by the swap itself.
        self.carry_out(deployment, Command::Rollback).await?;
        let manifest = self.manifest_of(&previous).await?;
        self.swap_to(deployment, &agent, Stored::held(&self.core, manifest, previous)).await
    }

    async fn swap_to(&self, deployment: DeploymentId, agent: &Agent, stored: Stored) -> Result<AgentStatus, NodeError> {
        if !agent.life.is_live() {
            return Err(not_now("update", agent));
        }
        let market = self.market_of(self.owner_key(agent.placement.owner)?, &deployment)?;
        let max_rate = match &agent.assignment {
            Assignment::Home => nisse_model::AmountPerHour(0),
            Assignment::Lease(lease) => lease.rate,
        };
        let publication = self.publish(&market, &stored, max_rate).await?;
        let mut milestones = self.core.milestones.subscribe();
        let intent = self.core.fresh_name("update");
        let revision = market
            .update(&intent, deployment.number, publication, Some(stored.reference.config_hash), None)
            .await
            .map_err(|error| market_error(&error))?;
        self.until(UPDATE, &mut milestones, deployment, move |agent| agent.revision_done >= revision).await?;
        let status = self.agent(&deployment.to_string()).await?;
        match &status.update_refused {
            None => Ok(status),
            Some(reason) => {
                let name = &agent.placement.package.agent_id.name;
                let text = format!("failed to update {name}: {reason}; the old package goes on");
                Err(NodeError::new(ErrorKind::Refused, "update_refused", text))
            }
        }
    }

    /// Stops it, keeps an export of its state in the content store, then deletes the state.
    pub async fn destroy(&self, text: &str) -> Result<Destroyed, NodeError> {
        let (deployment, found) = self.find(text).await?;
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
        self.agent(&deployment.to_string()).await
    }
}

/// Whether an ended agent's order can be open on the market: this node gave it back, or it failed in its home.
pub(super) fn may_be_open(life: &Life) -> bool {
    matches!(life, Life::Failed { .. } | Life::Stopped { reason: CloseReason::Reopened, .. })
}

pub(super) fn not_now(verb: &str, agent: &Agent) -> NodeError {
    let text = format!("failed to {verb} an agent that is {}", agent.life.word());
    NodeError::new(ErrorKind::Conflict, "not_now", text)
}
