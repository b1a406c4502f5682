//! Follows the market's events and tells the orchestrator what concerns this node.
//!
//! The cursor's place is written after the orchestrator's decisions about a batch are durable. A crash tells some of
//! the log again: decisions are idempotent, and an old end or assignment is held against what the contract says now.
//! Whatever a chain's endpoint answers, agents run on: trouble with it is waited out.

mod again;
mod awaited;
mod beginning;
mod committed;
mod living;
mod meaning;
mod order_rows;
mod own;
mod place;
mod providers;
mod reorg;
mod reread;
mod translate;

pub(crate) use again::{look_again, open_order};
pub(crate) use awaited::{AwaitedStart, awaited_starts, forget_start};
pub(crate) use beginning::first_block;
pub(crate) use committed::{Committed, committed_bids, forget_committed, note_committed};
pub(crate) use living::{LivingLease, living_leases};
pub use meaning::{Meaning, Reader, reopened};
pub(crate) use own::{OwnOrders, own_numbers};
pub(crate) use place::forget_places;
pub(crate) use providers::named_provider;
pub use reread::{is_doubtful, is_read_again};

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use nisse_market::{CursorError, CursorPosition, DeploymentView, EventBatch, LogCursor, Market, MarketEvent};
use nisse_model::DeploymentId;

use crate::core::Core;
use crate::driver::outbox;
use crate::error::chain;
use crate::options::AcceptList;
use crate::packages;
use crate::supervisor::Stop;

use order_rows::Listen;
use place::Place;
use translate::translate;

/// How often the embedded chain is looked at: at its height only, which costs less than a microsecond.
const POLL_EMBEDDED: Duration = Duration::from_millis(5);
/// How often another chain is looked at.
const POLL_REMOTE: Duration = Duration::from_secs(2);
/// The longest pause after a chain did not answer.
const POLL_FAILED_MAX: Duration = Duration::from_secs(30);
/// How often an old version is looked at for what is left on it, and the address book for a new one.
const REVIEW: Duration = Duration::from_secs(60);

/// How long a lease that a reorganisation took away may take to come back in another block. Its agent runs meanwhile.
const REORG_GRACE: Duration = Duration::from_secs(3);

/// How long after the first look a lease of another chain that seems to be gone is looked at once more: several
/// endpoints behind one address do not all stand at the same block.
const UNDONE_AGAIN: Duration = Duration::from_secs(15);

