//! Whose turn it is to fetch: agents that are being brought up, looks before a bid, and what agents read each have places of
//! their own, and one owner has a share of those that strangers can ask for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use nisse_model::Address;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Packages that are fetched at once for agents of this node.
const AGENTS_MAX: usize = 2;
/// Packages that are fetched at once to be looked at. Each holds one file in memory.
const BIDS_MAX: usize = 2;
/// Looks that wait or go on, and those of one owner.
const BIDS_WAITING_MAX: usize = 64;
const BIDS_OF_ONE_MAX: usize = 4;
/// Files that agents read from elsewhere at once, and those of one owner.
const READS_MAX: usize = 8;
const READS_OF_ONE_MAX: usize = 2;

/// The places.
pub(crate) struct Turns {
    agents: Arc<Semaphore>,
    bids: Arc<Semaphore>,
    waiting: Shares,
    reads: Arc<Semaphore>,
    readers: Mutex<HashMap<Address, Arc<Semaphore>>>,
}

impl Default for Turns {
    fn default() -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        Self {
            agents: places(AGENTS_MAX),
            bids: places(BIDS_MAX),
            waiting: Shares::default(),
            reads: places(READS_MAX),
            readers: Mutex::default(),
        }
    }
}

/// A place that is given back when this is dropped.
pub(crate) struct Place {
    _place: Option<OwnedSemaphorePermit>,
    _share: Option<Share>,
    _own: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// For an agent of this node.
    pub(crate) async fn of_agent(&self) -> Place {
        Place { _place: place(&self.agents).await, _share: None, _own: None }
    }

    /// For a look at an order of this owner. `None` where too many wait already.
    pub(crate) async fn of_bid(&self, owner: Address) -> Option<Place> {
        let share = self.waiting.take(owner)?;
        Some(Place { _place: place(&self.bids).await, _share: Some(share), _own: None })
    }

    /// For a file that an agent of this owner reads.
    pub(crate) async fn of_read(&self, owner: Address) -> Place {
        let own = {
            let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
            readers.retain(|_, places| Arc::strong_count(places) > 1 || places.available_permits() < READS_OF_ONE_MAX);
            Arc::clone(readers.entry(owner).or_insert_with(|| Arc::new(Semaphore::new(READS_OF_ONE_MAX))))
        };
        let own = place(&own).await;
        Place { _place: place(&self.reads).await, _share: None, _own: own }
    }
}

async fn place(places: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    // Never closed.
    Arc::clone(places).acquire_owned().await.ok()
}

/// How many looks each owner has waiting.
#[derive(Clone, Default)]
struct Shares(Arc<Mutex<HashMap<Address, usize>>>);

struct Share {
    of: Shares,
    owner: Address,
}

impl Shares {
    fn take(&self, owner: Address) -> Option<Share> {
        let mut shares = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = shares.values().sum();
        let own = shares.get(&owner).copied().unwrap_or_default();
        if all >= BIDS_WAITING_MAX || own >= BIDS_OF_ONE_MAX {
            return None;
        }
        shares.insert(owner, own + 1);
        Some(Share { of: self.clone(), owner })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut shares = self.of.0.lock().unwrap_or_else(PoisonError::into_inner);
        match shares.get_mut(&self.owner) {
            Some(count) if *count > 1 => *count -= 1,
            _ => _ = shares.remove(&self.owner),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn one_owner_never_takes_the_places_of_all() {
        let turns = Turns::default();
        let alice = Address([1; 20]);
        let mut waiting: Vec<_> = (0..BIDS_OF_ONE_MAX).map(|_| Box::pin(turns.of_bid(alice))).collect();
        let begun: Vec<_> = waiting.iter_mut().filter_map(|turn| turn.now_or_never()).collect();
        assert_eq!(begun.len(), BIDS_MAX);
        assert!(turns.of_bid(alice).now_or_never().expect("at once").is_none(), "one more than its share");
        // Whoever ends makes room, and agents of this node wait for no look.
        drop(begun);
        drop(waiting);
        assert!(turns.of_bid(alice).now_or_never().expect("at once").is_some());
        assert!(turns.of_agent().now_or_never().is_some());

        let reads: Vec<_> = (0..READS_OF_ONE_MAX).map(|_| turns.of_read(alice).now_or_never().expect("free")).collect();
        assert!(turns.of_read(alice).now_or_never().is_none(), "it waits for its own");
        assert!(turns.of_read(Address([2; 20])).now_or_never().is_some(), "and others do not");
        drop(reads);
    }
}
