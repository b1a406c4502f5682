//! Answers an agent's host calls: its state, content, the outside, time, chance and its log.
//!
//! The sandbox has checked grants and counted the call. What reaches outside goes through nisse-egress, under the
//! agent's own rules.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use nisse_content::download::DownloadError;
use nisse_content::{BlockSource, FetchError, FetchLimits, Reader};
use nisse_egress::{Egress, EgressError, GuestRequest, Reach, RequestBody, RequestTimeouts};
use nisse_model::{ContentId, Grants};
use nisse_sandbox::{
    CallKey, Host, HostCall, HostFailureKind, HostReply, HttpField, HttpRequest, HttpResponse, LogLevel,
};
use nisse_store::{AgentState, Clock, Entropy, Journal, JournalError};

use crate::audit::{Audit, Deed};
use crate::core::Core;
use crate::entry::Entry;
use crate::logs::AgentLog;
use crate::spaces::AgentSpaces;

/// Largest file that a guest reads by CID, in bytes (`wit/agent.wit`).
const IPFS_READ_BYTES_MAX: u64 = 1 << 20;
/// How long such a read may take.
const IPFS_READ_TIME_MAX: Duration = Duration::from_secs(10);

/// The field that carries the key of a request that changes the world.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Longest intent that the journal keeps.
const INTENT_BYTES_MAX: usize = 512;

/// The node's side of one agent's host calls.
pub(crate) struct AgentHost {
    /// Names the agent in caps and audit lines; unique per (owner, name).
    pub(crate) label: String,
    pub(crate) grants: Grants,
    pub(crate) audit: Arc<Audit>,
    pub(crate) state: AgentState,
    pub(crate) journal: Arc<Journal>,
    pub(crate) content: Arc<dyn BlockSource>,
    pub(crate) egress: Egress,
    /// The spaces that it was granted, if any.
    pub(crate) spaces: Option<Arc<AgentSpaces>>,
    pub(crate) log: Arc<AgentLog>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

#[async_trait]
impl Host for AgentHost {
    async fn call(&self, key: CallKey, call: HostCall) -> HostReply {
        match call {
            HostCall::StateGet { key } => match self.state.get(&key) {
                Ok(value) => HostReply::Value { value },
                Err(error) => unavailable(&error),
            },
            HostCall::StateKeys { prefix, after, limit } => {
                match self.state.keys(&prefix, after.as_deref(), limit as usize) {
                    Ok(keys) => HostReply::Keys { keys },
                    Err(error) => unavailable(&error),
                }
            }
            HostCall::IpfsRead { cid } => self.read_content(&cid).await,
            HostCall::HttpSend { request } => self.send(key, request).await,
            HostCall::Now => HostReply::Time { now_ms: self.clock.now().0 },
            HostCall::Random { length } => {
                let mut bytes = vec![0; length as usize];
                self.entropy.fill(&mut bytes);
                HostReply::Random { bytes }
            }
            HostCall::Log { level, text } => {
                self.log.write(self.clock.now(), level_word(level), &text);
                HostReply::Done
            }
            HostCall::SpaceList => match &self.spaces {
                Some(spaces) => spaces.list().await,
                None => no_space(),
            },
            HostCall::SpaceGet { space, id, pending } => match &self.spaces {
                Some(spaces) => spaces.get(&space, &id, pending).await,
                None => no_space(),
            },
            HostCall::SpaceQuery { space, query, pending } => match &self.spaces {
                Some(spaces) => spaces.query(&space, &query, pending).await,
                None => no_space(),
            },
            HostCall::SpaceTry { space, id, write, pending } => match &self.spaces {
                Some(spaces) => spaces.attempt(&space, id.as_deref(), &write, pending).await,
                None => no_space(),
            },
        }
    }
}

impl AgentHost {
    async fn read_content(&self, cid: &str) -> HostReply {
        let cid = match cid.parse::<ContentId>() {
            Ok(cid) => cid,
            Err(error) => return HostReply::failed(HostFailureKind::Malformed, error),
        };
        let limits =
            FetchLimits { bytes_max: IPFS_READ_BYTES_MAX, deadline: IPFS_READ_TIME_MAX, reader: Reader::Agent };
        match self.content.fetch(cid, limits).await {
            Ok(fetched) => HostReply::Content { bytes: fetched.bytes.to_vec() },
            Err(error) => {
                let kind = match &error {
                    FetchError::NotFound { .. } => HostFailureKind::NotFound,
                    FetchError::Download(DownloadError::NobodyLeft { .. }) => HostFailureKind::NotFound,
                    FetchError::Deadline { .. } | FetchError::Download(DownloadError::Deadline { .. }) => {
                        HostFailureKind::TimedOut
                    }
                    FetchError::Read { .. } | FetchError::Download(_) => HostFailureKind::TooLarge,
                    FetchError::CutOff { .. } => HostFailureKind::Unavailable,
                };
                // A stranger's agent does not learn who this node asks, nor where names lead.
                let text = match &error {
                    FetchError::Download(error) => {
                        tracing::info!(agent = self.label, error = crate::error::chain(error), "a file was not read");
                        error.outline()
                    }
                    _ => crate::error::chain(&error),
                };
                HostReply::failed(kind, text)
            }
        }
    }

