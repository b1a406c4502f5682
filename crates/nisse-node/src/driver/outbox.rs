//! Answers on their way to the chain: each deployment's go out one after the other, in the order of their commits, and
//! each until the chain has taken it or refused it for good.
//!
//! The journal is their outbox. A row says which ones arrived, together with the gas they burnt; the mark of
//! [`OUTBOX`] says below which place of the journal nothing waits any more, and the journal is cut no further.

use std::sync::Arc;

use nisse_market::{DeploymentState, Market, MarketCall};
use nisse_model::DeploymentId;
use nisse_store::{Database, DatabaseError, Position, Rows as _, Table};

use super::Driver;
use super::market::{RETRY, Refused, scaled, write};
use crate::core::Core;
use crate::error::chain;
use crate::home::KeyName;
use crate::ledger::Waiting;

/// The mark: every answer of a record before this place has arrived.
pub(crate) const OUTBOX: &str = "outbox";
/// Answers that arrived while the mark was below them.
const DELIVERED: Table = Table::new("outbox_delivered");
/// Gas that answers of a deployment burnt.
const GAS: Table = Table::new("gas");

impl Driver {
    /// An answer that an invocation committed.
    pub(super) fn publish(&self, deployment: DeploymentId, key: String, asset: String, value: i64, decimals: u8) {
        let core = &self.core;
        let label = self.orchestrator.agent(&deployment).map(|agent| {
            let (owner, name) = agent.placement.key();
            core.label(owner, &name)
        });
        let Some(answer) = scaled(value, decimals) else {
            return say(core, label.as_deref(), &format!("an answer for {asset} does not fit the feed's 8 decimals"));
        };
        // It was committed within the last minute, or is read from the journal at start.
        let since = self.settled.unwrap_or(core.journal.first());
        let first = core.ledger.wait(deployment, Waiting { key, asset, answer, label, since });
        if first {
            let core = Arc::clone(core);
            self.spawn("outbox", async move { deliver(&core, deployment).await });
        }
    }

    /// Moves the mark to `settled`, or to the oldest answer that still waits. Says how far the journal may be cut.
    pub(super) fn mark_outbox(&mut self, settled: Position) -> Position {
        let core = &self.core;
        let mark = core.ledger.oldest_waiting().map_or(settled, |oldest| oldest.min(settled));
        // Rows of the round before last: the mark has passed their answers by now.
        let passed = core.ledger.turn_delivered();
        let wrote = core.database.write_lazily(|transaction| -> Result<(), DatabaseError> {
            for key in &passed {
                transaction.remove(DELIVERED, key.as_bytes())?;
            }
            transaction.set_mark(OUTBOX, mark)
        });
        match wrote {
            Ok(()) => mark,
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

/// Gas spent so far, by deployment; and the rows that the mark has yet to pass.
pub(crate) fn restore(core: &Core) -> Result<(), DatabaseError> {
    core.database.read(|rows| -> Result<(), DatabaseError> {
        rows.with_prefix(GAS, b"", &mut |key, value| {
            let deployment = std::str::from_utf8(key).ok().and_then(|text| text.parse().ok());
            if let (Some(deployment), Ok(spent)) = (deployment, value.try_into()) {
                core.ledger.restore_gas(deployment, u64::from_le_bytes(spent));
            }
            true
        })?;
        rows.with_prefix(DELIVERED, b"", &mut |key, _| {
            core.ledger.restore_delivered(String::from_utf8_lossy(key).into_owned());
            true
        })
    })
}

async fn deliver(core: &Arc<Core>, deployment: DeploymentId) {
    while let Some(waiting) = core.ledger.next_waiting(&deployment) {
        if let Err(error) = send(core, deployment, &waiting).await {
            // Nothing of the outbox is lost: the journal keeps it, and the next start sends it.
            return tracing::error!(
                error = chain(&error),
                "the outbox of a deployment stopped: its row was not written"
            );
        }
        core.ledger.arrived(&deployment);
    }
}

async fn send(core: &Core, deployment: DeploymentId, waiting: &Waiting) -> Result<(), DatabaseError> {
    if core.database.read(|rows| rows.get(DELIVERED, waiting.key.as_bytes()))?.is_some() {
        return Ok(());
    }
    let Waiting { key, asset, answer, label, .. } = waiting;
    let call = MarketCall::PublishAnswer { deployment: deployment.number, asset: asset.clone(), answer: *answer };
    let mut told = false;
    let (gas, refused) = loop {
        if let Some(refusal) = core.ledger.gas_refusal(&deployment) {
            if !told {
                say(core, label.as_deref(), &format!("an answer for {asset} waits: {refusal}"));
                told = true;
            }
            tokio::time::sleep(RETRY).await;
            continue;
        }
        match write(core, deployment, key, &call).await {
            Ok(written) => break (written.gas_used, None),
            Err(Refused { .. }) if is_starting(core, deployment).await => tokio::time::sleep(RETRY).await,
            Err(Refused { reason, gas_used }) => break (gas_used, Some(reason)),
        }
    };
    if let Some(reason) = refused {
        say(core, label.as_deref(), &format!("an answer for {asset} was not published: {reason}"));
    }
    // One row with the other: what is sent again after a crash, under its old name, is counted once.
    let name = deployment.to_string();
    core.database.write_lazily(|transaction| -> Result<(), DatabaseError> {
        let before = transaction.get(GAS, name.as_bytes())?.and_then(|bytes| bytes.try_into().ok());
        let spent = before.map_or(0, u64::from_le_bytes).saturating_add(gas);
        transaction.put(GAS, name.as_bytes(), &spent.to_le_bytes())?;
        transaction.put(DELIVERED, key.as_bytes(), &[])
    })?;
    core.ledger.spend(deployment, gas, key.clone());
    if let Some(refusal) = core.ledger.gas_refusal(&deployment) {
        say(core, label.as_deref(), &refusal);
    }
    Ok(())
}

/// Whether the chain has yet to take the agent's start: an answer that it refuses now may be taken soon.
async fn is_starting(core: &Core, deployment: DeploymentId) -> bool {
    let market = core.keys.market_of(&core.home, &core.supervisor, KeyName::Operator, deployment.contract);
    let Ok(market) = market else { return false };
    state_of(&market, deployment).await == Some(DeploymentState::Assigned)
}

async fn state_of(market: &Market, deployment: DeploymentId) -> Option<DeploymentState> {
    market.deployment(deployment.number).await.ok().map(|view| view.state)
}

/// Said where the agent's author looks.
fn say(core: &Core, label: Option<&str>, text: &str) {
    match label {
        Some(label) => core.logs.of(label).write(core.clock.now(), "warn", text),
        None => tracing::warn!(text),
    }
}
