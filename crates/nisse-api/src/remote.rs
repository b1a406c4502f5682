//! What owners ask of their agents from elsewhere: routes of the public listener, each request signed; and what anybody
//! may ask, without a body.
//!
//! The head says who asks; nothing of a body is read for anybody else.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::response::{IntoResponse as _, Response};
use futures::StreamExt as _;
use http::{HeaderValue, Request, StatusCode, header};
use hyper::body::Incoming;
use nisse_node::Node;
use tower::ServiceExt as _;

use crate::body::{Bodies, Held};
use crate::control::{App, finished};
use crate::problem::Problem;
use crate::routes::{ROUTES, Scope};
use crate::shares::Shares;
use crate::slots::counted;

/// Answers that are made or sent at once: in all, and for one owner.
const ANSWERS_MAX: usize = 32;
const ANSWERS_OF_ONE_MAX: usize = 8;
/// Logs that are followed at once, likewise.
const FOLLOWED_MAX: usize = 256;
const FOLLOWED_OF_ONE_MAX: usize = 16;
/// Strangers that are answered at once, and those of one address: an offer is a signature's work.
const STRANGERS_MAX: usize = 16;
const STRANGERS_OF_ONE_MAX: usize = 4;

/// The signed routes.
pub(crate) struct Remote {
    router: Router,
    answers: Shares,
    followed: Shares,
    strangers: Shares,
    proxied: Shares,
}

impl Remote {
    pub(crate) fn new(node: Arc<Node>) -> Self {
        let here = ROUTES.iter().filter(|route| matches!(route.scope, Scope::Signer | Scope::Stranger));
        let router = here.fold(Router::new(), |router, route| router.route(route.path, (route.handler)()));
        let router = finished(router).layer(DefaultBodyLimit::disable()).with_state(App { node });
        let answers = Shares::new(ANSWERS_MAX, ANSWERS_OF_ONE_MAX);
        let followed = Shares::new(FOLLOWED_MAX, FOLLOWED_OF_ONE_MAX);
        let strangers = Shares::new(STRANGERS_MAX, STRANGERS_OF_ONE_MAX);
        let proxied = Shares::new(STRANGERS_MAX, STRANGERS_MAX);
        Self { router, answers, followed, strangers, proxied }
    }

    /// Answers what anybody may ask. What came with it is not read.
    pub(crate) async fn answer_stranger(&self, from: IpAddr, request: &Request<Incoming>) -> Response {
        // Behind a proxy on this machine all of them come from here: what one may take is the proxy's to say.
        let taken = match counted(from) {
            Some(one) => self.strangers.take(one.to_string()),
            None => self.proxied.take(String::new()),
        };
        let Some(_share) = taken else {
            let text = "failed to take the request: as many of this address, or of all, are being answered as may be";
            let mut response = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "answers_many", text).into_response();
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            return response;
        };
        let mut bare = Request::new(Body::empty());
        *bare.method_mut() = request.method().clone();
        *bare.uri_mut() = request.uri().clone();
        self.router.clone().oneshot(bare).await.unwrap_or_else(|never| match never {})
    }

    /// Answers one request, if the owner of its deployment signed it.
    pub(crate) async fn answer(
        &self,
        node: &Node,
        bodies: &Bodies,
        from: IpAddr,
        request: Request<Incoming>,
    ) -> Response {
        let (head, body) = request.into_parts();
        let asked = match node.admit(&head).await {
            Ok(asked) => asked,
            Err(error) => return refused(error.into()),
        };
        let shares = if head.uri.path().ends_with("/logs/follow") { &self.followed } else { &self.answers };
        let Some(share) = shares.take(asked.owner()) else {
            let text = "failed to take the request: as many of this owner, or of all, are being answered as may be";
            return refused(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "answers_many", text));
        };
        // The room is kept until the request is answered.
        let Held { bytes, room: _room } = match bodies.whole(from, body).await {
            Ok(body) => body,
            Err(error) => return Problem::without_body(error),
        };
        if let Err(error) = asked.check_body(&bytes) {
            return refused(error.into());
        }
        let answer = self.router.clone().oneshot(Request::from_parts(head, Body::from(bytes))).await;
        let answer = answer.unwrap_or_else(|never| match never {});
        // Its place is kept until the last of it is sent.
        answer.map(|body| {
            Body::from_stream(body.into_data_stream().map(move |piece| {
                let _share = &share;
                piece
            }))
        })
    }
}

fn refused(problem: Problem) -> Response {
    let is_unsigned = problem.status == StatusCode::UNAUTHORIZED;
    let mut response = problem.into_response();
    if is_unsigned {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Nisse-Owner"));
    }
    response
}