    async fn send(&self, key: CallKey, mut request: HttpRequest) -> HostReply {
        let bytes_max = request.response_bytes_max;
        if !matches!(request.method.as_str(), "GET" | "HEAD") {
            let name = format!("{}:{}", hex::encode(key.invocation), key.index);
            if let Err(error) = self.intend(&name, &request).await {
                return unavailable(&error);
            }
            if !request.fields.iter().any(|field| field.name.eq_ignore_ascii_case(IDEMPOTENCY_KEY)) {
                request.fields.push(HttpField { name: IDEMPOTENCY_KEY.to_owned(), value: name.into_bytes() });
            }
        }
        let guest = GuestRequest {
            agent: self.label.clone(),
            reach: Reach::Granted {
                rules: self.grants.network_rules(),
                local: self.grants.local_services(),
                secrets: self.grants.secret_rules(),
            },
            method: request.method,
            scheme: request.scheme,
            authority: request.authority,
            path_and_query: request.path,
            headers: request.fields.into_iter().map(|field| (field.name, field.value)).collect(),
            body: RequestBody::Full(request.body.into()),
            timeouts: RequestTimeouts { total: request.timeout_ms.map(Duration::from_millis), ..Default::default() },
        };
        let response = match self.egress.request(guest).await {
            Ok(response) => response,
            Err(error) => return self.refused(&error),
        };
        let fields = response
            .headers
            .iter()
            .map(|(name, value)| HttpField { name: name.to_string(), value: value.as_bytes().to_vec() })
            .collect();
        let status = response.status.as_u16();
        let mut chunks = response.body;
        let mut body = Vec::new();
        while let Some(chunk) = chunks.next().await {
            let chunk: Bytes = match chunk {
                Ok(chunk) => chunk,
                Err(error) => return self.refused(&error),
            };
            if body.len() as u64 + chunk.len() as u64 > bytes_max {
                let text = format!("the answer is longer than {bytes_max} bytes");
                return HostReply::failed(HostFailureKind::TooLarge, text);
            }
            body.extend_from_slice(&chunk);
        }
        HostReply::Response { response: HttpResponse { status, fields, body } }
    }

    /// What changes the world leaves only after its intent is durable, under a key that is the same after a crash.
    async fn intend(&self, name: &str, request: &HttpRequest) -> Result<(), JournalError> {
        let mut text = format!("{name} {} {}", request.method, request.authority);
        text.truncate(text.floor_char_boundary(INTENT_BYTES_MAX));
        let entry = Entry::Intent(text).encode();
        Core::append(&self.journal, &[&entry]).await?.durable().await.map(drop)
    }

    /// A refusal is told to the agent's author in its log, with the line that would allow it.
    fn refused(&self, error: &EgressError) -> HostReply {
        let text = crate::error::chain(error);
        self.log.write(self.clock.now(), "warn", &text);
        if let Some(wanted) = beyond_its_rights(error) {
            self.audit.tried(Deed::by_agent(&self.label, "agent.try", wanted, &format!("refused: failed to {text}")));
        }
        if let Some(hint) = error.hint() {
            self.log.write(self.clock.now(), "warn", &format!("hint: {hint}"));
        }
        HostReply::failed(failure_kind(error), text)
    }
}

/// What an agent wanted that it was not given; nothing where it was refused for another reason.
fn beyond_its_rights(error: &EgressError) -> Option<String> {
    match error {
        EgressError::NotGranted { target, .. } => Some(target.host().to_string()),
        EgressError::SecretNotGranted { name, .. } => Some(format!("secret {name}")),
        _ => None,
    }
}

fn failure_kind(error: &EgressError) -> HostFailureKind {
    match error {
        EgressError::Timeout { .. } => HostFailureKind::TimedOut,
        EgressError::Resolve { .. } => HostFailureKind::Unresolved,
        EgressError::Connect { .. } => HostFailureKind::Unreachable,
        EgressError::Tls { .. } => HostFailureKind::Tls,
        // A sealed vault is opened again: it is no denial.
        EgressError::Secret { .. } => HostFailureKind::Unavailable,
        _ => HostFailureKind::Denied,
    }
}

fn no_space() -> HostReply {
    HostReply::failed(HostFailureKind::Denied, "the agent has no permission `space`")
}

fn unavailable(error: &dyn std::error::Error) -> HostReply {
    HostReply::failed(HostFailureKind::Unavailable, crate::error::chain(error))
}

fn level_word(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    }
}
