//! Nonces that were used, for as long as the requests with them would be good.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nisse_model::Address;

/// Requests of one owner that are good at the same time.
const PER_OWNER_MAX: usize = 1_024;

#[derive(Default)]
pub(crate) struct Nonces(Mutex<Used>);

#[derive(Default)]
struct Used {
    /// By owner: each nonce, and the second from which its request is good no more.
    owners: BTreeMap<Address, HashMap<[u8; 32], u64>>,
    /// What was good until here may be forgotten: a clock that is set back makes none of it good again.
    forgotten: u64,
}

/// Why a nonce is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// It was used before.
    Used,
    /// This owner has used as many as are remembered.
    Full,
}

impl Nonces {
    fn lock(&self) -> MutexGuard<'_, Used> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a nonce of a request that is good until the second `expires`.
    pub(crate) fn take(&self, owner: Address, nonce: [u8; 32], expires: u64, now: u64) -> Result<(), NotTaken> {
        let mut all = self.lock();
        let Used { owners, forgotten } = &mut *all;
        let used = owners.entry(owner).or_default();
        if used.contains_key(&nonce) || expires <= *forgotten {
            return Err(NotTaken::Used);
        }
        if used.len() >= PER_OWNER_MAX {
            *forgotten = (*forgotten).max(now);
            owners.retain(|_, used| {
                used.retain(|_, expires| *expires > now);
                !used.is_empty()
            });
        }
        let used = owners.entry(owner).or_default();
        if used.len() >= PER_OWNER_MAX {
            return Err(NotTaken::Full);
        }
        used.insert(nonce, expires);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
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
}
