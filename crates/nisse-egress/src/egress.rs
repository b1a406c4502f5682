//! The way out, step by step: read, match, resolve once, check all, dial one, compare, rebuild, carry.

mod connect;
mod names;
mod send;

use std::sync::{Arc, PoisonError, RwLock};

use http::{Request, Response, StatusCode, Uri, header};
use hyper::body::Incoming;
use nisse_model::{LocalService, NetworkRule};
use tokio_rustls::rustls::ClientConfig;

use crate::audit::{AuditDraft, AuditSink};
use crate::body::{ResponseBody, UpMeter, sent_body};
use crate::connect_to::ConnectTo;
use crate::dialler::Dialler;
use crate::error::EgressError;
use crate::headers;
use crate::injection::Injection;
use crate::limiter::Limiter;
use crate::limits::{EgressLimits, Timeouts};
use crate::policy::{OwnAddresses, Route, route};
use crate::pool::{Lease, Pool};
use crate::redact::Redactor;
use crate::request::{GuestRequest, GuestResponse, Reach};
use crate::resolver::Resolver;
use crate::secrets::Secrets;
use crate::target::EgressTarget;
use crate::time::EgressTime;
use crate::tls::{TlsRoots, client_config};

/// What the operator configured.
#[derive(Debug, Clone, Default)]
pub struct EgressConfig {
    /// All caps.
    pub limits: EgressLimits,
    /// Names dialled at an address of the operator's choice.
    pub connect_to: Vec<ConnectTo>,
    /// This node itself.
    pub own: OwnAddresses,
    /// Which authorities vouch for public hosts.
    pub roots: TlsRoots,
}

/// The seams: names, connections, secrets, the audit trail, time.
#[derive(Clone)]
pub struct EgressDeps {
    /// Asks name servers.
    pub resolver: Arc<dyn Resolver>,
    /// Opens connections.
    pub dialler: Arc<dyn Dialler>,
    /// Knows the owner's secrets.
    pub secrets: Arc<dyn Secrets>,
    /// Takes a line per try.
    pub audit: Arc<dyn AuditSink>,
    /// The node's clocks.
    pub time: EgressTime,
}

/// The only way out for agents. Cheap to clone.
#[derive(Clone)]
pub struct Egress {
    inner: Arc<Inner>,
}

struct Inner {
    limits: EgressLimits,
    deps: EgressDeps,
    limiter: Arc<Limiter>,
    names: names::NameCache,
    pool: Arc<Pool>,
    tls: Arc<ClientConfig>,
    connect_to: Vec<(ConnectTo, Arc<ClientConfig>)>,
    own: RwLock<OwnAddresses>,
}

impl Egress {
    /// The way out as the operator configured it.
    pub fn new(config: EgressConfig, deps: EgressDeps) -> Self {
        let tls = client_config(&config.roots);
        let connect_to = config
            .connect_to
            .into_iter()
            .map(|exception| {
                let own = exception.ca.clone().map(|ca| client_config(&TlsRoots::Only(ca)));
                (exception, own.unwrap_or_else(|| tls.clone()))
            })
            .collect();
        let inner = Inner {
            limits: config.limits,
            limiter: Limiter::new(config.limits),
            names: names::NameCache::default(),
            pool: Pool::new(deps.time.clone()),
            tls,
            connect_to,
            own: RwLock::new(config.own),
            deps,
        };
        Self { inner: Arc::new(inner) }
    }

    /// This node's own addresses, once its listeners are bound.
    pub fn set_own_addresses(&self, own: OwnAddresses) {
        *self.inner.own.write().unwrap_or_else(PoisonError::into_inner) = own;
    }

    /// From now on the agent has these permissions and no others: connections under another one are closed, also those
    /// in use or being opened. Call it when an agent starts, and with empty lists when it stops.
    pub fn set_permissions(&self, agent: &str, rules: &[NetworkRule], local: &[LocalService]) {
        let rules = rules.iter().map(|rule| format!("network_outbound:{rule}"));
        let local = local.iter().map(|service| format!("network_local:{service}"));
        self.inner.pool.permit(agent, rules.chain(local).collect());
    }

    /// The agent is gone for good: its connections are closed and its permissions forgotten.
    pub fn forget(&self, agent: &str) {
        self.inner.pool.forget(agent);
    }

