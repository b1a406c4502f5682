//! The control API for the identity's other devices and agents: each stream of the link is a connection of HTTP/1.1.
//!
//! Who speaks is known from the link's handshake. No header says so, and nobody on this machine's listeners can.

use axum::Router;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use nisse_node::{Did, PeerConnection, Stop};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use crate::listen::server;

/// Stands on a request that came over the link: the key of who sent it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) Did);

/// Serves whoever the node has admitted, until it stops.
pub(crate) async fn serve(mut connections: mpsc::Receiver<PeerConnection>, router: Router, mut stop: Stop) {
    let mut peers = JoinSet::new();
    loop {
        let connection = tokio::select! {
            () = stop.requested() => return,
            Some(_) = peers.join_next() => continue,
            connection = connections.recv() => connection,
        };
        let Some(connection) = connection else { return };
        peers.spawn(one(connection, router.clone()));
    }
}

/// Every stream of one connection. They end with it.
async fn one(connection: PeerConnection, router: Router) {
    let peer = Peer(connection.peer());
    let mut streams = JoinSet::new();
    loop {
        let stream = tokio::select! {
            Some(_) = streams.join_next() => continue,
            stream = connection.accept() => stream,
        };
        let Some(stream) = stream else { return };
        let router = router.clone();
        let service = service_fn(move |mut request: http::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(peer);
            router.clone().oneshot(request)
        });
        streams.spawn(server().serve_connection(TokioIo::new(stream), service));
    }
}
