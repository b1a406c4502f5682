//! Whom we are connected to: how many at once, and how to be rid of one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use nisse_model::Did;
use nisse_store::Clock;

use crate::allowance::Allowance;
use crate::error::LinkError;
use crate::limits::Limits;
use crate::transport::CloseCode;

/// All connections of a link and those on their way.
pub(crate) struct Peers {
    limits: Limits,
    clock: Arc<dyn Clock>,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    next: u64,
    places: HashMap<u64, Entry>,
    allowances: HashMap<Did, Arc<Allowance>>,
}

struct Entry {
    peer: Did,
    state: State,
}

enum State {
    /// On its way.
    Coming,
    Open(iroh::endpoint::Connection),
    /// Cut before it came.
    Cut,
}

impl Entry {
    fn counts(&self) -> bool {
        match &self.state {
            State::Open(quic) => quic.close_reason().is_none(),
            State::Coming | State::Cut => true,
        }
    }
}

/// A place among the connections. Who drops it leaves.
pub(crate) struct Place {
    peers: Arc<Peers>,
    number: u64,
    pub(crate) allowance: Arc<Allowance>,
}

impl Peers {
    pub(crate) fn new(limits: Limits, clock: Arc<dyn Clock>) -> Self {
        Self { limits, clock, table: Mutex::default() }
    }

    /// A place for one more connection with this peer, before there is one.
    pub(crate) fn reserve(self: &Arc<Self>, peer: Did) -> Result<Place, LinkError> {
        let mut table = self.table();
        let counted = table.places.values().filter(|entry| entry.counts());
        let (mut all, mut of_peer) = (0, 0);
        for entry in counted {
            all += 1;
            of_peer += usize::from(entry.peer == peer);
        }
        if all >= self.limits.connections {
            return Err(LinkError::Limit("connections"));
        }
        if of_peer >= self.limits.connections_per_peer {
            return Err(LinkError::Limit("connections with one peer"));
        }
        // Who comes back at once finds what it had left; who rested begins anew, and need not be remembered.
        table.allowances.retain(|_, allowance| Arc::strong_count(allowance) > 1 || !allowance.is_unused());
        let new = || Arc::new(Allowance::new(&self.limits, &self.clock));
        let allowance = table.allowances.entry(peer).or_insert_with(new).clone();
        let number = table.next;
        table.next += 1;
        table.places.insert(number, Entry { peer, state: State::Coming });
        Ok(Place { peers: self.clone(), number, allowance })
    }

    /// Closes whatever there is with this peer, also what is still on its way.
    pub(crate) fn cut(&self, peer: &Did) {
        let mut table = self.table();
        for entry in table.places.values_mut().filter(|entry| entry.peer == *peer) {
            match &entry.state {
                State::Open(quic) => quic.close(CloseCode::Cut.number(), b"cut"),
                State::Coming | State::Cut => entry.state = State::Cut,
            }
        }
    }

    /// Closes everything.
    pub(crate) fn leave(&self) {
        for entry in self.table().places.values() {
            if let State::Open(quic) = &entry.state {
                quic.close(CloseCode::Leaving.number(), b"the peer is leaving");
            }
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().expect("nothing panics with the table of peers")
    }
}

impl Place {
    /// Puts the connection in its place; false where the peer was cut in the meantime.
    pub(crate) fn take(&self, quic: &iroh::endpoint::Connection) -> bool {
        let mut table = self.peers.table();
        let Some(entry) = table.places.get_mut(&self.number) else { return false };
        let coming = matches!(entry.state, State::Coming);
        if coming {
            entry.state = State::Open(quic.clone());
        }
        coming
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // The connection goes after the lock: to let go of it takes locks of its own.
        let left = self.peers.table().places.remove(&self.number);
        drop(left);
    }
}
