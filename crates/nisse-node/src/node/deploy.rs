//! From an upload to a live agent, by contract, with every step told.

use std::time::Duration;

use nisse_market::{DeployOrder, Market};
use nisse_model::{Amount, AmountPerHour, DeploymentId};
use nisse_orchestrator::{Assignment, Life};
use tokio::sync::broadcast;

use super::{Node, market_error};
use crate::control::{DeployRequest, Deployed, Step};
use crate::core::Milestone;
use crate::error::{ErrorKind, NodeError};
use crate::home::KeyName;
use crate::packages::{self, Stored};

/// How long `deploy` waits for a live agent when the caller does not say.
const WAIT_DEFAULT: Duration = Duration::from_secs(60);
/// The longest that a caller may ask it to wait.
const WAIT_MAX: Duration = Duration::from_secs(600);

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
        let stored = packages::store(&self.core, &request.package, market.key())?;
        self.check_free(&market, &stored).await?;
        timeline.note("packed", format!("artifact {}", stored.reference.artifact_cid));
        let max_rate = match (&request.max_rate, payment) {
            (Some(text), _) => parse_amount(text).map(|amount| AmountPerHour(amount.0))?,
            (None, Some(payment)) => AmountPerHour(payment.0),
            (None, None) => AmountPerHour(0),
        };
        let wait = request.wait_ms.map_or(WAIT_DEFAULT, Duration::from_millis).min(WAIT_MAX);
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
        let (_, agent) = self.find(text).await?;
        if agent.life.is_live() {
            let text = format!("failed to start an agent that is {}", agent.life.word());
            return Err(NodeError::new(ErrorKind::Conflict, "agent_live", text));
        }
        let mut timeline = Timeline { node: self, begun: self.core.clock.elapsed(), steps: Vec::new() };
        let market = self.market(self.owner_key(agent.placement.owner)?)?;
        let manifest = self.manifest_of(&agent.placement.package).await?;
        let stored = Stored { manifest, reference: agent.placement.package.clone() };
        let (payment, max_rate) = match &agent.assignment {
            Assignment::Home => (None, AmountPerHour(0)),
            Assignment::Lease(lease) => (Some(lease.deposited), lease.rate),
        };
        self.publish_and_deploy(&mut timeline, &market, &stored, payment, max_rate, WAIT_DEFAULT).await
    }

    async fn publish_and_deploy(
        &self,
        timeline: &mut Timeline<'_>,
        market: &Market,
        stored: &Stored,
        payment: Option<Amount>,
        max_rate: AmountPerHour,
        wait: Duration,
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
        let live = async {
            while let Some(step) = next_of(&mut milestones, deployment).await {
                timeline.note(step.name, step.detail);
                if matches!(step.name, "acknowledged" | "failed" | "refused") {
                    break;
                }
            }
        };
        // A deployment that is not live in time goes on by itself; its state is told as it is.
        let _ = tokio::time::timeout(wait, live).await;
        self.deployed(timeline, market, stored, deployment).await
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

    async fn deployed(
        &self,
        timeline: &mut Timeline<'_>,
        market: &Market,
        stored: &Stored,
        deployment: DeploymentId,
    ) -> Result<Deployed, NodeError> {
        let known =
            self.look(move |all| (all.agent(&deployment).cloned(), all.refused().get(&deployment).cloned())).await?;
        let reference = &stored.reference;
        let (state, node) = match known {
            (Some(agent), _) => {
                if let Life::Failed { stage, reason, .. } = &agent.life {
                    let text = format!("failed to start {}: at {stage}: {reason}", reference.agent_id);
                    return Err(NodeError::new(ErrorKind::Failed, "agent_failed", text)
                        .with_hint(format!("`nisse status {}` says what to do", reference.agent_id.name)));
                }
                (agent.life.word().to_owned(), agent.life.is_live().then(|| self.core.operator.to_string()))
            }
            (None, Some(refusal)) => (format!("open: this node did not bid, since {refusal}"), None),
            (None, None) => ("open".to_owned(), None),
        };
        Ok(Deployed {
            deployment: deployment.to_string(),
            agent_id: reference.agent_id.to_string(),
            cid: reference.artifact_cid.to_string(),
            manifest_cid: reference.manifest_cid.to_string(),
            node,
            state,
            endpoint: self.endpoint(market.key(), &reference.agent_id.name),
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
        let live =
            self.look(move |all| all.find(Some(owner), &name).is_some_and(|(_, agent)| agent.life.is_live())).await?;
        if live {
            let text = format!("failed to deploy {shown}: an agent of this owner and name is live on this node");
            return Err(NodeError::new(ErrorKind::Conflict, "agent_live", text)
                .with_hint(format!("`nisse update {shown} DIR` swaps its package")));
        }
        Ok(())
    }

    async fn check_balance(&self, market: &Market, payment: Amount) -> Result<(), NodeError> {
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
