//! What a deployment is refused for before anything is published or paid.

use nisse_market::{Market, ParseSelectionError, Selection};
use nisse_model::{AgentName, Amount, ByteSize, CidCodec, Cpu, DeploymentId, ParseUnitError};
use nisse_orchestrator::{Agent, Assignment};

use crate::bids::{SEALED_WINDOW_SECONDS_MAX, SEALED_WINDOW_SECONDS_MIN};
use crate::control::DeployRequest;
use crate::error::{ErrorKind, NodeError};
use crate::node::life::may_be_open;
use crate::node::orders::Order;
use crate::node::{Node, market_error};
use crate::packages::Stored;
use crate::wallets::KeyName;

/// The longest that the contracts collect bids: `BID_WINDOW_MAX`.
const BID_WINDOW_SECONDS_MAX: u32 = 7 * 24 * 3_600;

impl Node {
    pub(in crate::node) async fn deploying_key(
        &self,
        name: Option<&str>,
        payment: Option<Amount>,
    ) -> Result<KeyName, NodeError> {
        match name {
            None if payment.is_some() && self.core.wallets.has(KeyName::Deployer) => Ok(KeyName::Deployer),
            None | Some("operator") => Ok(KeyName::Operator),
            Some("deployer") if payment.is_none() => {
                let text = "failed to deploy at home with the key `deployer`: a home lease is its node operator's";
                Err(NodeError::new(ErrorKind::Refused, "home_lease_foreign", text)
                    .with_hint("add --payment TALOS for a lease on the market, or leave --key out".to_owned()))
            }
            Some("deployer") => {
                self.core.keys.draw(&self.core.home, KeyName::Deployer).await?;
                Ok(KeyName::Deployer)
            }
            Some(other) => {
                let text = format!("failed to find the key `{other}`: a home has `operator` and `deployer`");
                Err(NodeError::new(ErrorKind::Usage, "key_unknown", text))
            }
        }
    }

