//! A listener that only this machine reaches never fills up with connections that say nothing.
//!
//! Such a listener has few places and cannot tell its callers apart by their address. Whoever has sent a request that
//! may be answered holds a place; of the others the one that has waited longest makes room for the next that comes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The connections that may be told to make room, oldest first.
#[derive(Clone, Default)]
pub(crate) struct Door(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    next: u64,
    idle: BTreeMap<u64, Arc<Notify>>,
}

/// One connection; it is forgotten when the last of these is dropped.
#[derive(Clone)]
pub(crate) struct Caller(Arc<Inner>);

struct Inner {
    door: Door,
    number: u64,
    told: Arc<Notify>,
    /// It has shown the home's token: it stays as long as it likes.
    known: AtomicBool,
}

/// A request is being answered; the connection stays until this is dropped.
pub(crate) struct Busy(Caller);

impl Door {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection came in and has shown nothing yet.
    pub(crate) fn enter(&self) -> Caller {
        let told = Arc::new(Notify::new());
        let mut waiting = self.waiting();
        let number = waiting.next;
        waiting.next += 1;
        waiting.idle.insert(number, Arc::clone(&told));
        drop(waiting);
        Caller(Arc::new(Inner { door: self.clone(), number, told, known: AtomicBool::new(false) }))
    }

    /// Tells the one that has waited longest to go.
    pub(crate) fn make_room(&self) {
        if let Some((_, told)) = self.waiting().idle.pop_first() {
            told.notify_one();
        }
    }
}

impl Caller {
    /// Returns once this connection has to go.
    pub(crate) async fn told_to_go(&self) {
        self.0.told.notified().await;
    }

    /// It has shown the token.
    pub(crate) fn is_known(&self) {
        self.0.known.store(true, Ordering::Relaxed);
        self.0.door.waiting().idle.remove(&self.0.number);
    }

    /// A whole request of it is being answered.
    pub(crate) fn busy(&self) -> Busy {
        self.0.door.waiting().idle.remove(&self.0.number);
        Busy(self.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let Inner { door, number, told, known } = &*self.0.0;
        if !known.load(Ordering::Relaxed) {
            door.waiting().idle.insert(*number, Arc::clone(told));
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.door.waiting().idle.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use futures::poll;

    use super::*;

    async fn goes(caller: &Caller) -> bool {
        let told = std::pin::pin!(caller.told_to_go());
        poll!(told) == Poll::Ready(())
    }

    #[tokio::test]
    async fn the_one_that_said_nothing_for_longest_makes_room() {
        let door = Door::default();
        let callers = [door.enter(), door.enter(), door.enter()];
        door.make_room();
        assert!(goes(&callers[0]).await);
        assert!(!goes(&callers[1]).await);
        door.make_room();
        assert!(goes(&callers[1]).await);
    }

    #[tokio::test]
    async fn who_is_known_or_being_answered_stays() {
        let door = Door::default();
        let (known, asking, idle) = (door.enter(), door.enter(), door.enter());
        known.is_known();
        let busy = asking.busy();
        drop(known.busy());
        door.make_room();
        door.make_room();
        assert!(goes(&idle).await);
        assert!(!goes(&known).await && !goes(&asking).await);
        drop(busy);
        door.make_room();
        assert!(goes(&asking).await, "what was answered is idle again");
    }

    #[tokio::test]
    async fn who_has_gone_is_forgotten() {
        let door = Door::default();
        drop(door.enter());
        let asking = door.enter();
        let busy = asking.busy();
        drop((asking, busy));
        assert!(door.waiting().idle.is_empty());
    }
}
