//! Open connections, kept for the same agent under the same permission to the same checked address.
//!
//! The key holds everything that a connection was checked for, so nothing is shared between agents, permissions or
//! addresses. When a permission goes, its connections are closed at once, also those in use.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use hyper::client::conn::http1::SendRequest;
use nisse_model::NetworkScheme;
use tokio::task::AbortHandle;

use crate::body::SentBody;
use crate::limiter::ConnectionPermit;
use crate::time::EgressTime;

/// Idle connections kept for one key.
const IDLE_PER_KEY_MAX: usize = 4;
/// Idle connections kept in all.
const IDLE_MAX: usize = 256;
/// How long a connection may wait for its next request.
const IDLE_FOR_MAX: Duration = Duration::from_secs(15);
/// Between two looks for connections that have waited too long.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// How old a connection may be when it is used again.
pub(crate) const AGE_MAX: Duration = Duration::from_secs(60);

/// What a connection was opened and checked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PoolKey {
    pub(crate) agent: Arc<str>,
    pub(crate) permission: Arc<str>,
    pub(crate) scheme: NetworkScheme,
    pub(crate) host: String,
    pub(crate) address: SocketAddr,
    /// Which roots vouch: 0 for the node's, else one more than the index of the `connect-to`.
    pub(crate) tls: usize,
}

/// Lets the pool close a connection that is in use.
struct Handle {
    withdrawn: AtomicBool,
    task: AbortHandle,
    /// Counts as open as long as anyone could still use it.
    _permit: ConnectionPermit,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A connection in use by one request. Dropping it closes the connection.
pub(crate) struct Lease {
    key: PoolKey,
    pub(crate) sender: SendRequest<SentBody>,
    handle: Arc<Handle>,
    opened: Duration,
    reusable: bool,
    pool: Arc<Pool>,
}

impl Lease {
    /// Its permission went away while it was in use.
    pub(crate) fn is_withdrawn(&self) -> bool {
        self.handle.withdrawn.load(Ordering::Relaxed)
    }

    /// The response does not allow a second request.
    pub(crate) fn not_reusable(&mut self) {
        self.reusable = false;
    }