    /// Sends one request and gives its response once the head is there.
    pub async fn request(&self, request: GuestRequest<'_>) -> Result<GuestResponse, EgressError> {
        let inner = &self.inner;
        let mut draft =
            AuditDraft::new(&request.agent, &request.method, &request.authority, &inner.deps.time, &inner.deps.audit);
        let timeouts = request.timeouts.within(request.reach, &inner.limits.timeouts);
        let mut total = Box::pin(tokio::time::sleep(timeouts.total));
        let agent: Arc<str> = request.agent.as_str().into();
        let outcome = tokio::select! {
            outcome = inner.exchange(request, &agent, &timeouts, &mut draft) => outcome,
            () = &mut total => Err(EgressError::Timeout {
                host: draft.line.host.clone(),
                phase: "total",
                after: timeouts.total,
            }),
        };
        let Exchanged { response, mut lease, mut redactor } = match outcome {
            Ok(exchanged) => exchanged,
            Err(error) => {
                draft.failed(&error);
                return Err(error);
            }
        };
        let (mut head, incoming) = response.into_parts();
        draft.line.status = Some(head.status.as_u16());
        // Both at once is how responses are smuggled (RFC 9112 §6.3): nothing after it is believed.
        let chunked = head.headers.contains_key(header::TRANSFER_ENCODING);
        let length = head.headers.remove(header::CONTENT_LENGTH);
        headers::drop_hop_headers(&mut head.headers);
        match length {
            Some(_) if chunked => lease.not_reusable(),
            Some(length) => _ = head.headers.insert(header::CONTENT_LENGTH, length),
            None => {}
        }
        if redactor.is_some() && !headers::is_plain(&head.headers) {
            let error = EgressError::SecretHidden { host: draft.line.host.clone() };
            draft.failed(&error);
            return Err(error);
        }
        if let Some(redactor) = &mut redactor {
            redactor.headers(&mut head.headers);
            draft.line.redacted = redactor.found();
        }
        let body = ResponseBody {
            incoming,
            redactor,
            host: draft.line.host.clone(),
            agent,
            limiter: inner.limiter.clone(),
            time: inner.deps.time.clone(),
            bytes_max: inner.limits.response_body_bytes_max,
            idle_after: timeouts.idle,
            total_after: timeouts.total,
            total,
            idle: None,
            lease: Some(lease),
            draft: Some(draft),
        };
        Ok(GuestResponse { status: head.status, headers: head.headers, body })
    }
}

/// A response whose head is here.
struct Exchanged {
    response: Response<Incoming>,
    lease: Lease,
    /// Covers echoes of the secrets that the request carried.
    redactor: Option<Redactor>,
}

impl Inner {
    /// Everything up to the response's head.
    async fn exchange(
        &self,
        request: GuestRequest<'_>,
        agent: &Arc<str>,
        timeouts: &Timeouts,
        draft: &mut AuditDraft,
    ) -> Result<Exchanged, EgressError> {
        let target = EgressTarget::parse(&request.scheme, &request.authority, &request.path_and_query)?;
        let host = target.host().to_string();
        draft.line.scheme = target.scheme().as_str();
        draft.line.host = host.clone();
        draft.line.port = target.port();
        let (route, secrets) = match request.reach {
            Reach::Granted { rules, local, secrets } => (route(&target, rules, local), secrets),
            Reach::Public => (Some(Route::public()), [].as_slice()),
        };
        let Some(route) = route else {
            return Err(EgressError::NotGranted { agent: request.agent, target: Box::new(target) });
        };
        draft.line.rule = route.permission.to_string();
        if !self.pool.permits(agent, &route.permission) {
            return Err(EgressError::Withdrawn { host });
        }
        let method = headers::method(&request.method)?;
        let mut headers = headers::request_headers(&request.headers, &target.host_header())?;
        let injection = Injection::of(agent, &target, &method, &request.headers, secrets)?;
        let now = self.deps.time.elapsed();
        self.limiter.admit_request(agent, &route.permission, now)?;
        if route.wildcard {
            self.limiter.admit_wildcard_name(agent, &route.permission, &host, now)?;
        }
        let meter = UpMeter {
            agent: agent.clone(),
            limiter: self.limiter.clone(),
            time: self.deps.time.clone(),
            sent: draft.up_bytes.clone(),
            bytes_max: self.limits.request_body_bytes_max,
            stopped: Arc::default(),
        };
        let destination = self.destination(&target, &route, agent, timeouts, draft).await?;
        let body = sent_body(request.body, meter.clone()).await?;
        // Not a moment earlier, and never from memory: what was withdrawn or changed is gone with this request.
        let redactor = injection.put_into(agent, &*self.deps.secrets, &mut headers).await?;
        draft.line.secrets = injection.names().collect();
        let mut outgoing = Request::new(body);
        *outgoing.method_mut() = method;
        // Origin-form: path and query, nothing that could name a host.
        *outgoing.uri_mut() = Uri::from(target.path_and_query().clone());
        *outgoing.headers_mut() = headers;
        let sent = self.send(outgoing, &destination, &route, agent, timeouts, draft).await;
        let (response, lease) = sent.map_err(|error| meter.reason().unwrap_or(error))?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let why: Box<dyn std::error::Error + Send + Sync> = "the server switched protocols".into();
            return Err(EgressError::Protocol { host, source: Arc::from(why) });
        }
        Ok(Exchanged { response, lease, redactor })
    }
}
