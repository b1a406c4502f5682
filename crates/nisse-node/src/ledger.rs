//! The ends of all chains of records, and what agents may still publish: in memory, ahead of the index.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nisse_model::{DeploymentId, Hash256, Timestamp};

/// Answers that an agent may publish in one hour: what a deployment's gas budget pays for.
pub(crate) const PUBLICATIONS_PER_HOUR_MAX: u32 = 60;

/// Shared by all agents of the node.
#[derive(Default)]
pub(crate) struct Ledger {
    tips: Mutex<HashMap<DeploymentId, (u64, Hash256)>>,
    publications: Mutex<HashMap<DeploymentId, (u64, u32)>>,
}

impl Ledger {
    /// The last record that was committed since the node came up.
    pub(crate) fn tip(&self, deployment: &DeploymentId) -> Option<(u64, Hash256)> {
        lock(&self.tips).get(deployment).copied()
    }

    pub(crate) fn set_tip(&self, deployment: DeploymentId, seq: u64, hash: Hash256) {
        lock(&self.tips).insert(deployment, (seq, hash));
    }

    /// Why nothing may be published now, when the hour's budget is spent.
    pub(crate) fn publish_refusal(&self, deployment: &DeploymentId, now: Timestamp) -> Option<String> {
        let spent = lock(&self.publications).get(deployment).filter(|(hour, _)| *hour == hour_of(now)).map(|(_, n)| *n);
        (spent.unwrap_or(0) >= PUBLICATIONS_PER_HOUR_MAX).then(|| {
            format!("this hour's gas budget is spent: at most {PUBLICATIONS_PER_HOUR_MAX} answers are published")
        })
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
}

fn hour_of(now: Timestamp) -> u64 {
    now.seconds() / 3_600
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use nisse_model::Address;

    use super::*;

    #[test]
    fn a_spent_budget_refuses_until_the_next_hour() {
        let ledger = Ledger::default();
        let deployment = DeploymentId { chain: 1, contract: Address([2; 20]), number: 3 };
        let now = Timestamp(3_600_000);
        ledger.count_publications(deployment, now, PUBLICATIONS_PER_HOUR_MAX - 1);
        assert_eq!(ledger.publish_refusal(&deployment, now), None);
        ledger.count_publications(deployment, now, 1);
        assert!(ledger.publish_refusal(&deployment, now).is_some());
        assert_eq!(ledger.publish_refusal(&deployment, now.plus_ms(3_600_000)), None);
    }
}
