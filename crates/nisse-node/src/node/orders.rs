//! Orders of this home's keys that this node does not run: open on the market, or taken by another node.
//!
//! The market is the only list of them. Whatever a key of this home deployed is looked up there, so an order that was
//! placed before a crash, or that no node wants, is found, shown and closed like an agent that runs here.
//!
//! Whoever looks at both asks for the orders first: one that this node takes meanwhile is among its agents then. The
//! other way round it would be in neither.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use nisse_content::GatewayUrl;
use nisse_market::{DeploymentState, DeploymentView, Market};
use nisse_model::{Address, Amount, DeploymentId, PackageRef, Timestamp};
use nisse_orchestrator::Refusal;

use super::market::{LISTED_MAX, views};
use super::{Node, market_error};
use crate::control::{AgentStatus, LeaseStatus};
use crate::error::{ErrorKind, NodeError};
use crate::packages;
use crate::wallets::KeyName;
use crate::watcher::OwnOrders;

/// The orders that were found.
#[derive(Default)]
pub(super) struct Orders {
    /// Newest first. An older one is found by its full name.
    pub(super) listed: Vec<Order>,
    /// How many, of deployments that may be this home's, are too old to be looked through.
    pub(super) older: u64,
}

impl Orders {
    /// What is left out, where something is.
    pub(super) fn cut(&self) -> Option<String> {
        let older = self.older;
        (older > 0).then(|| {
            format!(
                "only the newest {LISTED_MAX} orders of this home are looked through: one of the {older} \
                 older ones is found by its full name"
            )
        })
    }
}

/// An order of this home that this node does not run.
#[derive(Clone)]
pub(super) struct Order {
    pub(super) deployment: DeploymentId,
    pub(super) package: PackageRef,
    pub(super) view: DeploymentView,
    /// Why this node did not bid.
    pub(super) refusal: Option<Refusal>,
    /// The other node that has it, or had it to its end.
    pub(super) taken_by: Option<Address>,
    /// Where that one is reached.
    pub(super) node_url: Option<GatewayUrl>,
}

impl Order {
    /// Whether it can still be closed: it holds a deposit, or a home lease.
    pub(super) fn is_live(&self) -> bool {
        is_live(self.view.state)
    }

    /// Why a command that needs the agent itself is not possible.
    pub(super) fn not_here(&self, verb: &str) -> NodeError {
        let (name, word) = (&self.package.agent_id.name, self.word());
        let text = match self.view.node.filter(|_| word != "open") {
            Some(node) => format!("failed to {verb} {name}: it is {word} on the node {node}, not here"),
            None => format!("failed to {verb} {name}: its order is {word} and no node runs it"),
        };
        NodeError::new(ErrorKind::Conflict, "not_here", text)
            .with_hint(format!("`nisse status {name}` says why; `nisse stop {name}` closes the order"))
    }

    /// The other node that runs it, or is to start it.
    pub(super) fn runs_on(&self) -> Option<Address> {
        self.taken_by.filter(|_| has_node(self.view.state))
    }

    /// Another node's agents are reached below what it registered.
    fn endpoint(&self) -> Option<String> {
        let (url, node) = (self.node_url.as_ref()?, self.taken_by?);
        let (name, suffix) = (&self.package.agent_id.name, url.host().to_string());
        let [host, _] = crate::routes::host_names(name, self.view.owner, node, &suffix);
        Some(url.page_of(&host))
    }

