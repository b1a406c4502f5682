//! The only way out: everything an agent sends to the network goes through [`Egress`], and nothing else opens a
//! connection for it.
//!
//! A request is read once into typed values ([`EgressTarget`]), matched against the agent's permissions, resolved
//! once; every answer is checked against [`classify`], the checked address itself is dialled and compared with the
//! connection's peer; SNI, certificate and `Host` are the name that the rule allowed; the request is written anew from
//! validated parts; [`Secrets`] are put in last of all, and their echoes are covered. Each try leaves one
//! [`AuditLine`]. What the operator configured goes through [`OperatorClient`].
//!
//! # What this cannot prevent
//! An allowed host can relay: an open redirect that the host itself follows, a webhook, a translation service or a
//! `/proxy?u=` carries data on to places that no rule names. The audit line shows the host and the bytes, not what the
//! host did with them. Hosts behind one content-delivery network share addresses: the certificate pins the name, not
//! the tenant behind it. The timing and size of traffic tell something to who watches the wire. Names under a wildcard
//! carry data to the name servers of that domain; their number and length are capped, not nil.
#![forbid(unsafe_code)]

mod audit;
mod body;
mod connect_to;
mod dialler;
mod egress;
mod error;
mod headers;
mod injection;
mod limiter;
mod limits;
mod operator;
mod policy;
mod pool;
mod redact;
mod request;
mod resolver;
mod secrets;
mod special_purpose;
mod target;
mod time;
mod tls;
mod tls_server;

pub mod fake;

pub use audit::{AuditLine, AuditSink, TracingAudit, Verdict};
pub use body::{BodyStream, RequestBody, ResponseBody};
pub use connect_to::{ConnectTo, ConnectToError};
pub use dialler::{Connection, Dialler, Stream, TcpDialler};
pub use egress::{Egress, EgressConfig, EgressDeps};
pub use error::EgressError;
pub use headers::{HEADERS_MAX, REQUEST_HEADER_BYTES_MAX, RESPONSE_HEADER_BYTES_MAX};
pub use limits::{EgressLimits, ScopeLimits, Timeouts};
pub use operator::{OperatorClient, OperatorError, OperatorRequest, OperatorResponse, OperatorStream};
pub use policy::OwnAddresses;
pub use request::{GuestRequest, GuestResponse, Reach, RequestTimeouts};
pub use resolver::{ADDRESSES_PER_NAME_MAX, Answer, HickoryResolver, MachineResolver, ResolveError, Resolver};
pub use secrets::{NoSecrets, SecretRefused, SecretValue, Secrets};
pub use special_purpose::{AddressClass, classify};
pub use target::{EgressTarget, PATH_LENGTH_MAX, TargetError};
pub use time::EgressTime;
pub use tls::{CaFile, CaFileError, TlsRoots};
pub use tls_server::{ServerIdentity, ServerIdentityError};
