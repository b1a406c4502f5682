//! Binds all listeners before anything is served, and serves them until the node stops.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use nisse_node::{Node, Stop};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tower::ServiceExt as _;

use crate::body::Bodies;
use crate::door::{Caller, Door};
use crate::leaving::{Leaving, Told};
use crate::public::{Public, Spaces};
use crate::remote::Remote;
use crate::slots::{Slot, Slots};
use crate::stall::Impatient;
use crate::{control, peers, public, rpc};

/// How long a client may take to send a request's head.
const HEAD_TIME_MAX: Duration = Duration::from_secs(10);
/// How many fields a head may have, and what a connection may hold of what was sent and not yet read.
const HEADERS_MAX: usize = 100;
const BUFFER_BYTES_MAX: usize = 64 << 10;
/// How long open connections may go on after the node was told to stop.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(3);
/// How long accepting rests after it failed: out of file descriptors, for one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Between two looks for a connection that can make room.
const ROOM_PAUSE: Duration = Duration::from_millis(50);

/// Why a listener is not there.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address is taken or not ours.
    #[error("listen on {address} for {purpose}: {error}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// What for.
        purpose: &'static str,
        /// What the operating system said.
        error: std::io::Error,
    },
    /// The control API and the chain are for this machine only.
    #[error("listen on {address} for {purpose}: it is served on loopback only")]
    NotLoopback {
        /// Where.
        address: SocketAddr,
        /// What for.
        purpose: &'static str,
    },
}

/// Bound, not yet served.
pub struct Listeners {
    api: TcpListener,
    public: TcpListener,
    rpc: Option<TcpListener>,
}

/// Where the listeners are.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    /// The control API.
    pub api: SocketAddr,
    /// Agents and content.
    pub public: SocketAddr,
    /// The chain's JSON-RPC, if it is served.
    pub rpc: Option<SocketAddr>,
}

impl Listeners {
    /// Binds all of them or none. Port 0 takes a free one.
    pub async fn bind(api: SocketAddr, public: SocketAddr, rpc: Option<SocketAddr>) -> Result<Self, BindError> {
        let api = bind_loopback(api, "the control API").await?;
        let public = bind(public, "agents").await?;
        let rpc = match rpc {
            Some(address) => Some(bind_loopback(address, "the chain's JSON-RPC").await?),
            None => None,
        };
        Ok(Self { api, public, rpc })
    }

    /// Where they are.
    pub fn bound(&self) -> std::io::Result<Bound> {
        let rpc = self.rpc.as_ref().map(TcpListener::local_addr).transpose()?;
        Ok(Bound { api: self.api.local_addr()?, public: self.public.local_addr()?, rpc })
    }

    /// Serves until the node is told to stop. `files_max` is how many files this process may have open: how many
    /// connections are taken follows from it.
    pub fn serve(self, node: &Arc<Node>, files_max: u64) {
        let control = control::router(Arc::clone(node));
        if let Some(connections) = node.peers_to_serve() {
            let control = control.clone();
            node.spawn("control API for peers", |stop| peers::serve(connections, control, stop));
        }
        node.spawn("control API", |stop| serve_router(self.api, Slots::loopback(files_max), control, stop));
        if let Some(listener) = self.rpc {
            let rpc = rpc::router(Arc::clone(node));
            node.spawn("chain JSON-RPC", |stop| serve_router(listener, Slots::loopback(files_max), rpc, stop));
        }
        let (remote, slots) = (Remote::new(Arc::clone(node)), Slots::public(files_max));
        let spaces = Spaces::new(slots.all_max());
        let agents = Arc::new(Public { node: Arc::clone(node), bodies: Bodies::default(), remote, spaces });
        node.spawn("public listener", |stop| serve_public(self.public, slots, agents, stop));
    }
}

async fn bind(address: SocketAddr, purpose: &'static str) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|error| BindError::Bind { address, purpose, error })
}

