//! How many answers are made or sent at once: in all, and for one owner.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The answers of one kind.
pub(crate) struct Shares {
    all_max: usize,
    one_max: usize,
    held: Held,
}

type Held = Arc<Mutex<HashMap<String, usize>>>;

/// One answer's place; given back when this is dropped.
pub(crate) struct Share {
    owner: String,
    held: Held,
}

impl Shares {
    pub(crate) fn new(all_max: usize, one_max: usize) -> Self {
        Self { all_max, one_max, held: Arc::default() }
    }

    /// A place, if there is one at this moment.
    pub(crate) fn take(&self, owner: String) -> Option<Share> {
        self.take_within(owner, self.one_max)
    }

    /// A place for whoever counts as nobody, if there is one at this moment.
    pub(crate) fn take_of_all(&self) -> Option<Share> {
        self.take_within(String::new(), self.all_max)
    }

    /// Whether all places are taken at this moment.
    pub(crate) fn is_full(&self) -> bool {
        lock(&self.held).values().sum::<usize>() >= self.all_max
    }

    fn take_within(&self, owner: String, one_max: usize) -> Option<Share> {
        let mut held = lock(&self.held);
        let own = held.get(&owner).copied().unwrap_or(0);
        if own >= one_max || held.values().sum::<usize>() >= self.all_max {
            return None;
        }
        held.insert(owner.clone(), own + 1);
        Some(Share { owner, held: Arc::clone(&self.held) })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = lock(&self.held);
        if let Some(own) = held.get_mut(&self.owner) {
            *own -= 1;
            if *own == 0 {
                held.remove(&self.owner);
            }
        }
    }
}

fn lock(held: &Held) -> MutexGuard<'_, HashMap<String, usize>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_owner_takes_no_more_than_a_share_and_all_no_more_than_all() {
        let shares = Shares::new(5, 2);
        let take = |owner: &str| shares.take(owner.to_owned());
        let held: Vec<_> = ["a", "a", "b", "b"].map(take).into();
        assert!(held.iter().all(Option::is_some) && take("a").is_none());
        let last = take("c");
        assert!(last.is_some() && take("d").is_none(), "all of them are taken");
        drop(held);
        assert!(take("a").is_some() && take("d").is_some());
    }

    #[test]
    fn nobody_in_particular_takes_what_there_is() {
        let shares = Shares::new(5, 2);
        let held: Vec<_> = (0..5).map(|_| shares.take_of_all()).collect();
        assert!(held.iter().all(Option::is_some) && shares.is_full());
        assert!(shares.take_of_all().is_none() && shares.take("a".to_owned()).is_none());
        drop(held);
        assert!(!shares.is_full());
    }
}
