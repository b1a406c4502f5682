//! From an upload to a live agent, by contract, with every step told.

mod check;
mod claim;
mod instant;
mod wait;

use nisse_market::{DeployOrder, DeploymentView, Market, OrderTerms, PublicationTerms, Selection};
use nisse_model::{AgentName, Amount, AmountPerHour, CredentialId, DeploymentId, Manifest, PackageRef, Role};
use nisse_orchestrator::Assignment;

use self::check::check_one_block;
use self::check::parse_amount;
pub(super) use self::check::parse_payment;
use self::claim::Claim;
use self::wait::Wait;
use super::{Node, market_error};
use crate::caller;
use crate::control::{DeployRequest, Deployed};
use crate::error::{ErrorKind, NodeError};
use crate::packages::{self, RunBy, Stored, on_disk};
use crate::timeline::Timeline;
use crate::wallets::KeyName;

/// The highest price per hour that the contracts have room for.
const RATE_MAX: Amount = Amount((1 << 80) - 1);
/// Longest manifest, in bytes.
const MANIFEST_BYTES_MAX: u64 = 64 << 10;

impl Node {
    /// Packs, publishes, deploys, and waits until the agent is live or has failed. Each step is noted as it happens, and
    /// the answer has all that stand on the timeline.
    pub async fn deploy(&self, request: DeployRequest, timeline: &mut Timeline) -> Result<Deployed, NodeError> {
        let payment = request.payment.as_deref().map(parse_payment).transpose()?;
        let space = request.space.as_deref().map(|space| self.owning_space(space, payment)).transpose()?;
        let key = self.deploying_key(request.key.as_deref(), payment).await?;
        let market = self.market(key)?;
        let selection = self.check_terms(&market, &request, payment).await?;
        if request.instant {
            self.check_offers(&market).await?;
        }
        let run_by = if payment.is_some() { RunBy::Market } else { RunBy::Home };
        // Nothing is fetched for what is refused anyway.
        if request.package.artifact_cid.is_some()
            && let Ok(manifest) = Manifest::parse(&request.package.manifest)
        {
            self.check_free(&market, &manifest.agent_id.name).await?;
        }
        let stored = packages::store(&self.core, request.package, market.key(), run_by).await?;
        if request.instant {
            check_one_block(&stored)?;
        }
        let _claim = Claim::take(&self.core, market.key(), &stored.reference.agent_id.name)?;
        self.check_free(&market, &stored.reference.agent_id.name).await?;
        if payment.is_none() {
            self.check_room(&stored).await?;
        }
        // It is whose it is said to be now: whoever deploys it without a space takes it back.
        if key == KeyName::Operator {
            self.give(&stored.reference.agent_id.name, space).await?;
        }
        timeline.note("packed", format!("artifact {}", stored.reference.artifact_cid));
        let max_rate = match (&request.max_rate, payment) {
            (Some(text), _) => parse_amount(text).map(|amount| AmountPerHour(amount.0))?,
            (None, Some(payment)) => AmountPerHour(payment.0.min(RATE_MAX.0)),
            (None, None) => AmountPerHour(0),
        };
        let bid_window_seconds = request.bid_window_seconds.filter(|_| payment.is_some()).unwrap_or(0);
        let wait = Wait::asked(request.wait_ms, bid_window_seconds);
        let instant = request.instant;
        let terms = AskedTerms { max_rate, bid_window_seconds, selection, instant };
        let deployed = self.publish_and_deploy(timeline, &market, &stored, payment, terms, wait).await;
        deployed.map_err(|error| match (error.code, &self.core.chain) {
            ("balance_low", Some(_)) => {
                error.with_hint("without --payment it runs here as a home lease, which costs nothing".to_owned())
            }
            _ => error,
        })
    }

    /// The space that an agent is deployed for: this home's identity is an admin of it.
    fn owning_space(&self, space: &str, payment: Option<Amount>) -> Result<CredentialId, NodeError> {
        let what = "failed to deploy for a space";
        caller::refuse_bounded(&format!("{what}: a token or an agent gives nothing away in this home's name"))?;
        if payment.is_some() {
            let text = format!("{what}: what a space owns runs on this home, and not on the market");
            return Err(NodeError::new(ErrorKind::Usage, "space_at_home", text)
                .with_hint("leave --payment or --space out".to_owned()));
        }
        let registered = self.space_named(space)?;
        self.refuse_home(&registered, &format!("{what}, since without --space it is this identity's own"))?;
        self.may(&registered, Role::Admin)?;
        Ok(registered.space)
    }

    /// Says whose an agent of this home's operator is, durably.
    async fn give(&self, name: &AgentName, space: Option<CredentialId>) -> Result<(), NodeError> {
        let name = name.clone();
        on_disk(&self.core, "give an agent to a space", move |core| core.owned.set(core.home.disk(), &name, space))
            .await
    }

    /// Makes this home's second key and gives it test tokens on the embedded chain: what the demo pays with.
    pub async fn endow_deployer(&self, amount: &str) -> Result<(), NodeError> {
        let amount = parse_amount(amount)?;
        self.core.keys.draw(&self.core.home, KeyName::Deployer).await?;
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
        self.check_free(&market, &stored.reference.agent_id.name).await?;
        let (payment, terms) = match &agent.assignment {
            Assignment::Home => (None, AskedTerms::home()),
            Assignment::Lease(lease) => {
                let then = self.market_of(KeyName::Operator, &deployment)?;
                let refused = |error| market_error(&error);
                let before = then.deployment(deployment.number).await.map_err(refused)?;
                let selection = then.selection(deployment.number).await.map_err(refused)?;
                let terms = AskedTerms { max_rate: lease.rate, selection, ..AskedTerms::of(&before) };
                (Some(lease.deposited), terms)
            }
        };
        let wait = Wait::asked(None, terms.bid_window_seconds);
        self.publish_and_deploy(&mut timeline, &market, &stored, payment, terms, wait).await
    }

