//! What strangers together may take of the node while they read content: turns at the disk, and room for what they have
//! not taken yet. One address has a share of each, so that it never takes what the others would get.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Pieces that are read for strangers at once; more of them wait for their turn.
const READS_MAX: usize = 4;
/// Of these, for one address.
const READS_FROM_ONE_MAX: usize = 1;
/// Pieces that are on their way to strangers, each of at most 64 KiB: 32 MiB in all.
const PIECES_MAX: usize = 512;
/// One address has this part of them on its way.
const PIECES_SHARE: usize = 8;

/// What all strangers share.
pub(in crate::node) struct Strangers {
    all: Share,
    shares: Mutex<HashMap<IpAddr, Weak<Share>>>,
}

/// Turns and room: of all strangers, or of one address.
struct Share {
    turns: Arc<Semaphore>,
    room: Arc<Semaphore>,
}

impl Share {
    fn new(turns: usize, room: usize) -> Self {
        Self { turns: Arc::new(Semaphore::new(turns)), room: Arc::new(Semaphore::new(room)) }
    }
}

/// Whoever asks for one answer.
pub(super) struct Stranger {
    strangers: Arc<Strangers>,
    /// None for what is not counted by its address.
    own: Option<(IpAddr, Arc<Share>)>,
}

/// A turn at the disk, or room for a piece; given back when this is dropped.
pub(super) struct Place {
    _own: Option<OwnedSemaphorePermit>,
    _all: OwnedSemaphorePermit,
    /// What an address holds is counted for as long as it holds anything.
    _stranger: Arc<Stranger>,
}

impl Default for Strangers {
    fn default() -> Self {
        Self { all: Share::new(READS_MAX, PIECES_MAX), shares: Mutex::default() }
    }
}

impl Strangers {
    /// One that asks from this address, if it is counted by it.
    pub(super) fn one(self: &Arc<Self>, from: Option<IpAddr>) -> Arc<Stranger> {
        let own = from.map(|from| {
            let mut shares = self.shares();
            let known = shares.get(&from).and_then(Weak::upgrade);
            let share = known.unwrap_or_else(|| {
                let share = Arc::new(Share::new(READS_FROM_ONE_MAX, PIECES_MAX / PIECES_SHARE));
                shares.insert(from, Arc::downgrade(&share));
                share
            });
            (from, share)
        });
        Arc::new(Stranger { strangers: Arc::clone(self), own })
    }

    fn shares(&self) -> MutexGuard<'_, HashMap<IpAddr, Weak<Share>>> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stranger {
    /// Waits for a turn at the disk. It is kept until the work is done, whether or not anybody waits for that.
    pub(super) async fn turn(self: &Arc<Self>) -> Place {
        self.place(|share| &share.turns).await
    }

    /// Waits for room for one piece.
    pub(super) async fn room(self: &Arc<Self>) -> Place {
        self.place(|share| &share.room).await
    }

    /// An address waits in its own queue first: it is never more than its share in the queue of all.
    async fn place(self: &Arc<Self>, of: impl Fn(&Share) -> &Arc<Semaphore>) -> Place {
        let taken = async |share| Arc::clone(of(share)).acquire_owned().await.expect("it is never closed");
        let own = match &self.own {
            Some((_, share)) => Some(taken(share).await),
            None => None,
        };
        Place { _own: own, _all: taken(&self.strangers.all).await, _stranger: Arc::clone(self) }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let Some((from, share)) = self.own.take() else { return };
        let mut shares = self.strangers.shares();
        drop(share);
        if shares.get(&from).is_some_and(|share| share.strong_count() == 0) {
            shares.remove(&from);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn from(last: u8) -> Option<IpAddr> {
        Some([203, 0, 113, last].into())
    }

    #[tokio::test]
    async fn one_address_has_one_turn_however_often_it_asks() {
        let strangers = Arc::new(Strangers::default());
        let asking: Vec<_> = (0..8).map(|_| strangers.one(from(1))).collect();
        let turn = asking[0].turn().await;
        assert!(asking[1].turn().now_or_never().is_none());
        let others: Vec<Place> = (2..5).filter_map(|last| strangers.one(from(last)).turn().now_or_never()).collect();
        assert_eq!(others.len(), 3);
        assert!(strangers.one(from(9)).turn().now_or_never().is_none(), "all turns are taken");
        drop(turn);
        assert!(asking[1].turn().now_or_never().is_some());
    }

    #[test]
    fn pieces_that_one_address_does_not_take_leave_room_to_the_others() {
        let strangers = Arc::new(Strangers::default());
        let slow = strangers.one(from(1));
        let held: Vec<Place> = std::iter::from_fn(|| slow.room().now_or_never()).collect();
        assert_eq!(held.len(), PIECES_MAX / PIECES_SHARE);
        assert!(strangers.one(from(1)).room().now_or_never().is_none());
        assert!(strangers.one(from(2)).room().now_or_never().is_some());
        let all: Vec<Place> = std::iter::from_fn(|| strangers.one(None).room().now_or_never()).collect();
        assert_eq!(held.len() + all.len(), PIECES_MAX);
    }

    #[tokio::test]
    async fn an_address_is_forgotten_when_it_holds_nothing_any_more() {
        let strangers = Arc::new(Strangers::default());
        let (first, second) = (strangers.one(from(1)), strangers.one(from(1)));
        let piece = first.room().await;
        drop((first, second));
        assert_eq!(strangers.shares().len(), 1, "a piece of it is still on its way");
        drop(piece);
        assert!(strangers.shares().is_empty());
    }
}
