//! Follows the market's events and tells the orchestrator what concerns this node.
//!
//! The cursor's place is written after the orchestrator's decisions about a batch are durable. A crash tells some of
//! the log again: decisions are idempotent, and an old end or assignment is held against what the contract says now.

mod reorg;

use std::sync::Arc;
use std::time::Duration;

use nisse_market::{
    CursorError, CursorPosition, DeploymentState, DeploymentView, EventAt, EventBatch, LogCursor, Market, MarketEvent,
    OrderView, StoppedBy,
};
use nisse_model::{Address, DeploymentId, PackageRef, Timestamp};
use nisse_orchestrator::{Assignment, CloseReason, Command, Event, Lease, NextPackage, Order, Placement};
use nisse_store::{Database, DatabaseError, Rows as _, Table};

use crate::core::Core;
use crate::error::chain;
use crate::supervisor::Stop;

/// How often the embedded chain is looked at: at its height only, which costs less than a microsecond.
const POLL_EMBEDDED: Duration = Duration::from_millis(5);
/// How often another chain is looked at.
const POLL_REMOTE: Duration = Duration::from_secs(2);
/// The longest pause after a chain did not answer.
const POLL_FAILED_MAX: Duration = Duration::from_secs(30);
/// Where the cursor stands.
const CURSOR: Table = Table::new("cursor");

/// How often an old version is looked at for what is left on it, and the address book for a new one.
const REVIEW: Duration = Duration::from_secs(60);

/// How long a lease that a reorganisation took away may take to come back in another block. Its agent runs meanwhile.
const REORG_GRACE: Duration = Duration::from_secs(3);

/// When every lease is to be read again.
#[derive(Debug, Clone, Copy)]
struct Check {
    due: Duration,
    reorganised: bool,
}

/// What one look at the log came to.
enum Looked {
    /// Nothing more is there.
    Done,
    /// There is more already.
    More,
    /// Blocks left the chain; those that came instead were told.
    Reorganised,
}

/// How much of a version of the market concerns this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// New orders are looked at.
    Newest,
    /// What is held here runs to its end, and nothing new is taken.
    Old,
}

/// Runs until the node stops, or until nothing of an old version is left here.
pub(crate) async fn run(core: Arc<Core>, market: Market, standing: Standing, mut stop: Stop) {
    let mut cursor = match open(&core, &market) {
        Ok(cursor) => cursor,
        Err(error) => {
            tracing::error!(error = chain(&error), "the place in the chain's log was not read");
            return core.fail("the place in the chain's log was not read".to_owned());
        }
    };
    let poll = if core.chain.is_some() { POLL_EMBEDDED } else { POLL_REMOTE };
    let mut pause = Duration::ZERO;
    let mut reviewed: Option<Duration> = None;
    // What the log cannot tell is what is missing from it: looked for once at the start, and after a reorganisation.
    let mut check = Some(Check { due: Duration::ZERO, reorganised: false });
    loop {
        tokio::select! {
            () = stop.requested() => return,
            () = tokio::time::sleep(pause) => {}
        }
        let now = core.clock.elapsed();
        if pause == poll && reviewed.is_none_or(|at| now.saturating_sub(at) >= REVIEW) {
            reviewed = Some(now);
            match review(&core, &market, standing).await {
                Ok(true) => {}
                Ok(false) => return tracing::info!(manager = %market.addresses().manager, "an old market has ended"),
                Err(error) => tracing::debug!(error, "the market was not reviewed"),
            }
        }
        if let Some(Check { reorganised, .. }) = check.filter(|check| pause == poll && now >= check.due) {
            let head = cursor.position().head().unwrap_or_default();
            match reorg::read_again(&core, &market, standing, head, reorganised).await {
                Ok(()) => check = None,
                Err(error) => tracing::debug!(error, "leases were not read again"),
            }
        }
        pause = match look(&core, &market, standing, &mut cursor).await {
            Ok(Looked::Reorganised) => {
                check = Some(Check { due: now + REORG_GRACE, reorganised: true });
                Duration::ZERO
            }
            Ok(Looked::More) => Duration::ZERO,
            Ok(Looked::Done) => poll,
            Err(error) => {
                tracing::warn!(error, "the chain's log was not read");
                (pause * 2).clamp(poll, POLL_FAILED_MAX)
            }
        };
    }
}

