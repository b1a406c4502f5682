//! From an upload to a live agent, by contract, with every step told.

use std::time::Duration;

use nisse_market::{DeployOrder, DeploymentState, Market};
use nisse_model::{AgentName, Amount, AmountPerHour, ByteSize, Cpu, DeploymentId};
use nisse_orchestrator::{Agent, Assignment};
use tokio::sync::broadcast;

use super::life::may_be_open;
use super::orders::Order;
use super::{Node, market_error};
use crate::control::{DeployRequest, Deployed, Step};
use crate::core::Milestone;
use crate::error::{ErrorKind, NodeError};
use crate::home::KeyName;
use crate::packages::{self, Stored};

/// How long `deploy` waits for a live agent when the caller does not say: a package may take a minute to be fetched and
/// two to be compiled.
const WAIT_DEFAULT: Duration = Duration::from_secs(180);
/// The longest that a caller may ask it to wait.
const WAIT_MAX: Duration = Duration::from_secs(600);

/// How long `deploy` waits for another node, when this one refused and the caller does not say.
const ASSIGNMENT_WAIT_DEFAULT: Duration = Duration::from_secs(10);
/// Between two looks at the market while nothing happens on this node.
const LOOK: Duration = Duration::from_millis(250);

/// How long a deployment is waited for.
struct Wait {
    live: Duration,
    assignment: Duration,
}

impl Wait {
    fn asked(wait_ms: Option<u64>) -> Self {
        let asked = wait_ms.map(|wait_ms| Duration::from_millis(wait_ms).min(WAIT_MAX));
        Self { live: asked.unwrap_or(WAIT_DEFAULT), assignment: asked.unwrap_or(ASSIGNMENT_WAIT_DEFAULT) }
    }
}

fn is_given(state: DeploymentState) -> bool {
    matches!(state, DeploymentState::Assigned | DeploymentState::Running)
}

/// Steps with their times since the request.
struct Timeline<'a> {
    node: &'a Node,
    begun: Duration,
    steps: Vec<Step>,
}

impl Timeline<'_> {
    fn note(&mut self, name: &str, detail: impl Into<String>) {
        let at_ms = self.elapsed_ms();
        self.steps.push(Step { name: name.to_owned(), detail: detail.into(), at_ms });
    }

    fn elapsed_ms(&self) -> u64 {
        let elapsed = self.node.core.clock.elapsed().saturating_sub(self.begun);
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    }
}

impl Node {
    /// Packs, publishes, deploys, and waits until the agent is live or has failed.
    pub async fn deploy(&self, request: DeployRequest) -> Result<Deployed, NodeError> {
        let mut timeline = Timeline { node: self, begun: self.core.clock.elapsed(), steps: Vec::new() };
        let payment = request.payment.as_deref().map(parse_amount).transpose()?;
        let key = self.deploying_key(request.key.as_deref(), payment)?;
        let market = self.market(key)?;
        let stored = packages::store(&self.core, request.package, market.key()).await?;
        self.check_free(&market, &stored).await?;
        if payment.is_none() {
            self.check_room(&stored).await?;
        }
        timeline.note("packed", format!("artifact {}", stored.reference.artifact_cid));
        let max_rate = match (&request.max_rate, payment) {
            (Some(text), _) => parse_amount(text).map(|amount| AmountPerHour(amount.0))?,
            (None, Some(payment)) => AmountPerHour(payment.0),
            (None, None) => AmountPerHour(0),
        };
        let wait = Wait::asked(request.wait_ms);
        self.publish_and_deploy(&mut timeline, &market, &stored, payment, max_rate, wait).await
    }

    /// Makes this home's second key and gives it test tokens on the embedded chain: what the demo pays with.
    pub async fn endow_deployer(&self, amount: &str) -> Result<(), NodeError> {
        let amount = parse_amount(amount)?;
        let market = self.market(KeyName::Deployer)?;
        if market.balance(market.key()).await.map_err(|error| market_error(&error))? < amount {
            let intent = self.core.fresh_name("endow");
            market.faucet(&intent, amount).await.map_err(|error| market_error(&error))?;
        }
        Ok(())
    }