    fn word(&self) -> &'static str {
        word(&self.view)
    }

    fn reason(&self, now: Timestamp) -> String {
        let view = &self.view;
        let node = view.node.map(|node| node.to_string()).unwrap_or_default();
        match view.state {
            DeploymentState::Unverified => match &self.refusal {
                Some(refusal) => format!("no quorum has attested its artifact yet; this node refused it: {refusal}"),
                None => "no quorum has attested its artifact yet".to_owned(),
            },
            DeploymentState::Open => self.bidding(now),
            DeploymentState::Assigned => format!("the node {node} is to start it"),
            DeploymentState::Running => format!("on the node {node}"),
            DeploymentState::Stopped => "closed; what was left of its deposit is its owner's again".to_owned(),
            DeploymentState::Expired => "its deposit was used up".to_owned(),
        }
    }

    /// Seconds for which bids are collected yet.
    fn round_left(&self, now: Timestamp) -> u64 {
        self.view.round_ends().map_or(0, |ends| ends.seconds().saturating_sub(now.seconds()))
    }

    /// How far the bidding on an open order is.
    fn bidding(&self, now: Timestamp) -> String {
        let Self { view, refusal, .. } = self;
        let (ends, left) = (view.round_ends(), self.round_left(now));
        let leader = view.node.map(|node| format!("{node} leads with {} TALOS per hour", view.rate));
        let told = match (left, leader, view.only_node, refusal) {
            (1.., Some(leader), ..) => format!("its round of bids ends in {left} s; {leader}"),
            (1.., None, ..) => format!("its round of bids ends in {left} s; no bid leads yet"),
            (0, Some(leader), ..) if ends.is_some() => format!("its round of bids is over; {leader}"),
            (0, Some(leader), ..) => format!("bids are taken; {leader}"),
            (0, None, Some(only), None) => return format!("only the node {only} may take it, and has not yet"),
            (0, None, ..) => "no node has it".to_owned(),
        };
        match refusal {
            Some(refusal) if left == 0 && view.node.is_none() => format!("{told}, and this one refused it: {refusal}"),
            Some(refusal) => format!("{told}; this node refused it: {refusal}"),
            None => told,
        }
    }

    fn hint(&self, now: Timestamp) -> Option<String> {
        let name = &self.package.agent_id.name;
        let close = format!("`nisse stop {name}` closes the order and gives its deposit back");
        match (self.view.state, &self.refusal) {
            // Others may want what this node does not.
            (DeploymentState::Open, _) if self.view.node.is_some() || self.round_left(now) > 0 => {
                Some(format!("the best bid gets it when the round is over; {close}"))
            }
            (DeploymentState::Open, Some(Refusal::Draining)) => {
                Some(format!("run `nisse node drain --off`, and this node looks at it again; {close}"))
            }
            (DeploymentState::Open, Some(Refusal::Taken)) => {
                Some(format!("stop the agent of the same name, and this node looks at it again; {close}"))
            }
            (DeploymentState::Open, Some(Refusal::Cpu { .. } | Refusal::Memory { .. })) => {
                let mend = "stop another agent, or lend more in nisse.toml and start the node anew";
                Some(format!("{mend}: it looks at the order again; {close}"))
            }
            (DeploymentState::Open, Some(Refusal::Stake { .. })) => {
                let mend = "give the node stake (`nisse node status` tells what it has)";
                Some(format!("{mend}, and this node looks at it again; {close}"))
            }
            (DeploymentState::Open | DeploymentState::Unverified, Some(refusal)) if refusal.is_unfetched() => {
                let mend = "see that its package can be had (`nisse content find CID`)";
                Some(format!("{mend}, and this node looks at it again; {close}"))
            }
            (DeploymentState::Open, Some(refusal)) => Some(match hint_of(refusal) {
                Some(mend) => format!("{close}; then {mend} and deploy it again"),
                None => close,
            }),
            (DeploymentState::Open, None) | (DeploymentState::Unverified, _) => Some(close),
            _ => None,
        }
    }
}

/// What would have made this node bid.
fn hint_of(refusal: &Refusal) -> Option<String> {
    Some(match refusal {
        Refusal::Owner { owner } => format!("start the node with `--accept {owner}`"),
        Refusal::Price { asked, .. } => format!("offer `--max-rate {asked}` or more"),
        Refusal::GasBudget { most, .. } => format!("publish it with a gas budget of {most} or less"),
        Refusal::Gpu => "take `gpu` out of agent.yaml".to_owned(),
        // Once that has passed, the node looks at it by itself.
        Refusal::Cpu { .. } | Refusal::Memory { .. } | Refusal::Draining | Refusal::Taken | Refusal::Stake { .. } => {
            return None;
        }
        Refusal::Package { .. } => "mend the package".to_owned(),
    })
}

/// Whether the market holds it open or running.
pub(super) fn is_live(state: DeploymentState) -> bool {
    !matches!(state, DeploymentState::Stopped | DeploymentState::Expired)
}

/// Whether the market has it at a node.
pub(super) fn has_node(state: DeploymentState) -> bool {
    matches!(state, DeploymentState::Assigned | DeploymentState::Running)
}