fn open(core: &Core, market: &Market) -> Result<LogCursor, DatabaseError> {
    let stored = core.database.read(|rows| rows.get(CURSOR, &key(market)))?;
    // A place that does not read is a place that is not known: everything is told again, and known already.
    let position = stored.and_then(|bytes| CursorPosition::from_bytes(&bytes).ok()).unwrap_or_default();
    Ok(market.events(position, 0))
}

/// Forgets every place in the log of a chain, so that it is told from its first block.
pub(crate) fn forget_places(database: &Database, chain: u64) -> Result<(), DatabaseError> {
    let prefix = format!("{chain}:");
    database.write(|transaction| transaction.remove_prefix(CURSOR, prefix.as_bytes()).map(drop))
}

fn key(market: &Market) -> Vec<u8> {
    let addresses = market.addresses();
    format!("{}:{}", addresses.chain, addresses.manager).into_bytes()
}

/// One look.
async fn look(core: &Core, market: &Market, standing: Standing, cursor: &mut LogCursor) -> Result<Looked, String> {
    let time = match &core.chain {
        Some(embedded) => embedded.time(),
        None => market.head_time().await.map_err(|error| chain(&error))?,
    };
    core.set_chain_time(time);
    core.ledger.set_chain_time(time);
    // A height is enough to see that nothing happened; a reorganisation changes the hash as well.
    let head = core.chain.as_ref().map(|embedded| embedded.head());
    let told = cursor.position().head().map(|block| (block.number, block.hash.0));
    if head.is_some() && head == told {
        return Ok(Looked::Done);
    }
    let before = cursor.position().clone();
    let batch = match cursor.next().await {
        Ok(Some(batch)) => batch,
        Ok(None) => return Ok(Looked::Done),
        Err(error @ CursorError::TooDeep) => {
            core.fail(chain(&error));
            return Err(chain(&error));
        }
        Err(error) => return Err(chain(&error)),
    };
    if let Err(error) = tell(core, market, standing, &batch).await {
        // Nothing of a batch may be skipped: it is told again, and what was told already is known.
        *cursor = market.events(before, 0);
        return Err(error);
    }
    let place = cursor.position().to_bytes();
    // Not synced: after a crash some of the log is told again, and every event of it is held against the contract.
    let wrote = core.database.write_lazily(|transaction| transaction.put(CURSOR, &key(market), &place));
    wrote.map_err(|error: DatabaseError| chain(&error))?;
    if !batch.reverted.is_empty() {
        tracing::warn!(blocks = batch.reverted.len(), "the chain was reorganised: leases are read again");
        return Ok(Looked::Reorganised);
    }
    Ok(if batch.more { Looked::More } else { Looked::Done })
}

async fn tell(core: &Core, market: &Market, standing: Standing, batch: &EventBatch) -> Result<(), String> {
    for at in &batch.committed {
        for event in translate(core, market, standing, at).await? {
            core.driver.event(event).await;
        }
    }
    // The driver takes messages in order, so an answer means that the decisions before it are durable.
    core.driver.look(|_| ()).await.map_err(|error| error.to_string())
}

/// Reads what only the contracts know of the agents here. Says whether anything of this version is left.
async fn review(core: &Core, market: &Market, standing: Standing) -> Result<bool, String> {
    let contract = market.addresses().manager;
    let (held, live) = core
        .driver
        .look(move |all| {
            let here = |deployment: &&DeploymentId| deployment.contract == contract;
            let live = all.agents().iter().filter(|(_, agent)| agent.life.is_live()).map(|(deployment, _)| deployment);
            (all.holds(contract), live.filter(here).copied().collect::<Vec<_>>())
        })
        .await
        .map_err(|error| error.to_string())?;
    for deployment in live {
        let view = market.deployment(deployment.number).await.map_err(|error| chain(&error))?;
        budget(core, deployment, &view);
    }
    if standing == Standing::Newest {
        let newest = market.newest_version().await.map_err(|error| chain(&error))?;
        core.keys.set_newest_version(newest);
    }
    Ok(held || standing == Standing::Newest)
}

