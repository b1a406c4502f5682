//! Why a request did not go out: a stable reason code, a sentence, and the line that would change it.

mod hint;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use nisse_model::{SecretName, SecretRule};

use crate::resolver::ResolveError;
use crate::secrets::SecretRefused;
use crate::special_purpose::AddressClass;
use crate::target::{EgressTarget, TargetError};

/// Why a request was refused or failed. Each text completes "failed to …".
#[derive(Debug, Clone, thiserror::Error)]
pub enum EgressError {
    /// The destination cannot be read, or only doubtfully.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// CONNECT, TRACE, or not a method.
    #[error("send a request with the method `{0}`")]
    Method(String),
    /// A header that cannot be sent.
    #[error("send the header `{name}`: {why}")]
    Header {
        /// Its name, shortened.
        name: String,
        /// What is wrong.
        why: &'static str,
    },
    /// No rule and no local service of the agent matches.
    #[error("reach {target}: none of the permissions of `{agent}` match")]
    NotGranted {
        /// Who asked.
        agent: String,
        /// Where to.
        target: Box<EgressTarget>,
    },
    /// A header asks for a secret, and none of the agent's permissions gives it to this request.
    #[error(
        "put the secret {name:?} into `{header}` of a request to {target}: none of the permissions of `{agent}` match"
    )]
    SecretNotGranted {
        /// Who asked.
        agent: String,
        /// What stands after `nisse-secret:`, shortened.
        name: String,
        /// The header that asks, shortened.
        header: String,
        /// Where to.
        target: Box<EgressTarget>,
        /// The permission for this secret, host and header, whose method or path does not fit.
        near: Option<Box<SecretRule>>,
    },
    /// The secret is granted and not there.
    #[error("use the secret `{name}`")]
    Secret {
        /// What it is called.
        name: SecretName,
        /// Why it is not there.
        source: SecretRefused,
    },
    /// The header cannot carry the secret's value.
    #[error("put the secret `{name}` into the header `{header}`: {why}")]
    SecretUnfit {
        /// What it is called.
        name: SecretName,
        /// The header.
        header: String,
        /// What is wrong with the value, without any of it.
        why: &'static str,
    },
    /// The answer to a request with a secret is packed: an echo in it could not be seen.
    #[error(
        "take the answer of {host} to a request with a secret: it is packed, so an echo of the secret could not be struck out"
    )]
    SecretHidden {
        /// Who answered.
        host: String,
    },
    /// The name has no usable answer.
    #[error("resolve {host}")]
    Resolve {
        /// The name asked for.
        host: String,
        /// What the resolver said.
        source: ResolveError,
    },
    /// An answer that the request may not use; all answers are thrown away with it.
    #[error("reach {host}: it resolves to {address} ({})", class.name())]
    Address {
        /// The name asked for.
        host: String,
        /// The port asked for.
        port: u16,
        /// The first address refused.
        address: IpAddr,
        /// Its class.
        class: AddressClass,
    },
    /// A listener of this node.
    #[error("reach {host}: {address} is this node itself")]
    OwnAddress {
        /// The name asked for.
        host: String,
        /// The address refused.
        address: SocketAddr,
    },
    /// The connection ended elsewhere than at the address that was checked.
    #[error("reach {host}: the connection to {dialled} ended at {peer}")]
    Peer {
        /// The name asked for.
        host: String,
        /// The address that was checked.
        dialled: SocketAddr,
        /// Where it ended.
        peer: SocketAddr,
    },
    /// No address answered.
    #[error("connect to {host}")]
    Connect {
        /// The name asked for.
        host: String,
        /// The last address's error.
        source: Arc<io::Error>,
    },
    /// No TLS session with the host that the rule names.
    #[error("agree on TLS with {host}")]
    Tls {
        /// The name asked for.
        host: String,
        /// What rustls said.
        source: Arc<io::Error>,
    },
    /// A cap was reached.
    #[error("send another request: {limit} allows {max}")]
    Limit {
        /// The cap's name.
        limit: &'static str,
        /// Its value.
        max: u64,
    },
    /// A body or head is too large.
    #[error("carry more than {max} bytes: {limit} is reached")]
    TooLarge {
        /// The cap's name.
        limit: &'static str,
        /// Its value in bytes.
        max: u64,
    },
    /// A deadline passed.
    #[error("hear from {host} within {} ms ({phase})", after.as_millis())]
    Timeout {
        /// The name asked for.
        host: String,
        /// `connect`, `first byte`, `idle` or `total`.
        phase: &'static str,
        /// The deadline.
        after: Duration,
    },
    /// The other side broke HTTP/1.1 or went away.
    #[error("speak HTTP/1.1 with {host}")]
    Protocol {
        /// The name asked for.
        host: String,
        /// What hyper said.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The guest's own body ended with an error.
    #[error("read the request's body: {0}")]
    RequestBody(String),
    /// The permission went away while the request ran.
    #[error("go on with {host}: the permission was withdrawn")]
    Withdrawn {
        /// The name asked for.
        host: String,
    },
}

impl EgressError {
    /// Whether too many connections are open.
    pub(crate) fn is_connections_max(&self) -> bool {
        matches!(self, Self::Limit { limit, .. } if limit.ends_with("connections_max"))
    }

    /// A stable code for the audit line and for programs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Target(_) => "malformed_target",
            Self::Method(_) => "method",
            Self::Header { .. } => "header",
            Self::NotGranted { .. } => "not_granted",
            Self::SecretNotGranted { .. } => "secret_not_granted",
            Self::Secret { source: SecretRefused::Sealed, .. } => "secret_sealed",
            Self::Secret { source: SecretRefused::Missing, .. } => "secret_missing",
            Self::Secret { source: SecretRefused::Failed(_), .. } => "secret_failed",
            Self::SecretUnfit { .. } => "secret_unfit",
            Self::SecretHidden { .. } => "secret_hidden",
            Self::Resolve { .. } => "resolve",
            Self::Address { .. } => "address",
            Self::OwnAddress { .. } => "own_address",
            Self::Peer { .. } => "peer",
            Self::Connect { .. } => "connect",
            Self::Tls { .. } => "tls",
            Self::Limit { .. } => "limit",
            Self::TooLarge { .. } => "too_large",
            Self::Timeout { .. } => "timeout",
            Self::Protocol { .. } => "protocol",
            Self::RequestBody(_) => "request_body",
            Self::Withdrawn { .. } => "withdrawn",
        }
    }

    /// Whether a rule of this node said no, rather than the network.
    pub fn is_refusal(&self) -> bool {
        !matches!(
            self,
            Self::Resolve { .. }
                | Self::Connect { .. }
                | Self::Tls { .. }
                | Self::Timeout { .. }
                | Self::Protocol { .. }
                | Self::RequestBody(_)
                | Self::Secret { source: SecretRefused::Failed(_), .. }
        )
    }
}
