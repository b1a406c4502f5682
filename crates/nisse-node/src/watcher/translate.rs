//! What an event of the market means to this node. An old one that is told again is held against what the contract says
//! now.

use nisse_market::{
    DeploymentState, DeploymentView, EventAt, ListedPackage, Market, MarketEvent, OrderView, ReopenedFor, StoppedBy,
};
use nisse_model::{Address, DeploymentId, Timestamp};
use nisse_orchestrator::{Assignment, CloseReason, Command, Event, Lease, NextPackage, Order, Placement};

use super::{Standing, budget};
use crate::core::Core;
use crate::error::chain;

/// What an event means to this node.
pub(super) async fn translate(
    core: &Core,
    market: &Market,
    standing: Standing,
    at: &EventAt,
) -> Result<Vec<Event>, String> {
    if let MarketEvent::NodeRegistered { node, .. } | MarketEvent::StakeAdded { node, .. } = &at.event {
        let own = *node == core.operator;
        return Ok(own.then_some(Event::StakeLaid).into_iter().collect());
    }
    let Some(number) = at.event.deployment() else { return Ok(Vec::new()) };
    let deployment = market.deployment_id(number);
    let operator = core.operator;
    Ok(match &at.event {
        // What opens on an old version is not for this node any more.
        MarketEvent::Deployed { .. } | MarketEvent::Verified { .. } if standing == Standing::Old => Vec::new(),
        MarketEvent::Deployed { owner, order, .. } => {
            let opened = opened(deployment, *owner, order, operator, at.block.number);
            // A node that catches up need not fetch what others took or attested long ago.
            let awaited = if order.verified { DeploymentState::Open } else { DeploymentState::Unverified };
            match opened.is_empty() || state(market, number).await? == awaited {
                true => opened,
                false => Vec::new(),
            }
        }
        MarketEvent::Reopened { bidding_ends, node, reason, .. } => {
            let close = if *reason == ReopenedFor::Silent { CloseReason::Silent } else { CloseReason::Reopened };
            let mut events = match *node == operator {
                true => ended(market, deployment, operator, close).await?,
                false => Vec::new(),
            };
            // The contract keeps the leading bid only: whoever bid before has no bid now.
            events.push(Event::Reopened { deployment, round: at.block.number });
            if standing == Standing::Newest {
                events.extend(reopened(market, deployment, Some(*bidding_ends), at.block.number).await?);
            }
            events
        }
        MarketEvent::Verified { bidding_ends, .. } => {
            reopened(market, deployment, Some(*bidding_ends), at.block.number).await?
        }
        MarketEvent::Assigned { node, .. } if *node == operator => assigned(market, deployment, operator).await?,
        MarketEvent::Assigned { .. } => vec![Event::AssignedElsewhere { deployment }],
        MarketEvent::Started { node, started, .. } if *node == operator => {
            let view = market.deployment(number).await.map_err(|error| chain(&error))?;
            budget(core, deployment, &view);
            vec![Event::Acknowledged { deployment, at: *started }]
        }
        MarketEvent::Updated { node, .. } if *node == operator => {
            let view = market.deployment(number).await.map_err(|error| chain(&error))?;
            budget(core, deployment, &view);
            Vec::new()
        }
        // Only what the contract says now is heeded: an old word that is told again moves nothing.
        MarketEvent::Paused { node, .. } | MarketEvent::Resumed { node, .. } if *node == operator => {
            let view = market.deployment(number).await.map_err(|error| chain(&error))?;
            let command = if view.paused { Command::Pause } else { Command::Resume };
            if matches!(at.event, MarketEvent::Paused { .. }) == view.paused {
                let done = core.driver.command(deployment, command).await.map_err(|error| error.to_string())?;
                if let Err(error) = done {
                    tracing::debug!(%deployment, %error, "the owner's word on chain changed nothing");
                }
            }
            Vec::new()
        }
        MarketEvent::UpdateRequested { node, revision, order, .. } if *node == operator => {
            let view = market.deployment(number).await.map_err(|error| chain(&error))?;
            // An old request that is told again is none, nor one that was forgotten when another node took over.
            if !is_held(&view, operator) || view.update.is_none_or(|(asked, _)| asked != *revision) {
                return Ok(Vec::new());
            }
            let next = placement(view.owner, &order.package).map(|placement| NextPackage {
                revision: *revision,
                placement,
                gas_budget: order.gas_budget,
            });
            next.map(|next| Event::UpdateRequested { deployment, next }).into_iter().collect()
        }
        MarketEvent::Stopped { by, .. } => {
            let reason = match by {
                StoppedBy::Owner => CloseReason::Owner,
                StoppedBy::Node => CloseReason::Reopened,
            };
            ended(market, deployment, operator, reason).await?
        }
        MarketEvent::Expired { .. } => ended(market, deployment, operator, CloseReason::Expired).await?,
        MarketEvent::Deposited { .. } | MarketEvent::Withdrawn { .. } => {
            let view = market.deployment(number).await.map_err(|error| chain(&error))?;
            // After the end it is what the end left of it: not what the owner once paid, and would pay again.
            match is_held(&view, operator) {
                true => vec![Event::Funded { deployment, deposited: view.deposited }],
                false => Vec::new(),
            }
        }
        _ => Vec::new(),
    })
}

/// An old end that is told again says nothing about a lease that this node holds now.
async fn ended(
    market: &Market,
    deployment: DeploymentId,
    operator: Address,
    reason: CloseReason,
) -> Result<Vec<Event>, String> {
    let view = market.deployment(deployment.number).await.map_err(|error| chain(&error))?;
    Ok(if is_held(&view, operator) { Vec::new() } else { vec![Event::Closed { deployment, reason }] })
}

async fn state(market: &Market, number: u64) -> Result<DeploymentState, String> {
    market.deployment(number).await.map(|view| view.state).map_err(|error| chain(&error))
}

pub(super) fn is_held(view: &DeploymentView, operator: Address) -> bool {
    view.node == Some(operator) && matches!(view.state, DeploymentState::Assigned | DeploymentState::Running)
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

/// An order that takes bids again: what it asks for is read from the contract.
pub(super) async fn reopened(
    market: &Market,
    deployment: DeploymentId,
    until: Option<Timestamp>,
    round: u64,
) -> Result<Vec<Event>, String> {
    let view = market.deployment(deployment.number).await.map_err(|error| chain(&error))?;
    let unverified = match view.state {
        DeploymentState::Open => false,
        DeploymentState::Unverified => true,
        _ => return Ok(Vec::new()),
    };
    let placement = placement(view.owner, &view.package);
    Ok(placement
        .map(|placement| Order {
            deployment,
            placement,
            max_rate: view.max_rate,
            gas_budget: view.gas_budget,
            bids_until: until.filter(|_| view.bid_window_seconds > 0),
            round,
            unverified,
        })
        .map(Event::OrderOpened)
        .into_iter()
        .collect())
}

pub(super) async fn assigned(
    market: &Market,
    deployment: DeploymentId,
    operator: Address,
) -> Result<Vec<Event>, String> {
    let view = market.deployment(deployment.number).await.map_err(|error| chain(&error))?;
    // An assignment that is told again after its end brings nothing back to life.
    if !is_held(&view, operator) {
        return Ok(Vec::new());
    }
    let assignment = if view.home {
        Assignment::Home
    } else {
        Assignment::Lease(Lease { rate: view.rate, deposited: view.deposited })
    };
    let placement = placement(view.owner, &view.package);
    Ok(placement
        .map(|placement| Event::Assigned { deployment, placement, assignment, began: view.incarnation })
        .into_iter()
        .collect())
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