/// What an agent may burn begins to count with its lease.
fn budget(core: &Core, deployment: DeploymentId, view: &DeploymentView) {
    if let Some(started) = view.started {
        core.ledger.set_terms(deployment, view.gas_budget, started);
    }
}

/// What an event means to this node.
async fn translate(core: &Core, market: &Market, standing: Standing, at: &EventAt) -> Result<Vec<Event>, String> {
    let Some(number) = at.event.deployment() else { return Ok(Vec::new()) };
    let deployment = market.deployment_id(number);
    let operator = core.operator;
    Ok(match &at.event {
        // What opens on an old version is not for this node any more.
        MarketEvent::Deployed { .. } | MarketEvent::Verified { .. } if standing == Standing::Old => Vec::new(),
        MarketEvent::Deployed { owner, order, .. } => opened(deployment, *owner, order, operator, at.block.number),
        MarketEvent::Reopened { bidding_ends, node, .. } => {
            let mut events = match *node == operator {
                true => ended(market, deployment, operator, CloseReason::Reopened).await?,
                false => Vec::new(),
            };
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
            let next = placement(view.owner, order).map(|placement| NextPackage { revision: *revision, placement });
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
            vec![Event::Funded { deployment, deposited: view.deposited }]
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

fn is_held(view: &DeploymentView, operator: Address) -> bool {
    view.node == Some(operator) && matches!(view.state, DeploymentState::Assigned | DeploymentState::Running)
}

fn opened(deployment: DeploymentId, owner: Address, order: &OrderView, operator: Address, round: u64) -> Vec<Event> {
    let for_me = order.only_node.is_none_or(|node| node == operator);
    // A home lease is assigned in the same transaction, and an unverified artifact takes no bids yet.
    if order.home || !order.verified || !for_me {
        return Vec::new();
    }
    let bids_until = order.bidding_ends.filter(|_| order.bid_window_seconds > 0);
    let order = placement(owner, order).map(|placement| Order {
        deployment,
        placement,
        max_rate: order.max_rate,
        bids_until,
        round,
    });
    order.map(Event::OrderOpened).into_iter().collect()
}

/// An order that takes bids again: what it asks for is read from the contract.
async fn reopened(
    market: &Market,
    deployment: DeploymentId,
    until: Option<Timestamp>,
    round: u64,
) -> Result<Vec<Event>, String> {
    let view = market.deployment(deployment.number).await.map_err(|error| chain(&error))?;
    if view.state != DeploymentState::Open {
        return Ok(Vec::new());
    }
    let placement = placement_of(&view);
    Ok(placement
        .map(|placement| Order {
            deployment,
            placement,
            max_rate: view.max_rate,
            bids_until: until.filter(|_| view.bid_window_seconds > 0),
            round,
        })
        .map(Event::OrderOpened)
        .into_iter()
        .collect())
}

async fn assigned(market: &Market, deployment: DeploymentId, operator: Address) -> Result<Vec<Event>, String> {
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
    let placement = placement_of(&view);
    Ok(placement.map(|placement| Event::Assigned { deployment, placement, assignment }).into_iter().collect())
}

fn placement_of(view: &DeploymentView) -> Option<Placement> {
    let package = PackageRef {
        agent_id: parse_id(&view.agent_id)?,
        manifest_cid: view.manifest_cid,
        artifact_cid: view.artifact_cid,
        artifact_hash: view.artifact_hash,
        config_hash: view.config_hash,
    };
    Some(Placement { owner: view.owner, package, resources: view.resources })
}

fn placement(owner: Address, order: &OrderView) -> Option<Placement> {
    let package = PackageRef {
        agent_id: parse_id(&order.agent_id)?,
        manifest_cid: order.manifest_cid,
        artifact_cid: order.artifact_cid,
        artifact_hash: order.artifact_hash,
        config_hash: order.config_hash,
    };
    Some(Placement { owner, package, resources: order.resources })
}

/// An id that is not one can be published by anybody; nobody runs it.
fn parse_id(text: &str) -> Option<nisse_model::AgentId> {
    match text.parse() {
        Ok(id) => Some(id),
        Err(error) => {
            tracing::debug!(%error, "an order was passed over");
            None
        }
    }
}
