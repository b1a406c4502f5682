//! What an owner is told about the agents.

use futures::stream::BoxStream;
use futures::{StreamExt as _, stream};
use nisse_market::{DeploymentState, DeploymentView, Market};
use nisse_model::{Address, AgentName, Amount, DeploymentId, Timestamp};
use nisse_orchestrator::{Agent, Assignment, CloseReason, FailureStage, Life, Setback};

use super::Node;
use super::find::Found;
use crate::caller;
use crate::control::{AgentList, AgentSpace, AgentStatus, GasStatus, LeaseStatus, LogLine};
use crate::error::NodeError;
use crate::packages::{on_disk, state_failed};
use crate::wallets::KeyName;

/// A lease with less than this left is warned about.
const LOW_RUNWAY_MS: u64 = 24 * 3_600_000;
/// Log lines given at once.
const LOG_LINES_MAX: usize = 1_000;

/// An agent's state as it is told: its bytes and its root, or why that is not known.
pub(super) struct Kept {
    pub(super) bytes: u64,
    pub(super) root: String,
}

impl Node {
    /// Takes no new work, or takes it again.
    pub async fn drain(&self, draining: bool) -> Result<(), NodeError> {
        Ok(self.core.driver.drain(draining).await?)
    }

    /// Every agent that this node knows, live ones first.
    pub async fn agents(&self) -> Result<AgentList, NodeError> {
        // Without the chain there is still what this node knows. A member is told of nothing else that is asked for.
        let (orders, older, incomplete) = match self.all_orders().await {
            _ if caller::is_member() => (Vec::new(), 0, None),
            Ok(orders) => {
                let cut = orders.cut();
                (orders.listed, orders.older, cut)
            }
            Err(error) => {
                let missing = format!("orders that this node does not run are not listed: {}", error.text);
                (Vec::new(), 0, Some(missing))
            }
        };
        let orders = &orders;
        let mut agents =
            self.glance(|all| all.agents().iter().map(|(id, agent)| (*id, agent.clone())).collect::<Vec<_>>()).await?;
        agents.retain(|(id, _)| orders.iter().all(|order| order.deployment != *id));
        agents.sort_by_key(|(id, agent)| (!agent.life.is_live(), std::cmp::Reverse(id.number)));
        let live = agents.iter().filter(|(_, agent)| agent.life.is_live() && self.is_seen_here(agent)).count();
        let mut all = Vec::with_capacity(agents.len() + orders.len());
        for (deployment, agent) in agents.iter().filter(|(_, agent)| self.is_seen_here(agent)) {
            all.push(self.describe(*deployment, agent).await);
        }
        let mut told = Vec::with_capacity(orders.len());
        for order in orders {
            told.push(self.describe_order(order).await);
        }
        all.splice(live..live, told);
        Ok(AgentList { agents: all, older, incomplete })
    }

    /// One agent, with what the node says of it that runs it.
    pub async fn agent(&self, text: &str) -> Result<AgentStatus, NodeError> {
        let (deployment, found) = self.find(text).await?;
        let told = self.known(deployment, &found).await;
        match found {
            Found::Order(order) if order.runs_on().is_some() => match self.elsewhere(*order, "show") {
                Ok(there) => Ok(there.status(told).await),
                Err(_) => Ok(told),
            },
            _ => Ok(told),
        }
    }

    /// What is known here of a deployment: nobody else is asked but the market.
    pub(super) async fn here(&self, deployment: DeploymentId) -> Result<AgentStatus, NodeError> {
        let (deployment, found) = self.find(&deployment.to_string()).await?;
        Ok(self.known(deployment, &found).await)
    }

    async fn known(&self, deployment: DeploymentId, found: &Found) -> AgentStatus {
        match found {
            Found::Agent(agent) => self.describe(deployment, agent).await,
            Found::Order(order) => self.describe_order(order).await,
        }
    }

    /// The last lines of an agent's log.
    pub async fn logs(&self, text: &str, lines: usize) -> Result<Vec<LogLine>, NodeError> {
        let agent = match self.find_running(text).await? {
            (_, Found::Agent(agent)) => agent,
            (_, Found::Order(order)) => return self.elsewhere(*order, "show the log of")?.logs(lines).await,
        };
        let (owner, name) = agent.placement.key();
        let (label, count) = (self.core.label(owner, &name), lines.min(LOG_LINES_MAX));
        let recent = self.core.logs.of(&label).last(count);
        if recent.len() == count {
            return Ok(recent);
        }
        let missing = count - recent.len();
        let earlier = on_disk(&self.core, "read a log", move |core| Ok(core.logs.earlier(&label, missing)));
        Ok([earlier.await?, recent].concat())
    }