    /// Keeps the connection for the next request of the same kind.
    pub(crate) fn give_back(self) {
        if !self.reusable || self.sender.is_closed() || self.is_withdrawn() {
            return;
        }
        let pool = self.pool.clone();
        pool.keep(self);
    }
}

struct Idle {
    sender: SendRequest<SentBody>,
    handle: Arc<Handle>,
    opened: Duration,
    since: Duration,
}

#[derive(Default)]
struct Connections {
    idle: HashMap<PoolKey, Vec<Idle>>,
    /// Every open connection with its agent and permission, idle or in use.
    open: Vec<(Arc<str>, Arc<str>, Weak<Handle>)>,
    /// What agents may use, once somebody said so; one entry per agent of the node.
    permitted: HashMap<String, Vec<String>>,
    /// Whether a task looks after the idle ones.
    swept: bool,
}

impl Connections {
    fn permits(&self, agent: &str, permission: &str) -> bool {
        self.permitted.get(agent).is_none_or(|permitted| permitted.iter().any(|one| one == permission))
    }
}

/// All open connections of the node's agents.
pub(crate) struct Pool {
    time: EgressTime,
    connections: Mutex<Connections>,
}

impl Pool {
    pub(crate) fn new(time: EgressTime) -> Arc<Self> {
        Arc::new(Self { time, connections: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the permission has not been withdrawn.
    pub(crate) fn permits(&self, agent: &str, permission: &str) -> bool {
        self.lock().permits(agent, permission)
    }

    /// Takes a fresh connection into the books, unless its permission went away while it was opened. `task` drives it.
    pub(crate) fn add(
        self: &Arc<Self>,
        key: PoolKey,
        sender: SendRequest<SentBody>,
        task: AbortHandle,
        permit: ConnectionPermit,
    ) -> Option<Lease> {
        let handle = Arc::new(Handle { withdrawn: AtomicBool::new(false), task, _permit: permit });
        let mut connections = self.lock();
        if !connections.permits(&key.agent, &key.permission) {
            return None;
        }
        connections.open.retain(|(_, _, handle)| handle.strong_count() > 0);
        connections.open.push((key.agent.clone(), key.permission.clone(), Arc::downgrade(&handle)));
        drop(connections);
        Some(Lease { key, sender, handle, opened: self.time.elapsed(), reusable: true, pool: self.clone() })
    }

    /// An idle connection for this key, if one is still good.
    pub(crate) fn take(self: &Arc<Self>, key: &PoolKey) -> Option<Lease> {
        let now = self.time.elapsed();
        let mut connections = self.lock();
        let idle = connections.idle.get_mut(key)?;
        while let Some(Idle { sender, handle, opened, since }) = idle.pop() {
            let young = now.saturating_sub(opened) < AGE_MAX && now.saturating_sub(since) < IDLE_FOR_MAX;
            if young && sender.is_ready() {
                return Some(Lease { key: key.clone(), sender, handle, opened, reusable: true, pool: self.clone() });
            }
        }
        connections.idle.remove(key);
        None
    }

    fn keep(self: &Arc<Self>, lease: Lease) {
        let kept = self.sweep();
        let since = self.time.elapsed();
        let mut connections = self.lock();
        let Lease { key, sender, handle, opened, .. } = lease;
        let idle = connections.idle.entry(key).or_default();
        if kept < IDLE_MAX && idle.len() < IDLE_PER_KEY_MAX {
            idle.push(Idle { sender, handle, opened, since });
        }
        if !std::mem::replace(&mut connections.swept, true) {
            tokio::spawn(sweep_again(Arc::downgrade(self)));
        }
    }

    /// Closes what has waited too long or was closed by its server, and says how many connections go on waiting.
    fn sweep(&self) -> usize {
        let now = self.time.elapsed();
        let mut connections = self.lock();
        let mut kept = 0;
        connections.idle.retain(|_, idle| {
            idle.retain(|one| now.saturating_sub(one.since) < IDLE_FOR_MAX && !one.sender.is_closed());
            kept += idle.len();
            !idle.is_empty()
        });
        kept
    }

    /// Closes the idle connections of `agent` and those to `address`, which stand in the way of a new one. Says whether
    /// there were any.
    pub(crate) fn close_idle(&self, agent: &str, address: IpAddr) -> bool {
        let mut connections = self.lock();
        let before = connections.idle.len();
        connections.idle.retain(|key, _| *key.agent != *agent && key.address.ip() != address);
        connections.idle.len() < before
    }

    /// From now on `agent` has only these permissions: every connection under another one is closed.
    pub(crate) fn permit(&self, agent: &str, permitted: Vec<String>) {
        let mut connections = self.lock();
        connections.permitted.insert(agent.to_owned(), permitted);
        let Connections { idle, open, permitted, .. } = &mut *connections;
        let gone = |owner: &str, permission: &str| {
            owner == agent
                && permitted.get(agent).is_some_and(|permitted| !permitted.iter().any(|one| one == permission))
        };
        idle.retain(|key, _| !gone(&key.agent, &key.permission));
        open.retain(|(owner, permission, handle)| {
            let Some(handle) = handle.upgrade() else { return false };
            if gone(owner, permission) {
                handle.withdrawn.store(true, Ordering::Relaxed);
                handle.task.abort();
            }
            true
        });
    }

    /// Closes every connection of `agent`, which no longer exists.
    pub(crate) fn forget(&self, agent: &str) {
        self.permit(agent, Vec::new());
        self.lock().permitted.remove(agent);
    }
}

/// Sweeps until nothing is idle any more; the next connection that is kept begins anew.
async fn sweep_again(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let Some(pool) = pool.upgrade() else { return };
        pool.sweep();
        let mut connections = pool.lock();
        if connections.idle.is_empty() {
            connections.swept = false;
            return;
        }
    }
}
