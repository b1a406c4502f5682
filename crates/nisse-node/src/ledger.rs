//! The ends of all chains of records, and what agents may still publish: the gas of their deployment's budget, counted
//! from receipts, and a rate.
//!
//! In memory, ahead of the index; what must outlive the process is written by the outbox (`driver/outbox.rs`).

mod account;
#[cfg(test)]
mod tests;

pub(crate) use account::Terms;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nisse_model::{DeploymentId, Hash256, Timestamp};
use nisse_store::Position;

/// Answers that an agent may publish in one hour, whatever its budget.
pub(crate) const PUBLICATIONS_PER_HOUR_MAX: u32 = 60;
/// Answers of one deployment that may wait for the chain.
pub(crate) const PUBLICATIONS_WAITING_MAX: usize = 1_000;
/// What an answer that waits is taken to cost until its receipt is there: one to a feed that exists.
const ANSWER_GAS: u64 = 70_000;

/// Shared by all agents of the node.
#[derive(Default)]
pub(crate) struct Ledger {
    tips: Mutex<HashMap<DeploymentId, (u64, Hash256)>>,
    publications: Mutex<HashMap<DeploymentId, (u64, u32)>>,
    outbox: Mutex<Outbox>,
    chain_time: AtomicU64,
}

/// An answer that waits for the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// The name under which it goes out once.
    pub(crate) key: String,
    pub(crate) asset: String,
    /// With the feed's 8 decimals.
    pub(crate) answer: i128,
    /// Whose log hears of trouble.
    pub(crate) label: Option<String>,
    /// Its record's place in the journal.
    pub(crate) position: Position,
    /// When this process took it in, by the steady clock.
    pub(crate) since: Duration,
}

/// Why an answer does not go out now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hold {
    /// The chain has not said what its deployment may burn.
    Unknown,
    /// The budget is spent.
    Spent(String),
}

/// What a deployment's budget allows, and what is gone of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Gas {
    /// Burnt by answers so far, by their receipts.
    pub(crate) spent: u64,
    /// Allowed by now; `None` while the chain has not said.
    pub(crate) allowed: Option<u64>,
}

#[derive(Default)]
struct Outbox {
    queues: HashMap<DeploymentId, VecDeque<Waiting>>,
    accounts: HashMap<DeploymentId, Account>,
    /// Keys whose rows are written, and the places of their records.
    delivered: Vec<(String, Position)>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Account {
    spent: u64,
    terms: Option<Terms>,
}

impl Ledger {
    /// The last record that was committed since the node came up.
    pub(crate) fn tip(&self, deployment: &DeploymentId) -> Option<(u64, Hash256)> {
        lock(&self.tips).get(deployment).copied()
    }

    pub(crate) fn set_tip(&self, deployment: DeploymentId, seq: u64, hash: Hash256) {
        lock(&self.tips).insert(deployment, (seq, hash));
    }

    /// Why nothing may be published now: the budget is spent, the rate reached, or too much waits.
    pub(crate) fn publish_refusal(&self, deployment: &DeploymentId, now: Timestamp) -> Option<String> {
        let spent = lock(&self.publications).get(deployment).filter(|(hour, _)| *hour == hour_of(now)).map(|(_, n)| *n);
        if spent.unwrap_or(0) >= PUBLICATIONS_PER_HOUR_MAX {
            return Some(format!("at most {PUBLICATIONS_PER_HOUR_MAX} answers are published in one hour"));
        }
        let waiting = lock(&self.outbox).queues.get(deployment).map_or(0, VecDeque::len);
        if waiting >= PUBLICATIONS_WAITING_MAX {
            return Some(format!("{PUBLICATIONS_WAITING_MAX} answers wait for the chain already"));
        }
        self.gas_refusal_with(deployment, u64::try_from(waiting).unwrap_or(u64::MAX))
    }

    /// Counts what an invocation publishes.
    pub(crate) fn count_publications(&self, deployment: DeploymentId, now: Timestamp, count: u32) {
        let mut publications = lock(&self.publications);
        let (hour, spent) = publications.entry(deployment).or_insert((hour_of(now), 0));
        if *hour != hour_of(now) {
            (*hour, *spent) = (hour_of(now), 0);
        }
        *spent = spent.saturating_add(count);
    }

    /// The chain's clock, by which hours of a lease are counted.
    pub(crate) fn set_chain_time(&self, at: Timestamp) {
        self.chain_time.store(at.0, Ordering::Relaxed);
    }

    /// What the chain says of a deployment's budget. Gives what is new about it, which the next start wants to know.
    pub(crate) fn set_terms(&self, deployment: DeploymentId, budget: u64, started: Timestamp) -> Option<Terms> {
        let now = self.now()?;
        let mut outbox = lock(&self.outbox);
        let terms = &mut outbox.accounts.entry(deployment).or_default().terms;
        let new = match terms {
            Some(known) => known.changed(budget, started, now)?,
            None => Terms::new(budget, started),
        };
        *terms = Some(new);
        Some(new)
    }

