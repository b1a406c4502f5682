//! The control API's router, made from the table of routes.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};
use nisse_node::{Node, TokensRequest};

use crate::auth::{Guard, check};
use crate::body::{Bodies, HERE, Held};
use crate::deeds::Deed;
use crate::needs::Needs;
use crate::problem::Problem;
use crate::routes::{Payload, ROUTES, Scope};
use crate::tokens::Places;

/// Largest request body: an artifact of 64 MiB in base64, with its manifest.
const BODY_BYTES_MAX: usize = 96 << 20;
/// What all bodies hold until their requests are answered.
const BODIES_BYTES_MAX: usize = 256 << 20;

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) node: Arc<Node>,
}

/// All control routes, each behind its guard.
pub(crate) fn router(node: Arc<Node>) -> Router {
    let token = node.token().to_owned();
    let bodies = Arc::new(Bodies::sized(BODY_BYTES_MAX, BODIES_BYTES_MAX));
    let (mut router, places) = (Router::new(), Places::default());
    for route in ROUTES.iter().filter(|route| !matches!(route.scope, Scope::Signer | Scope::Stranger)) {
        let guard = Guard {
            token: token.clone(),
            scope: route.scope,
            needs: Needs::of(route),
            places: places.of(route),
            node: Some(Arc::clone(&node)),
            deed: Deed::of(route),
        };
        // The guard comes before the body: nothing of it is read for strangers.
        let handler = match route.request {
            Payload::Stream => (route.handler)().layer(from_fn_with_state(Arc::clone(&bodies), streamed_body)),
            _ => (route.handler)().layer(from_fn_with_state(Arc::clone(&bodies), whole_body)),
        };
        router = router.route(route.path, handler.layer(from_fn_with_state(guard, check)));
    }
    finished(router).layer(axum::middleware::from_fn(local)).layer(DefaultBodyLimit::disable()).with_state(App { node })
}

/// What every router of these routes says of what it does not have, and of how its answers are to be taken.
pub(crate) fn finished(router: Router<App>) -> Router<App> {
    router
        .fallback(|| async {
            Problem::new(StatusCode::NOT_FOUND, "route_unknown", "there is no such route").into_response()
        })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_refused", "this route does not take this method")
                .into_response()
        })
        .layer(axum::middleware::map_response(harden))
}

/// Before anything else: loopback names and no foreign page, whatever the path.
async fn local(request: Request, next: Next) -> Response {
    match crate::auth::local_only(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Reads a body within its size and its time before the handler sees anything of it.
async fn whole_body(State(bodies): State<Arc<Bodies>>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    match bodies.whole(HERE, body).await {
        // The room is kept until the request is answered.
        Ok(Held { bytes, room: _room }) => match head.extensions.get::<TokensRequest>().map(|by| by.check_body(&bytes))
        {
            Some(Err(error)) => Problem::from(error).into_response(),
            _ => next.run(Request::from_parts(head, bytes.into())).await,
        },
        Err(error) => Problem::without_body(error),
    }
}

/// Hands a body on as it comes, unless whoever asks by a token signed its digest.
async fn streamed_body(bodies: State<Arc<Bodies>>, request: Request, next: Next) -> Response {
    match request.extensions().get::<TokensRequest>() {
        Some(_) => whole_body(bodies, request, next).await,
        None => next.run(request).await,
    }
}

/// No answer of these routes is cached, sniffed or framed.
async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