    /// Deploys the last package of an ended agent again, with its state.
    pub async fn start(&self, text: &str) -> Result<Deployed, NodeError> {
        let (deployment, agent) = self.find_here(text, "start").await?;
        if agent.life.is_live() {
            let text = format!("failed to start an agent that is {}", agent.life.word());
            return Err(NodeError::new(ErrorKind::Conflict, "agent_live", text));
        }
        self.check_closed(deployment, &agent).await?;
        let mut timeline = Timeline { node: self, begun: self.core.clock.elapsed(), steps: Vec::new() };
        let market = self.market(self.owner_key(agent.placement.owner)?)?;
        let manifest = self.manifest_of(&agent.placement.package).await?;
        let stored = Stored { manifest, reference: agent.placement.package.clone() };
        // By its full name an older deployment is started while a newer one stands: one deposit is enough.
        self.check_free(&market, &stored).await?;
        let (payment, max_rate) = match &agent.assignment {
            Assignment::Home => (None, AmountPerHour(0)),
            Assignment::Lease(lease) => (Some(lease.deposited), lease.rate),
        };
        self.publish_and_deploy(&mut timeline, &market, &stored, payment, max_rate, Wait::asked(None)).await
    }

    async fn publish_and_deploy(
        &self,
        timeline: &mut Timeline<'_>,
        market: &Market,
        stored: &Stored,
        payment: Option<Amount>,
        max_rate: AmountPerHour,
        wait: Wait,
    ) -> Result<Deployed, NodeError> {
        let mut milestones = self.core.milestones.subscribe();
        let publication = self.publish(market, stored, max_rate).await?;
        timeline.note("published", format!("publication {publication} of {}", stored.reference.agent_id));
        let intent = self.core.fresh_name("deploy");
        let number = match payment {
            None => {
                let order = DeployOrder { publication, ..DeployOrder::default() };
                market.deploy_home(&intent, order).await
            }
            Some(payment) => {
                self.check_balance(market, payment).await?;
                let (agent_id, cid) = (stored.reference.agent_id.to_string(), stored.reference.artifact_cid);
                // The TIP's own call: it looks up this key's publication of that name.
                market.deploy_literal(&intent, &agent_id, &cid.to_string(), payment).await
            }
        };
        let number = number.map_err(|error| market_error(&error))?;
        let deployment = market.deployment_id(number);
        timeline.note("deployed", format!("deployment {number}{}", paying(payment)));
        // A deployment that is not live in time goes on by itself; its state is told as it is.
        let live = self.until_live(timeline, &mut milestones, market, deployment, wait.assignment);
        let _ = tokio::time::timeout(wait.live, live).await;
        self.deployed(timeline, deployment).await
    }

    /// Notes the steps until it is live here or elsewhere, has failed here, or nobody takes it.
    async fn until_live(
        &self,
        timeline: &mut Timeline<'_>,
        milestones: &mut broadcast::Receiver<Milestone>,
        market: &Market,
        deployment: DeploymentId,
        assignment: Duration,
    ) {
        let mut refused_at = None;
        let mut taken_by = None;
        loop {
            match tokio::time::timeout(LOOK, next_of(milestones, deployment)).await {
                Ok(None) => return,
                Ok(Some(step)) => {
                    timeline.note(step.name, step.detail);
                    match step.name {
                        "acknowledged" | "failed" => return,
                        "refused" if !self.others_may_bid() => return,
                        "refused" => refused_at = Some(self.core.clock.elapsed()),
                        _ => {}
                    }
                    continue;
                }
                Err(_) => {}
            }
            // Nothing happens on this node: another one may have taken it. A chain that does not answer is asked again.
            if let Ok(view) = market.deployment(deployment.number).await {
                let node = view.node.filter(|node| *node != self.core.operator && is_given(view.state));
                if let Some(node) = node.filter(|_| taken_by != node) {
                    timeline.note("assigned", format!("to the node {node}"));
                    taken_by = Some(node);
                }
                if node.is_some() && view.state == DeploymentState::Running {
                    return timeline.note("started", "on that node");
                }
            }
            let over = refused_at.is_some_and(|at| self.core.clock.elapsed().saturating_sub(at) > assignment);
            if over && taken_by.is_none() {
                return;
            }
        }
    }

