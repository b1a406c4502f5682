//! Nonces that were used, for as long as the requests with them would be good.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Requests of one owner that are good at the same time, where nothing else is said.
const PER_OWNER_MAX: usize = 1_024;
/// Owners with requests that are good at the same time.
const OWNERS_MAX: usize = 4_096;

/// Nonces of one form, by who used them: the owner of an agent, or the holder of a token.
pub(crate) struct Nonces<Owner, Nonce>(Mutex<Used<Owner, Nonce>>);

struct Used<Owner, Nonce> {
    limits: Limits,
    /// How many nonces there are.
    count: usize,
    /// By owner: each nonce, and the second from which its request is good no more.
    owners: BTreeMap<Owner, HashMap<Nonce, u64>>,
    /// What was good until here may be forgotten: a clock that is set back makes none of it good again.
    forgotten: u64,
}

/// How much is remembered.
#[derive(Clone, Copy)]
struct Limits {
    of_one: usize,
    owners: usize,
    all: usize,
}

/// Why a nonce is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// It was used before.
    Used,
    /// This owner has used as many as are remembered.
    Full,
}

impl<Owner, Nonce> Default for Nonces<Owner, Nonce> {
    fn default() -> Self {
        Self::sized(PER_OWNER_MAX, OWNERS_MAX, PER_OWNER_MAX * OWNERS_MAX)
    }
}

impl<Owner, Nonce> Nonces<Owner, Nonce> {
    /// So many of one owner, of so many owners, and of all of them.
    pub(crate) fn sized(of_one: usize, owners: usize, all: usize) -> Self {
        let limits = Limits { of_one, owners, all };
        Self(Mutex::new(Used { limits, count: 0, owners: BTreeMap::new(), forgotten: 0 }))
    }
}

impl<Owner: Ord + Copy, Nonce: Eq + Hash> Nonces<Owner, Nonce> {
    /// Whether nothing is remembered that a request could still be good with.
    pub(crate) fn is_idle(&self, now: u64) -> bool {
        let mut all = self.lock();
        all.forget(now);
        all.count == 0
    }

    fn lock(&self) -> MutexGuard<'_, Used<Owner, Nonce>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a nonce of a request that is good until the second `expires`.
    pub(crate) fn take(&self, owner: Owner, nonce: Nonce, expires: u64, now: u64) -> Result<(), NotTaken> {
        let mut all = self.lock();
        let used = all.owners.get(&owner);
        if used.is_some_and(|used| used.contains_key(&nonce)) || expires <= all.forgotten {
            return Err(NotTaken::Used);
        }
        if all.is_full(&owner) {
            all.forget(now);
        }
        if all.is_full(&owner) {
            return Err(NotTaken::Full);
        }
        all.owners.entry(owner).or_default().insert(nonce, expires);
        all.count += 1;
        Ok(())
    }
}

impl<Owner: Ord, Nonce> Used<Owner, Nonce> {
    fn is_full(&self, owner: &Owner) -> bool {
        let Limits { of_one, owners, all } = self.limits;
        let has_none = match self.owners.get(owner) {
            Some(used) => used.len() >= of_one,
            None => self.owners.len() >= owners,
        };
        has_none || self.count >= all
    }

    /// Forgets what is good no more.
    fn forget(&mut self, now: u64) {
        self.forgotten = self.forgotten.max(now);
        self.owners.retain(|_, used| {
            used.retain(|_, expires| *expires > now);
            !used.is_empty()
        });
        self.count = self.owners.values().map(HashMap::len).sum();
    }
}

#[cfg(test)]
mod tests {
    use nisse_model::Address;

    use super::*;

    const OWNER: Address = Address([1; 20]);
    const OTHER: Address = Address([2; 20]);

    fn nonce(number: usize) -> [u8; 32] {
        let mut nonce = [0; 32];
        nonce[..8].copy_from_slice(&number.to_be_bytes());
        nonce
    }

    #[test]
    fn a_nonce_counts_once_for_its_owner() {
        let nonces = Nonces::default();
        assert_eq!(nonces.take(OWNER, nonce(1), 160, 100), Ok(()));
        assert_eq!(nonces.take(OWNER, nonce(1), 160, 159), Err(NotTaken::Used));
        assert_eq!(nonces.take(OTHER, nonce(1), 160, 100), Ok(()));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_makes_room_when_it_is_good_no_more() {
        let nonces = Nonces::default();
        for number in 0..PER_OWNER_MAX {
            assert_eq!(nonces.take(OWNER, nonce(number), 160, 100), Ok(()));
        }
        assert_eq!(nonces.take(OWNER, nonce(PER_OWNER_MAX), 160, 101), Err(NotTaken::Full));
        assert_eq!(nonces.take(OTHER, nonce(0), 161, 101), Ok(()), "others have room");
        assert_eq!(nonces.take(OWNER, nonce(0), 219, 159), Err(NotTaken::Used), "nothing good is forgotten");
        assert_eq!(nonces.take(OWNER, nonce(PER_OWNER_MAX), 219, 160), Ok(()));
        assert_eq!(nonces.take(OTHER, nonce(0), 161, 160), Err(NotTaken::Used));
        assert_eq!(nonces.take(OWNER, nonce(0), 160, 100), Err(NotTaken::Used), "the clock was set back");
    }
    #[test]
    fn those_who_ask_are_bounded_too_and_make_room() {
        let nonces = Nonces::default();
        for number in 0..OWNERS_MAX {
            assert_eq!(nonces.take(number, [0; 16], 160, 100), Ok(()));
        }
        assert_eq!(nonces.take(OWNERS_MAX, [0; 16], 160, 100), Err(NotTaken::Full));
        assert_eq!(nonces.take(0, [1; 16], 160, 100), Ok(()), "whoever is known goes on");
        assert_eq!(nonces.take(OWNERS_MAX, [0; 16], 220, 160), Ok(()));
    }

    #[test]
    fn all_of_them_are_bounded_together() {
        let nonces = Nonces::sized(2, 8, 3);
        for (owner, number) in [(1, 0), (1, 1), (2, 0)] {
            assert_eq!(nonces.take(owner, nonce(number), 160, 100), Ok(()));
        }
        assert_eq!(nonces.take(3, nonce(0), 160, 100), Err(NotTaken::Full));
        assert!(!nonces.is_idle(159));
        assert_eq!(nonces.take(3, nonce(0), 220, 160), Ok(()));
        assert!(nonces.is_idle(220));
    }
}