async fn bind_loopback(address: SocketAddr, purpose: &'static str) -> Result<TcpListener, BindError> {
    let loopback = match address.ip() {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_loopback(),
    };
    if !loopback {
        return Err(BindError::NotLoopback { address, purpose });
    }
    bind(address, purpose).await
}

async fn serve_router(listener: TcpListener, slots: Slots, router: Router, stop: Stop) {
    serve(listener, slots, Some(Door::default()), stop, move |io, Comer { caller, .. }, told| {
        let (router, caller) = (router.clone(), caller.cloned());
        let service = service_fn(move |mut request: http::Request<hyper::body::Incoming>| {
            if let Some(caller) = &caller {
                request.extensions_mut().insert(caller.clone());
            }
            router.clone().oneshot(request)
        });
        told.serve(server().serve_connection(io, service).with_upgrades())
    })
    .await;
}

async fn serve_public(listener: TcpListener, slots: Slots, agents: Arc<Public>, stop: Stop) {
    serve(listener, slots, None, stop, move |io, Comer { from, slot, .. }, told| {
        let (agents, slot) = (Arc::clone(&agents), Arc::clone(slot));
        let service =
            service_fn(move |request| public::answer(Arc::clone(&agents), (from, Arc::clone(&slot)), request));
        told.serve(server().serve_connection(io, service).with_upgrades())
    })
    .await;
}

pub(crate) fn server() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME_MAX).half_close(false);
    builder.max_headers(HEADERS_MAX).max_buf_size(BUFFER_BYTES_MAX);
    builder
}

/// Whose connection it is.
struct Comer<'c> {
    from: IpAddr,
    /// Where there is a door.
    caller: Option<&'c Caller>,
    /// The place of the connection, and of what it becomes.
    slot: &'c Arc<Slot>,
}

/// Accepts connections until the node stops, then lets open ones finish for a while.
async fn serve<F, C>(listener: TcpListener, slots: Slots, door: Option<Door>, mut stop: Stop, connect: F)
where
    F: Fn(Impatient<TokioIo<TcpStream>>, Comer<'_>, Told) -> C,
    C: Future<Output = Result<(), hyper::Error>> + Send + 'static,
{
    let leaving = Leaving::default();
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.requested() => break,
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &slots, door.as_ref()) => accepted,
        };
        let (place, Ok((stream, from))) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // Closed without a word: an answer would be one more thing that this address can ask for.
        let Some(slot) = slots.take(place, from.ip()).map(Arc::new) else { continue };
        // Small answers leave at once; a failure here only costs latency.
        let _ = stream.set_nodelay(true);
        let caller = door.as_ref().map(Door::enter);
        let comer = Comer { from: from.ip(), caller: caller.as_ref(), slot: &slot };
        let connection = connect(Impatient::new(TokioIo::new(stream)), comer, leaving.told());
        connections.spawn(async move {
            let told_to_go = async {
                match &caller {
                    Some(caller) => caller.told_to_go().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // A client that breaks off is no news.
                _ = connection => {}
                () = told_to_go => {}
            }
            drop(slot);
        });
    }
    let _ = tokio::time::timeout(DRAIN_TIME_MAX, leaving.all()).await;
}

/// Waits for a place, then for a connection. Where there is a door, one place is always kept free for the next who
/// comes. Nothing is lost when this is dropped, since a connection is taken last.
async fn accept(
    listener: &TcpListener,
    slots: &Slots,
    door: Option<&Door>,
) -> (OwnedSemaphorePermit, std::io::Result<(TcpStream, SocketAddr)>) {
    let place = match door {
        None => slots.free().await,
        Some(door) => loop {
            if let Some(place) = slots.free_now() {
                break place;
            }
            door.make_room();
            // Where all are being answered, the next one that is done makes room.
            if let Ok(place) = tokio::time::timeout(ROOM_PAUSE, slots.free()).await {
                break place;
            }
        },
    };
    (place, listener.accept().await)
}