fn word(view: &DeploymentView) -> &'static str {
    match view.state {
        DeploymentState::Unverified => "unverified",
        DeploymentState::Open => "open",
        DeploymentState::Assigned => "assigned",
        DeploymentState::Running if view.paused => "paused",
        DeploymentState::Running => "running",
        DeploymentState::Stopped => "stopped",
        DeploymentState::Expired => "expired",
    }
}

/// Of so many deployments, the numbers of those that may be this home's, newest first, and how many more there are: for
/// each of its keys what the log told of as that key's, and what it has not told of.
fn worth_a_look(known: &[OwnOrders], count: u64) -> (Vec<u64>, u64) {
    let (mut numbers, mut older) = (BTreeSet::new(), 0);
    for OwnOrders { numbers: own, told } in known {
        let own = own.iter().copied().filter(|number| *number <= count);
        let (first, last) = told.clone().map_or((count + 1, count), RangeInclusive::into_inner);
        let untold = (last + 1..=count).rev().chain((1..first.min(count + 1)).rev());
        older = older.max(untold.clone().count().saturating_sub(LISTED_MAX));
        numbers.extend(own.chain(untold.take(LISTED_MAX)));
    }
    let older = older + numbers.len().saturating_sub(LISTED_MAX);
    (numbers.into_iter().rev().take(LISTED_MAX).collect(), older as u64)
}

impl Node {
    /// The live orders of this home that this node does not run. The log says where the list is cut.
    pub(super) async fn orders(&self) -> Result<Vec<Order>, NodeError> {
        let orders = self.all_orders().await?;
        if let Some(cut) = orders.cut() {
            tracing::warn!("orders may be missing from a list: {cut}");
        }
        Ok(orders.listed)
    }

    /// The same with how far it reaches, newest first, on every version of the market.
    pub(super) async fn all_orders(&self) -> Result<Orders, NodeError> {
        let mut orders = Orders::default();
        for version in self.core.keys.versions().iter().rev() {
            let core = &self.core;
            let market = core.keys.market_of(&core.home, &core.supervisor, KeyName::Operator, version.manager)?;
            self.orders_of(&market, &mut orders).await?;
        }
        Ok(orders)
    }

    async fn orders_of(&self, market: &Market, orders: &mut Orders) -> Result<(), NodeError> {
        let owners = self.owners();
        let known = owners.iter().map(|owner| OwnOrders::read(&self.core.database, market.addresses(), *owner));
        let known = known.collect::<Result<Vec<_>, _>>();
        let known = known.map_err(|error| NodeError::caused(ErrorKind::Failed, "index_failed", &error))?;
        let count = market.deployments().await.map_err(|error| market_error(&error))?;
        let (numbers, older) = worth_a_look(&known, count);
        orders.older += older;
        for view in views(market, numbers.into_iter())
            .await?
            .into_iter()
            .filter(|view| owners.contains(&view.owner) && is_live(view.state))
        {
            orders.listed.extend(self.order_of(market, view).await?);
        }
        Ok(())
    }

    /// An order of this home by its full name, ended ones included.
    pub(super) async fn order(&self, deployment: DeploymentId) -> Result<Option<Order>, NodeError> {
        let here = deployment.chain == self.core.keys.chain_id();
        let versions = self.core.keys.versions();
        // What the market does not know is no order.
        if !here || versions.iter().all(|version| version.manager != deployment.contract) {
            return Ok(None);
        }
        let market = self.market_of(KeyName::Operator, &deployment)?;
        let Ok(view) = market.deployment(deployment.number).await else { return Ok(None) };
        if !self.owners().contains(&view.owner) {
            return Ok(None);
        }
        self.order_of(&market, view).await
    }

    /// `None` where this node runs it, or where its own record of it says more.
    async fn order_of(&self, market: &Market, view: DeploymentView) -> Result<Option<Order>, NodeError> {
        let deployment = market.deployment_id(view.number);
        let known = self
            .look(move |all| {
                let live = all.agent(&deployment).map(|agent| agent.life.is_live());
                (live, all.refused().get(&deployment).cloned())
            })
            .await?;
        // A leading bid of an order that was closed is nobody's lease.
        let had_node = has_node(view.state) || view.started.is_some();
        let elsewhere = view.node.filter(|node| *node != self.core.operator && had_node);
        let (live, refusal) = known;
        // An id that is not one can be published by anybody.
        let Ok(package) = view.package.reference() else { return Ok(None) };
        if live == Some(true) || (live == Some(false) && elsewhere.is_none()) {
            return Ok(None);
        }
        let node_url = match elsewhere {
            None => None,
            Some(node) => {
                let registered = market.node(node).await.map_err(|error| market_error(&error))?;
                registered.and_then(|found| found.endpoint.parse().ok())
            }
        };
        Ok(Some(Order { deployment, package, view, refusal, taken_by: elsewhere, node_url }))
    }

