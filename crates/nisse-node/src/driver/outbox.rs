//! Answers on their way to the chain: each deployment's go out one after the other, in the order of their commits, and
//! each until the chain has taken it or refused it for good. One that is held back by its deployment's budget is given
//! up when the deployment ends, and after [`HELD_MAX`]: what one tenant cannot pay must not hold the journal.
//!
//! The journal is their outbox. A row says which ones arrived, together with the gas they burnt; the mark of
//! [`OUTBOX`] says below which place of the journal nothing waits any more, and the journal is cut no further.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use nisse_market::{DeploymentState, MarketCall};
use nisse_model::DeploymentId;
use nisse_store::{Database, DatabaseError, Position, Rows as _, Table};

use super::Driver;
use super::market::{RETRY, Refused, scaled, write};
use crate::agent::Outward;
use crate::core::Core;
use crate::error::chain;
use crate::ledger::{Hold, Terms, Waiting};
use crate::wallets::KeyName;

/// The mark: every answer of a record before this place has arrived.
pub(crate) const OUTBOX: &str = "outbox";
/// Answers that arrived while the mark was below them: the place of each one's record, in eight bytes.
const DELIVERED: Table = Table::new("outbox_delivered");
/// Gas that answers of a deployment burnt.
const GAS: Table = Table::new("gas");
/// What budgets allow a deployment.
const GAS_TERMS: Table = Table::new("gas_terms");
/// How long an answer may be held back, in this process's life.
const HELD_MAX: Duration = Duration::from_secs(6 * 3_600);
/// The first rest of an answer that waits for the chain's word; it doubles.
const HELD_RETRY_FIRST: Duration = Duration::from_millis(10);

/// Under which name an answer goes out once, and where its record stands in the journal.
pub(super) struct Name {
    pub(super) key: String,
    pub(super) position: Position,
}

impl Driver {
    /// An answer that an invocation committed.
    pub(super) fn publish(&self, deployment: DeploymentId, name: Name, asset: String, value: i64, decimals: u8) {
        let core = &self.core;
        let label = self.orchestrator.agent(&deployment).map(|agent| {
            let (owner, name) = agent.placement.key();
            core.label(owner, &name)
        });
        let Some(answer) = scaled(value, decimals) else {
            return say(core, label.as_deref(), &format!("an answer for {asset} does not fit the feed's 8 decimals"));
        };
        let Name { key, position } = name;
        let since = core.clock.elapsed();
        let first = core.ledger.wait(deployment, Waiting { key, asset, answer, label, position, since });
        if first {
            let core = Arc::clone(core);
            self.spawn("outbox", async move { deliver(&core, deployment).await });
        }
    }

    /// Moves the mark to `settled`, or to the oldest answer that still waits. Says how far the journal may be cut.
    pub(super) fn mark_outbox(&mut self, settled: Position) -> Position {
        let core = &self.core;
        let mark = core.ledger.oldest_waiting().map_or(settled, |oldest| oldest.min(settled));
        let passed = core.ledger.delivered_before(mark);
        let wrote = core.database.write_lazily(|transaction| -> Result<(), DatabaseError> {
            for key in &passed {
                transaction.remove(DELIVERED, key.as_bytes())?;
            }
            transaction.set_mark(OUTBOX, mark)
        });
        match wrote {
            Ok(()) => {
                core.ledger.let_go_before(mark);
                mark
            }
            Err(error) => {
                tracing::warn!(error = chain(&error), "the outbox's mark was not moved");
                core.journal.first()
            }
        }
    }
}

/// Where the outbox begins in the journal.
pub(crate) fn begins_at(database: &Database) -> Result<Position, DatabaseError> {
    Ok(database.read(|rows| rows.mark(OUTBOX))?.unwrap_or_default())
}