    /// An agent's log from the line behind the number `after`, or from now on.
    pub async fn follow_logs(&self, text: &str, after: Option<u64>) -> Result<BoxStream<'static, LogLine>, NodeError> {
        let agent = match self.find_running(text).await? {
            (_, Found::Agent(agent)) => agent,
            (_, Found::Order(order)) => {
                return self.elsewhere(*order, "follow the log of")?.follow_logs(after).await;
            }
        };
        let (owner, name) = agent.placement.key();
        let label = self.core.label(owner, &name);
        let log = on_disk(&self.core, "follow a log", move |core| Ok(core.logs.follow(&label, after))).await?;
        Ok(stream::unfold(log, async |mut log| Some((log.next().await?, log))).boxed())
    }

    /// What this node keeps of an agent's state. A root is worked out anew after a write, and both are read from disk.
    pub(super) async fn kept(&self, owner: Address, name: &AgentName) -> Kept {
        let name = name.clone();
        let read = on_disk(&self.core, "read a state", move |core| {
            let state = core.states.agent(owner, &name);
            let bytes = state.usage().map_err(|error| state_failed(&error))?.bytes;
            let root = state.root().map_err(|error| state_failed(&error))?;
            Ok(Kept { bytes, root: root.to_string() })
        });
        read.await.unwrap_or_else(|error| Kept { bytes: 0, root: error.text })
    }

    pub(super) async fn describe(&self, deployment: DeploymentId, agent: &Agent) -> AgentStatus {
        let core = &self.core;
        let (owner, name) = agent.placement.key();
        let package = &agent.placement.package;
        let running = core.running(&deployment);
        let stats = running.as_ref().map(|running| running.handle.stats());
        let kept = self.kept(owner, &name).await;
        let (reason, hint, since) = explain(&agent.life);
        let (reason, hint) = agent.setback().map_or((reason, hint), setback);
        let newest = core.keys.versions().last().map(|newest| newest.manager);
        let reason = reason.or_else(|| stays_behind(deployment, agent, newest));
        let (reason, hint) =
            core.disk_trouble().filter(|_| agent.life.is_live()).map_or((reason, hint), waits_for_room);
        let (lease, open) = self.lease(deployment, agent).await;
        let (reason, hint) = if open { given_back(agent, reason, hint, &lease) } else { (reason, hint) };
        let permissions = running.as_ref().map_or_else(Vec::new, |running| running.permissions.clone());
        AgentStatus {
            agent_id: package.agent_id.to_string(),
            version: package.agent_id.version.to_string(),
            state: agent.life.word().to_owned(),
            reason,
            hint,
            deployment: deployment.to_string(),
            owner: owner.to_string(),
            node: agent.life.is_live().then(|| core.operator.to_string()),
            endpoint: self.endpoint(owner, &name),
            since,
            restarts: agent.restarts,
            memory_bytes: stats.map_or(0, |stats| stats.memory_bytes()),
            fuel_used: stats.map_or(0, |stats| stats.fuel()),
            invocations: stats.map_or(0, |stats| stats.invocations()),
            state_bytes: kept.bytes,
            state_root: kept.root,
            alarm: agent.alarm.map(|alarm| alarm.due.0),
            permissions,
            cid: package.artifact_cid.to_string(),
            manifest_cid: package.manifest_cid.to_string(),
            update_refused: agent.update_refused.clone(),
            gas: self.gas(&deployment),
            lease,
            space: self.owner_space(owner, &name),
        }
    }

    /// The space that owns an agent, and on whose machine it runs.
    pub(super) fn owner_space(&self, owner: Address, name: &AgentName) -> Option<AgentSpace> {
        let core = &self.core;
        let space = core.owned.space_of(name).filter(|_| owner == core.operator)?;
        let held = core.spaces.all(core).unwrap_or_default();
        Some(AgentSpace {
            space: space.to_string(),
            name: held.into_iter().find(|held| held.space == space).map(|held| held.name),
            host: core.identity.known().identity.map(|identity| identity.to_string()),
        })
    }

    /// What its answers on chain burnt; nothing for an agent that never published.
    fn gas(&self, deployment: &DeploymentId) -> Option<GasStatus> {
        let gas = self.core.ledger.gas(deployment);
        (gas.spent > 0).then(|| GasStatus {
            spent: gas.spent,
            allowed: gas.allowed,
            refused: self.core.ledger.gas_refusal(deployment),
        })
    }

    /// The money, and whether its order is open on the market, which an ended agent's can be.
    async fn lease(&self, deployment: DeploymentId, agent: &Agent) -> (LeaseStatus, bool) {
        let nothing = LeaseStatus {
            rate: "0".to_owned(),
            paid: "0".to_owned(),
            balance: "0".to_owned(),
            ends_at: None,
            warning: None,
        };
        if agent.assignment == Assignment::Home {
            return (nothing, false);
        }
        let view = match self.market_of(KeyName::Operator, &deployment) {
            Ok(market) => view(&market, deployment).await,
            Err(_) => None,
        };
        // Without the chain there is still what the journal knows.
        let Some(view) = view else {
            let Assignment::Lease(lease) = &agent.assignment else { return (nothing, false) };
            let known = LeaseStatus {
                rate: lease.rate.to_string(),
                ends_at: agent.ends_at().map(|at| at.0),
                warning: Some("the chain does not answer: what is paid is not known now".to_owned()),
                ..nothing
            };
            return (known, false);
        };
        let paid = Amount(view.paid.0.saturating_add(view.due.0));
        let now = self.core.chain_time(self.core.clock.now());
        let open = view.state == DeploymentState::Open && !agent.life.is_live();
        let lease = LeaseStatus {
            rate: view.rate.to_string(),
            paid: paid.to_string(),
            balance: Amount(view.deposited.0.saturating_sub(paid.0)).to_string(),
            ends_at: view.ends_at.map(|at| at.0),
            warning: warning(&agent.life, view.ends_at, now),
        };
        (lease, open)
    }
}

