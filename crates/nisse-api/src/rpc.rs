//! The embedded chain's JSON-RPC on loopback, for wallets and tools.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, header};
use nisse_node::Node;

/// Largest request.
const BODY_BYTES_MAX: usize = 1 << 20;

pub(crate) fn router(node: Arc<Node>) -> Router {
    Router::new()
        .route("/", axum::routing::post(answer))
        .layer(axum::middleware::from_fn(local))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(node)
}

async fn local(request: Request, next: Next) -> Response {
    match crate::auth::local_only(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

async fn answer(State(node): State<Arc<Node>>, body: Bytes) -> Response {
    // A block is synced before its answer, so this may wait for the disk: it runs where waiting is allowed.
    let answered = tokio::task::spawn_blocking(move || node.chain_rpc(&body)).await;
    let mut response = answered.unwrap_or_default().into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