/// Deployments of which an answer among `recovered` has yet to arrive.
pub(crate) fn waiting(database: &Database, recovered: &[Outward]) -> Result<BTreeSet<DeploymentId>, DatabaseError> {
    let mut waiting = BTreeSet::new();
    for outward in recovered {
        let Outward::Publish { deployment, key, value, decimals, .. } = outward else { continue };
        let arrived = database.read(|rows| rows.get(DELIVERED, key.as_bytes()))?.is_some();
        if !arrived && scaled(*value, *decimals).is_some() {
            waiting.insert(*deployment);
        }
    }
    Ok(waiting)
}

/// Keeps what the chain said of a deployment's budget for the next start. Not synced: the chain says it again.
pub(crate) fn keep_terms(core: &Core, deployment: DeploymentId, terms: Terms) {
    let name = deployment.to_string();
    let kept = core.database.write_lazily(|transaction| -> Result<(), DatabaseError> {
        transaction.put(GAS_TERMS, name.as_bytes(), &terms.to_bytes())
    });
    if let Err(error) = kept {
        tracing::warn!(error = chain(&error), "what a deployment may burn was not kept");
    }
}

/// What was spent and allowed so far, by deployment; and the rows that the mark has yet to pass.
pub(crate) fn restore(core: &Core) -> Result<(), DatabaseError> {
    core.database.read(|rows| -> Result<(), DatabaseError> {
        rows.with_prefix(GAS, b"", &mut |key, value| {
            let deployment = std::str::from_utf8(key).ok().and_then(|text| text.parse().ok());
            if let (Some(deployment), Ok(spent)) = (deployment, value.try_into()) {
                core.ledger.restore_gas(deployment, u64::from_le_bytes(spent));
            }
            true
        })?;
        rows.with_prefix(GAS_TERMS, b"", &mut |key, value| {
            let deployment = std::str::from_utf8(key).ok().and_then(|text| text.parse().ok());
            if let (Some(deployment), Some(terms)) = (deployment, Terms::from_bytes(value)) {
                core.ledger.restore_terms(deployment, terms);
            }
            true
        })?;
        let next = core.journal.next();
        rows.with_prefix(DELIVERED, b"", &mut |key, value| {
            // A row without a place is of a record before this start.
            let position = value.try_into().map_or(next, |bytes| Position(u64::from_le_bytes(bytes)));
            core.ledger.restore_delivered(String::from_utf8_lossy(key).into_owned(), position);
            true
        })
    })
}

async fn deliver(core: &Arc<Core>, deployment: DeploymentId) {
    while let Some(waiting) = core.ledger.next_waiting(&deployment) {
        // A disk that is full now has room later: what has gone out is not sent again, under its name.
        while let Err(error) = send(core, deployment, &waiting).await {
            tracing::error!(error = chain(&error), "the row of an answer was not written; it is tried again");
            tokio::time::sleep(RETRY).await;
        }
        core.ledger.arrived(&deployment);
    }
}

async fn send(core: &Core, deployment: DeploymentId, waiting: &Waiting) -> Result<(), DatabaseError> {
    if core.database.read(|rows| rows.get(DELIVERED, waiting.key.as_bytes()))?.is_some() {
        return Ok(());
    }
    let Waiting { key, asset, label, position, .. } = waiting;
    let (gas, refused) = hand_over(core, deployment, waiting).await;
    if let Some(reason) = refused {
        say(core, label.as_deref(), &format!("an answer for {asset} was not published: {reason}"));
    }
    // One row with the other: what is sent again after a crash, under its old name, is counted once.
    let name = deployment.to_string();
    core.database.write_lazily(|transaction| -> Result<(), DatabaseError> {
        let before = transaction.get(GAS, name.as_bytes())?.and_then(|bytes| bytes.try_into().ok());
        let spent = before.map_or(0, u64::from_le_bytes).saturating_add(gas);
        transaction.put(GAS, name.as_bytes(), &spent.to_le_bytes())?;
        transaction.put(DELIVERED, key.as_bytes(), &position.0.to_le_bytes())
    })?;
    core.ledger.spend(deployment, gas, key.clone(), *position);
    if let Some(refusal) = core.ledger.gas_refusal(&deployment) {
        say(core, label.as_deref(), &refusal);
    }
    Ok(())
}