    /// One live deployment per owner and name.
    pub(super) async fn check_free(&self, market: &Market, name: &AgentName) -> Result<(), NodeError> {
        let (owner, name) = (market.key(), name.clone());
        let shown = name.clone();
        let orders = self.orders().await?;
        let twin = |order: &&Order| order.package.agent_id.name == shown && order.view.owner == owner;
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
    pub(super) async fn check_closed(&self, deployment: DeploymentId, agent: &Agent) -> Result<(), NodeError> {
        let paid = agent.assignment != Assignment::Home;
        if paid && may_be_open(&agent.life) && self.is_held(deployment).await? {
            return Err(still_held(&agent.placement.package.agent_id.name, deployment));
        }
        Ok(())
    }

    /// How the winner is to be chosen. A market from before there was a reputation knows prices alone.
    pub(super) async fn check_terms(
        &self,
        market: &Market,
        request: &DeployRequest,
        payment: Option<Amount>,
    ) -> Result<Selection, NodeError> {
        let windowed = request.bid_window_seconds.is_some_and(|seconds| seconds > 0);
        if payment.is_none() && (request.select.is_some() || request.instant) {
            let text = "failed to choose a node for a home lease: it is this one's";
            return usage("terms_home", text, "add --payment TALOS for a lease on the market");
        }
        if request.instant && windowed {
            let text = "failed to take an offer at once and collect bids";
            return usage("terms_both", text, "leave --bid-window or --instant out");
        }
        if let Some(seconds) = request.bid_window_seconds.filter(|seconds| *seconds > BID_WINDOW_SECONDS_MAX) {
            let text = format!(
                "failed to collect bids for {seconds} s: the market takes {BID_WINDOW_SECONDS_MAX} s at most, which is a week"
            );
            return usage("window_long", &text, "give --bid-window a few seconds or minutes: nodes bid at once");
        }
        let parsed = request.select.as_deref().map(str::parse).transpose();
        let selection: Selection = parsed
            .map_err(|error: ParseSelectionError| {
                NodeError::new(ErrorKind::Usage, "selection_invalid", format!("failed to {error}"))
            })?
            .unwrap_or_default();
        if request.select.is_some() && !windowed && !request.instant {
            let text = "failed to choose by --select where the first valid bid wins";
            let hint = if selection.is_sealed() {
                "add --bid-window SECONDS"
            } else {
                "add --bid-window SECONDS, or --instant"
            };
            return usage("terms_first", text, hint);
        }
        if selection.is_sealed() {
            check_sealed(market, request).await?;
        }
        if !selection.needs_reputation() || market.addresses().reputation.is_some() {
            return Ok(selection);
        }
        let text = format!("failed to choose by {selection}: this market knows no reputation");
        Err(NodeError::new(ErrorKind::Refused, "reputation_missing", text)
            .with_hint("leave `--select` out: the lowest price wins".to_owned()))
    }

    /// Whether this market takes offers at all.
    pub(in crate::node) async fn check_offers(&self, market: &Market) -> Result<(), NodeError> {
        if market.takes_offers().await.map_err(|error| market_error(&error))? {
            return Ok(());
        }
        let text = "failed to ask for offers: this market's contracts are older than they are";
        Err(NodeError::new(ErrorKind::Refused, "offers_unknown", text)
            .with_hint("let bids come instead: `nisse deploy` without --instant".to_owned()))
    }

    /// A home lease has no other node to go to: what does not fit is refused before anything is published.
    pub(super) async fn check_room(&self, stored: &Stored) -> Result<(), NodeError> {
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

    pub(in crate::node) async fn check_balance(&self, market: &Market, payment: Amount) -> Result<(), NodeError> {
        let balance = market.balance(market.key()).await.map_err(|error| market_error(&error))?;
        if balance >= payment {
            return Ok(());
        }
        let text = format!("failed to pay {payment} TALOS: {} holds {balance}", market.key());
        Err(NodeError::new(ErrorKind::Refused, "balance_low", text)
            .with_hint("send TALOS to that address, or pay less".to_owned()))
    }
}

/// Whether bids can be sealed as a deployment asks for it.
async fn check_sealed(market: &Market, request: &DeployRequest) -> Result<(), NodeError> {
    if request.instant {
        let text = "failed to take an offer at once and have bids sealed";
        return usage("terms_both", text, "leave --instant out, or choose by another rule");
    }
    if let Some(seconds) = request.bid_window_seconds.filter(|seconds| *seconds < SEALED_WINDOW_SECONDS_MIN) {
        let text = format!(
            "failed to have bids sealed in {seconds} s: nodes commit themselves in the first half of a window of \
             {SEALED_WINDOW_SECONDS_MIN} s or more, and reveal in the second"
        );
        return usage("window_short", &text, "give --bid-window a few minutes");
    }
    if request.bid_window_seconds.is_some_and(|seconds| seconds > SEALED_WINDOW_SECONDS_MAX) {
        let text = format!(
            "failed to have bids sealed for longer than {SEALED_WINDOW_SECONDS_MAX} s: nodes bind no stake for that long"
        );
        return usage("window_long", &text, "give --bid-window a few minutes");
    }
    if request.max_rate.is_none() {
        let text = "failed to have bids sealed without a limit: each bidder's stake is held for 24 hours of it";
        return usage("rate_missing", text, "add --max-rate TALOS, not far above what an hour should cost");
    }
    if !market.takes_sealed_bids().await.map_err(|error| market_error(&error))? {
        let text = "failed to have bids sealed: this market's contracts are older than they are";
        return Err(NodeError::new(ErrorKind::Refused, "sealed_unknown", text)
            .with_hint("have them open: `--select lowest-price`".to_owned()));
    }
    Ok(())
}

fn usage<T>(code: &'static str, text: &str, hint: &str) -> Result<T, NodeError> {
    Err(NodeError::new(ErrorKind::Usage, code, text).with_hint(hint.to_owned()))
}

/// An offer is taken before anybody could attest what a larger artifact is.
pub(super) fn check_one_block(stored: &Stored) -> Result<(), NodeError> {
    if stored.reference.artifact_cid.codec() == CidCodec::Raw {
        return Ok(());
    }
    let name = &stored.reference.agent_id.name;
    let text =
        format!("failed to deploy {name} at once: its artifact is in dag-pb blocks, and nodes have to attest it first");
    Err(NodeError::new(ErrorKind::Refused, "artifact_large", text)
        .with_hint("without --instant it is attested, and then bid on".to_owned()))
}

fn still_held(name: &AgentName, deployment: DeploymentId) -> NodeError {
    let text = format!("failed to deploy {name}: the market still holds deployment {} of it", deployment.number);
    NodeError::new(ErrorKind::Conflict, "order_open", text)
        .with_hint(format!("`nisse status {name}` says where it stands; `nisse stop {name}` closes it"))
}

/// An amount of TALOS.
pub(in crate::node) fn parse_amount(text: &str) -> Result<Amount, NodeError> {
    text.parse().map_err(|error: ParseUnitError| {
        NodeError::new(ErrorKind::Usage, "amount_invalid", format!("failed to {error}"))
    })
}

/// An amount that somebody pays.
pub(in crate::node) fn parse_payment(text: &str) -> Result<Amount, NodeError> {
    let amount = parse_amount(text)?;
    if amount.0 > 0 {
        return Ok(amount);
    }
    Err(NodeError::new(ErrorKind::Usage, "amount_invalid", "failed to pay 0 TALOS: more than nothing is expected"))
}