    /// Whether the market has a way in for other nodes: an embedded chain that is not served has none.
    fn others_may_bid(&self) -> bool {
        self.core.chain.is_none() || self.core.options.rpc.is_some()
    }

    /// Publishes unless this very publication stands already.
    pub(super) async fn publish(
        &self,
        market: &Market,
        stored: &Stored,
        max_rate: AmountPerHour,
    ) -> Result<u64, NodeError> {
        let reference = &stored.reference;
        let agent_id = reference.agent_id.to_string();
        if let Ok(known) = market.publication(market.key(), &agent_id).await
            && known.manifest_cid == reference.manifest_cid
            && known.artifact_cid == reference.artifact_cid
            && known.config_hash == reference.config_hash
            && known.max_rate == max_rate
        {
            return Ok(known.number);
        }
        let terms = packages::terms(stored, max_rate);
        market.publish(&self.core.fresh_name("publish"), terms).await.map_err(|error| market_error(&error))
    }

    async fn deployed(&self, timeline: &mut Timeline<'_>, deployment: DeploymentId) -> Result<Deployed, NodeError> {
        let status = self.agent(&deployment.to_string()).await?;
        if status.state == "failed" {
            let text = format!("failed to start {}: {}", status.agent_id, status.reason.unwrap_or_default());
            return Err(NodeError::new(ErrorKind::Failed, "agent_failed", text).with_hint(status.hint));
        }
        Ok(Deployed {
            deployment: status.deployment,
            agent_id: status.agent_id,
            cid: status.cid,
            manifest_cid: status.manifest_cid,
            node: status.node,
            state: status.state,
            reason: status.reason,
            hint: status.hint,
            endpoint: status.endpoint,
            elapsed_ms: timeline.elapsed_ms(),
            steps: std::mem::take(&mut timeline.steps),
        })
    }

    fn deploying_key(&self, name: Option<&str>, payment: Option<Amount>) -> Result<KeyName, NodeError> {
        match name {
            None if payment.is_some() && self.core.home.has_key(KeyName::Deployer) => Ok(KeyName::Deployer),
            None | Some("operator") => Ok(KeyName::Operator),
            Some("deployer") => Ok(KeyName::Deployer),
            Some(other) => {
                let text = format!("failed to find the key `{other}`: a home has `operator` and `deployer`");
                Err(NodeError::new(ErrorKind::Usage, "key_unknown", text))
            }
        }
    }

    /// One live deployment per owner and name.
    async fn check_free(&self, market: &Market, stored: &Stored) -> Result<(), NodeError> {
        let (owner, name) = (market.key(), stored.reference.agent_id.name.clone());
        let shown = name.clone();
        let orders = self.orders().await?;
        let twin = |order: &&Order| order.agent_id.name == shown && order.view.owner == owner;
        if let Some(open) = orders.iter().find(twin) {
            return Err(still_held(&shown, open.deployment));
        }
        let known = self.look(move |all| all.find(Some(owner), &name).map(|(id, agent)| (*id, agent.clone()))).await?;
        let Some((deployment, agent)) = known else { return Ok(()) };
        self.check_closed(deployment, &agent).await?;
        if agent.life.is_live() {
            let text = format!("failed to deploy {shown}: an agent of this owner and name is live on this node");
            return Err(NodeError::new(ErrorKind::Conflict, "agent_live", text)
                .with_hint(format!("`nisse update {shown} DIR` swaps its package")));
        }
        Ok(())
    }