/// Sends an answer until the chain has taken it or it is refused for good. Gives the gas, and why it was refused.
async fn hand_over(core: &Core, deployment: DeploymentId, waiting: &Waiting) -> (u64, Option<String>) {
    let Waiting { key, asset, answer, label, since, .. } = waiting;
    let call = MarketCall::PublishAnswer { deployment: deployment.number, asset: asset.clone(), answer: *answer };
    let (mut told, mut pause) = (false, HELD_RETRY_FIRST);
    loop {
        let reason = match core.ledger.hold(&deployment) {
            Some(Hold::Spent(refusal)) => {
                if !told {
                    say(core, label.as_deref(), &format!("an answer for {asset} waits: {refusal}"));
                    told = true;
                }
                refusal
            }
            Some(Hold::Unknown) => "the chain has not said what its deployment may burn".to_owned(),
            None => match write(core, deployment, key, &call).await {
                Ok(written) => return (written.gas_used, None),
                // It went out and was taken back: its name has had its outcome.
                Err(Refused { reason, gas_used, .. }) if gas_used > 0 => return (gas_used, Some(reason)),
                Err(Refused { reason, .. }) => match verdict(state_of(core, deployment).await) {
                    Verdict::Final => return (0, Some(reason)),
                    Verdict::Again => reason,
                },
            },
        };
        let live = core.driver.look(move |all| all.agent(&deployment).is_some_and(|agent| agent.life.is_live())).await;
        let held_for = core.clock.elapsed().saturating_sub(*since);
        if let Some(end) = given_up(held_for, live.unwrap_or(true)) {
            return (0, Some(format!("{end}: {reason}")));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY);
    }
}

/// Why an answer that is held back is held no longer.
fn given_up(held_for: Duration, live: bool) -> Option<&'static str> {
    if !live {
        return Some("its deployment has ended");
    }
    (held_for >= HELD_MAX).then_some("it was held back for six hours")
}

/// What is left of an answer that the market refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// What it waits for may come.
    Again,
    /// It was refused for good.
    Final,
}

/// An answer that is refused while the chain has yet to take the agent's start may be taken soon; and while nobody says
/// whether it has, nothing is given up.
fn verdict(state: Option<DeploymentState>) -> Verdict {
    match state {
        None | Some(DeploymentState::Assigned) => Verdict::Again,
        Some(_) => Verdict::Final,
    }
}

/// How a deployment stands on the chain; `None` where the chain does not say.
async fn state_of(core: &Core, deployment: DeploymentId) -> Option<DeploymentState> {
    let market = core.keys.market_of(&core.home, &core.supervisor, KeyName::Operator, deployment.contract).ok()?;
    market.deployment(deployment.number).await.ok().map(|view| view.state)
}

/// Said where the agent's author looks.
fn say(core: &Core, label: Option<&str>, text: &str) {
    match label.and_then(|label| core.logs.find(label)) {
        Some(log) => log.write(core.clock.now(), "warn", text),
        None => tracing::warn!(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_refused_for_good_only_by_what_the_chain_says() {
        assert_eq!(verdict(Some(DeploymentState::Assigned)), Verdict::Again, "its start is on its way");
        assert_eq!(verdict(None), Verdict::Again, "the chain did not answer");
        assert_eq!(verdict(Some(DeploymentState::Running)), Verdict::Final);
        assert_eq!(verdict(Some(DeploymentState::Stopped)), Verdict::Final);
    }

    #[test]
    fn an_answer_is_held_back_as_long_as_its_deployment_lives_and_six_hours_at_most() {
        let day = Duration::from_secs(86_400);
        assert_eq!(given_up(Duration::ZERO, true), None);
        assert_eq!(given_up(HELD_MAX - Duration::from_secs(1), true), None);
        assert!(given_up(Duration::ZERO, false).is_some());
        assert!(given_up(day, true).is_some());
    }
}