/// Why a running agent does not answer since the node came up.
pub(super) fn setback(setback: &Setback) -> (Option<String>, Option<String>) {
    let Setback { tries, stage, reason, .. } = setback;
    let said =
        format!("it has not come up since the node did, at {stage}: {reason}; tried {tries} times, tried again soon");
    let hint = match stage {
        FailureStage::Fetch => "add its files to this node's content store with `nisse content add`",
        FailureStage::Node => "look after the node: `nisse doctor`, room on its disk",
        other => hint(*other),
    };
    (Some(said), Some(hint.to_owned()))
}

/// Why nothing about a live agent changes now.
fn waits_for_room(trouble: String) -> (Option<String>, Option<String>) {
    let said = format!("{trouble}; it answers what changes nothing, and nothing is lost");
    (Some(said), Some("make room on the disk of the home folder: the node goes on by itself".to_owned()))
}

/// Said of a home lease that was not reopened on the newest version of the market.
fn stays_behind(deployment: DeploymentId, agent: &Agent, newest: Option<Address>) -> Option<String> {
    let old = newest.is_some_and(|newest| newest != deployment.contract);
    let behind = old && agent.life.is_live() && agent.assignment == Assignment::Home;
    behind.then(|| "it is on an older version of the market: a start of the node reopens it on the newest".to_owned())
}

async fn view(market: &Market, deployment: DeploymentId) -> Option<DeploymentView> {
    market.deployment(deployment.number).await.ok()
}

fn warning(life: &Life, ends_at: Option<Timestamp>, now: Timestamp) -> Option<String> {
    let left = ends_at.filter(|_| life.is_live())?.since_ms(now);
    (left < LOW_RUNWAY_MS).then(|| {
        let (hours, minutes) = (left / 3_600_000, left / 60_000 % 60);
        format!("the deposit lasts {hours} h {minutes} min more; `nisse fund` tops it up")
    })
}

/// What ended here is an order on the market again, with its deposit.
fn given_back(
    agent: &Agent,
    reason: Option<String>,
    hint: Option<String>,
    lease: &LeaseStatus,
) -> (Option<String>, Option<String>) {
    // What is left of a deposit is counted anew for the next node.
    let silent = matches!(agent.life, Life::Stopped { reason: CloseReason::Silent, .. });
    let paid = if lease.paid == "0" && !silent { "; it cost nothing" } else { "" };
    let reason = reason.map(|reason| format!("{reason}{paid}, and its order is open on the market again"));
    let close = format!("`nisse stop` closes the order and gives {} TALOS back", lease.balance);
    (reason, Some(hint.map_or(close.clone(), |hint| format!("{close}; {hint}"))))
}

/// A reason, a hint and a time for what a life says.
pub(super) fn explain(life: &Life) -> (Option<String>, Option<String>, Option<u64>) {
    match life {
        Life::Preparing => (Some("its package is being fetched, checked and compiled".to_owned()), None, None),
        Life::Starting => (Some("it is being brought up, and its `started` handler runs".to_owned()), None, None),
        Life::Running { since, acknowledged } => {
            let waiting = acknowledged.is_none().then(|| "the chain has not taken the start yet".to_owned());
            (waiting, None, Some(since.0))
        }
        Life::Paused { since, .. } => (None, Some("`nisse resume` runs it again".to_owned()), Some(since.0)),
        Life::Stopped { reason, at } => {
            (Some(reason.to_string()), Some("`nisse start` deploys it again with its state".to_owned()), Some(at.0))
        }
        Life::Failed { stage, reason, at } => {
            (Some(format!("at {stage}: {reason}")), Some(hint(*stage).to_owned()), Some(at.0))
        }
    }
}

fn hint(stage: FailureStage) -> &'static str {
    match stage {
        FailureStage::Fetch => {
            "add its files to this node's content store with `nisse content add`, then deploy it again"
        }
        FailureStage::Verify => "run `nisse pkg seal DIR` and deploy what it prints",
        FailureStage::Compile => "check the artifact with `nisse pkg check DIR`",
        FailureStage::Link => "add the permission to `permissions` in agent.yaml, then deploy it again",
        FailureStage::Start => "`nisse logs` shows what its `started` handler said",
        FailureStage::Node => "look after the node (`nisse doctor`; room on its disk), then deploy it again",
    }
}
