//! What was told of refused requests a moment ago: strangers fill no log.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{Flaw, FlawKind};

/// What is refused again and again for the same reasons is a line once in so long.
const TOLD_EVERY: Duration = Duration::from_secs(60);
/// Reasons that are counted apart; more of them are counted together.
const REASONS_MAX: usize = 64;

/// Which rule refused for which kind of reason.
type Reason = Vec<(usize, FlawKind)>;

#[derive(Default)]
pub(super) struct Refusals(Mutex<BTreeMap<Reason, Counted>>);

struct Counted {
    told: Duration,
    since: u64,
}

impl Refusals {
    /// Counts a refusal. If it is to be told now, how many were not since the last one like it.
    pub(super) fn is_due(&self, now: Duration, flaws: &[(usize, Flaw)]) -> Option<u64> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut reason: Reason = flaws.iter().map(|(number, flaw)| (*number, flaw.kind)).collect();
        let is_old = |counted: &Counted| now.saturating_sub(counted.told) >= TOLD_EVERY;
        if told.len() >= REASONS_MAX && !told.contains_key(&reason) {
            told.retain(|_, counted| !is_old(counted));
            if told.len() >= REASONS_MAX {
                // One place for all of them; whatever the first of them was is told.
                reason.clear();
            }
        }
        match told.get_mut(&reason) {
            Some(counted) if !is_old(counted) => {
                counted.since += 1;
                None
            }
            Some(counted) => {
                counted.told = now;
                Some(std::mem::take(&mut counted.since))
            }
            None => {
                told.insert(reason, Counted { told: now, since: 0 });
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_told_once_a_minute_with_how_often_it_was_since() {
        let refusals = Refusals::default();
        let at = |seconds: u64, kind: FlawKind| {
            refusals.is_due(Duration::from_secs(seconds), &[(0, kind.with(seconds.to_string()))])
        };
        assert_eq!(at(1, FlawKind::Key), Some(0));
        assert_eq!((at(2, FlawKind::Key), at(60, FlawKind::Key)), (None, None));
        assert_eq!(at(2, FlawKind::Path), Some(0), "another reason is told by itself");
        assert_eq!(at(61, FlawKind::Key), Some(2));
        assert_eq!(at(121, FlawKind::Key), Some(0));
    }

    #[test]
    fn reasons_without_end_take_no_room_without_end() {
        let refusals = Refusals::default();
        let at =
            |seconds: u64, rule: usize| refusals.is_due(Duration::from_secs(seconds), &[(rule, FlawKind::Key.into())]);
        let told = (0..10_000).filter(|rule| at(1, *rule).is_some()).count();
        assert_eq!(told, REASONS_MAX + 1);
        assert_eq!(refusals.0.lock().expect("no panic").len(), REASONS_MAX + 1);
        assert_eq!(at(61, 20_000), Some(0), "places come free");
    }
}
