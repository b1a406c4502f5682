//! From a name to an open connection: resolve once, check every answer, dial the checked address, compare the peer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, PoisonError};

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use nisse_model::{LocalHost, NetworkScheme};
use tokio::time::timeout;
use tokio_rustls::rustls::ClientConfig;

use super::Inner;
use crate::audit::AuditDraft;
use crate::body::SentBody;
use crate::dialler::{Connection, Stream};
use crate::error::EgressError;
use crate::headers::{HEADERS_MAX, RESPONSE_HEADER_BYTES_MAX};
use crate::limiter::ConnectionPermit;
use crate::limits::Timeouts;
use crate::policy::{Route, check_addresses};
use crate::pool::{AGE_MAX, Lease, PoolKey};
use crate::resolver::ResolveError;
use crate::target::EgressTarget;
use crate::tls;

/// Addresses of one name that are tried, one after the other.
const ADDRESSES_TRIED_MAX: usize = 3;

/// A target whose addresses have been checked.
pub(super) struct Destination {
    pub(super) host: LocalHost,
    scheme: NetworkScheme,
    addresses: Vec<SocketAddr>,
    tls: Arc<ClientConfig>,
    tls_number: usize,
}

/// A failure of HTTP/1.1, or of a permission that went away under it.
pub(super) fn protocol(destination: &Destination, lease: &Lease, error: hyper::Error) -> EgressError {
    let host = destination.host.to_string();
    if lease.is_withdrawn() {
        return EgressError::Withdrawn { host };
    }
    if error.is_parse_too_large() {
        return EgressError::TooLarge { limit: "response_header_bytes_max", max: RESPONSE_HEADER_BYTES_MAX as u64 };
    }
    EgressError::Protocol { host, source: Arc::new(error) }
}

impl Inner {
    /// Finds the addresses that this request may dial.
    pub(super) async fn destination(
        &self,
        target: &EgressTarget,
        route: &Route,
        agent: &Arc<str>,
        timeouts: &Timeouts,
        draft: &mut AuditDraft,
    ) -> Result<Destination, EgressError> {
        let (host, port) = (target.host().clone(), target.port());
        let destination = |addresses, tls: &Arc<ClientConfig>, tls_number| Destination {
            host: host.clone(),
            scheme: target.scheme(),
            addresses,
            tls: tls.clone(),
            tls_number,
        };
        let name = target.host_name();
        let in_the_clear = target.scheme() == NetworkScheme::Http;
        let exception = self.connect_to.iter().position(|(exception, _)| {
            let meant = Some(&exception.host) == name.as_ref() && exception.port == port;
            meant && !(in_the_clear && exception.is_tls_only())
        });
        if let Some((index, (exception, tls))) = exception.and_then(|index| Some((index, self.connect_to.get(index)?)))
        {
            draft.line.via_connect_to = true;
            draft.line.addresses = vec![exception.to.ip()];
            return Ok(destination(vec![exception.to], tls, index + 1));
        }
        let addresses = self.addresses(target, agent, timeouts).await?;
        draft.line.addresses = addresses.clone();
        let mut own = self.own.read().unwrap_or_else(PoisonError::into_inner).clone();
        // Addresses come and go (DHCP, a VPN), so the machine is asked each time.
        own.addresses.extend(addresses.iter().filter(|address| self.deps.dialler.ends_here(address.to_canonical())));
        let checked = check_addresses(&host.to_string(), port, &addresses, route, &own)?;
        draft.line.via_network_local = checked.iter().any(|socket| {
            crate::special_purpose::classify(socket.ip()) != crate::special_purpose::AddressClass::Public
        });
        Ok(destination(checked, &self.tls, 0))
    }