    /// What the budget allows and what is gone of it.
    pub(crate) fn gas(&self, deployment: &DeploymentId) -> Gas {
        let account = lock(&self.outbox).accounts.get(deployment).copied().unwrap_or_default();
        let allowed = self.now().zip(account.terms).map(|(now, terms)| terms.allowed(now));
        Gas { spent: account.spent, allowed }
    }

    /// Why an answer of a deployment does not go out now.
    pub(crate) fn hold(&self, deployment: &DeploymentId) -> Option<Hold> {
        match self.gas(deployment).allowed {
            None => Some(Hold::Unknown),
            Some(_) => self.gas_refusal(deployment).map(Hold::Spent),
        }
    }

    /// Why no gas may be burnt for a deployment now.
    pub(crate) fn gas_refusal(&self, deployment: &DeploymentId) -> Option<String> {
        self.gas_refusal_with(deployment, 0)
    }

    fn gas_refusal_with(&self, deployment: &DeploymentId, waiting: u64) -> Option<String> {
        let gas = self.gas(deployment);
        let allowed = gas.allowed?;
        let taken = gas.spent.saturating_add(waiting.saturating_mul(ANSWER_GAS));
        (taken >= allowed).then(|| {
            let spent = gas.spent;
            format!(
                "the deployment's gas budget is spent: {spent} of {allowed} by now, more with the lease's next hour"
            )
        })
    }

    /// The chain's clock; `None` before the chain was first looked at.
    fn now(&self) -> Option<Timestamp> {
        Some(Timestamp(self.chain_time.load(Ordering::Relaxed))).filter(|now| now.0 > 0)
    }

    /// Takes an answer into the outbox. Says whether nobody delivers this deployment's answers yet.
    pub(crate) fn wait(&self, deployment: DeploymentId, waiting: Waiting) -> bool {
        let mut outbox = lock(&self.outbox);
        let idle = !outbox.queues.contains_key(&deployment);
        outbox.queues.entry(deployment).or_default().push_back(waiting);
        idle
    }

    /// The answer that goes next. With `None` nobody delivers any more.
    pub(crate) fn next_waiting(&self, deployment: &DeploymentId) -> Option<Waiting> {
        let mut outbox = lock(&self.outbox);
        let next = outbox.queues.get(deployment).and_then(|queue| queue.front().cloned());
        if next.is_none() {
            outbox.queues.remove(deployment);
        }
        next
    }

    /// The answer that went last is at its end.
    pub(crate) fn arrived(&self, deployment: &DeploymentId) {
        if let Some(queue) = lock(&self.outbox).queues.get_mut(deployment) {
            queue.pop_front();
        }
    }

    /// The oldest place of the journal that an answer waits for.
    pub(crate) fn oldest_waiting(&self) -> Option<Position> {
        lock(&self.outbox).queues.values().flatten().map(|waiting| waiting.position).min()
    }

    /// Counts the gas of an answer whose row is written.
    pub(crate) fn spend(&self, deployment: DeploymentId, gas: u64, key: String, position: Position) {
        let mut outbox = lock(&self.outbox);
        let account = outbox.accounts.entry(deployment).or_default();
        account.spent = account.spent.saturating_add(gas);
        outbox.delivered.push((key, position));
    }

    /// Gas that was spent in earlier runs.
    pub(crate) fn restore_gas(&self, deployment: DeploymentId, spent: u64) {
        lock(&self.outbox).accounts.entry(deployment).or_default().spent = spent;
    }

    /// Terms that an earlier run was told.
    pub(crate) fn restore_terms(&self, deployment: DeploymentId, terms: Terms) {
        lock(&self.outbox).accounts.entry(deployment).or_default().terms = Some(terms);
    }

    /// A row of an earlier run.
    pub(crate) fn restore_delivered(&self, key: String, position: Position) {
        lock(&self.outbox).delivered.push((key, position));
    }

    /// The keys whose rows are not needed any more once the mark stands at `mark`: recovery reads none of their records.
    pub(crate) fn delivered_before(&self, mark: Position) -> Vec<String> {
        let outbox = lock(&self.outbox);
        outbox.delivered.iter().filter(|(_, position)| *position < mark).map(|(key, _)| key.clone()).collect()
    }

    /// Their rows are gone.
    pub(crate) fn let_go_before(&self, mark: Position) {
        lock(&self.outbox).delivered.retain(|(_, position)| *position >= mark);
    }
}

fn hour_of(now: Timestamp) -> u64 {
    now.seconds() / 3_600
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
