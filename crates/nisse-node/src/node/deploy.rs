//! From an upload to a live agent, by contract, with every step told.

mod check;
mod claim;
mod wait;

use nisse_market::{DeployOrder, Market};
use nisse_model::{Amount, AmountPerHour, DeploymentId, Manifest, PackageRef};
use nisse_orchestrator::Assignment;

use self::check::parse_amount;
pub(super) use self::check::parse_payment;
use self::claim::Claim;
use self::wait::Wait;
use super::{Node, market_error};
use crate::control::{DeployRequest, Deployed};
use crate::error::{ErrorKind, NodeError};
use crate::home::KeyName;
use crate::packages::{self, RunBy, Stored, on_disk};
use crate::timeline::Timeline;

/// The highest price per hour that the contracts have room for.
const RATE_MAX: Amount = Amount((1 << 80) - 1);
/// Longest manifest, in bytes.
const MANIFEST_BYTES_MAX: u64 = 64 << 10;

impl Node {
    /// Packs, publishes, deploys, and waits until the agent is live or has failed. Each step is noted as it happens, and
    /// the answer has all that stand on the timeline.
    pub async fn deploy(&self, request: DeployRequest, timeline: &mut Timeline) -> Result<Deployed, NodeError> {
        let payment = request.payment.as_deref().map(parse_payment).transpose()?;
        let key = self.deploying_key(request.key.as_deref(), payment)?;
        let market = self.market(key)?;
        let run_by = if payment.is_some() { RunBy::Market } else { RunBy::Home };
        let stored = packages::store(&self.core, request.package, market.key(), run_by).await?;
        let _claim = Claim::take(&self.core, market.key(), &stored.reference.agent_id.name)?;
        self.check_free(&market, &stored).await?;
        if payment.is_none() {
            self.check_room(&stored).await?;
        }
        timeline.note("packed", format!("artifact {}", stored.reference.artifact_cid));
        let max_rate = match (&request.max_rate, payment) {
            (Some(text), _) => parse_amount(text).map(|amount| AmountPerHour(amount.0))?,
            (None, Some(payment)) => AmountPerHour(payment.0.min(RATE_MAX.0)),
            (None, None) => AmountPerHour(0),
        };
        let wait = Wait::asked(request.wait_ms);
        let deployed = self.publish_and_deploy(timeline, &market, &stored, payment, max_rate, wait).await;
        deployed.map_err(|error| match (error.code, &self.core.chain) {
            ("balance_low", Some(_)) => {
                error.with_hint("without --payment it runs here as a home lease, which costs nothing".to_owned())
            }
            _ => error,
        })
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
        let mut timeline = self.timeline();
        let market = self.market(self.owner_key(agent.placement.owner)?)?;
        let manifest = self.manifest_of(&agent.placement.package).await?;
        let stored = Stored::held(&self.core, manifest, agent.placement.package.clone());
        let _claim = Claim::take(&self.core, market.key(), &stored.reference.agent_id.name)?;
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
        timeline: &mut Timeline,
        market: &Market,
        stored: &Stored,
        payment: Option<Amount>,
        max_rate: AmountPerHour,
        wait: Wait,
    ) -> Result<Deployed, NodeError> {
        if let Some(payment) = payment {
            self.check_balance(market, payment).await?;
        }
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
                let (agent_id, cid) = (stored.reference.agent_id.to_string(), stored.reference.artifact_cid);
                // The TIP's own call: it looks up this key's publication of that name.
                market.deploy_literal(&intent, &agent_id, &cid.to_string(), payment).await
            }
        };
        let number = number.map_err(|error| market_error(&error))?;
        let deployment = market.deployment_id(number);
        timeline.note("deployed", format!("deployment {number}, {}", paying(payment, max_rate)));
        // A deployment that is not live in time goes on by itself; its state is told as it is.
        let live = self.until_live(timeline, &mut milestones, market, deployment, wait.assignment);
        let _ = tokio::time::timeout(wait.live, live).await;
        self.deployed(timeline, deployment).await
    }

    /// Publishes unless this very publication stands already.
    pub(super) async fn publish(
        &self,
        market: &Market,
        stored: &Stored,
        max_rate: AmountPerHour,
    ) -> Result<u64, NodeError> {
        let terms = packages::terms(&stored.reference, stored.manifest.resources, max_rate);
        if let Ok(known) = market.publication(market.key(), &terms.package.agent_id).await
            && known.package == terms.package
            && known.max_rate == max_rate
        {
            return Ok(known.number);
        }
        market.publish(&self.core.fresh_name("publish"), terms).await.map_err(|error| market_error(&error))
    }

    async fn deployed(&self, timeline: &mut Timeline, deployment: DeploymentId) -> Result<Deployed, NodeError> {
        let status = self.here(deployment).await?;
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
            steps: timeline.take_steps(),
        })
    }

    pub(super) async fn manifest_of(&self, package: &PackageRef) -> Result<Manifest, NodeError> {
        let gone = |reason: String| {
            let text = format!("failed to read the package of {}: {reason}", package.agent_id);
            NodeError::new(ErrorKind::NotFound, "package_gone", text)
        };
        let cid = package.manifest_cid;
        let read = on_disk(&self.core, "read a package", move |core| {
            let read = core.content.read_file(cid, MANIFEST_BYTES_MAX);
            read.map_err(|error| NodeError::caused(ErrorKind::Failed, "content_failed", &error))
        });
        let bytes = read.await.map_err(|error| gone(error.text))?;
        let text = String::from_utf8(bytes).map_err(|_| gone("agent.yaml is not text".to_owned()))?;
        Manifest::parse(&text).map_err(|errors| gone(errors.to_string()))
    }
}

fn paying(payment: Option<Amount>, max_rate: AmountPerHour) -> String {
    match payment {
        Some(payment) => format!("paying {payment} TALOS at {max_rate} per hour or less"),
        None => "a home lease".to_owned(),
    }
}
