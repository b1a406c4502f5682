//! One line for each try to get out, allowed or not: who, where to, which addresses, why, how much.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nisse_model::{SecretName, Timestamp};

use crate::error::EgressError;
use crate::time::EgressTime;

/// How a try ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The response was carried to its end.
    Allowed,
    /// A rule of this node said no; the reason code of the error.
    Denied(&'static str),
    /// Allowed, but it did not work out; the reason code of the error, or `cancelled`.
    Failed(&'static str),
}

impl Verdict {
    /// `allowed`, `denied` or `failed`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied(_) => "denied",
            Self::Failed(_) => "failed",
        }
    }

    /// The reason code; empty for an allowed try.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Allowed => "",
            Self::Denied(reason) | Self::Failed(reason) => reason,
        }
    }
}

impl From<&EgressError> for Verdict {
    fn from(error: &EgressError) -> Self {
        if error.is_refusal() { Self::Denied(error.reason()) } else { Self::Failed(error.reason()) }
    }
}

/// One try. Texts come from the guest and are shortened; the path is never kept, since it may carry secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditLine {
    /// When it began.
    pub time: Timestamp,
    /// Who asked.
    pub agent: String,
    /// The permission that matched, as written in `agent.yaml`; `public` where the node itself asks, empty when none did.
    pub rule: String,
    /// Method, shortened.
    pub method: String,
    /// `https` or `http`; empty when the target could not be read.
    pub scheme: &'static str,
    /// The host, normalised; as given and shortened when it could not be read.
    pub host: String,
    /// The port; 0 when the target could not be read.
    pub port: u16,
    /// Every address that the name resolved to.
    pub addresses: Vec<IpAddr>,
    /// The address dialled last.
    pub chosen: Option<IpAddr>,
    /// How it ended.
    pub verdict: Verdict,
    /// The response's status.
    pub status: Option<u16>,
    /// Body bytes sent.
    pub up_bytes: u64,
    /// Body bytes received.
    pub down_bytes: u64,
    /// From the request to the response's end.
    pub duration: Duration,
    /// Whether the operator's `--connect-to` chose the address.
    pub via_connect_to: bool,
    /// Whether a `network_local` permission allowed a private address.
    pub via_network_local: bool,
    /// Whether an open connection of the same agent and rule was used again.
    pub reused: bool,
    /// The secrets that the request carried, by name.
    pub secrets: Vec<SecretName>,
    /// Echoes of them that were covered in the response.
    pub redacted: u64,
}

/// Takes audit lines. Must not block.
pub trait AuditSink: Send + Sync + 'static {
    /// One try has ended.
    fn record(&self, line: AuditLine);
}

/// Writes each line as an event under `nisse::event::egress`.
#[derive(Debug, Clone, Copy, Default)]
pub struct TracingAudit;

impl AuditSink for TracingAudit {
    fn record(&self, line: AuditLine) {
        let secrets: Vec<&str> = line.secrets.iter().map(SecretName::as_str).collect();
        tracing::info!(
            target: "nisse::event::egress",
            time = line.time.0,
            agent = line.agent,
            rule = line.rule,
            method = line.method,
            scheme = line.scheme,
            host = line.host,
            port = line.port,
            addresses = ?line.addresses,
            chosen = line.chosen.map(tracing::field::display),
            verdict = line.verdict.name(),
            reason = line.verdict.reason(),
            status = line.status,
            up_bytes = line.up_bytes,
            down_bytes = line.down_bytes,
            duration_ms = u64::try_from(line.duration.as_millis()).unwrap_or(u64::MAX),
            via_connect_to = line.via_connect_to,
            via_network_local = line.via_network_local,
            reused = line.reused,
            secrets = (!secrets.is_empty()).then(|| secrets.join(",")),
            redacted = (line.redacted > 0).then_some(line.redacted),
        );
    }
}

/// A line being written; recorded when it is dropped, whatever happened in between.
pub(crate) struct AuditDraft {
    pub(crate) line: AuditLine,
    pub(crate) up_bytes: Arc<AtomicU64>,
    started: Duration,
    time: EgressTime,
    sink: Arc<dyn AuditSink>,
}

impl AuditDraft {
    pub(crate) fn new(
        agent: &str,
        method: &str,
        authority: &str,
        time: &EgressTime,
        sink: &Arc<dyn AuditSink>,
    ) -> Self {
        let line = AuditLine {
            time: time.now(),
            agent: agent.to_owned(),
            rule: String::new(),
            method: method.chars().take(16).collect(),
            scheme: "",
            host: authority.chars().take(80).collect(),
            port: 0,
            addresses: Vec::new(),
            chosen: None,
            verdict: Verdict::Failed("cancelled"),
            status: None,
            up_bytes: 0,
            down_bytes: 0,
            duration: Duration::ZERO,
            via_connect_to: false,
            via_network_local: false,
            reused: false,
            secrets: Vec::new(),
            redacted: 0,
        };
        Self { line, up_bytes: Arc::default(), started: time.elapsed(), time: time.clone(), sink: sink.clone() }
    }

    /// The try ended with this error.
    pub(crate) fn failed(&mut self, error: &EgressError) {
        self.line.verdict = error.into();
    }
}

impl Drop for AuditDraft {
    fn drop(&mut self) {
        let mut line = self.line.clone();
        line.up_bytes = self.up_bytes.load(Ordering::Relaxed);
        line.duration = self.time.elapsed().saturating_sub(self.started);
        if line.redacted > 0 {
            tracing::warn!(agent = line.agent, host = line.host, redacted = line.redacted, "a host sent a secret back");
        }
        self.sink.record(line);
    }
}
