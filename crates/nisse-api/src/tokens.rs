//! Answers to requests by a token: so many at once, in the name of its holder, and no longer than it gives what was asked.
//! And to those of a space's members, as many at once.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use futures::StreamExt as _;
use http::{StatusCode, header};
use nisse_node::{Asker, Node, TokensRequest, acting_as};

use crate::deeds::Doing;
use crate::door::Caller;
use crate::problem::Problem;
use crate::routes::{Payload, Route};
use crate::shares::Shares;

/// Answers that are made or sent at once: in all, and for one holder.
const ANSWERS_MAX: usize = 16;
const ANSWERS_OF_ONE_MAX: usize = 8;
/// Streams that are followed at once, likewise.
const FOLLOWED_MAX: usize = 16;
const FOLLOWED_OF_ONE_MAX: usize = 8;

/// The places of those who ask by a token, and of members of spaces: they never take the owner's own.
pub(crate) struct Places {
    answers: Arc<Shares>,
    followed: Arc<Shares>,
}

impl Default for Places {
    fn default() -> Self {
        let answers = Arc::new(Shares::new(ANSWERS_MAX, ANSWERS_OF_ONE_MAX));
        let followed = Arc::new(Shares::new(FOLLOWED_MAX, FOLLOWED_OF_ONE_MAX));
        Self { answers, followed }
    }
}

impl Places {
    /// Those of a route.
    pub(crate) fn of(&self, route: &Route) -> Arc<Shares> {
        let places = if matches!(route.response, Payload::Events(_)) { &self.followed } else { &self.answers };
        Arc::clone(places)
    }
}

/// Answers what a token gives.
pub(crate) async fn answer(
    node: &Node,
    shares: &Shares,
    asked: TokensRequest,
    mut request: Request,
    doing: Doing<'_>,
) -> Response {
    let Some(share) = shares.take(asked.holder()) else { return too_many("this token") };
    // Its connection stays while it is answered, and makes room again then.
    let busy = request.extensions().get::<Caller>().map(Caller::busy);
    let (asker, mut ended) = (asked.asker(), Box::pin(node.token_ended(&asked)));
    request.extensions_mut().insert(asked);
    let answer = tokio::select! {
        answer = acting_as(asker, doing.run(request)) => answer,
        error = &mut ended => return Problem::from(error).into_response(),
    };
    answer.map(|body| {
        let pieces = body.into_data_stream().take_until(ended);
        Body::from_stream(pieces.map(move |piece| {
            let _held = (&share, &busy);
            piece
        }))
    })
}

/// Answers what a space gives a member of it who came over the link: their connection ends with the right to it.
pub(crate) async fn answer_member(shares: &Shares, asker: Asker, request: Request, doing: Doing<'_>) -> Response {
    let Some(share) = shares.take(asker.name().to_owned()) else { return too_many("this member") };
    acting_as(asker, doing.run(request)).await.map(|body| {
        let pieces = body.into_data_stream();
        Body::from_stream(pieces.map(move |piece| {
            let _held = &share;
            piece
        }))
    })
}

fn too_many(of: &str) -> Response {
    let text = format!("failed to take the request: as many by {of}, or by all, are being answered as may be");
    let mut response = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "answers_many", text).into_response();
    response.headers_mut().insert(header::RETRY_AFTER, http::HeaderValue::from_static("1"));
    response
}
