//! The embedded chain's JSON-RPC on loopback, for wallets and tools.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, header};
use nisse_node::Node;
use tokio::sync::Semaphore;

use crate::body::{Bodies, HERE, Held};
use crate::door::Caller;
use crate::problem::Problem;

/// Largest request, and what all of them hold until they are answered.
const BODY_BYTES_MAX: usize = 1 << 20;
const BODIES_BYTES_MAX: usize = 64 << 20;
/// Requests that are worked on at once; a call may take most of a second of a processor, and blocks wait for it.
const WORKED_ON_MAX: usize = 2;

#[derive(Clone)]
struct Rpc {
    node: Arc<Node>,
    bodies: Arc<Bodies>,
    turns: Arc<Semaphore>,
}

pub(crate) fn router(node: Arc<Node>) -> Router {
    let bodies = Arc::new(Bodies::sized(BODY_BYTES_MAX, BODIES_BYTES_MAX));
    Router::new().route("/", axum::routing::post(answer)).layer(axum::middleware::from_fn(local)).with_state(Rpc {
        node,
        bodies,
        turns: Arc::new(Semaphore::new(WORKED_ON_MAX)),
    })
}

async fn local(request: Request, next: Next) -> Response {
    match crate::auth::local_only(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn answer(State(Rpc { node, bodies, turns }): State<Rpc>, request: Request) -> Response {
    let caller = request.extensions().get::<Caller>().cloned();
    let Held { bytes, room: _room } = match bodies.whole(HERE, request.into_body()).await {
        Ok(body) => body,
        Err(error) => return Problem::without_body(error),
    };
    // Whoever has sent a whole request is not sent away before its answer.
    let _busy = caller.as_ref().map(Caller::busy);
    // A block is synced before its answer, so this may wait for the disk: it runs where waiting is allowed.
    // Never closed, so there is always a turn.
    let turn = turns.acquire_owned().await.ok();
    let answered = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        node.chain_rpc(&bytes)
    });
    let answered = answered.await;
    let mut response = answered.unwrap_or_default().into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
