//! What the agent wrote down, and how it is asked.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use nisse_node::control::AgentStatus;
use nisse_node::{AnswerBody, Node, PublicRoute};

/// An agent's answer: its text, the deployment and the position of its record.
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) deployment: String,
    pub(super) seq: u64,
}

/// How often each line was written.
pub(super) type Books = BTreeMap<String, u64>;

/// Asks an agent; `None` when it does not answer now.
pub(super) async fn ask(node: &Node, agent: &AgentStatus, method: Method, path: &str) -> Option<Answer> {
    let host = agent.endpoint.strip_prefix("http://").and_then(|rest| rest.split(['/', ':']).next())?;
    let PublicRoute::Agent(route) = node.route(host) else { return None };
    let request = Request::builder().method(method).uri(format!("http://{host}{path}"));
    let request = request.header("host", host).body(Bytes::new()).expect("a request");
    let answer = route.http(request).await.ok()?;
    if answer.response.status() != StatusCode::OK {
        return None;
    }
    let body = match answer.response.into_body() {
        AnswerBody::Whole(bytes) => bytes,
        AnswerBody::Stream(chunks) => chunks.collect().await.ok()?.to_bytes(),
    };
    let (deployment, seq) =
        answer.receipt.to_str().ok()?.rsplit_once('/').expect("a receipt names deployment and position");
    Some(Answer {
        text: String::from_utf8(body.to_vec()).expect("the books are text"),
        deployment: deployment.to_owned(),
        seq: seq.parse().expect("a position"),
    })
}

/// Reads the books.
pub(super) fn read(text: &str) -> Books {
    let line =
        |line: &str| line.rsplit_once('=').map(|(key, times)| (key.to_owned(), times.parse().expect("a number")));
    text.lines().filter_map(line).collect()
}

/// The moments of one kind of line: `alarm` or `refused`.
pub(super) fn moments(books: &Books, kind: &str) -> Vec<u64> {
    let moment = |key: &String| key.strip_prefix(kind)?.strip_prefix('/')?.parse().ok();
    books.keys().filter_map(moment).collect()
}
