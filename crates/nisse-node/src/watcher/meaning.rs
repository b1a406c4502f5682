//! What an event of the market means to a node, held against what the contract says now: an old one that is told again
//! moves nothing. No chain is asked here, so a simulated world reads its log with the same rules.

use nisse_market::{
    DeploymentState, DeploymentView, EventAt, ListedPackage, MarketEvent, OrderView, ReopenedFor, StoppedBy,
};
use nisse_model::{Address, DeploymentId, Timestamp};
use nisse_orchestrator::{Assignment, CloseReason, Command, Event, Lease, NextPackage, Order, Placement};

use super::Standing;

/// Who reads the log of which version of the market.
#[derive(Debug, Clone, Copy)]
pub struct Reader {
    /// The node's own address.
    pub operator: Address,
    /// How much of this version concerns it.
    pub standing: Standing,
}

/// What one event comes to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Meaning {
    /// For the orchestrator, in order.
    pub events: Vec<Event>,
    /// The owner's word on chain.
    pub command: Option<Command>,
    /// What the agent may burn is to be read from the contract.
    pub has_terms: bool,
}

impl Meaning {
    fn told(events: Vec<Event>) -> Self {
        Self { events, ..Self::default() }
    }
}

impl Reader {
    /// What an event means, given what the contract says of its deployment now. `None`: without that it cannot be told.
    pub fn meaning(&self, deployment: DeploymentId, at: &EventAt, view: Option<&DeploymentView>) -> Option<Meaning> {
        let (operator, newest) = (self.operator, self.standing == Standing::Newest);
        let round = at.block.number;
        Some(match &at.event {
            // What opens on an old version is not for this node any more.
            MarketEvent::Deployed { .. } | MarketEvent::Verified { .. } if !newest => Meaning::default(),
            MarketEvent::Deployed { owner, order, .. } => {
                let opened = opened(deployment, *owner, order, operator, round);
                // A node that catches up need not fetch what others took or attested long ago.
                let awaited = if order.verified { DeploymentState::Open } else { DeploymentState::Unverified };
                match opened.is_empty() || view?.state == awaited {
                    true => Meaning::told(opened),
                    false => Meaning::default(),
                }
            }
            MarketEvent::Reopened { bidding_ends, node, reason, .. } => {
                let close = if *reason == ReopenedFor::Silent { CloseReason::Silent } else { CloseReason::Reopened };
                let mut events = match *node == operator {
                    true => ended(view?, deployment, operator, close),
                    false => Vec::new(),
                };
                // The contract keeps the leading bid only: whoever bid before has no bid now.
                events.push(Event::Reopened { deployment, round });
                if newest {
                    events.extend(reopened(view?, deployment, Some(*bidding_ends), round).map(Event::OrderOpened));
                }
                Meaning::told(events)
            }
            MarketEvent::Verified { bidding_ends, .. } => {
                let order = reopened(view?, deployment, Some(*bidding_ends), round);
                Meaning::told(order.map(Event::OrderOpened).into_iter().collect())
            }
            MarketEvent::Assigned { node, .. } if *node == operator => {
                Meaning::told(assigned(view?, deployment, operator))
            }
            MarketEvent::Assigned { .. } => Meaning::told(vec![Event::AssignedElsewhere { deployment }]),
            MarketEvent::Started { node, started, incarnation, .. } if *node == operator => {
                let view = view?;
                // An old start says nothing of a lease that has yet to start; one that the contract's endpoint does not
                // know yet is none.
                let stands = is_held(view, operator) && view.started == Some(*started);
                let events = match stands || view.incarnation < *incarnation {
                    true => vec![Event::Acknowledged { deployment, at: *started }],
                    false => Vec::new(),
                };
                Meaning { events, has_terms: true, ..Meaning::default() }
            }
            MarketEvent::Updated { node, .. } if *node == operator => Meaning { has_terms: true, ..Meaning::default() },
            // Only what the contract says now is heeded: an old word that is told again moves nothing.
            MarketEvent::Paused { node, .. } | MarketEvent::Resumed { node, .. } if *node == operator => {
                let paused = view?.paused;
                let command = if paused { Command::Pause } else { Command::Resume };
                let stands = matches!(at.event, MarketEvent::Paused { .. }) == paused;
                Meaning { command: stands.then_some(command), ..Meaning::default() }
            }
            MarketEvent::UpdateRequested { node, revision, order, .. } if *node == operator => {
                Meaning::told(update(view?, deployment, operator, *revision, order))
            }
            MarketEvent::Stopped { by, .. } => {
                let reason = match by {
                    StoppedBy::Owner => CloseReason::Owner,
                    StoppedBy::Node => CloseReason::Reopened,
                };
                Meaning::told(ended(view?, deployment, operator, reason))
            }
            MarketEvent::Expired { .. } => Meaning::told(ended(view?, deployment, operator, CloseReason::Expired)),
            MarketEvent::Deposited { .. } | MarketEvent::Withdrawn { .. } => {
                let view = view?;
                // After the end it is what the end left of it: not what the owner once paid, and would pay again.
                Meaning::told(match is_held(view, operator) {
                    true => vec![Event::Funded { deployment, deposited: view.deposited }],
                    false => Vec::new(),
                })
            }
            _ => Meaning::default(),
        })
    }
}

