//! A network of fake servers with a log of every dial.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::server::{FakeServer, Received};
use crate::dialler::{Connection, Dialler};

/// Bytes in flight on a fake connection, per direction.
const WIRE_BYTES_MAX: usize = 64 * 1024;

/// Serves connections from memory. Cheap to clone; clones share everything.
#[derive(Clone, Default)]
pub struct FakeNetwork {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    servers: HashMap<SocketAddr, FakeServer>,
    peers: HashMap<SocketAddr, SocketAddr>,
    here: Vec<IpAddr>,
    dials: Vec<SocketAddr>,
    canaries: usize,
    open: usize,
    received: Vec<Received>,
    before_connect: Option<Hook>,
}

type Hook = Box<dyn FnOnce() + Send>;

impl FakeNetwork {
    /// `server` listens at `address`.
    pub fn serve(&self, address: &str, server: FakeServer) {
        self.lock().servers.insert(socket(address), server);
    }

    /// Connections to `address` claim to have ended at `peer`.
    pub fn lie_about_peer(&self, address: &str, peer: &str) {
        self.lock().peers.insert(socket(address), socket(peer));
    }

    /// `address` is one of this machine.
    pub fn is_here(&self, address: &str) {
        self.lock().here.push(address.parse().expect("a test names real addresses"));
    }

    /// Something happens while the next connection is being opened.
    pub fn before_connect(&self, happens: impl FnOnce() + Send + 'static) {
        self.lock().before_connect = Some(Box::new(happens));
    }

    /// Every address dialled, in order.
    pub fn dials(&self) -> Vec<SocketAddr> {
        self.lock().dials.clone()
    }

    /// Dials to addresses where nothing is served.
    pub fn canaries(&self) -> usize {
        self.lock().canaries
    }

    /// Connections that both sides still hold.
    pub fn open(&self) -> usize {
        self.lock().open
    }

    /// What all servers received, in order.
    pub fn received(&self) -> Vec<Received> {
        self.lock().received.clone()
    }

    pub(super) fn record(&self, received: Received) {
        self.lock().received.push(received);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn socket(text: &str) -> SocketAddr {
    text.parse().expect("a test names real addresses")
}

#[async_trait]
impl Dialler for FakeNetwork {
    async fn connect(&self, address: SocketAddr) -> io::Result<Connection> {
        let happens = self.lock().before_connect.take();
        if let Some(happens) = happens {
            happens();
        }
        let (server, peer) = {
            let mut state = self.lock();
            state.dials.push(address);
            let peer = state.peers.get(&address).copied().unwrap_or(address);
            let Some(server) = state.servers.get(&address).cloned() else {
                state.canaries += 1;
                return Err(io::ErrorKind::ConnectionRefused.into());
            };
            (server, peer)
        };
        let (ours, theirs) = tokio::io::duplex(WIRE_BYTES_MAX);
        self.lock().open += 1;
        let network = self.clone();
        tokio::spawn(async move {
            server.run(theirs, address, network.clone()).await;
            network.lock().open -= 1;
        });
        Ok(Connection { stream: Box::new(ours), peer })
    }

    fn ends_here(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.lock().here.contains(&address)
    }
}
