//! How many connections a listener holds: all together, and from one address.
//!
//! Each connection is an open file. What the process may open is shared out so that strangers can never take what the
//! journal, the content store and the owner's own commands need.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections of the public listener at once; more wait in the operating system's queue.
const PUBLIC_MAX: u64 = 4_096;
/// Connections at once of a listener that only this machine reaches.
const LOOPBACK_MAX: u64 = 256;
/// Open files that the public listener leaves to the rest of the node. Where there are few, it leaves half of them.
const FILES_RESERVE: u64 = 1_024;
/// A listener on loopback takes at most this part of the open files.
const LOOPBACK_SHARE: u64 = 8;
/// One address takes at most this part of the public listener's connections, and of the room for bodies.
pub(crate) const ADDRESS_SHARE: usize = 8;

/// The connections of one listener.
pub(crate) struct Slots {
    all: Arc<Semaphore>,
    all_max: usize,
    from_one_max: usize,
    held: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One connection's place; given back when this is dropped.
pub(crate) struct Slot {
    _place: OwnedSemaphorePermit,
    /// None for what is not counted by its address.
    from: Option<IpAddr>,
    held: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Slots {
    /// For strangers, in a process that may have this many files open.
    pub(crate) fn public(files_max: u64) -> Self {
        Self::new(files_max.saturating_sub(FILES_RESERVE.min(files_max / 2)).min(PUBLIC_MAX))
    }

    /// For this machine alone.
    pub(crate) fn loopback(files_max: u64) -> Self {
        Self::new((files_max / LOOPBACK_SHARE).min(LOOPBACK_MAX))
    }

    fn new(connections_max: u64) -> Self {
        let all_max = usize::try_from(connections_max.max(1)).expect("the limits are small");
        let from_one_max = (all_max / ADDRESS_SHARE).max(1);
        Self { all: Arc::new(Semaphore::new(all_max)), all_max, from_one_max, held: Arc::default() }
    }

    /// How many there are.
    pub(crate) fn all_max(&self) -> usize {
        self.all_max
    }

    /// Waits for a place.
    pub(crate) async fn free(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.all).acquire_owned().await.expect("it is never closed")
    }

    /// A place that is free at this moment.
    pub(crate) fn free_now(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.all).try_acquire_owned().ok()
    }

    /// Gives the place to a connection from this address, unless that one holds its share already.
    pub(crate) fn take(&self, place: OwnedSemaphorePermit, from: IpAddr) -> Option<Slot> {
        let from = counted(from);
        if let Some(from) = from {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            let count = held.entry(from).or_default();
            if *count >= self.from_one_max {
                return None;
            }
            *count += 1;
        }
        Some(Slot { _place: place, from, held: Arc::clone(&self.held) })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some(from) = self.from else { return };
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.get_mut(&from).expect("it was counted when it was taken");
        *count -= 1;
        if *count == 0 {
            held.remove(&from);
        }
    }
}

/// What a connection counts for: its address, in IPv6 the network that one customer gets. Not loopback, where a proxy in
/// front of the node speaks for everybody.
pub(crate) fn counted(from: IpAddr) -> Option<IpAddr> {
    match from.to_canonical() {
        own if own.is_loopback() => None,
        IpAddr::V4(address) => Some(address.into()),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Some(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(slots: &Slots, from: &str) -> Option<Slot> {
        let place = Arc::clone(&slots.all).try_acquire_owned().ok()?;
        slots.take(place, from.parse().expect("an address"))
    }

    #[test]
    fn strangers_leave_files_to_the_rest_of_the_node() {
        for (files_max, public, loopback) in
            [(0, 1, 1), (64, 32, 8), (256, 128, 32), (1_024, 512, 128), (4_096, 3_072, 256), (u64::MAX, 4_096, 256)]
        {
            assert_eq!(Slots::public(files_max).all.available_permits(), public, "{files_max}");
            assert_eq!(Slots::loopback(files_max).all.available_permits(), loopback, "{files_max}");
        }
    }

    #[test]
    fn one_address_takes_its_share_and_no_more() {
        let slots = Slots::new(32);
        let mut first: Vec<Slot> = (0..4).filter_map(|_| take(&slots, "203.0.113.7")).collect();
        assert!(take(&slots, "203.0.113.7").is_none());
        assert!(take(&slots, "::ffff:203.0.113.7").is_none(), "the same address in another spelling");
        assert!(take(&slots, "203.0.113.8").is_some(), "another one's share is untouched");
        first.pop();
        assert!(take(&slots, "203.0.113.7").is_some(), "a connection that ended makes room");
        drop(first);
        assert!(slots.held.lock().expect("nothing panicked").is_empty(), "nothing is kept of who has gone");
        assert_eq!(slots.all.available_permits(), 32);
    }

    #[test]
    fn one_network_of_ipv6_counts_as_one_address() {
        let slots = Slots::new(16);
        let held: Vec<Slot> =
            ["2001:db8::1", "2001:db8::2"].into_iter().filter_map(|from| take(&slots, from)).collect();
        assert_eq!(held.len(), 2);
        assert!(take(&slots, "2001:db8::3").is_none());
        assert!(take(&slots, "2001:db8:0:1::1").is_some());
    }

    #[test]
    fn a_proxy_on_this_machine_may_take_all() {
        let slots = Slots::new(16);
        let held: Vec<Slot> = (0..16).filter_map(|_| take(&slots, "127.0.0.1")).collect();
        assert_eq!(held.len(), 16);
        drop(held);
        assert_eq!(slots.all.available_permits(), 16);
    }
}