    /// The addresses of this home's keys.
    pub(super) fn owners(&self) -> BTreeSet<Address> {
        packages::own_keys(&self.core)
    }

    /// An order as `status` shows it: what the market knows, and what is kept here of its state.
    pub(super) async fn describe_order(&self, order: &Order) -> AgentStatus {
        let (view, name, now) = (&order.view, &order.package.agent_id.name, self.core.next_block_time());
        let kept = self.kept(view.owner, name).await;
        let paid = Amount(view.paid.0.saturating_add(view.due.0));
        AgentStatus {
            agent_id: view.package.agent_id.clone(),
            version: order.package.agent_id.version.to_string(),
            state: order.word().to_owned(),
            reason: Some(order.reason(now)),
            hint: order.hint(now),
            deployment: order.deployment.to_string(),
            owner: view.owner.to_string(),
            node: view.node.filter(|_| view.state != DeploymentState::Open).map(|node| node.to_string()),
            endpoint: order.endpoint().unwrap_or_else(|| self.endpoint(view.owner, name)),
            since: view.started.map(|at| at.0),
            restarts: 0,
            memory_bytes: 0,
            fuel_used: 0,
            invocations: 0,
            state_bytes: kept.bytes,
            state_root: kept.root,
            alarm: None,
            permissions: Vec::new(),
            cid: view.package.artifact_cid.to_string(),
            manifest_cid: view.package.manifest_cid.to_string(),
            update_refused: None,
            gas: None,
            lease: LeaseStatus {
                // Before a lease there is only what the order pays at most.
                rate: if has_node(view.state) || view.started.is_some() { view.rate } else { view.max_rate }
                    .to_string(),
                paid: paid.to_string(),
                balance: Amount(view.deposited.0.saturating_sub(paid.0)).to_string(),
                ends_at: view.ends_at.map(|at| at.0),
                warning: None,
            },
            space: self.owner_space(view.owner, name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_is_cut_says_so() {
        assert_eq!(Orders::default().cut(), None);
        let said = Orders { older: 3, ..Orders::default() }.cut().unwrap_or_default();
        assert!(said.contains("only the newest 200 orders of this home"), "{said}");
        assert!(said.ends_with("one of the 3 older ones is found by its full name"), "{said}");
    }

    #[test]
    fn what_is_looked_at_is_what_the_log_named_and_what_it_has_not_told_of() {
        let own = |numbers: &[u64], told| OwnOrders { numbers: numbers.to_vec(), told };
        let one = |numbers: &[u64], told, count| worth_a_look(&[own(numbers, told)], count);
        assert_eq!(one(&[], None, 3), (vec![3, 2, 1], 0), "nothing was read yet");
        assert_eq!(one(&[], None, 0), (vec![], 0));
        assert_eq!(one(&[900, 5], Some(1..=1_000), 1_000), (vec![900, 5], 0));
        assert_eq!(one(&[900, 5], Some(3..=1_000), 1_002), (vec![1_002, 1_001, 900, 5, 2, 1], 0));
        // A reorganisation took some away.
        assert_eq!(one(&[900, 5], Some(1..=1_000), 800), (vec![5], 0));
        let many: Vec<u64> = (1..=300).rev().collect();
        let (numbers, older) = one(&many, Some(1..=300), 320);
        assert_eq!((numbers.len(), numbers[0], numbers[199], older), (200, 320, 121, 120));
        // What one key's log has not told of may be that key's.
        let both = [own(&[7], Some(1..=10)), own(&[9], Some(9..=10))];
        assert_eq!(worth_a_look(&both, 10), (vec![9, 8, 7, 6, 5, 4, 3, 2, 1], 0));
        let both = [own(&[7], Some(1..=500)), own(&[], None)];
        let (numbers, older) = worth_a_look(&both, 500);
        assert_eq!((numbers.len(), numbers[199], older), (200, 301, 301));
    }
}