    async fn publish_and_deploy(
        &self,
        timeline: &mut Timeline,
        market: &Market,
        stored: &Stored,
        payment: Option<Amount>,
        terms: AskedTerms,
        wait: Wait,
    ) -> Result<Deployed, NodeError> {
        if let Some(payment) = payment {
            self.check_balance(market, payment).await?;
        }
        let offers = match terms.instant {
            true => self.find_offers(timeline, market, stored, terms).await?,
            false => Vec::new(),
        };
        let mut milestones = self.core.milestones.subscribe();
        let publication = self.publish(market, stored, terms).await?;
        timeline.note("published", format!("publication {publication} of {}", stored.reference.agent_id));
        let intent = self.core.fresh_name("deploy");
        let refused = |error| market_error(&error);
        let number = match payment {
            None => {
                let order = DeployOrder { publication, ..DeployOrder::default() };
                market.deploy_home(&intent, order).await.map_err(refused)?
            }
            Some(payment) if terms.instant => {
                let order = DeployOrder { publication, payment, ..DeployOrder::default() };
                self.take_offer(timeline, market, stored, order, offers).await?
            }
            Some(payment) => match self.own_terms(market, terms) {
                None => {
                    let (agent_id, cid) = (stored.reference.agent_id.to_string(), stored.reference.artifact_cid);
                    // The TIP's own call: it looks up this key's publication of that name.
                    market.deploy_literal(&intent, &agent_id, &cid.to_string(), payment).await.map_err(refused)?
                }
                terms => {
                    let order = DeployOrder { publication, payment, terms, ..DeployOrder::default() };
                    market.deploy(&intent, order).await.map_err(refused)?
                }
            },
        };
        let deployment = market.deployment_id(number);
        timeline.note("deployed", format!("deployment {number}, {}", paying(payment, terms)));
        // A deployment that is not live in time goes on by itself; its state is told as it is.
        let live = self.until_live(timeline, &mut milestones, market, deployment, wait.assignment);
        let _ = tokio::time::timeout(wait.live, live).await;
        self.deployed(timeline, deployment).await
    }

    /// Publishes unless this very publication stands already.
    pub(super) async fn publish(&self, market: &Market, stored: &Stored, terms: AskedTerms) -> Result<u64, NodeError> {
        let AskedTerms { max_rate, bid_window_seconds, .. } = terms;
        let terms = packages::terms(&stored.reference, stored.manifest.resources, max_rate);
        let terms = PublicationTerms { bid_window_seconds, ..terms };
        if let Ok(known) = market.publication(market.key(), &terms.package.agent_id).await
            && known.package == terms.package
            && known.max_rate == max_rate
            && known.bid_window_seconds == bid_window_seconds
        {
            return Ok(known.number);
        }
        market.publish(&self.core.fresh_name("publish"), terms).await.map_err(|error| market_error(&error))
    }

    /// What an order says beside its publication; `None` where that is nothing, and on a market that takes nothing.
    fn own_terms(&self, market: &Market, terms: AskedTerms) -> Option<OrderTerms> {
        // Contracts from before there was a reputation take no terms; those that take sealed bids are younger.
        if market.addresses().reputation.is_none() && !terms.selection.is_sealed() {
            return None;
        }
        // Without an endpoint of its own nobody finds this node by its name.
        let provider = self.core.options.endpoint.is_some().then(|| self.public_url().to_string());
        let order = OrderTerms { selection: terms.selection, provider };
        (order != OrderTerms::default()).then_some(order)
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

/// Under which terms bids are made for a publication.
#[derive(Debug, Clone, Copy)]
pub(super) struct AskedTerms {
    pub(super) max_rate: AmountPerHour,
    /// 0: the first valid bid wins.
    pub(super) bid_window_seconds: u32,
    pub(super) selection: Selection,
    /// Signed offers are asked for, and the best is taken.
    pub(super) instant: bool,
}

impl AskedTerms {
    /// At home nobody bids.
    pub(super) fn home() -> Self {
        Self { max_rate: AmountPerHour(0), bid_window_seconds: 0, selection: Selection::LowestPrice, instant: false }
    }

    /// Those of an order: they hold for another package of it too, should it come back to the market. How it chooses
    /// stands with the order and not with what is published.
    pub(super) fn of(view: &DeploymentView) -> Self {
        Self { max_rate: view.max_rate, bid_window_seconds: view.bid_window_seconds, ..Self::home() }
    }
}

fn paying(payment: Option<Amount>, terms: AskedTerms) -> String {
    let AskedTerms { max_rate, bid_window_seconds, selection, instant } = terms;
    match payment {
        Some(payment) if instant => format!("paying {payment} TALOS, to the node whose offer was taken"),
        Some(payment) if bid_window_seconds > 0 => {
            let by = selection.criterion();
            format!(
                "paying {payment} TALOS at {max_rate} per hour or less, to the best bid of {bid_window_seconds} s by {by}"
            )
        }
        Some(payment) => format!("paying {payment} TALOS at {max_rate} per hour or less"),
        None => "a home lease".to_owned(),
    }
}