pub(super) fn is_held(view: &DeploymentView, operator: Address) -> bool {
    view.node == Some(operator) && matches!(view.state, DeploymentState::Assigned | DeploymentState::Running)
}

/// An order that takes bids again: what it asks for stands in the contract.
pub fn reopened(
    view: &DeploymentView,
    deployment: DeploymentId,
    until: Option<Timestamp>,
    round: u64,
) -> Option<Order> {
    let unverified = match view.state {
        DeploymentState::Open => false,
        DeploymentState::Unverified => true,
        _ => return None,
    };
    let placement = placement(view.owner, &view.package)?;
    Some(Order {
        deployment,
        placement,
        max_rate: view.max_rate,
        gas_budget: view.gas_budget,
        bids_until: until.filter(|_| view.bid_window_seconds > 0),
        round,
        unverified,
    })
}

pub(super) fn assigned(view: &DeploymentView, deployment: DeploymentId, operator: Address) -> Vec<Event> {
    // An assignment that is told again after its end brings nothing back to life.
    let (began, gas_budget) = (view.incarnation, view.gas_budget);
    let event = |(placement, assignment)| Event::Assigned { deployment, placement, assignment, began, gas_budget };
    held(view, operator).map(event).into_iter().collect()
}

/// What this node holds, by what the contract says now; `None` where it holds nothing.
pub(super) fn held(view: &DeploymentView, operator: Address) -> Option<(Placement, Assignment)> {
    if !is_held(view, operator) {
        return None;
    }
    let assignment = if view.home {
        Assignment::Home
    } else {
        Assignment::Lease(Lease { rate: view.rate, deposited: view.deposited })
    };
    Some((placement(view.owner, &view.package)?, assignment))
}

/// An old end that is told again says nothing about a lease that this node holds now.
fn ended(view: &DeploymentView, deployment: DeploymentId, operator: Address, reason: CloseReason) -> Vec<Event> {
    if is_held(view, operator) { Vec::new() } else { vec![Event::Closed { deployment, reason }] }
}

fn opened(deployment: DeploymentId, owner: Address, order: &OrderView, operator: Address, round: u64) -> Vec<Event> {
    let for_me = order.only_node.is_none_or(|node| node == operator);
    // A home lease is assigned in the same transaction.
    if order.home || !for_me {
        return Vec::new();
    }
    let verified = order.verified;
    let bids_until = order.bidding_ends.filter(|_| order.bid_window_seconds > 0);
    let order = placement(owner, &order.package).map(|placement| Order {
        deployment,
        placement,
        max_rate: order.max_rate,
        gas_budget: order.gas_budget,
        bids_until,
        round,
        unverified: !verified,
    });
    order.map(Event::OrderOpened).into_iter().collect()
}

fn update(
    view: &DeploymentView,
    deployment: DeploymentId,
    operator: Address,
    revision: u32,
    order: &OrderView,
) -> Vec<Event> {
    // An old request that is told again is none, nor one that was forgotten when another node took over.
    if !is_held(view, operator) || view.update.is_none_or(|(asked, _)| asked != revision) {
        return Vec::new();
    }
    let next = placement(view.owner, &order.package).map(|placement| NextPackage {
        revision,
        placement,
        gas_budget: order.gas_budget,
    });
    next.map(|next| Event::UpdateRequested { deployment, next }).into_iter().collect()
}

/// `None` for an id that is not one: it can be published by anybody, and nobody runs it.
fn placement(owner: Address, listed: &ListedPackage) -> Option<Placement> {
    match listed.reference() {
        Ok(package) => Some(Placement { owner, package, resources: listed.resources }),
        Err(error) => {
            tracing::debug!(%error, "an order was passed over");
            None
        }
    }
}