/// When leases are to be read again.
#[derive(Debug, Clone)]
struct Check {
    due: Duration,
    reorganised: bool,
    /// What seemed to be gone at the last look: only these are looked at. Empty: all are.
    doubted: BTreeSet<DeploymentId>,
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
pub enum Standing {
    /// New orders are looked at.
    Newest,
    /// What is held here runs to its end, and nothing new is taken.
    Old,
}

/// Runs until the node stops, or until nothing of an old version is left here.
pub(crate) async fn run(core: Arc<Core>, market: Market, standing: Standing, mut stop: Stop) {
    let place = Place::new(&core.database, market.addresses());
    let (position, owed) = match place.read() {
        Ok(read) => read,
        Err(error) => {
            tracing::error!(error = chain(&error), "the place in the chain's log was not read");
            return core.fail("the place in the chain's log was not read".to_owned());
        }
    };
    let poll = if core.chain.is_some() { POLL_EMBEDDED } else { POLL_REMOTE };
    let first = match position.head() {
        // Only a log that was never read is begun.
        Some(_) => 0,
        None => tokio::select! {
            () = stop.requested() => return,
            first = first_block_patiently(&core, &market) => first,
        },
    };
    let mut cursor = market.events(position, first);
    let mut pause = Duration::ZERO;
    let mut reviewed: Option<Duration> = None;
    // What the log cannot tell is what is missing from it: looked for once at the start, and after a reorganisation.
    let mut check = Some(Check { due: Duration::ZERO, reorganised: owed, doubted: BTreeSet::new() });
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
        if let Some(asked) = check.take_if(|check| pause == poll && now >= check.due) {
            check = match check_leases(&core, &market, standing, &cursor, &asked).await {
                Ok(doubted) if doubted.is_empty() => None,
                Ok(doubted) => Some(Check { due: now + UNDONE_AGAIN, doubted, ..asked }),
                Err(error) => {
                    tracing::debug!(error, "leases were not read again");
                    Some(asked)
                }
            };
        }
        pause = match look(&core, &market, standing, &mut cursor).await {
            Ok(Looked::Reorganised) => {
                check = Some(Check { due: now + REORG_GRACE, reorganised: true, doubted: BTreeSet::new() });
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

async fn first_block_patiently(core: &Core, market: &Market) -> u64 {
    let mut pause = POLL_REMOTE;
    loop {
        match first_block(core, market).await {
            Ok(first) => return first,
            Err(error) => tracing::warn!(error, "where the market's log begins was not found"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(POLL_FAILED_MAX);
    }
}

/// Reads leases again. What seems to be gone for the first time is given back: it is to be looked at once more.
async fn check_leases(
    core: &Arc<Core>,
    market: &Market,
    standing: Standing,
    cursor: &LogCursor,
    asked: &Check,
) -> Result<BTreeSet<DeploymentId>, String> {
    let head = cursor.position().head().unwrap_or_default();
    let doubted = reorg::read_again(core, market, standing, head, asked).await?;
    if doubted.is_empty() && asked.reorganised {
        Place::new(&core.database, market.addresses()).checked().map_err(|error| chain(&error))?;
    }
    Ok(doubted)
}

/// One look.
async fn look(core: &Core, market: &Market, standing: Standing, cursor: &mut LogCursor) -> Result<Looked, String> {
    let place = Place::new(&core.database, market.addresses());
    if let Some(reason) = core.chain.as_ref().and_then(|embedded| embedded.failure()) {
        core.fail(format!("the chain's block log failed: {reason}"));
        return Err("no block is made any more".to_owned());
    }
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
            tracing::warn!(error = chain(&error), "the chain's log is read from its beginning");
            let first = first_block(core, market).await?;
            let beginning = CursorPosition::default();
            place.write(&beginning, true, |_| Ok(())).map_err(|error| chain(&error))?;
            *cursor = market.events(beginning, first);
            return Ok(Looked::Reorganised);
        }
        Err(error) => return Err(chain(&error)),
    };
    if matches!(core.options.accept, AcceptList::Owners(_) | AcceptList::Any) {
        // Before anybody looks at an order that these are for.
        let heard = providers::hear(&core.database, market.addresses(), &batch);
        if let Err(error) = heard {
            cursor.go_to(before);
            return Err(chain(&error));
        }
    }
    if let Err(error) = tell(core, market, standing, &batch).await {
        // Nothing of a batch may be skipped: it is told again, and what was told already is known.
        cursor.go_to(before);
        return Err(error);
    }
    let owners = match batch.committed.is_empty() && batch.reverted.is_empty() {
        // Most blocks say nothing: no key is read for them.
        true => BTreeSet::new(),
        false => packages::own_keys(core),
    };
    // Whose order may come back to the market is whose node is listened for.
    let listen = match core.options.accept {
        AcceptList::Own | AcceptList::HomeKeys => Listen::Owners(&owners),
        AcceptList::Owners(_) | AcceptList::Any => Listen::All,
    };
    let written = place.write(cursor.position(), !batch.reverted.is_empty(), |transaction| {
        own::hear(transaction, market.addresses(), &owners, &batch)?;
        awaited::hear(transaction, market.addresses(), listen, &batch)?;
        committed::hear(transaction, market.addresses(), core.operator, &batch)?;
        living::hear(transaction, market.addresses(), listen, &batch)
    });
    if let Err(error) = written {
        cursor.go_to(before);
        return Err(chain(&error));
    }
    if !batch.reverted.is_empty() {
        tracing::warn!(blocks = batch.reverted.len(), "the chain was reorganised: leases are read again");
        return Ok(Looked::Reorganised);
    }
    Ok(if batch.more { Looked::More } else { Looked::Done })
}

async fn tell(core: &Core, market: &Market, standing: Standing, batch: &EventBatch) -> Result<(), String> {
    if !batch.reverted.is_empty() {
        core.heard.forget();
    }
    for at in &batch.committed {
        if let MarketEvent::Heartbeat { node, period, .. } = at.event {
            core.heard.note(node, period);
        }
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
    let terms = view.started.and_then(|started| core.ledger.set_terms(deployment, view.gas_budget, started));
    if let Some(terms) = terms {
        outbox::keep_terms(core, deployment, terms);
    }
}