    /// A paid agent that failed here left an order, with its deposit, on the market.
    async fn check_closed(&self, deployment: DeploymentId, agent: &Agent) -> Result<(), NodeError> {
        let paid = agent.assignment != Assignment::Home;
        if paid && may_be_open(&agent.life) && self.is_held(deployment).await? {
            return Err(still_held(&agent.placement.package.agent_id.name, deployment));
        }
        Ok(())
    }

    /// A home lease has no other node to go to: what does not fit is refused before anything is published.
    async fn check_room(&self, stored: &Stored) -> Result<(), NodeError> {
        let used = self.look(|all| all.used()).await?;
        let (asked, lent) = (stored.manifest.resources, &self.core.options);
        let cpu = Cpu { millis: lent.cpu.millis.saturating_sub(used.cpu.millis) };
        let memory = ByteSize(lent.memory.0.saturating_sub(used.memory.0));
        let lacking = if asked.gpu {
            "a GPU, and this node has none".to_owned()
        } else if asked.cpu > cpu {
            format!("{} cpu, and {cpu} is free on this node", asked.cpu)
        } else if asked.memory > memory {
            format!("{} of memory, and {memory} is free on this node", asked.memory)
        } else {
            return Ok(());
        };
        let text = format!("failed to deploy {}: it asks for {lacking}", stored.reference.agent_id.name);
        Err(NodeError::new(ErrorKind::Refused, "room_lacking", text).with_hint(
            "ask for less under `resources` in agent.yaml, stop another agent, or lend more in nisse.toml".to_owned(),
        ))
    }

    pub(super) async fn check_balance(&self, market: &Market, payment: Amount) -> Result<(), NodeError> {
        let balance = market.balance(market.key()).await.map_err(|error| market_error(&error))?;
        if balance >= payment {
            return Ok(());
        }
        let text = format!("failed to pay {payment} TALOS: {} holds {balance}", market.key());
        let error = NodeError::new(ErrorKind::Refused, "balance_low", text);
        Err(match self.core.chain {
            Some(_) => {
                error.with_hint("without --payment it runs here as a home lease, which costs nothing".to_owned())
            }
            None => error,
        })
    }

    pub(super) async fn manifest_of(
        &self,
        package: &nisse_model::PackageRef,
    ) -> Result<nisse_model::Manifest, NodeError> {
        let gone = |reason: String| {
            let text = format!("failed to read the package of {}: {reason}", package.agent_id);
            NodeError::new(ErrorKind::NotFound, "package_gone", text)
        };
        let bytes =
            self.core.content.read_file(package.manifest_cid, 64 << 10).map_err(|error| gone(error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|_| gone("agent.yaml is not text".to_owned()))?;
        nisse_model::Manifest::parse(&text).map_err(|errors| gone(errors.to_string()))
    }
}

fn still_held(name: &AgentName, deployment: DeploymentId) -> NodeError {
    let text = format!("failed to deploy {name}: the market still holds deployment {} of it", deployment.number);
    NodeError::new(ErrorKind::Conflict, "order_open", text)
        .with_hint(format!("`nisse status {name}` says where it stands; `nisse stop {name}` closes it"))
}

async fn next_of(milestones: &mut broadcast::Receiver<Milestone>, deployment: DeploymentId) -> Option<Milestone> {
    loop {
        match milestones.recv().await {
            Ok(step) if step.deployment == deployment => return Some(step),
            // A listener that lags behind misses steps, never the end: the state is looked up afterwards.
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return None,
        }
    }
}

fn paying(payment: Option<Amount>) -> String {
    payment.map_or(", a home lease".to_owned(), |payment| format!(", paying {payment} TALOS"))
}

pub(super) fn parse_amount(text: &str) -> Result<Amount, NodeError> {
    text.parse().map_err(|error: nisse_model::ParseUnitError| {
        NodeError::new(ErrorKind::Usage, "amount_invalid", format!("failed to {error}"))
    })
}
