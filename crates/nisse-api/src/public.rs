//! The public listener: agents by their Host, content by CID, what owners ask from elsewhere; any other Host is 421.
//!
//! This is the hot path. It speaks hyper directly: one table look-up by host name, one queue, one answer. Who may ask an
//! agent is found out from the head, before anything of a body is read.

mod bounded;
mod refusals;
mod spaces;

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Either, Full, StreamBody};
use hyper::body::{Body as _, Frame, Incoming};
use nisse_node::{
    AnswerBody, CallRefused, Node, OFFER_PATH, PROVIDERS_PATH, PublicAgent, PublicRoute, REMOTE_PATH, SPACE_PATH,
};

use self::bounded::Bounded;
use self::refusals::{not_answered, not_taken, without_body};
pub(crate) use self::spaces::Spaces;
use crate::authority::Authority;
use crate::body::{Bodies, BodyError, Held};
use crate::cookies;
use crate::remote::Remote;
use crate::slots::{Slot, counted};

/// Names the receipt of an answer.
const RECEIPT: HeaderName = HeaderName::from_static("nisse-receipt");

type Body = Either<Full<Bytes>, UnsyncBoxBody<Bytes, BrokenOff>>;

/// The content store or an agent failed half-way; the connection is broken off.
#[derive(Debug, thiserror::Error)]
#[error("send the body to its end")]
pub(crate) struct BrokenOff;

/// What all connections of the listener share.
pub(crate) struct Public {
    pub(crate) node: Arc<Node>,
    pub(crate) bodies: Bodies,
    pub(crate) remote: Remote,
    pub(crate) spaces: Spaces,
}

/// Answers one request. What goes on after its answer keeps the place of its connection.
pub(crate) async fn answer(
    public: Arc<Public>,
    (from, slot): (IpAddr, Arc<Slot>),
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let public = &*public;
    let Public { node, bodies, remote, spaces } = public;
    let Some(asked) = Authority::of(&request) else {
        return Ok(text(StatusCode::BAD_REQUEST, "a request names its host once, as HOST or HOST:PORT"));
    };
    let route = node.route(&asked.host);
    Ok(match route {
        PublicRoute::Agent(agent) => to_agent(public, agent, from, request).await,
        PublicRoute::Away(state) => {
            let mut response = text(StatusCode::SERVICE_UNAVAILABLE, &format!("this agent is {state}"));
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            response
        }
        PublicRoute::Node if request.uri().path() == OFFER_PATH => {
            let answer = remote.answer_stranger(from, &request).await;
            answer.map(|body| Either::Right(body.map_err(|_| BrokenOff).boxed_unsync()))
        }
        PublicRoute::Node if request.uri().path().starts_with(REMOTE_PATH) => {
            let answer = remote.answer(node, bodies, from, request).await;
            answer.map(|body| Either::Right(body.map_err(|_| BrokenOff).boxed_unsync()))
        }
        PublicRoute::Node if request.uri().path().starts_with(SPACE_PATH) => {
            spaces.answer((node, bodies), (from, &slot), request).await
        }
        PublicRoute::Node => to_node(node, from, &request).await,
        PublicRoute::Unknown => {
            let words = "no agent of this name lives here";
            text(StatusCode::MISDIRECTED_REQUEST, words)
        }
    })
}

async fn to_agent(public: &Public, agent: PublicAgent, from: IpAddr, request: Request<Incoming>) -> Response<Body> {
    if request.method() == Method::CONNECT {
        return text(StatusCode::METHOD_NOT_ALLOWED, "an agent is no proxy");
    }
    let Public { node, bodies, .. } = public;
    let call = match node.admit_call(&agent, counted(from), &request) {
        Ok(call) => call,
        Err(refused) => return not_taken(&refused, !request.body().is_end_stream()),
    };
    let mut ended = node.call_ended(&call).map(Box::pin);
    let (mut head, body) = request.into_parts();
    // The room is kept until the call is answered.
    let Held { bytes, room: _room } = match bodies.whole_within(from, call.body_bytes_max(), body).await {
        Ok(body) => body,
        Err(error) => {
            if call.body_bytes_max().is_some() && matches!(error, BodyError::TooLarge(_)) {
                node.call_too_large(&call);
            }
            return without_body(error);
        }
    };
    if let Err(other) = call.check_body(&bytes) {
        return text(StatusCode::BAD_REQUEST, &other.text);
    }
    if !node.still_admits(&call) {
        return not_taken(&CallRefused::NotAdmitted, false);
    }
    call.write_head(&mut head.headers);
    let answer = agent.http(Request::from_parts(head, bytes));
    let answer = match &mut ended {
        None => answer.await,
        Some(ended) => tokio::select! {
            biased;
            answer = answer => answer,
            () = ended => return not_taken(&CallRefused::NotAdmitted, false),
        },
    };
    match answer {
        Ok(answer) => {
            let mut response = answer.response.map(|body| match (body, ended) {
                (AnswerBody::Whole(bytes), _) => Either::Left(Full::new(bytes)),
                (AnswerBody::Stream(chunks), None) => Either::Right(chunks.map_err(|_| BrokenOff).boxed_unsync()),
                (AnswerBody::Stream(chunks), Some(ended)) => Either::Right(Bounded::new(chunks, ended).boxed_unsync()),
            });
            cookies::keep_to_their_host(response.headers_mut());
            response.headers_mut().insert(RECEIPT, answer.receipt);
            response
        }
        Err(error) => not_answered(error),
    }
}

/// The node's own name: content, and who provides it. What owners sign has its own way.
async fn to_node(node: &Node, from: IpAddr, request: &Request<Incoming>) -> Response<Body> {
    let path = request.uri().path();
    let is_routing = path.starts_with(PROVIDERS_PATH);
    if !is_routing && !path.starts_with("/ipfs/") {
        let words = format!(
            "this node serves agents by their names, content under /ipfs/, who provides it under /routing/v1/, its offers \
             at {OFFER_PATH}, its spaces under {SPACE_PATH} to whoever has a ticket, and under {REMOTE_PATH}DEPLOYMENT what \
             the owner of an agent signs for"
        );
        return text(StatusCode::NOT_FOUND, &words);
    }
    let mut bare = Request::new(());
    *bare.method_mut() = request.method().clone();
    *bare.uri_mut() = request.uri().clone();
    *bare.headers_mut() = request.headers().clone();
    let answer = if is_routing { node.routing(&bare) } else { node.gateway(counted(from), bare).await };
    let (head, pieces) = answer.into_parts();
    let frames = pieces.map(|piece| piece.map(Frame::data).map_err(|_| BrokenOff));
    Response::from_parts(head, Either::Right(StreamBody::new(frames).boxed_unsync()))
}

fn text(status: StatusCode, words: &str) -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::new(Bytes::from(format!("{words}\n")))));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests;