    /// All addresses of the target, unchecked.
    async fn addresses(
        &self,
        target: &EgressTarget,
        agent: &Arc<str>,
        timeouts: &Timeouts,
    ) -> Result<Vec<IpAddr>, EgressError> {
        let name = match target.host() {
            LocalHost::Ip(ip) => return Ok(vec![*ip]),
            LocalHost::Name(name) => name.as_str(),
        };
        // RFC 6761 §6.3: these names are this machine, and no name server is asked about them.
        if name == "localhost" || name.ends_with(".localhost") {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let now = self.deps.time.elapsed();
        if let Some(addresses) = self.names.get(name, now) {
            return Ok(addresses);
        }
        self.limiter.admit_resolution(agent, now)?;
        let refused = |source| EgressError::Resolve { host: name.to_owned(), source };
        let answer = timeout(timeouts.connect, self.deps.resolver.resolve(name))
            .await
            .map_err(|_| EgressError::Timeout { host: name.to_owned(), phase: "resolve", after: timeouts.connect })?;
        let answer = answer.map_err(refused)?;
        if answer.addresses.is_empty() {
            return Err(refused(ResolveError::NotFound));
        }
        self.names.keep(name, &answer, now);
        Ok(answer.addresses)
    }

    fn key(&self, destination: &Destination, route: &Route, agent: &Arc<str>, address: SocketAddr) -> PoolKey {
        PoolKey {
            agent: agent.clone(),
            permission: route.permission.clone(),
            scheme: destination.scheme,
            host: destination.host.to_string(),
            address,
            tls: destination.tls_number,
        }
    }

    /// A connection of the same kind that waits for its next request.
    pub(super) fn idle_connection(
        &self,
        destination: &Destination,
        route: &Route,
        agent: &Arc<str>,
    ) -> Option<(Lease, SocketAddr)> {
        destination.addresses.iter().find_map(|address| {
            self.pool.take(&self.key(destination, route, agent, *address)).map(|lease| (lease, *address))
        })
    }

    /// Opens a connection to one of the checked addresses.
    pub(super) async fn open(
        &self,
        destination: &Destination,
        route: &Route,
        agent: &Arc<str>,
        timeouts: &Timeouts,
        draft: &mut AuditDraft,
    ) -> Result<Lease, EgressError> {
        let host = destination.host.to_string();
        let mut last = None;
        for address in destination.addresses.iter().take(ADDRESSES_TRIED_MAX) {
            draft.line.chosen = Some(address.ip());
            let now = self.deps.time.elapsed();
            self.limiter.admit_destination(address.ip(), now)?;
            let admitted = || self.limiter.admit_connection(agent, &route.permission, address.ip(), now);
            let permit = admitted().or_else(|refused| {
                // What only waits makes room.
                let room = refused.is_connections_max() && self.pool.close_idle(agent, address.ip());
                if room { admitted() } else { Err(refused) }
            })?;
            let dialled = timeout(timeouts.connect, self.deps.dialler.connect(*address)).await;
            let Connection { stream, peer } = match dialled {
                Ok(Ok(connection)) => connection,
                Ok(Err(error)) => {
                    last = Some(EgressError::Connect { host: host.clone(), source: Arc::new(error) });
                    continue;
                }
                Err(_) => {
                    let after = timeouts.connect;
                    last = Some(EgressError::Timeout { host: host.clone(), phase: "connect", after });
                    continue;
                }
            };
            if (peer.ip().to_canonical(), peer.port()) != (address.ip().to_canonical(), address.port()) {
                return Err(EgressError::Peer { host, dialled: *address, peer });
            }
            let stream = self.secured(destination, stream, timeouts).await?;
            let key = self.key(destination, route, agent, *address);
            return self.spoken(key, stream, permit).await;
        }
        Err(last.unwrap_or(EgressError::Resolve { host, source: ResolveError::NotFound }))
    }

    /// TLS for https, the plain stream for http.
    async fn secured(
        &self,
        destination: &Destination,
        stream: Box<dyn Stream>,
        timeouts: &Timeouts,
    ) -> Result<Box<dyn Stream>, EgressError> {
        if destination.scheme == NetworkScheme::Http {
            return Ok(stream);
        }
        let host = || destination.host.to_string();
        match timeout(timeouts.connect, tls::connect(&destination.tls, &destination.host, stream)).await {
            Err(_) => Err(EgressError::Timeout { host: host(), phase: "TLS", after: timeouts.connect }),
            Ok(Err(error)) => Err(EgressError::Tls { host: host(), source: Arc::new(error) }),
            Ok(Ok(stream)) => Ok(Box::new(stream)),
        }
    }

    /// HTTP/1.1 over the stream, driven by a task that ends with the connection and holds its permit.
    async fn spoken(
        &self,
        key: PoolKey,
        stream: Box<dyn Stream>,
        permit: ConnectionPermit,
    ) -> Result<Lease, EgressError> {
        let handshake = http1::Builder::new()
            .max_headers(HEADERS_MAX)
            .max_buf_size(RESPONSE_HEADER_BYTES_MAX)
            .handshake::<_, SentBody>(TokioIo::new(stream))
            .await;
        let (sender, connection) =
            handshake.map_err(|error| EgressError::Protocol { host: key.host.clone(), source: Arc::new(error) })?;
        // No request outlives this: it begins before the connection is too old, and ends by its own deadline.
        let life_max = AGE_MAX + self.limits.timeouts.total + self.limits.timeouts.total;
        let task = tokio::spawn(async move {
            let ended = timeout(life_max, connection).await;
            if let Ok(Err(error)) = ended {
                tracing::debug!(%error, "an outgoing connection ended");
            }
        });
        let host = key.host.clone();
        self.pool.add(key, sender, task.abort_handle(), permit).ok_or(EgressError::Withdrawn { host })
    }
}
